package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// roleVariable makes this program play another scheduler, one that dies. configVariable is its configuration.
const (
	roleVariable   = "PGBATON_TEST_ROLE"
	configVariable = "PGBATON_TEST_CONFIG"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0) // without a word to the driver: the kernel sees no difference to a SIGKILL
	}
	goleak.VerifyTestMain(m)
}

// play is a scheduler that starts a task and dies.
func play(role string) error {
	var cfg Config
	if err := json.Unmarshal([]byte(os.Getenv(configVariable)), &cfg); err != nil {
		return err
	}
	d, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	switch role {
	case "launch":
		return d.launch(task(1, untilTERM), cfg.Hosts[0])
	case "launch for a moment":
		return d.launch(task(1, fmt.Sprintf("while test -d /proc/%d; do sleep 0.01; done; echo the end; exit 3", os.Getpid())), cfg.Hosts[0])
	case "die at the gate":
		rec, cmd, err := d.halfLaunched()
		if err != nil {
			return err
		}
		_, err = cmd.start(d.boot, func(identity) error { os.Exit(0); return nil })
		return errors.Join(err, fmt.Errorf("the gate of %s was passed", rec.Task))
	}
	return fmt.Errorf("unknown role %q", role)
}

// halfLaunched is a task of which the intent is recorded and nothing else.
func (d *Driver) halfLaunched() (record, command, error) {
	s := task(1, "")
	rec := record{Task: s.Task, Instance: s.Instance, Host: s.Host, Volume: s.Volume, Status: status{State: app.TaskStaging, Acked: true}}
	if err := d.prepare(s, rec); err != nil {
		return rec, command{}, err
	}
	log, err := os.Create(d.dir.logFile(s.Instance))
	cmd := command{
		argv: []string{"/bin/sh", "-c", "echo ran >ran; exec sleep 1000"}, env: []string{"PATH=" + os.Getenv("PATH"), marker + "=" + string(rec.Task)},
		dir: d.dir.work(rec), log: log, credential: d.cfg.Credential,
	}
	return rec, cmd, errors.Join(err, d.write(&handle{rec: rec}))
}

// another runs another scheduler over the bench's folder until it dies, then opens the folder again.
func (b *bench) another(role string) {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatal(err)
	}
	cfg, err := json.Marshal(b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.CommandContext(b.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, configVariable+"="+string(cfg))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("the other scheduler: %v\n%s", err, out)
	}
	b.Driver = open(b.t, b.cfg)
}

// TestRunningTaskIsAdopted says: the task of a scheduler that died goes on, is found again, and obeys the next one.
func TestRunningTaskIsAdopted(t *testing.T) {
	b := newBench(t)
	b.another("launch")
	s := task(1, untilTERM)
	b.await(s, app.TaskRunning)
	if err := b.Launch(t.Context(), s); err != nil {
		t.Errorf("launching it again: %v", err)
	}
	if err := b.Kill(t.Context(), s.Task, patience); err != nil {
		t.Fatal(err)
	}
	b.await(s, app.TaskKilled)
}

// TestAdoptedTaskEnds says: an adopted task's end is noticed although its exit status goes to somebody else.
func TestAdoptedTaskEnds(t *testing.T) {
	b := newBench(t)
	b.another("launch")
	s := task(1, untilTERM)
	b.await(s, app.TaskRunning)
	b.mu.Lock()
	main := b.tasks[s.Task].rec.Process
	b.mu.Unlock()
	if err := killAll(nil, main); err != nil {
		t.Fatal(err)
	}
	if got := b.await(s, app.TaskFailed); !strings.Contains(got.Message, "exit status unknown") {
		t.Errorf("the message is %q", got.Message)
	}
}

// TestTaskEndedWhileNobodyLooked says: its end is reported once somebody looks, with the end of its log.
func TestTaskEndedWhileNobodyLooked(t *testing.T) {
	b := newBench(t)
	b.another("launch for a moment")
	s := task(1, "")
	got := b.await(s, app.TaskFailed)
	if !strings.Contains(got.Message, "exit status unknown") || !strings.Contains(got.Message, "the end") {
		t.Errorf("the message is %q", got.Message)
	}
}

// TestSchedulerDiesAtTheGate says: a task whose scheduler dies before it has recorded the process does nothing at all.
func TestSchedulerDiesAtTheGate(t *testing.T) {
	b := newBench(t)
	b.another("die at the gate")
	s := task(1, "")
	status := b.awaitEnd(s)
	if err := b.Ack(t.Context(), status); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(b.dir.volume(string(instance)), "ran")); err == nil {
		t.Error("it ran")
	}
	next := task(2, untilTERM)
	b.launch(next)
	b.await(next, app.TaskRunning)
}

// TestIntentWithAProcess says: a record without a pid finds its process by the mark in its environment, and the task is
// not started a second time.
func TestIntentWithAProcess(t *testing.T) {
	b := newBench(t)
	rec, cmd, err := b.halfLaunched()
	if err != nil {
		t.Fatal(err)
	}
	p, err := cmd.start(b.boot, func(identity) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if got := b.said("ran"); got != "ran" {
		t.Fatal(got)
	}
	b.reopen()
	s := task(1, untilTERM)
	b.await(s, app.TaskRunning)
	b.mu.Lock()
	found := b.tasks[rec.Task].rec.Process
	b.mu.Unlock()
	if found != p.id {
		t.Errorf("found %v, started was %v", found, p.id)
	}
	if err := b.Kill(t.Context(), s.Task, 0); err != nil {
		t.Fatal(err)
	}
	b.await(s, app.TaskKilled)
}

// TestProcessOfAnotherBoot says: a pid means nothing after a reboot, and nothing without its start time.
func TestProcessOfAnotherBoot(t *testing.T) {
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	sleep := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()
	id, err := identify(sleep.Process.Pid, boot)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		id   identity
		want bool
	}{
		"itself":             {id, true},
		"another boot":       {identity{id.PID, id.Start, "another"}, false},
		"another start time": {identity{id.PID, id.Start + 1, boot}, false},
		"no pid":             {identity{0, id.Start, boot}, false},
	} {
		p, ok := adopt(test.id, boot)
		if ok != test.want {
			t.Errorf("%s: adopted is %v", name, ok)
		}
		if ok {
			p.close()
		}
	}
}

// TestWaitForAProcess says: a deadline ends a wait, and a handle that is closed does.
func TestWaitForAProcess(t *testing.T) {
	sleep := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()
	p, err := hold(sleep.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.wait(time.Now().Add(10 * time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("at the deadline: %v", err)
	}
	waited := make(chan error)
	go func() { waited <- p.wait(time.Time{}) }()
	p.close()
	if err := <-waited; err == nil {
		t.Error("a closed handle says that the process has ended")
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	long := strings.Repeat("x", 300)
	for name, test := range map[string]struct {
		before, text, want string
	}{
		"nothing":             {"old\n", "", ""},
		"only what is new":    {"old\n", "new\n", "new"},
		"no end of line":      {"", "a\nb", "a | b"},
		"the last five lines": {"", "1\n2\n3\n4\n5\n6\n7\n", "3 | 4 | 5 | 6 | 7"},
		"a line cut off":      {"", strings.Repeat(long+"\n", 7) + "z\n", strings.Repeat(long+" | ", 4) + "z"},
		"no text":             {"", "\xff\xfe\n", "?"},
	} {
		if err := os.WriteFile(path, []byte(test.before+test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := tail(path, int64(len(test.before))); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
