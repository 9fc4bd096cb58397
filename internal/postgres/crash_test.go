package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// told waits for the event that the postmaster ended.
func told(t *testing.T, s *Server) {
	t.Helper()
	select {
	case <-s.Exited():
	case <-within(t).Done():
		t.Fatal("nobody tells that the server ended")
	}
}

// servers lists PostgreSQL's processes in a data directory.
func servers(t *testing.T, dir string) []process.Info {
	t.Helper()
	found, err := process.In(dir)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A killed postmaster is back soon, although one of its backends is too busy to notice that it lost it.
func TestKilledPostmasterIsBackSoon(t *testing.T) {
	s := primary(t, "n1")
	run(t, s, "CREATE TABLE t (n bigint); INSERT INTO t VALUES (1)")
	busy := session(t, s)
	go func() {
		// Ends with an error, when its backend is killed.
		busy.Exec(context.Background(), "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000000) b") //nolint:errcheck // see above
	}()
	await(t, s, "runs", func(st Status) bool { return st.Answers })
	for round := range 3 {
		before := s.Status(within(t))
		killed := time.Now()
		if err := unix.Kill(before.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		told(t, s)
		cleared := time.Since(killed)
		if left := servers(t, s.dir); len(left) != 0 {
			t.Fatalf("left behind: %+v", left)
		}
		if st := s.Status(within(t)); st.Process != ProcessNone || st.Data != DataCluster || st.Control.State != StateInProduction || st.End.LSN != 0 {
			t.Fatalf("after the kill: %+v", st)
		}
		if err := s.Start(within(t), StartOptions{SystemID: before.SystemID}); err != nil {
			t.Fatal(err)
		}
		run(t, s, fmt.Sprintf("INSERT INTO t VALUES (%d)", round))
		outage := time.Since(killed)
		t.Logf("killed: cleared after %v, wrote again after %v", cleared.Round(time.Millisecond), outage.Round(time.Millisecond))
		if st := s.Status(within(t)); st.PID == before.PID || !st.PostmasterStarted.After(before.PostmasterStarted) {
			t.Errorf("the same incarnation: %+v", st)
		}
	}
	if got := one(t, s, "SELECT count(*) FROM t"); got != "4" {
		t.Errorf("%s rows", got)
	}
}

// The agent ends, the server does not; the next agent goes on with it.
func TestNextAgentAdoptsTheRunningServer(t *testing.T) {
	cfg := describe(t, "n1")
	place(t, cfg)
	first := open(t, cfg)
	if err := first.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	before := first.Status(within(t))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, cfg)
	after := second.Status(within(t))
	if !after.Answers || after.PID != before.PID || !after.PostmasterStarted.Equal(before.PostmasterStarted) || after.SystemID != before.SystemID {
		t.Fatalf("before %+v, after %+v", before, after)
	}
	if err := second.Start(within(t), StartOptions{}); err != nil {
		t.Errorf("starting a server that runs: %v", err)
	}
	if err := unix.Kill(after.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	told(t, second)
	if err := second.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestOneAgentPerDataDirectory(t *testing.T) {
	cfg := describe(t, "n1")
	open(t, cfg)
	_, err := Open(within(t), cfg, quiet())
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process number %d", os.Getpid())) {
		t.Errorf("the second agent: %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(cfg.DataDir), link); err != nil {
		t.Fatal(err)
	}
	cfg.DataDir = filepath.Join(link, filepath.Base(cfg.DataDir))
	if _, err := Open(within(t), cfg, quiet()); !errors.Is(err, ErrLocked) {
		t.Errorf("by another path: %v", err)
	}
}

// The process number in a stale postmaster.pid has come to be another process's.
func TestStalePidFileOfAReusedNumber(t *testing.T) {
	s := primary(t, "n1")
	if _, err := s.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, pid := range map[string]int{"this test": os.Getpid(), "init": 1, "nobody": 1 << 22} {
		stale := fmt.Sprintf("%d\n%s\n%d\n%d\n\n127.0.0.1\n  1 1\nready   \n", pid, s.dir, time.Now().Unix(), s.cfg.Port)
		if err := os.WriteFile(filepath.Join(s.dir, "postmaster.pid"), []byte(stale), 0o600); err != nil {
			t.Fatal(err)
		}
		if st := s.Status(within(t)); st.Process != ProcessNone {
			t.Errorf("%s was taken for a postmaster: %+v", name, st)
		}
		if err := s.Start(within(t), StartOptions{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := s.Stop(within(t), StopOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// The process number in the lock of a socket that a killed server has left behind has come to be another process's, as it does
// in containers; postmaster.pid went with the data that a rewind or a clone has replaced. Sockets of other data directories stay.
func TestSocketLeftBehindByAReusedNumber(t *testing.T) {
	s := primary(t, "n1")
	if _, err := s.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	other := exec.CommandContext(t.Context(), "sleep", "600") // PostgreSQL does not mind its own parent
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = other.Process.Kill(), other.Wait() }()
	folder := s.sockets[0]
	foreign := filepath.Join(folder, ".s.PGSQL.1.lock")
	for path, dir := range map[string]string{filepath.Join(folder, fmt.Sprintf(".s.PGSQL.%d.lock", s.cfg.Port)): s.dir, foreign: t.TempDir()} {
		stale := fmt.Sprintf("%d\n%s\n%d\n%d\n%s\n", other.Process.Pid, dir, time.Now().Unix(), s.cfg.Port, folder)
		if err := os.WriteFile(path, []byte(stale), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if !exists(foreign) {
		t.Error("the lock of another data directory is removed")
	}
	if err := os.Remove(foreign); err != nil {
		t.Error(err)
	}
}

// A frozen server is neither dead nor running: it does not answer, and it can be stopped for sure.
func TestFrozenServer(t *testing.T) {
	s := primary(t, "n1")
	st := s.Status(within(t))
	for _, p := range servers(t, s.dir) {
		if err := unix.Kill(p.PID, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	frozen := s.Status(within(t))
	if frozen.Process != ProcessRunning || frozen.Answers || frozen.Err == nil || frozen.PID != st.PID || frozen.SystemID != st.SystemID {
		t.Errorf("frozen: %+v", frozen)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("asking a frozen server took %v", took)
	}
	begin = time.Now()
	const given = 400 * time.Millisecond
	down, err := s.Stop(within(t), StopOptions{Patience: given})
	if err != nil || down.Checkpoint != 0 {
		t.Errorf("stopped at %+v, %v", down, err)
	}
	if took := time.Since(begin); took < given || took > given+2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if left := servers(t, s.dir); len(left) != 0 {
		t.Errorf("left behind: %+v", left)
	}
}

// A server may be frozen while it makes a process, which then has no title yet by which to know it. It is made to go on, and
// ends like every process whose postmaster is gone; a process that only sleeps stands for it.
func TestAProcessThatWasFrozenBeforeItHadATitle(t *testing.T) {
	s := primary(t, "n1")
	if _, err := s.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "postgres")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, text, 0o700); err != nil {
		t.Fatal(err)
	}
	left := exec.CommandContext(t.Context(), program, "0.3")
	left.Dir = s.dir
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	if err := left.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	go left.Wait() //nolint:errcheck // it only has to be waited for
	if err := s.clear(within(t).Done()); err != nil {
		t.Error(err)
	}
}

// Waiting can be cancelled; the server itself goes on stopping.
func TestCancelledStopLeavesTheServerToStop(t *testing.T) {
	s := primary(t, "n1")
	st := s.Status(within(t))
	if err := unix.Kill(st.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("waited enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, enough)
	defer cancel()
	if _, err := s.Stop(ctx, StopOptions{}); !errors.Is(err, enough) {
		t.Fatalf("got %v", err)
	}
	if err := unix.Kill(st.PID, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	told(t, s)
	if st := s.Status(within(t)); st.Control.State != StateShutDown || st.End.LSN == 0 {
		t.Errorf("it ended as %+v", st)
	}
}

func TestOnlyOneJobAtATime(t *testing.T) {
	s := primary(t, "n1")
	leave, err := s.enter()
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	jobs := map[string]func() error{
		"bootstrap": func() error { return s.Bootstrap(ctx) },
		"clone":     func() error { return s.Clone(ctx, CloneOptions{From: address(s)}) },
		"start":     func() error { return s.Start(ctx, StartOptions{}) },
		"stop":      func() error { _, err := s.Stop(ctx, StopOptions{}); return err },
		"restart":   func() error { return s.Restart(ctx, RestartOptions{}) },
		"promote":   func() error { return s.Promote(ctx) },
		"rewind":    func() error { return s.Rewind(ctx, RewindOptions{From: address(s)}) },
		"recover":   func() error { return s.RecoverCrash(ctx) },
		"follow":    func() error { _, err := s.Follow(ctx, Upstream{}); return err },
		"reload":    func() error { _, err := s.Reload(ctx, s.cfg.Settings); return err },
		"set aside": func() error { _, err := s.SetAside(); return err },
		"set names": func() error { return s.SetSyncNames(ctx, managed("n2")) },
		"admit":     func() error { return s.AdmitClients(ctx) },
	}
	for name, job := range jobs {
		if err := job(); !errors.Is(err, ErrBusy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if st := s.Status(ctx); !st.Answers {
		t.Errorf("status during a job: %+v", st)
	}
	leave()
	if err := s.Promote(ctx); err != nil {
		t.Errorf("a primary stays one: %v", err)
	}
}

// Recovery without anybody connecting, as a rewind needs it.
func TestRecoverCrashAlone(t *testing.T) {
	s := primary(t, "n1")
	run(t, s, "CREATE TABLE t AS SELECT generate_series(1, 100) n")
	if err := s.RecoverCrash(within(t)); !errors.Is(err, ErrRunning) {
		t.Errorf("while it runs: %v", err)
	}
	if _, err := s.Stop(within(t), StopOptions{Mode: Immediate}); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(within(t)); st.Control.State.Clean() {
		t.Fatalf("after an immediate stop: %+v", st.Control)
	}
	if err := s.RecoverCrash(within(t)); err != nil {
		t.Fatal(err)
	}
	st := s.Status(within(t))
	if st.Control.State != StateShutDown || st.End.LSN == 0 {
		t.Fatalf("after recovery: %+v", st)
	}
	if err := s.RecoverCrash(within(t)); err != nil {
		t.Errorf("on a clean directory: %v", err)
	}
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := one(t, s, "SELECT count(*) FROM t"); got != "100" {
		t.Errorf("%s rows", got)
	}
}

// A server that somebody runs by hand in single-user mode is not ours to kill.
func TestStrangerInTheDataDirectory(t *testing.T) {
	s := primary(t, "n1")
	if _, err := s.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	alone := exec.Command(s.binaries().Path("postgres"), "--single", "-D", s.dir, "postgres")
	in, err := alone.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := alone.Start(); err != nil {
		t.Fatal(err)
	}
	for len(servers(t, s.dir)) == 0 || !exists(filepath.Join(s.dir, "postmaster.pid")) {
		if within(t).Err() != nil {
			t.Fatal("it does not start")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Start(ctx, StartOptions{}); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("starting beside it: %v", err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := alone.Wait(); err != nil {
		t.Errorf("it was disturbed: %v", err)
	}
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Error(err)
	}
}

func TestFailedStartTellsTheServersLastWords(t *testing.T) {
	other := primary(t, "n1")
	cfg := describe(t, "n2")
	cfg.Port = other.cfg.Port
	place(t, cfg)
	s := open(t, cfg)
	err := s.Start(within(t), StartOptions{})
	exit, ok := errors.AsType[*ExitError](err)
	if !ok || exit.Outcome != "exit status 1" || !strings.Contains(exit.Tail, "Address already in use") {
		t.Fatalf("got %v", err)
	}
	if st := s.Status(within(t)); st.Process != ProcessNone || st.Data != DataCluster || !st.Control.State.Clean() {
		t.Errorf("after the failure: %+v", st)
	}
}

// The server died while no agent was there: the next agent ends what is left of it at once.
func TestOrphansOfADeadServerAreEnded(t *testing.T) {
	cfg := describe(t, "n1")
	place(t, cfg)
	first := open(t, cfg)
	if err := first.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	busy := session(t, first)
	go func() {
		busy.Exec(context.Background(), "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000000) b") //nolint:errcheck // it is killed
	}()
	pid := first.Status(within(t)).PID
	handle, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close() //nolint:errcheck // the process has ended
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := handle.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-handle.Gone()
	second := open(t, cfg)
	if left := servers(t, second.dir); len(left) != 0 {
		t.Errorf("left behind: %+v", left)
	}
}

func TestClosingLeavesNothingRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	cfg := describe(t, "n1")
	place(t, cfg)
	s, err := Open(within(t), cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(within(t)); !st.Answers {
		t.Errorf("%+v", st)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
	again := open(t, cfg) // to stop it
	if st := again.Status(within(t)); !st.Answers {
		t.Errorf("%+v", st)
	}
}

// The link that leads to the data directory stays when that is set aside.
func TestDataDirectoryBehindALink(t *testing.T) {
	cfg := describe(t, "n1")
	place(t, cfg)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(cfg.DataDir, link); err != nil {
		t.Fatal(err)
	}
	behind := cfg.DataDir
	cfg.DataDir = link
	s := open(t, cfg)
	if s.DataDir() != behind {
		t.Errorf("%s leads to %s", link, s.DataDir())
	}
	if _, err := s.SetAside(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again := open(t, cfg); again.DataDir() != behind {
		t.Errorf("afterwards %s leads to %s", link, again.DataDir())
	}
}
