package sandboxtest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// Files serves contents by path. Each is known by an ETag, so that it may be kept.
type Files struct {
	*httptest.Server

	Sent atomic.Int32 // how many were sent in full
}

// Serve starts a server of these contents, which ends with the test.
func Serve(t *testing.T, contents map[string][]byte) *Files {
	t.Helper()
	f := &Files{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := contents[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		f.Sent.Add(1)
		_, _ = w.Write(content)
	}))
	t.Cleanup(f.Close)
	return f
}

// Stuck is the URL of a file that never comes, though the server promises it. Whoever asks for it is told through the channel.
func Stuck(t *testing.T) (url string, asked <-chan struct{}) {
	t.Helper()
	asks := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush() //nolint:errcheck // the test would hang and say so
		asks <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL + "/file", asks
}

// Entry is what an archive has.
type Entry struct {
	Name    string
	Kind    byte // as package tar names kinds
	Target  string
	Content string
}

// Tarball is a compressed archive of the entries, each with the rights 0755.
func Tarball(t *testing.T, entries ...Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.Name, Typeflag: e.Kind, Linkname: e.Target, Mode: 0o755, Size: int64(len(e.Content))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Zip is an archive with one file.
func Zip(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
