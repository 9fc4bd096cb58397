package run

import (
	"sync/atomic"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// numbers count what the scheduler does. They begin anew with the process, as counters may.
type numbers struct {
	launches, kills, ended, offers, unhealthy, trips atomic.Int64
	writes, calls, plans                             timed
}

// timed counts calls and adds up the time they took.
type timed struct{ count, nanoseconds atomic.Int64 }

func (t *timed) since(calls int, began time.Time) {
	t.count.Add(int64(calls))
	t.nanoseconds.Add(int64(time.Since(began)))
}

func (n *numbers) wrote(documents int, began time.Time) { n.writes.since(documents, began) }
func (n *numbers) asked(began time.Time)                { n.calls.since(1, began) }
func (n *numbers) planned(began time.Time)              { n.plans.since(1, began) }

// Metrics are the scheduler's own numbers by Marathon's names, and by names of that kind for what Marathon does not count.
// Times are in seconds.
func (s *Scheduler) Metrics() map[string]float64 {
	p, n := s.picture.Load(), &s.numbers
	states := map[app.TaskState]int{}
	for _, tasks := range p.tasks {
		for _, t := range tasks {
			states[t.State]++
		}
	}
	all := map[string]float64{
		"marathon.apps.active.gauge":                     float64(len(p.apps)),
		"marathon.instances.running.gauge":               float64(states[app.TaskRunning]),
		"marathon.instances.staged.gauge":                float64(states[app.TaskStaging] + states[app.TaskStarting]),
		"marathon.instances.inflight-kills.gauge":        float64(states[app.TaskKilling]),
		"marathon.deployments.active.gauge":              float64(len(p.deployments)),
		"marathon.tasks.launched.counter":                float64(n.launches.Load()),
		"marathon.tasks.killed.counter":                  float64(n.kills.Load()),
		"marathon.tasks.terminated.counter":              float64(n.ended.Load()),
		"marathon.health-checks.kills.counter":           float64(n.unhealthy.Load()),
		"marathon.health-checks.trips.counter":           float64(n.trips.Load()),
		"marathon.health-checks.suspended.gauge":         p.suspended(),
		"marathon.mesos.offers.incoming.counter":         float64(n.offers.Load()),
		"marathon.mesos.offer-operations.launch.counter": float64(n.launches.Load()),
	}
	for name, t := range map[string]*timed{"persistence.writes": &n.writes, "driver.calls": &n.calls, "deployments.plans": &n.plans} {
		all["marathon."+name+".counter"] = float64(t.count.Load())
		all["marathon."+name+".seconds.counter"] = time.Duration(t.nanoseconds.Load()).Seconds()
	}
	return all
}
