package deploy

import (
	"fmt"
	"math"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// postgresMaxDelay bounds the pause before a PostgreSQL member is launched again. A member that is away costs
// redundancy, and its agent has pauses of its own.
const postgresMaxDelay = 10 * time.Second

// reserveAfter is how long the driver may take to make a volume before it is asked again, on the same host if that still
// offers enough.
const reserveAfter = 20 * time.Second

// delay is the pause after a number of failures in a row.
func delay(a app.App, failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	limit := time.Duration(a.MaxLaunchDelaySeconds) * time.Second
	if a.IsPostgres() {
		limit = min(limit, postgresMaxDelay)
	}
	seconds := float64(a.BackoffSeconds) * math.Pow(a.BackoffFactor, float64(failures-1))
	if seconds >= limit.Seconds() {
		return limit
	}
	return time.Duration(seconds * float64(time.Second))
}

// pause is a time of waiting after a task has ended.
type pause struct {
	from   time.Time
	length time.Duration
}

func (p pause) end() time.Time { return p.from.Add(p.length) }

// String leaves out what changes while the pause goes on, so that the reason for a wait stays the same sentence.
func (p pause) String() string { return p.length.Round(100 * time.Millisecond).String() }

// pauseAfter is what the instance waits for before it is launched again. A change of configuration forgets failures.
func (v *view) pauseAfter(i Instance) pause {
	if i.outdated(v.def) {
		return pause{}
	}
	return pause{i.EndedAt.Time(), delay(v.def, i.Failures)}
}

// relaunch launches an instance whose task has ended, now or when the pause is over.
func (p *planner) relaunch(v view, i Instance, after pause) {
	p.queued(v, 1, i.EndedAt, after.end())
	if why := v.state.Draining[i.Host]; v.draining(i) && i.Bound {
		p.wait(v.id, i.ID, "its volume is on a host that is being drained ("+why+"); launched again when that ends")
		return
	}
	if asked := i.ReservedAt.Time().Add(reserveAfter); i.ReservedAt != 0 && !i.Bound && p.now.Before(asked) {
		p.wake(asked)
		p.wait(v.id, i.ID, "waiting for its volume on "+i.Host)
		return
	}
	if p.now.Before(after.end()) {
		p.wake(after.end())
		p.wait(v.id, i.ID, fmt.Sprintf("%s; failure %d in a row, launched again after a pause of %s", reason(i), i.Failures, after))
		return
	}
	p.do(Launch{App: v.id, Instance: i.ID})
}

func reason(i Instance) string {
	if i.Message == "" {
		return string(i.State)
	}
	return string(i.State) + ": " + i.Message
}
