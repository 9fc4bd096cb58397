package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// managed are names as the agent sets them.
func managed(text string) SyncNames { return SyncNames{Managed: true, Text: text} }

// waits reports whether a commit waits for a standby; then it is given up.
func waits(t *testing.T, s *Server) bool {
	t.Helper()
	client := session(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := client.Exec(ctx, "SELECT pg_logical_emit_message(true, 'test', '')")
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	return err != nil
}

func TestCommitsWaitForWhomTheyShall(t *testing.T) {
	n1 := primary(t, "n1")
	n2 := standby(t, "n-2", n1)
	await(t, n2, "streams", streaming(n1))
	begin := time.Now()
	if err := n1.SetSyncNames(within(t), managed(`"N-2"`)); err != nil {
		t.Fatal(err)
	}
	t.Logf("the first names took %v", time.Since(begin))
	await(t, n1, "has a synchronous standby", func(st Status) bool {
		return st.SyncNames == `"N-2"` && len(st.Replication) == 1 && st.Replication[0].SyncState == "sync"
	})
	if waits(t, n1) {
		t.Error("a commit waits although its standby streams")
	}
	await(t, n1, "knows the standby's positions", func(st Status) bool {
		return len(st.Replication) == 1 && st.Replication[0].Flushed == st.Written && st.Replication[0].Sent == st.Written
	})

	if _, err := n2.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if !waits(t, n1) {
		t.Error("no commit waits for the standby that is gone")
	}
	before := n1.Status(within(t)).Written
	if err := n1.EmitWAL(within(t)); err != nil {
		t.Fatalf("the agent waits: %v", err)
	}
	if after := n1.Status(within(t)).Written; after <= before {
		t.Errorf("WAL was at %s and is at %s", before, after)
	}
	if err := n1.Checkpoint(within(t)); err != nil {
		t.Error(err)
	}
	begin = time.Now()
	if err := n1.SetSyncNames(within(t), managed("")); err != nil {
		t.Fatal(err)
	}
	t.Logf("nobody took %v", time.Since(begin))
	if waits(t, n1) {
		t.Error("a commit waits for nobody")
	}
}

// What is set outlives everything but the end of its being managed.
func TestNamesOutliveTheServerAndTheAgent(t *testing.T) {
	cfg := describe(t, "n1")
	place(t, cfg)
	cfg.Parameters[syncNamesName] = "the_operators"
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	said := func() string { return one(t, s, "SHOW synchronous_standby_names") }
	if got := said(); got != "the_operators" {
		t.Fatalf("before it is managed: %q", got)
	}
	const names = `ANY 1 ("it's",n2)`
	if err := s.SetSyncNames(within(t), managed(names)); err != nil {
		t.Fatal(err)
	}
	steps := map[string]func() error{
		"reload": func() error {
			_, err := s.Reload(within(t), with(cfg.Settings, map[string]any{"work_mem": "5MB"}))
			return err
		},
		"restart": func() error { return s.Restart(within(t), RestartOptions{}) },
		"another agent": func() error {
			if err := s.Close(); err != nil {
				return err
			}
			s = open(t, cfg)
			return nil
		},
		"a crash": func() error {
			if _, err := s.Stop(within(t), StopOptions{Mode: Immediate}); err != nil {
				return err
			}
			if err := s.RecoverCrash(within(t)); err != nil {
				return err
			}
			return s.Start(within(t), StartOptions{})
		},
	}
	for what, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := said(); got != names {
			t.Errorf("after %s: %q", what, got)
		}
	}
	if err := s.SetSyncNames(within(t), SyncNames{}); err != nil {
		t.Fatal(err)
	}
	if got := said(); got != "the_operators" {
		t.Errorf("no longer managed: %q", got)
	}
}

// A value that is so already is left alone: no process has to read anything.
func TestNamesThatAreSetAlreadyDisturbNobody(t *testing.T) {
	s := primary(t, "n1")
	if err := s.SetSyncNames(within(t), managed("a, b")); err != nil {
		t.Fatal(err)
	}
	loaded := one(t, s, "SELECT pg_conf_load_time()::text")
	for _, same := range []string{"a,b", `1 ("a", "b")`, "FIRST 1 (a, b)"} {
		if err := s.SetSyncNames(within(t), managed(same)); err != nil {
			t.Fatal(err)
		}
	}
	if got := one(t, s, "SELECT pg_conf_load_time()::text"); got != loaded {
		t.Errorf("the files were read at %s and again at %s", loaded, got)
	}
}

// What ALTER SYSTEM says does not win, whenever it was said; what nobody can remove is told.
func TestNothingWinsOverTheNames(t *testing.T) {
	s := primary(t, "n1")
	run(t, s, "ALTER SYSTEM SET synchronous_standby_names = 'early'")
	for range 2 {
		if err := s.SetSyncNames(within(t), managed("n2")); err != nil {
			t.Fatal(err)
		}
		if st := s.Status(within(t)); st.SyncNames != "n2" || !settled(s, st) || !st.SyncManaged {
			t.Errorf("it goes by %+v", st)
		}
		run(t, s, "ALTER SYSTEM SET synchronous_standby_names = 'late'")
		run(t, s, "SELECT pg_reload_conf()")
		await(t, s, "has read it", func(st Status) bool { return st.SyncNames == "late" && !settled(s, st) })
	}
}

func TestNamesThatPostgresRefusesChangeNothing(t *testing.T) {
	s := primary(t, "n1")
	if err := s.SetSyncNames(within(t), managed("n2")); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(s.dir, confName)
	before, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"2 (a", "ANY 0 (a)", "a b", "any 1 a", "3000000000 (a)"} {
		if err := s.SetSyncNames(within(t), managed(wrong)); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	if !holds(conf, string(before)) {
		t.Error("the file has changed")
	}
	leave, err := s.enter()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetSyncNames(within(t), managed("n3")); !errors.Is(err, ErrBusy) {
		t.Errorf("during a job: %v", err)
	}
	leave()
	if _, err := s.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSyncNames(within(t), managed("n3")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("stopped: %v", err)
	}
	if err := s.EmitWAL(within(t)); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a record of a stopped server: %v", err)
	}
	if !holds(conf, string(before)) {
		t.Error("the file has changed")
	}
	if err := s.SetSyncNames(within(t), SyncNames{}); err != nil || strings.Contains(readText(t, conf), syncNamesName) {
		t.Errorf("released while stopped: %v", err)
	}
}

func TestNamesThatTheServerCannotReadAreNotInForce(t *testing.T) {
	s := primary(t, "n1")
	base := s.files(s.dir).base
	whole := readText(t, base)
	if _, err := writeFile(base, whole+"this is no setting\n"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.SetSyncNames(ctx, managed("n2")); !errors.Is(err, context.DeadlineExceeded) || settled(s, s.Status(within(t))) {
		t.Errorf("with a broken file: %v", err)
	}
	if _, err := writeFile(base, whole); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSyncNames(within(t), managed("n2")); err != nil || !settled(s, s.Status(within(t))) {
		t.Errorf("with a whole one: %v", err)
	}
}

// A standby can be told before its promotion; one that starts or follows somebody else waits for nobody.
func TestNamesOfAStandby(t *testing.T) {
	n1 := primary(t, "n1")
	if err := n1.SetSyncNames(within(t), managed("n2")); err != nil {
		t.Fatal(err)
	}
	n2 := standby(t, "n2", n1)
	await(t, n2, "streams", streaming(n1))
	if got := n2.Status(within(t)).SyncNames; got != "" {
		t.Errorf("a copy of the primary waits for %q", got)
	}
	if err := n2.EmitWAL(within(t)); err == nil {
		t.Error("a standby wrote a record")
	}
	if err := n2.SetSyncNames(within(t), managed("n1")); err != nil {
		t.Fatal(err)
	}
	if got := n2.Status(within(t)).SyncNames; got != "n1" {
		t.Errorf("it goes by %q", got)
	}
	if f, err := n2.Follow(within(t), Upstream{}); err != nil || !f.Changed {
		t.Fatalf("%+v, %v", f, err)
	}
	await(t, n2, "waits for nobody", func(st Status) bool { return st.SyncNames == "" })
	if err := n2.SetSyncNames(within(t), managed("n1")); err != nil {
		t.Fatal(err)
	}
	if err := n2.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	if !waits(t, n2) {
		t.Error("the new primary's commits do not wait")
	}
}

// Others may have the server read its files at any time; what they begin proves nothing.
func TestEverySessionGoesByTheNames(t *testing.T) {
	s := primary(t, "n1")
	var clients []*pgx.Conn
	for range 15 {
		clients = append(clients, session(t, s))
	}
	pid := s.Status(within(t)).PID
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(300 * time.Microsecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			if err := unix.Kill(pid, unix.SIGHUP); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for round := range 10 {
		want := fmt.Sprintf("n%d", round)
		if err := s.SetSyncNames(within(t), managed(want)); err != nil {
			t.Fatal(err)
		}
		for _, c := range clients {
			var got string
			if err := c.QueryRow(within(t), "SHOW synchronous_standby_names").Scan(&got); err != nil || got != want {
				t.Fatalf("round %d: a session goes by %q, %v", round, got, err)
			}
		}
	}
}

// While the checkpointer is kept by a disk, nobody knows whether commits wait.
func TestNamesWaitForTheCheckpointer(t *testing.T) {
	s := primary(t, "n1")
	checkpointer := func() (pid int) {
		if err := session(t, s).QueryRow(within(t), "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'").Scan(&pid); err != nil {
			t.Fatal(err)
		}
		return pid
	}()
	if err := unix.Kill(checkpointer, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer unix.Kill(checkpointer, unix.SIGCONT) //nolint:errcheck // it goes on already
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.SetSyncNames(ctx, managed("nobody")); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "checkpointer") {
		t.Fatalf("it is stopped: %v", err)
	}
	if waits(t, s) {
		t.Fatal("a commit waits already; this test shows nothing")
	}
	if st := s.Status(within(t)); st.SyncNames != "nobody" || settled(s, st) {
		t.Errorf("what one process says is taken for all: %+v", st)
	}
	if err := unix.Kill(checkpointer, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSyncNames(within(t), managed("nobody")); err != nil {
		t.Fatal(err)
	}
	if !waits(t, s) {
		t.Error("no commit waits")
	}
	// Others in their place need no checkpointer.
	if err := unix.Kill(checkpointer, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSyncNames(within(t), managed("somebody")); err != nil {
		t.Error(err)
	}
	if err := unix.Kill(checkpointer, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

func TestWhatShowsThatTheCheckpointerHasHandledASignal(t *testing.T) {
	type look struct {
		asleep bool
		event  string
		after  time.Duration
		want   bool
	}
	const soon, later = time.Millisecond, 2 * time.Second
	for name, c := range map[string]struct {
		major int
		looks []look
	}{
		"idle":                  {15, []look{{true, "CheckpointerMain", soon, true}}},
		"in a pause":            {15, []look{{true, "CheckpointWriteDelay", soon, true}}},
		"signal pending":        {15, []look{{false, "CheckpointerMain", soon, false}, {true, "CheckpointerMain", soon, true}}},
		"in a disk":             {15, []look{{true, "DataFileSync", later, false}, {true, "DataFileSync", later, false}}},
		"says nothing":          {15, []look{{true, "", later, false}, {true, "", later, false}}},
		"pauses without a name": {13, []look{{true, "", soon, false}, {true, "", soon, false}, {true, "DataFileWrite", later, false}, {false, "", later, false}, {true, "", soon, true}}},
		"old and idle":          {12, []look{{true, "CheckpointerMain", soon, true}}},
	} {
		l := checkpointerLook{major: c.major}
		now := time.Unix(0, 0)
		for i, at := range c.looks {
			now = now.Add(at.after)
			l.found(7, at.asleep)
			if got := l.done(notice{checkpointer: 7, event: at.event}, now); got != at.want {
				t.Errorf("%s: look %d: %v", name, i, got)
			}
		}
		l.found(7, true)
		if l.done(notice{checkpointer: 8, event: "CheckpointerMain"}, now) {
			t.Errorf("%s: another checkpointer was never looked at", name)
		}
	}
}

// What is written is what PostgreSQL takes, and it understands the same.
func TestNamesAsPostgresReadsThem(t *testing.T) {
	s := primary(t, "n1")
	for _, text := range []string{"*", "a", "2 (a,b)", "ANY 2 (a, b, c)", `FIRST 1 ("a""b", "any")`, `"x y", "O'Neill", "back\slash"`, guc.NobodySync} {
		if err := s.SetSyncNames(within(t), managed(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAgentsSessionsNeverWait(t *testing.T) {
	s := primary(t, "n1")
	conn, err := s.connect(within(t), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(within(t)) //nolint:errcheck // nothing can be lost
	var local string
	if err := conn.QueryRow(within(t), "SHOW synchronous_commit").Scan(&local); err != nil || local != "local" {
		t.Errorf("to the own server: %s, %v", local, err)
	}
	for what, open := range map[string]func() ([]string, error){
		"replication": func() ([]string, error) {
			conn, err := s.connectSource(within(t), address(s))
			if err != nil {
				return nil, err
			}
			defer closeSource(within(t), conn)
			return oneRow(within(t), conn, "SHOW synchronous_commit")
		},
		"rewind": func() ([]string, error) {
			conn, err := s.dial(within(t), address(s), s.cfg.Rewind, nil)
			if err != nil {
				return nil, err
			}
			defer closeSource(within(t), conn)
			return oneRow(within(t), conn, "SHOW synchronous_commit")
		},
	} {
		if row, err := open(); err != nil || row[0] != "local" {
			t.Errorf("%s: %v, %v", what, row, err)
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path) //nolint:gosec // a test's own file
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// settled reports whether SetSyncNames has seen to it that all processes of the server go by what one of them shows.
func settled(s *Server, st Status) bool {
	known := s.lastSpread()
	return known.pm == s.postmaster() && sameNames(st.SyncNames, known.text)
}
