package docker

import (
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/docker/dockertest"
)

// With --live-restore containers go on while their daemon is away. They are unreachable then, and nothing is done about them but
// what was asked for.
func TestContainersOutliveTheDaemon(t *testing.T) {
	daemon := dockertest.Start(t, "--live-restore")
	daemon.Shell(shell, "/")
	r := newTrial(t, daemon)
	s, killed, unknown := r.spec(1, app.App{Cmd: runsOn}), r.spec(2, app.App{Cmd: runsOn}), r.spec(9, app.App{})
	s.Volume = "stays"
	r.reserve(s)
	r.launch(s)
	r.launch(killed)
	r.awaitEach(map[app.TaskID]func(app.TaskState) bool{s.Task: is(app.TaskRunning), killed.Task: is(app.TaskRunning)})
	daemon.End(syscall.SIGKILL)
	r.awaitEach(map[app.TaskID]func(app.TaskState) bool{s.Task: is(app.TaskUnreachable), killed.Task: is(app.TaskUnreachable)})
	if offers, err := r.Offers(t.Context()); err != nil || len(offers) != 0 {
		t.Errorf("offers of a daemon that is away: %v, %v", offers, err)
	}
	if err := r.Destroy(t.Context(), driver.Volume{ID: s.Volume, Host: s.Host}); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("destroy of a volume that is away: %v", err)
	}
	if err := errors.Join(r.Kill(t.Context(), unknown.Task, 0), r.Kill(t.Context(), killed.Task, time.Second)); err != nil {
		t.Fatal(err)
	}
	r.await(unknown, app.TaskUnreachable)
	daemon.Begin()
	r.awaitEach(map[app.TaskID]func(app.TaskState) bool{s.Task: is(app.TaskRunning), killed.Task: is(app.TaskKilled)})
	if err := r.Kill(t.Context(), s.Task, patience); err != nil {
		t.Fatal(err)
	}
	r.await(s, app.TaskKilled)
	if offers, err := r.Offers(t.Context()); err != nil || len(offers) != 2 || len(offers[0].Volumes) != 1 {
		t.Errorf("offers of a daemon that is back: %v, %v", offers, err)
	}
}

// Without it they end with their daemon: one that is stopped in order tells so, one that was killed tells when it is back. One
// that hangs says nothing: its tasks are unreachable, not dead, and go on when it answers again.
func TestContainersEndWithTheDaemon(t *testing.T) {
	daemon := dockertest.Start(t)
	daemon.Shell(shell, "/")
	r := newTrial(t, daemon)
	r.cfg.AnswerWithin = 500 * time.Millisecond
	r.reopen()
	s := r.spec(1, app.App{Cmd: runsOn})
	s.Volume = "stays"
	r.reserve(s)
	r.launch(s)
	r.await(s, app.TaskRunning)
	daemon.End(syscall.SIGTERM)
	r.await(s, app.TaskFinished)
	daemon.Begin()
	r.offersAgain()
	s = r.launchAgain(s)
	daemon.End(syscall.SIGKILL)
	r.await(s, app.TaskUnreachable)
	daemon.Begin()
	r.await(s, app.TaskFinished)
	r.offersAgain()
	s = r.launchAgain(s)

	id := r.inspect(s, "{{.Id}}")
	daemon.Signal(syscall.SIGSTOP)
	under := r.launch(r.spec(2, app.App{Cmd: runsOn})) // nobody knows yet
	killed := r.launch(r.spec(3, app.App{Cmd: runsOn}))
	if err := r.Kill(t.Context(), killed.Task, 0); err != nil {
		t.Fatal(err)
	}
	lost := driver.Reservation{Volume: "lost", Instance: s.Instance, Host: s.Host, App: s.App}
	if err := r.Reserve(t.Context(), lost); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("a volume on a host that does not answer: %v", err)
	}
	r.await(s, app.TaskUnreachable)
	if err := r.Launch(t.Context(), r.spec(4, app.App{Cmd: runsOn})); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("launch on a host that does not answer: %v", err)
	}
	if err := r.Reconcile(t.Context(), []driver.Known{{Task: s.Task, Host: s.Host}}); err != nil {
		t.Fatal(err)
	}
	r.await(s, app.TaskUnreachable)
	daemon.Signal(syscall.SIGCONT)
	r.awaitEach(map[app.TaskID]func(app.TaskState) bool{
		s.Task: is(app.TaskRunning), under.Task: is(app.TaskRunning), killed.Task: app.TaskState.Terminal,
	})
	if err := r.Destroy(t.Context(), driver.Volume{ID: lost.Volume, Host: lost.Host}); err != nil { // it may have been made after all
		t.Fatal(err)
	}
	if got := r.inspect(s, "{{.Id}}"); got != id {
		t.Errorf("another container runs: %s was %s", got, id)
	}
}

// What a daemon that hangs says about a command in a container is nothing: the task is not sick for it.
func silentChecks(t *testing.T, r *trial) {
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	said := make(lines, 1000)
	d, err := Open(r.cfg, slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	r.Driver = d
	if _, err := d.Subscribe(t.Context(), testFramework); err != nil {
		t.Fatal(err)
	}
	check := app.HealthCheck{Protocol: app.ProtocolCommand, Command: &app.Command{Value: "true"}, IntervalSeconds: 1, TimeoutSeconds: 1, MaxConsecutiveFailures: 1}
	s := r.launch(r.spec(1, app.App{Cmd: runsOn, HealthChecks: []app.HealthCheck{check}}))
	healthy := func(got driver.Status) bool { return got.Healthy != nil && *got.Healthy }
	r.awaitAt(d, s, healthy)
	r.daemon.Signal(syscall.SIGSTOP)
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for line := ""; !strings.Contains(line, "told nothing"); {
		select {
		case line = <-said:
		case <-limit.C:
			t.Fatal("no check noticed that the daemon hangs")
		}
	}
	r.daemon.Signal(syscall.SIGCONT)
	if err := r.Reconcile(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := r.awaitAt(d, s, func(driver.Status) bool { return true }); !healthy(got) {
		t.Errorf("a daemon that hung made the task sick: %+v", got)
	}
}

func is(want app.TaskState) func(app.TaskState) bool {
	return func(got app.TaskState) bool { return got == want }
}

// awaitEach waits until each of several tasks came to a state.
func (r *trial) awaitEach(want map[app.TaskID]func(app.TaskState) bool) {
	r.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for len(want) > 0 {
		select {
		case e := <-r.Events():
			if c, ok := e.(driver.StatusChanged); ok && want[c.Status.Task] != nil && want[c.Status.Task](c.Status.State) {
				delete(want, c.Status.Task)
			}
		case <-limit.C:
			r.t.Fatalf("%d tasks did not come to the state they should: %v", len(want), want)
		}
	}
}

// offersAgain waits until the daemon is followed.
func (r *trial) offersAgain() {
	r.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		if offers, err := r.Offers(r.t.Context()); err != nil || len(offers) > 0 {
			return
		}
		select {
		case <-r.Events():
		case <-limit.C:
			r.t.Fatal("a daemon that is back makes no offers")
		}
	}
}
