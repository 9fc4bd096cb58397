package postgres

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
	"github.com/pgbaton/pgbaton/internal/wal"
)

const foreign = wal.SystemID("7000000000000000001")

// A clone that is interrupted leaves nothing that could be taken for a cluster, and the next one works.
func TestInterruptedClone(t *testing.T) {
	n1 := primary(t, "n1")
	run(t, n1, "CREATE TABLE big AS SELECT generate_series(1, 300000) n, repeat('x', 100) x")
	n2 := open(t, describe(t, "n2"))
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("the agent was told to stop")
	err := n2.Clone(ctx, CloneOptions{From: address(n1), Progress: func(int64, int64) { cancel(enough) }})
	if !errors.Is(err, enough) {
		t.Fatalf("got %v", err)
	}
	st := n2.Status(within(t))
	if st.Data != DataEmpty || !strings.Contains(st.DataReason, "not finished") || st.SystemID != "" {
		t.Fatalf("after the interruption: %+v", st)
	}
	if err := n2.Start(within(t), StartOptions{Standby: true}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("starting it: %v", err)
	}
	// A program of the dead agent still writes there.
	left := exec.Command("sleep", "60")
	left.Dir = stagingDir(n2.dir)
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	if err := n2.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	st = n2.Status(within(t))
	if st.Data != DataCluster || !st.Standby || st.SystemID != n1.Status(within(t)).SystemID || exists(stagingDir(n2.dir)) {
		t.Fatalf("after the second clone: %+v", st)
	}
	if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
		t.Fatal(err)
	}
	await(t, n2, "streams", streaming(n1))
}

func TestBootstrapThatFailsLeavesNoCluster(t *testing.T) {
	cfg := describe(t, "n1")
	cfg.Initdb = []Option{{Name: "locale", Value: "nowhere"}}
	s := open(t, cfg)
	err := s.Bootstrap(within(t))
	if exit, ok := errors.AsType[*ExitError](err); !ok || !strings.Contains(exit.Tail, "nowhere") {
		t.Fatalf("got %v", err)
	}
	if st := s.Status(within(t)); st.Data != DataEmpty || st.DataReason == "" {
		t.Errorf("after the failure: %+v", st)
	}
}

func TestNoSecretLeavesTheAgent(t *testing.T) {
	cfg := describe(t, "n1")
	cfg.Rewind.Password = "re'wind\\" // the single-user mode must read it as it is
	cfg.Initdb = []Option{{Name: "wal-segsize", Value: "1"}}
	var said strings.Builder
	s, err := Open(within(t), cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test has ended
	if err := s.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background(), StopOptions{Mode: Immediate}) //nolint:errcheck // the test has ended
	if _, err := s.IdentifySource(within(t), address(s)); err != nil {
		t.Errorf("the replication role: %v", err)
	}
	log, err := os.ReadFile(s.logPath())
	if err != nil {
		t.Fatal(err)
	}
	said.Write(log)
	for _, p := range servers(t, s.dir) {
		for _, name := range []string{"cmdline", "environ"} {
			// A process may have ended meanwhile.
			if content, err := os.ReadFile(filepath.Join("/proc", itoa(p.PID), name)); err == nil {
				said.Write(content)
			}
		}
	}
	conf, err := os.ReadFile(filepath.Join(s.dir, confName))
	if err != nil {
		t.Fatal(err)
	}
	said.Write(conf)
	for _, login := range []Login{cfg.Superuser, cfg.Replication, cfg.Rewind} {
		if strings.Contains(said.String(), login.Password.Reveal()) {
			t.Errorf("the password of %s can be read", login.Username)
		}
	}
	if exists(cfg.DataDir+".lock") != true {
		t.Error("no lock file beside the data directory")
	}
}

func TestForeignCluster(t *testing.T) {
	n1 := primary(t, "n1")
	stranger := open(t, describe(t, "stranger"))
	if err := stranger.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := stranger.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	n2 := open(t, describe(t, "n2"))
	if err := n2.Clone(within(t), CloneOptions{From: address(n1), SystemID: foreign}); !errors.Is(err, ErrForeign) {
		t.Errorf("cloning from another cluster: %v", err)
	}
	if st := n2.Status(within(t)); st.Data != DataEmpty {
		t.Errorf("afterwards: %+v", st)
	}
	err := n1.Rewind(within(t), RewindOptions{From: address(stranger)})
	if !errors.Is(err, ErrForeign) {
		t.Errorf("rewinding from another cluster: %v", err)
	}
	if st := n1.Status(within(t)); !st.Answers {
		t.Errorf("it was stopped for nothing: %+v", st)
	}
	if _, err := n1.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := n1.Start(within(t), StartOptions{SystemID: foreign}); !errors.Is(err, ErrForeign) {
		t.Errorf("starting on a foreign directory: %v", err)
	}
}

func TestSourceThatCannotServe(t *testing.T) {
	n1 := primary(t, "n1")
	n2 := standby(t, "n2", n1)
	nowhere := Upstream{Name: "n9", Host: "127.0.0.1", Port: freePort(t)}
	if _, err := n1.IdentifySource(within(t), nowhere); !errors.Is(err, ErrSourceUnreachable) {
		t.Errorf("identify: %v", err)
	}
	if _, err := n1.TimelineHistory(within(t), nowhere, 2); !errors.Is(err, ErrSourceUnreachable) {
		t.Errorf("history: %v", err)
	}
	if _, err := n1.TimelineHistory(within(t), address(n2), 9); !errors.Is(err, ErrSourceUnreachable) {
		t.Errorf("history nobody has: %v", err)
	}
	if err := n1.Rewind(within(t), RewindOptions{From: nowhere}); !errors.Is(err, ErrSourceUnreachable) {
		t.Errorf("rewind from nobody: %v", err)
	}
	if err := n1.Rewind(within(t), RewindOptions{From: address(n2)}); !errors.Is(err, ErrSourceUnreachable) {
		t.Errorf("rewind from a standby: %v", err)
	}
	if st := n1.Status(within(t)); !st.Answers || st.InRecovery {
		t.Errorf("it was stopped for nothing: %+v", st)
	}
	source, err := n1.IdentifySource(within(t), address(n2))
	if err != nil || !source.InRecovery || source.Timeline != 1 || source.Major != n1.binaries().Major || source.SystemID != n1.Status(within(t)).SystemID {
		t.Errorf("a standby says %+v, %v", source, err)
	}
	if history, err := n1.TimelineHistory(within(t), nowhere, 1); err != nil || history != nil {
		t.Errorf("the first timeline has a history: %v, %v", history, err)
	}
	if _, err := n1.LocalHistory(7); err == nil {
		t.Error("a missing history file is no error")
	}
	if err := n1.Clone(within(t), CloneOptions{From: address(n2)}); !errors.Is(err, ErrOccupied) {
		t.Errorf("cloning over a cluster: %v", err)
	}
	if err := n1.Bootstrap(within(t)); !errors.Is(err, ErrOccupied) {
		t.Errorf("bootstrap over a cluster: %v", err)
	}
	if _, err := n1.SetAside(); !errors.Is(err, ErrRunning) {
		t.Errorf("setting a running server aside: %v", err)
	}
}

// diverged makes two primaries of one cluster, the second of which has a program of PostgreSQL replaced.
func diverged(t *testing.T, script func(winner *Server) string) (winner, loser *Server) {
	t.Helper()
	winner = primary(t, "n1")
	cfg := describe(t, "n2")
	cfg.BinDir = t.TempDir()
	entries, err := os.ReadDir(winner.binaries().Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Symlink(winner.binaries().Path(e.Name()), filepath.Join(cfg.BinDir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	loser = open(t, cfg)
	if err := loser.Clone(within(t), CloneOptions{From: address(winner)}); err != nil {
		t.Fatal(err)
	}
	if err := loser.Start(within(t), StartOptions{Standby: true, Upstream: address(winner)}); err != nil {
		t.Fatal(err)
	}
	if err := loser.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	rewind := filepath.Join(cfg.BinDir, "pg_rewind")
	if err := os.Remove(rewind); err != nil {
		t.Fatal(err)
	}
	if text := script(winner); text != "" {
		if err := os.WriteFile(rewind, []byte("#!/bin/sh\n"+text), 0o700); err != nil { //nolint:gosec // it must be executable
			t.Fatal(err)
		}
	}
	return winner, loser
}

// Once pg_rewind has changed a file and failed, the directory must never be started again.
func TestRewindThatFailedHalfWay(t *testing.T) {
	winner, loser := diverged(t, func(*Server) string { return "echo x >> base/1/1259; echo no space left >&2; exit 1\n" })
	err := loser.Rewind(within(t), RewindOptions{From: address(winner)})
	if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Tail != "no space left" || errors.Is(err, ErrSourceUnreachable) || !errors.Is(err, ErrBroken) {
		t.Fatalf("got %v", err)
	}
	if st := loser.Status(within(t)); st.Data != DataIncomplete {
		t.Errorf("afterwards: %+v", st)
	}
	if err := loser.Start(within(t), StartOptions{}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("starting it: %v", err)
	}
}

func TestRewindThatFailedBeforeAnyChange(t *testing.T) {
	winner, loser := diverged(t, func(*Server) string { return "echo nothing done >&2; exit 1\n" })
	err := loser.Rewind(within(t), RewindOptions{From: address(winner)})
	if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Tail != "nothing done" || errors.Is(err, ErrSourceUnreachable) || errors.Is(err, ErrBroken) {
		t.Fatalf("got %v", err)
	}
	if st := loser.Status(within(t)); st.Data != DataCluster || !st.Control.State.Clean() {
		t.Errorf("afterwards: %+v", st)
	}
	if err := loser.Start(within(t), StartOptions{}); err != nil {
		t.Errorf("starting it: %v", err)
	}
}

func TestSourceThatVanishesDuringRewind(t *testing.T) {
	winner, loser := diverged(t, func(w *Server) string {
		return "kill -9 " + itoa(w.Status(within(t)).PID) + "; exit 1\n"
	})
	if err := loser.Rewind(within(t), RewindOptions{From: address(winner)}); !errors.Is(err, ErrSourceUnreachable) {
		t.Fatalf("got %v", err)
	}
	if st := loser.Status(within(t)); st.Data != DataCluster {
		t.Errorf("afterwards: %+v", st)
	}
}

func TestWithoutPgRewindACloneIsNeeded(t *testing.T) {
	winner, loser := diverged(t, func(*Server) string { return "" })
	if err := loser.Rewind(within(t), RewindOptions{From: address(winner)}); !errors.Is(err, ErrNotRewindable) {
		t.Fatalf("got %v", err)
	}
	if st := loser.Status(within(t)); !st.Answers {
		t.Errorf("it was stopped for nothing: %+v", st)
	}
}

// A crashed primary is recovered alone before it is rewound.
func TestRewindAfterACrash(t *testing.T) {
	n1 := primary(t, "n1")
	n2 := standby(t, "n2", n1)
	await(t, n2, "streams", streaming(n1))
	run(t, n1, "CREATE TABLE shared AS SELECT 1 AS n")
	await(t, n2, "has it", func(st Status) bool { return st.Replayed >= n1.Status(within(t)).Written })
	if err := n2.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := n2.Checkpoint(within(t)); err != nil {
		t.Fatal(err)
	}
	run(t, n1, "CREATE TABLE lost AS SELECT 1 AS n")
	if err := unix.Kill(n1.Status(within(t)).PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	told(t, n1)
	base := n1.files(n1.dir).base
	if _, err := writeFile(base, "# mine alone\n"); err != nil {
		t.Fatal(err)
	}
	if err := n1.Rewind(within(t), RewindOptions{From: address(n2), SystemID: n2.Status(within(t)).SystemID}); err != nil {
		t.Fatal(err)
	}
	if !holds(base, "# mine alone\n") {
		t.Error("the member's own configuration was replaced by the source's")
	}
	if err := n1.Start(within(t), StartOptions{Standby: true, Upstream: address(n2)}); err != nil {
		t.Fatal(err)
	}
	await(t, n1, "streams", streaming(n2))
	if got := one(t, n1, "SELECT count(*) FROM pg_class WHERE relname IN ('shared', 'lost')"); got != "1" {
		t.Errorf("%s of the tables are there", got)
	}
}

func TestInterruptedRewindIsIncomplete(t *testing.T) {
	n1 := primary(t, "n1")
	cfg := describe(t, "n2")
	place(t, cfg)
	if err := os.WriteFile(rewindMarker(cfg.DataDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n2 := open(t, cfg)
	if st := n2.Status(within(t)); st.Data != DataIncomplete {
		t.Fatalf("got %+v", st)
	}
	if err := n2.Start(within(t), StartOptions{}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("starting it: %v", err)
	}
	if err := n2.Clone(within(t), CloneOptions{From: address(n1)}); !errors.Is(err, ErrOccupied) {
		t.Errorf("cloning over it: %v", err)
	}
	kept, err := n2.SetAside()
	if err != nil || !exists(filepath.Join(kept, "PG_VERSION")) || exists(rewindMarker(n2.dir)) {
		t.Fatalf("set aside to %q, %v", kept, err)
	}
	if again, err := n2.SetAside(); err != nil || again != "" {
		t.Errorf("setting nothing aside: %q, %v", again, err)
	}
	if got := n2.Kept(); len(got) != 1 || got[0] != kept {
		t.Errorf("kept %q", got)
	}
	for _, other := range []string{n1.dir, n2.dir, kept + "/../data", filepath.Join(kept, "base"), n1.dir + ".failed.x"} {
		if err := n2.Discard(other); err == nil {
			t.Errorf("%s was discarded", other)
		}
	}
	if err := n2.Discard(kept); err != nil || exists(kept) {
		t.Errorf("discarding what a human asked to discard: %v", err)
	}
	if err := n2.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	if st := n2.Status(within(t)); st.Data != DataCluster {
		t.Errorf("after the clone: %+v", st)
	}
}

// A clone must not go on after its agent: the next agent would work in the same folder.
func TestProgramsEndWithTheAgent(t *testing.T) {
	dir := t.TempDir()
	agent := exec.Command("/proc/self/exe")
	agent.Env = append(os.Environ(), helperDir+"="+dir)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	var handle *process.Handle
	for handle == nil {
		if within(t).Err() != nil {
			t.Fatal("the program does not start")
		}
		for _, p := range servers(t, dir) {
			if p.Program == "sleep" {
				var err error
				if handle, err = process.Open(p.PID); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	defer handle.Close() //nolint:errcheck // the process has ended
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	agent.Wait() //nolint:errcheck // it was killed
	select {
	case <-handle.Gone():
	case <-within(t).Done():
		t.Error("the program outlives its agent")
	}
}
