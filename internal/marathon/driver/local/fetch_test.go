package local

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// files serves contents by path and counts how many were sent in full.
type files struct {
	*httptest.Server
	sent atomic.Int32
}

func serveFiles(t *testing.T, contents map[string][]byte) *files {
	t.Helper()
	f := &files{}
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
		f.sent.Add(1)
		w.Write(content)
	}))
	t.Cleanup(f.Close)
	return f
}

// tarball packs entries given as headers with their content.
func tarball(t *testing.T, entries ...packed) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.target, Mode: 0o755, Size: int64(len(e.content))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
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

type packed struct {
	name    string
	kind    byte
	target  string
	content string
}

func zipped(t *testing.T, name, content string) []byte {
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

// fetching is a task that wants files first.
func fetching(cmd string, files ...app.Fetch) driver.Spec {
	s := task(1, cmd)
	s.App.Fetch = files
	return s
}

// TestFilesAreThereBeforeTheTask says: from a server and from the machine, unpacked, executable, under another name, and all
// of them the task's own. The program itself may be one of them.
func TestFilesAreThereBeforeTheTask(t *testing.T) {
	b := newBench(t)
	server := serveFiles(t, map[string][]byte{
		"/app.tgz": tarball(t, packed{name: "app/", kind: tar.TypeDir}, packed{name: "app/run", kind: tar.TypeReg, content: "in the tarball\n"},
			packed{name: "app/link", kind: tar.TypeSymlink, target: "run"}, packed{name: "app/hard", kind: tar.TypeLink, target: "app/run"}),
		"/more.zip": zipped(t, "deep/er/file", "in the zip\n"),
		"/tool":     []byte("#!/bin/sh\necho \"$@\" >said\ncat app/run app/link app/hard deep/er/file etc/here >contents\nstat -c %u app/run etc/here >users\necho done >done\n"),
	})
	here := filepath.Join(t.TempDir(), "here")
	if err := os.WriteFile(here, []byte("of the machine\n"), 0o644); err != nil { //nolint:gosec // for the task to read
		t.Fatal(err)
	}
	for dir := filepath.Dir(here); dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // made for this test
			t.Fatal(err)
		}
	}
	s := fetching("", app.Fetch{URI: server.URL + "/app.tgz", Extract: true}, app.Fetch{URI: server.URL + "/more.zip", Extract: true, Cache: true},
		app.Fetch{URI: server.URL + "/tool", Executable: true, Extract: true}, app.Fetch{URI: "file://" + here, DestPath: "etc/here"})
	s.App.Args = []string{"./tool", "hello", "world"}
	b.launch(s)
	b.await(s, app.TaskFinished)
	if got := b.said("said"); got != "hello world" {
		t.Errorf("it said %q", got)
	}
	if got, want := b.said("contents"), strings.Repeat("in the tarball\n", 3)+"in the zip\nof the machine"; got != want {
		t.Errorf("it found %q, want %q", got, want)
	}
	again := s
	again.Task = app.NewTaskID(instance, 2)
	sent := server.sent.Load()
	b.launch(again)
	b.await(again, app.TaskFinished)
	if got := server.sent.Load() - sent; got != 2 {
		t.Errorf("%d files were sent the second time, want 2: one is kept", got)
	}
}

// TestFilesThatCannotBeHad says: the task fails with a sentence, and nothing was written outside its folder.
func TestFilesThatCannotBeHad(t *testing.T) {
	b := newBench(t)
	outside := filepath.Join(filepath.Dir(b.dir.volume("x")), "escaped")
	server := serveFiles(t, map[string][]byte{
		"/up.tgz":     tarball(t, packed{name: "../escaped", kind: tar.TypeReg, content: "x"}),
		"/link.tgz":   tarball(t, packed{name: "out", kind: tar.TypeSymlink, target: ".."}, packed{name: "out/escaped", kind: tar.TypeReg, content: "x"}),
		"/device.tgz": tarball(t, packed{name: "null", kind: tar.TypeChar}),
		"/torn.tgz":   []byte("this is no archive"),
	})
	private := filepath.Join(t.TempDir(), "private")
	if err := os.WriteFile(private, []byte("root's"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, test := range []struct {
		file app.Fetch
		want string
	}{
		{app.Fetch{URI: server.URL + "/missing"}, "404"},
		{app.Fetch{URI: "file:///nowhere/at/all"}, "No such file"},
		{app.Fetch{URI: private}, "ermission denied"},
		{app.Fetch{URI: "hdfs://host/file"}, "cannot fetch from hdfs"},
		{app.Fetch{URI: server.URL + "/"}, "give destPath"},
		{app.Fetch{URI: server.URL + "/up.tgz", DestPath: "../up.tgz"}, "leads out"},
		{app.Fetch{URI: server.URL + "/up.tgz", Extract: true}, "leads out"},
		{app.Fetch{URI: server.URL + "/link.tgz", Extract: true}, "escapes"},
		{app.Fetch{URI: server.URL + "/device.tgz", Extract: true}, "neither a file"},
		{app.Fetch{URI: server.URL + "/torn.tgz", Extract: true}, "unpack it"},
		{app.Fetch{URI: "http://user:hush@127.0.0.1:1/file"}, "connection refused"},
	} {
		if test.file.URI == private && os.Geteuid() != 0 {
			continue // it is our own
		}
		s := fetching("echo ran >ran", test.file)
		s.Task = app.NewTaskID(instance, i+1)
		b.launch(s)
		got := b.awaitEnd(s)
		if got.State != app.TaskFailed || !strings.Contains(got.Message, test.want) || strings.Contains(got.Message, "hush") {
			t.Errorf("%s: %s %q, want TASK_FAILED with %q", test.file.URI, got.State, got.Message, test.want)
		}
	}
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a file was written outside of the folder of the task")
	}
	if _, err := os.Lstat(filepath.Join(b.dir.volume(string(instance)), "ran")); err == nil {
		t.Error("a task ran without its files")
	}
}

// stuck is a server that never sends what it promised.
func stuck(t *testing.T) string {
	t.Helper()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush() //nolint:errcheck // the test would hang and say so
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(release); server.Close() })
	return server.URL + "/file"
}

// TestKillWhileFilesAreFetched says: the task ends as killed and has never run.
func TestKillWhileFilesAreFetched(t *testing.T) {
	b := newBench(t)
	s := fetching(untilTERM, app.Fetch{URI: stuck(t)})
	b.launch(s)
	if err := b.Kill(t.Context(), s.Task, patience); err != nil {
		t.Fatal(err)
	}
	b.await(s, app.TaskKilled)
}

// TestSchedulerDiesWhileFilesAreFetched says: the next one learns that the task was not started, and may start another.
func TestSchedulerDiesWhileFilesAreFetched(t *testing.T) {
	b := newBench(t)
	s := fetching(untilTERM, app.Fetch{URI: stuck(t)})
	b.launch(s)
	b.reopen()
	b.await(s, app.TaskDropped)
	next := task(2, untilTERM)
	b.launch(next)
	b.await(next, app.TaskRunning)
}

// TestPowerCutWhileFilesAreFetched says: the task is unreachable, and fails when the host is back.
func TestPowerCutWhileFilesAreFetched(t *testing.T) {
	b := newBench(t)
	s := fetching(untilTERM, app.Fetch{URI: stuck(t)})
	b.launch(s)
	if err := b.KillHost(t.Context(), s.Host); err != nil {
		t.Fatal(err)
	}
	b.await(s, app.TaskUnreachable)
	if err := b.StartHost(t.Context(), s.Host); err != nil {
		t.Fatal(err)
	}
	b.await(s, app.TaskFailed)
}
