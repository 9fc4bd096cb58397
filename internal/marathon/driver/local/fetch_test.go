package local

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/sandbox/sandboxtest"
)

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
	server := sandboxtest.Serve(t, map[string][]byte{
		"/app.tgz": sandboxtest.Tarball(t, sandboxtest.Entry{Name: "app/", Kind: tar.TypeDir}, sandboxtest.Entry{Name: "app/run", Kind: tar.TypeReg, Content: "in the tarball\n"},
			sandboxtest.Entry{Name: "app/link", Kind: tar.TypeSymlink, Target: "run"}, sandboxtest.Entry{Name: "app/hard", Kind: tar.TypeLink, Target: "app/run"}),
		"/more.zip": sandboxtest.Zip(t, "deep/er/file", "in the zip\n"),
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
	sent := server.Sent.Load()
	b.launch(again)
	b.await(again, app.TaskFinished)
	if got := server.Sent.Load() - sent; got != 2 {
		t.Errorf("%d files were sent the second time, want 2: one is kept", got)
	}
}

// TestFilesThatCannotBeHad says: the task fails with a sentence, and has never run.
func TestFilesThatCannotBeHad(t *testing.T) {
	b := newBench(t)
	server := sandboxtest.Serve(t, nil)
	s := fetching("echo ran >ran", app.Fetch{URI: server.URL + "/missing"})
	b.launch(s)
	if got := b.awaitEnd(s); got.State != app.TaskFailed || !strings.Contains(got.Message, "404") {
		t.Errorf("got %s %q, want TASK_FAILED with 404", got.State, got.Message)
	}
	if _, err := os.Lstat(filepath.Join(b.dir.volume(string(instance)), "ran")); err == nil {
		t.Error("a task ran without its files")
	}
}

// TestKillWhileFilesAreFetched says: the task ends as killed and has never run.
func TestKillWhileFilesAreFetched(t *testing.T) {
	b := newBench(t)
	url, _ := sandboxtest.Stuck(t)
	s := fetching(untilTERM, app.Fetch{URI: url})
	b.launch(s)
	if err := b.Kill(t.Context(), s.Task, patience); err != nil {
		t.Fatal(err)
	}
	b.await(s, app.TaskKilled)
}

// TestSchedulerDiesWhileFilesAreFetched says: the next one learns that the task was not started, and may start another.
func TestSchedulerDiesWhileFilesAreFetched(t *testing.T) {
	b := newBench(t)
	url, _ := sandboxtest.Stuck(t)
	s := fetching(untilTERM, app.Fetch{URI: url})
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
	url, _ := sandboxtest.Stuck(t)
	s := fetching(untilTERM, app.Fetch{URI: url})
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
