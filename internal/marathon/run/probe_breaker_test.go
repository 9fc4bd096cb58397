package run

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// everywhere lets something listen at the addresses of all tasks; nil is a network that carries nothing.
func everywhere(network *wires, h http.HandlerFunc) {
	for n := range 5 {
		host := fmt.Sprintf("10.0.0.%d", n+1)
		network.set(host+":8008", h)
		for port := range 4 {
			network.set(fmt.Sprintf("%s:%d", host, 31000+port), h)
		}
	}
}

// cutOff takes the network from the scheduler, or gives it back: it hears neither tasks nor agents. Its driver goes on.
func (w *world) cutOff(network *wires, off bool) {
	h := status(http.StatusOK)
	if off {
		h = nil
	}
	everywhere(network, h)
	w.m.with(func() {
		for _, task := range w.m.tasks {
			w.m.silent[task.spec.Instance] = off
		}
	})
}

// spreadOut is the app with one task on each host.
func spreadOut(a app.App) app.App {
	a.Constraints = []app.Constraint{{Field: "hostname", Operator: app.OperatorUnique}}
	return a
}

// TestSchedulerThatIsCutOffKillsNothing says: when the scheduler does not hear most tasks any more it takes itself for cut off
// and ends none of them, for as long as that lasts. It says so, and when it hears them again it ends the one that is
// really dead.
func TestSchedulerThatIsCutOffKillsNothing(t *testing.T) {
	withChecks(t, func(t *testing.T, w *world, network *wires) {
		w.cutOff(network, false)
		w.put(spreadOut(checked(web(4), "/ok", 0)))
		w.pass(20 * time.Second)
		w.wantSettled()
		var said []string
		ctx, cancel := context.WithCancel(t.Context())
		events := w.s.Watch(ctx)
		go func() {
			for e := range events {
				if e.Kind == EventBreaker {
					said = append(said, e.Text)
				}
			}
		}()

		w.cutOff(network, true)
		w.pass(time.Hour)
		if len(w.m.killed()) > 0 {
			t.Fatalf("killed while it was cut off: %v", w.m.killed())
		}
		w.wantWait("cut off")
		if now := w.s.Metrics(); now["marathon.health-checks.suspended.gauge"] != 1 || now["marathon.health-checks.trips.counter"] != 1 {
			t.Errorf("numbers while it is cut off: %v", now)
		}

		w.cutOff(network, false)
		network.set("10.0.0.2:31000", nil)
		w.pass(30 * time.Second)
		if len(w.m.killed()) > 0 {
			t.Errorf("killed for what failed while it was cut off: %v", w.m.killed())
		}
		w.pass(30 * time.Second)
		if got := fmt.Sprint(w.m.killed()); got != "[node2]" {
			t.Errorf("killed when it hears again: %v", got)
		}
		if waits := w.s.Waits(); len(waits) > 0 {
			t.Errorf("it still waits: %v", waits)
		}
		if now := w.s.Metrics(); now["marathon.health-checks.suspended.gauge"] != 0 || now["marathon.health-checks.kills.counter"] != 1 {
			t.Errorf("numbers afterwards: %v", now)
		}
		cancel()
		w.pass(0)
		if len(said) != 2 || !strings.Contains(said[0], "cut off") || !strings.Contains(said[1], "answer again") {
			t.Errorf("it said %q", said)
		}
	})
}

// TestCutOffSchedulerLeavesDatabasesAlone says: no member is stopped by a scheduler that hears nobody, not even the only one
// of its cluster, which no gate protects.
func TestCutOffSchedulerLeavesDatabasesAlone(t *testing.T) {
	withChecks(t, func(t *testing.T, w *world, network *wires) {
		w.cutOff(network, false)
		lone := checked(cluster(1), "/health", 1)
		lone.ID = "/lone"
		w.put(lone)
		w.put(spreadOut(checked(web(2), "/ok", 0)))
		w.pass(20 * time.Second)
		w.cutOff(network, true)
		w.pass(time.Hour)
		if len(w.m.killed()) > 0 {
			t.Errorf("killed while it was cut off: %v", w.m.killed())
		}
		w.wantWait("its agent does not answer; it is left alone")
		w.cutOff(network, false)
		w.pass(time.Hour)
		if len(w.m.killed()) > 0 {
			t.Errorf("killed when it hears again: %v", w.m.killed())
		}
	})
}

// TestNewSchedulerThatIsCutOffKillsNothing says: a scheduler that never heard anybody knows that the tasks ran before it.
func TestNewSchedulerThatIsCutOffKillsNothing(t *testing.T) {
	withChecks(t, func(t *testing.T, w *world, network *wires) {
		w.cutOff(network, false)
		w.put(spreadOut(checked(web(3), "/ok", 0)))
		w.pass(20 * time.Second)
		w.cutOff(network, true)
		w.restart()
		w.pass(time.Hour)
		if len(w.m.killed()) > 0 {
			t.Errorf("killed by a scheduler that hears nobody: %v", w.m.killed())
		}
	})
}

// TestFewAreKilledAtOnce says: tasks that all answer with errors are ended one after the other, not all at once.
func TestFewAreKilledAtOnce(t *testing.T) {
	withChecks(t, func(t *testing.T, w *world, network *wires) {
		w.cutOff(network, false)
		w.put(spreadOut(checked(web(3), "/ok", 0)))
		w.pass(20 * time.Second)
		everywhere(network, status(http.StatusServiceUnavailable))
		w.pass(45 * time.Second) // four failures
		if n := len(w.m.killed()); n != 1 {
			t.Fatalf("%d killed at once: %v", n, w.s.Waits())
		}
		w.wantWait("one after the other")
		w.pass(time.Minute)
		if n := len(w.m.killed()); n != 2 {
			t.Errorf("%d killed after a minute", n)
		}
		w.pass(time.Minute)
		if n := len(w.m.killed()); n != 3 {
			t.Errorf("%d killed after two minutes", n)
		}
	})
}

// TestWhatAFailedCheckMeans says: of several reasons to end a task the one counts that the scheduler's network cannot be to
// blame for.
func TestWhatAFailedCheckMeans(t *testing.T) {
	http := app.HealthCheck{Protocol: app.ProtocolHTTP, MaxConsecutiveFailures: 1}
	beside := app.HealthCheck{Protocol: app.ProtocolCommand, MaxConsecutiveFailures: 1}
	failed := app.HealthResult{ConsecutiveFailures: 2, LastFailure: 1, LastFailureCause: "no"}
	gone := time.Now()
	for name, test := range map[string]struct {
		checks      []app.HealthCheck
		quiet       []time.Time
		own, silent bool
	}{
		"an answer":                  {[]app.HealthCheck{http}, []time.Time{{}}, true, false},
		"no answer":                  {[]app.HealthCheck{http}, []time.Time{gone}, true, true},
		"no answer, and an answer":   {[]app.HealthCheck{http, http}, []time.Time{gone, {}}, true, false},
		"an answer, and no answer":   {[]app.HealthCheck{http, http}, []time.Time{{}, gone}, true, false},
		"no answer, and one beside":  {[]app.HealthCheck{http, beside}, []time.Time{gone, {}}, false, false},
		"one beside, and no answer":  {[]app.HealthCheck{beside, http}, []time.Time{{}, gone}, false, false},
		"no answer to both of them":  {[]app.HealthCheck{http, http}, []time.Time{gone, gone}, true, true},
		"one beside, and a database": {[]app.HealthCheck{beside, beside}, []time.Time{{}, {}}, false, false},
	} {
		p := &probes{checks: test.checks, quiet: test.quiet, probed: []bool{true, true}, tallies: []app.HealthResult{failed, failed}}
		h := p.health(deploy.Instance{Postgres: strings.HasSuffix(name, "database")})
		if h.Kill == "" || h.Own != test.own || h.Quiet.IsZero() == test.silent {
			t.Errorf("%s: %+v", name, h)
		}
	}
}
