package sandbox_test

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/sandbox"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/sandbox/sandboxtest"
)

// TestFilesThatCannotBeHad says: the error is a sentence for whoever wrote the definition, and nothing was written outside of the folder.
func TestFilesThatCannotBeHad(t *testing.T) {
	room := t.TempDir()
	outside := filepath.Join(room, "escaped")
	server := sandboxtest.Serve(t, map[string][]byte{
		"/up.tgz":     sandboxtest.Tarball(t, sandboxtest.Entry{Name: "../escaped", Kind: tar.TypeReg, Content: "x"}),
		"/link.tgz":   sandboxtest.Tarball(t, sandboxtest.Entry{Name: "out", Kind: tar.TypeSymlink, Target: ".."}, sandboxtest.Entry{Name: "out/escaped", Kind: tar.TypeReg, Content: "x"}),
		"/device.tgz": sandboxtest.Tarball(t, sandboxtest.Entry{Name: "null", Kind: tar.TypeChar}),
		"/torn.tgz":   []byte("this is no archive"),
	})
	for i, test := range []struct {
		file    app.Fetch
		want    string
		noFiles string
	}{
		{app.Fetch{URI: server.URL + "/missing"}, "404", ""},
		{app.Fetch{URI: "file:///nowhere/at/all"}, "No such file", ""},
		{app.Fetch{URI: "/etc/hostname"}, "only here", "only here"},
		{app.Fetch{URI: "hdfs://host/file"}, "cannot fetch from hdfs", ""},
		{app.Fetch{URI: server.URL + "/"}, "give destPath", ""},
		{app.Fetch{URI: server.URL + "/up.tgz", DestPath: "../up.tgz"}, "leads out", ""},
		{app.Fetch{URI: server.URL + "/up.tgz", Extract: true}, "leads out", ""},
		{app.Fetch{URI: server.URL + "/link.tgz", Extract: true}, "escapes", ""},
		{app.Fetch{URI: server.URL + "/device.tgz", Extract: true}, "neither a file", ""},
		{app.Fetch{URI: server.URL + "/torn.tgz", Extract: true}, "unpack it", ""},
		{app.Fetch{URI: "http://user:hush@127.0.0.1:1/file"}, "connection refused", ""},
	} {
		dir := filepath.Join(room, fmt.Sprint(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		err := sandbox.Fetcher{Cache: filepath.Join(room, "cache"), NoFiles: test.noFiles}.Bring(t.Context(), dir, []app.Fetch{test.file})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: got %v, want %q", test.file.URI, err, test.want)
		}
	}
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a file was written outside of the folder of the task")
	}
}

// TestFilesOfTheMachineAreReadAsTheirOwner says: what this process may see and the task may not is not fetched.
func TestFilesOfTheMachineAreReadAsTheirOwner(t *testing.T) {
	private := filepath.Join(t.TempDir(), "private")
	if err := os.WriteFile(private, []byte("ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	owner, want := &syscall.Credential{Uid: 65534, Gid: 65534}, "ermission denied"
	if os.Geteuid() != 0 {
		owner, want = nil, "" // it is our own
	}
	err := sandbox.Fetcher{Owner: owner}.Bring(t.Context(), t.TempDir(), []app.Fetch{{URI: private}})
	if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
