package dockertest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// Registry is a registry with one image, that of Shell, for those who log in.
type Registry struct {
	Image string // its whole name
	Pulls atomic.Int32

	host, user, password string
	blobs                map[string][]byte // by digest
	manifest             []byte
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

// Serve starts a registry that every daemon of the tests' network trusts. It ends with the test.
func Serve(t *testing.T, user, password string) *Registry {
	t.Helper()
	r := &Registry{user: user, password: password, blobs: map[string][]byte{}}
	if err := r.fill(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	r.Image = r.host + "/private/shell:1"
	return r
}

// Host is what the registry is called in names of images and in files of logins.
func (r *Registry) Host() string { return r.host }

// ServeHTTP implements http.Handler with as much of the protocol as a pull takes.
func (r *Registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	user, password, _ := request.BasicAuth()
	if user != r.user || password != r.password {
		w.Header().Set("WWW-Authenticate", `Basic realm="tests"`)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}`)
		return
	}
	repository, inside := strings.CutPrefix(request.URL.Path, "/v2/private/shell/")
	kind, name, _ := strings.Cut(repository, "/")
	switch {
	case request.URL.Path == "/v2/":
	case inside && kind == "manifests" && (name == "1" || name == digest(r.manifest)):
		if request.Method == http.MethodGet {
			r.Pulls.Add(1)
		}
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", digest(r.manifest))
		_, _ = w.Write(r.manifest)
	case inside && kind == "blobs" && r.blobs[name] != nil:
		_, _ = w.Write(r.blobs[name])
	default:
		http.NotFound(w, request)
	}
}

// fill makes the image.
func (r *Registry) fill() error {
	files, err := busybox()
	if err != nil {
		return err
	}
	plain, err := io.ReadAll(files)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"WorkingDir": "/"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(plain)}},
	})
	if err != nil {
		return err
	}
	part := func(kind string, content []byte) map[string]any {
		r.blobs[digest(content)] = content
		return map[string]any{"mediaType": kind, "size": len(content), "digest": digest(content)}
	}
	r.manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": part("application/vnd.docker.container.image.v1+json", config),
		"layers": []any{part("application/vnd.docker.image.rootfs.diff.tar.gzip", packed.Bytes())},
	})
	return err
}

func digest(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }
