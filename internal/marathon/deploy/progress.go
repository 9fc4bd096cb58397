package deploy

import (
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// deployments moves every deployment on whose current step is done.
func (p *planner) deployments() {
	for _, d := range p.state.Deployments {
		done := true
		for _, a := range d.CurrentActions() {
			done = p.done(a) && done
		}
		switch {
		case !done:
		case d.CurrentStep >= len(d.Steps):
			p.do(Finish{Deployment: d.ID})
		default:
			p.do(Advance{Deployment: d.ID, Step: d.CurrentStep + 1})
		}
	}
}

// done reports whether an action of a deployment has reached its end, and says what it waits for.
func (p *planner) done(a app.Action) bool {
	if a.Kind == app.StartApplication {
		return true
	}
	v := p.view(a.App)
	if v.blocked() != "" {
		return false // said already
	}
	for _, i := range v.instances {
		if i.busyStopping() {
			p.wait(v.id, i.ID, "waiting for it to stop: "+i.Stopping.Cause)
			return false
		}
		if i.Goal != GoalRunning && i.Live() && !i.Unreachable() {
			p.wait(v.id, i.ID, "waiting for it to stop")
			return false
		}
	}
	return p.allRun(v, a.Kind) && p.allServe(v)
}

// allRun reports whether as many tasks run as are wanted, all with the right configuration.
func (p *planner) allRun(v view, kind app.ActionKind) bool {
	running := v.counted(p.now)
	if away := notRunning(running); len(away) > 0 {
		i := away[0]
		if i.Live() {
			p.wait(v.id, i.ID, fmt.Sprintf("waiting for it to run (%s)", i.State))
		}
		return false
	}
	if kind == app.RestartApplication || v.restart {
		for _, i := range running {
			if i.outdated(v.def) {
				return false
			}
		}
	}
	return len(running) == v.want
}

// allServe reports whether the running tasks do what they are there for: a plain one passes its health checks, a
// PostgreSQL member leads or streams.
func (p *planner) allServe(v view) bool {
	running := v.counted(p.now)
	if len(running) == 0 {
		return true
	}
	for _, i := range running {
		switch {
		case !v.postgres && !v.healthy(i):
			p.wait(v.id, i.ID, "waiting for it to pass its health checks")
			return false
		case !v.ready(i):
			p.wait(v.id, i.ID, "waiting for it to pass its readiness check")
			return false
		}
	}
	if !v.postgres {
		return true
	}
	members, ok := p.answers(v)
	if !ok {
		p.wait(v.id, "", "asking the members for their roles")
		return false
	}
	for _, i := range running {
		m, answered := members[i.ID]
		switch {
		case !answered:
			p.wait(v.id, i.ID, "waiting for its agent to answer")
			return false
		case !m.leads() && !m.Streaming:
			p.wait(v.id, i.ID, fmt.Sprintf("waiting for it to lead or to stream (its server: %s)", m.State))
			return false
		}
	}
	return true
}

// counted are the instances that are wanted to run, without those that are replaced because their host is unreachable.
func (v *view) counted(now time.Time) []Instance {
	return v.with(func(i Instance) bool {
		inactive, _, limited := v.limits(i)
		return i.Goal == GoalRunning && (!limited || now.Before(inactive))
	})
}
