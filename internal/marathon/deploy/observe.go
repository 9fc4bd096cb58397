package deploy

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Report is a status of the driver about the latest task of an instance.
type Report struct {
	State     app.TaskState
	Message   string
	Addresses []app.IPAddress // none: nothing is said of them
}

// provenAfter is how long a task must have run for its end not to count as another failure in a row.
const provenAfter = 60 * time.Second

// Observe is what the report makes of the instance. Reports may come twice, and a report from before the end of a task
// may come after it: both change nothing.
func Observe(i Instance, r Report, now time.Time) Instance {
	if !r.State.Terminal() {
		return observeLive(i, r, app.At(now))
	}
	if i.State.Terminal() && i.Stopping == nil {
		return i
	}
	return observeEnd(i, r, app.At(now))
}

func observeLive(i Instance, r Report, now app.Timestamp) Instance {
	if !i.Live() {
		return i
	}
	if len(r.Addresses) > 0 {
		i.Addresses = r.Addresses
	}
	if i.State == r.State {
		return i
	}
	// A task that is being killed has not come back to life: the driver repeats what it last knew.
	if i.State == app.TaskKilling && r.State != app.TaskUnreachable && r.State != app.TaskLost {
		return i
	}
	wasUnreachable := i.Unreachable()
	i.State, i.Message = r.State, r.Message
	switch {
	case !i.Unreachable():
		i.UnreachableSince = 0
		if wasUnreachable {
			i.Stopping = nil // the request was lost; whether it is still wanted is decided anew
		}
	case !wasUnreachable:
		i.UnreachableSince = now
	}
	if i.State == app.TaskRunning {
		i.Bound = i.Volume != ""
		if i.StartedAt == 0 {
			i.StartedAt = now
		}
	}
	return i
}

func observeEnd(i Instance, r Report, now app.Timestamp) Instance {
	if i.Live() {
		i.State, i.Message, i.EndedAt = r.State, r.Message, now
		if i.Goal != GoalWiped { // else its force counts until the volume is gone
			i.Kill = nil
		}
	}
	switch {
	case i.Stopping != nil:
		i.Clean = true
	case i.UnreachableSince != 0: // the host's fault
		i.Failures = 0
	case ran(i) >= provenAfter:
		i.Failures = 1
	case r.State != app.TaskKilled:
		i.Failures++
	}
	i.Stopping, i.UnreachableSince = nil, 0
	return i
}

// FailedSoon reports whether the latest task ended by itself before it had run for long.
func (i Instance) FailedSoon() bool { return i.Failures > 0 && !i.Live() && ran(i) < provenAfter }

// ran is how long the latest task ran before it ended.
func ran(i Instance) time.Duration {
	if i.StartedAt == 0 {
		return 0
	}
	return i.EndedAt.Time().Sub(i.StartedAt.Time())
}

// Staged is the instance with a new task on the way, which is stored before the driver hears of it. Host and Ports are
// those of the new task already. One that is to lose its volume still is: it only runs until somebody has its data.
func Staged(i Instance, a app.App, now time.Time) Instance {
	if i.Goal != GoalWiped {
		i.Goal = GoalRunning
	}
	i.Incarnation++
	i.Version = a.Version
	if i.Incarnation > 1 && i.Failures > 0 && i.EndedAt < a.VersionInfo.LastConfigChangeAt {
		i.Failures = 0 // what failed was another configuration
	}
	i.State, i.Message, i.Addresses = app.TaskStaging, "", nil
	i.StagedAt, i.StartedAt, i.EndedAt, i.UnreachableSince = app.At(now), 0, 0, 0
	i.Stopping, i.Clean, i.Led, i.Kill, i.ReservedAt = nil, false, false, nil, 0
	i.Postgres, i.AgentPort, i.GraceSeconds = a.IsPostgres(), 0, grace(a)
	if index, ok := a.PortIndex(app.AgentPort); ok && index < len(i.Ports) {
		i.AgentPort = i.Ports[index]
	}
	return i
}
