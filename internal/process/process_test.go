package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait below; none of them is expected to take a hundredth of it.
const patience = 10 * time.Second

// sleeper starts a process that does nothing in dir until it is killed. The handle reaps it.
func sleeper(t *testing.T, dir string) *Handle {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h, err := Open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Signal(unix.SIGKILL); err == nil {
			await(t, h.Gone())
		}
		h.Close() //nolint:errcheck // the process has ended
	})
	return h
}

func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("nothing happened")
	}
}

func TestEndOfAProcessIsAnEvent(t *testing.T) {
	h := sleeper(t, t.TempDir())
	if h.Ended() {
		t.Fatal("ended before it was killed")
	}
	if err := h.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, h.Gone())
	if !h.Ended() || h.Outcome().Text != "signal: killed" {
		t.Errorf("ended: %v, %s", h.Ended(), h.Outcome().Text)
	}
	if err := h.Signal(unix.SIGTERM); !errors.Is(err, ErrNone) {
		t.Errorf("a signal to an ended process: %v", err)
	}
	if _, err := Inspect(h.PID()); !errors.Is(err, ErrNone) {
		t.Errorf("the ended process was not reaped: %v", err)
	}
}

func TestOutcomeOfAnExit(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read line; exit 3")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h, err := Open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close() //nolint:errcheck // the process has ended
	if got := h.Outcome().Text; got != "still running" {
		t.Errorf("before the end: %s", got)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, h.Gone())
	if got := h.Outcome().Text; got != "exit status 3" {
		t.Errorf("got %s", got)
	}
}

func TestClosingAHandleLeavesTheProcessAlone(t *testing.T) {
	h := sleeper(t, t.TempDir())
	second, err := Open(h.PID())
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if h.Ended() {
		t.Error("the process ended")
	}
	select {
	case <-second.Gone():
		t.Error("a closed handle says that the process is gone")
	default:
	}
}

func TestNoSuchProcess(t *testing.T) {
	for _, pid := range []int{0, 1 << 30} {
		if _, err := Open(pid); !errors.Is(err, ErrNone) {
			t.Errorf("Open(%d): %v", pid, err)
		}
		if _, err := Inspect(pid); !errors.Is(err, ErrNone) {
			t.Errorf("Inspect(%d): %v", pid, err)
		}
		if _, err := Started(pid); !errors.Is(err, ErrNone) {
			t.Errorf("Started(%d): %v", pid, err)
		}
	}
}

func TestProcessesAreFoundByTheirWorkingDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a (b) c")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Second)
	h := sleeper(t, dir)
	found, err := In(dir)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	got := found[0]
	if got.PID != h.PID() || got.Parent != os.Getpid() || got.Program != "sleep" || got.Title != "sleep" {
		t.Errorf("got %+v", got)
	}
	if at, err := Started(h.PID()); err != nil || at.Before(before) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("started at %v, %v", at, err)
	}
	renamed := dir + ".renamed"
	if err := os.Rename(dir, renamed); err != nil {
		t.Fatal(err)
	}
	if found, err := In(renamed); err != nil || len(found) != 1 {
		t.Errorf("after renaming: %v, %v", found, err)
	}
	if found, err := In(dir); err != nil || len(found) != 0 {
		t.Errorf("in a missing directory: %v, %v", found, err)
	}
}

func TestParseStat(t *testing.T) {
	const tail = " 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 250 0 0"
	if got, err := parseStat("7 (a) b) (c) S" + tail); err != nil || got != (stat{parent: 1, ticks: 250}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseStat("7 (a) Z" + tail); !errors.Is(err, ErrNone) {
		t.Errorf("a zombie: %v", err)
	}
	for _, bad := range []string{"", "7 (a) S 1", "7 (a) S x" + tail} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestWatchTellsOfChanges(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "postmaster.pid")
	steps := []func() error{
		func() error { return os.WriteFile(path, []byte("1"), 0o600) },
		func() error { return os.WriteFile(path, []byte("2"), 0o600) },
		func() error { return os.Rename(path, path+"2") },
		func() error { return os.Remove(path + "2") },
	}
	for _, step := range steps {
		w, err := NewWatch(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := step(); err != nil {
			t.Fatal(err)
		}
		await(t, w.Changes())
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := NewWatch(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing path was watched")
	}
}
