package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Next decides what to do now, app by app and then deployment by deployment.
func Next(s State, now time.Time) Plan {
	p := &planner{state: s, now: now}
	for _, id := range appIDs(s) {
		p.app(id)
	}
	if s.Halted.IsZero() {
		p.deployments()
	}
	slices.Sort(p.plan.Ask)
	p.plan.Ask = slices.Compact(p.plan.Ask)
	return p.plan
}

// planner collects a plan.
type planner struct {
	state State
	now   time.Time
	plan  Plan
}

// appIDs are the apps that are defined and those that only have instances left, sorted.
func appIDs(s State) []app.ID {
	ids := map[app.ID]bool{}
	for id := range s.Apps {
		ids[id] = true
	}
	for _, i := range s.Instances {
		ids[i.App] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

func (p *planner) app(id app.ID) {
	v := p.view(id)
	if why := v.blocked(); why != "" {
		p.wait(id, "", why)
		return
	}
	p.insist(v)
	if v.postgres {
		p.postgres(v)
		return
	}
	p.plain(v)
}

// view is one app with everything that is known of it.
type view struct {
	id        app.ID
	def       app.App
	defined   bool
	postgres  bool
	resident  bool
	want      int
	halted    bool
	held      bool      // its turn in a deployment has not come
	restart   bool      // a deployment replaces its outdated tasks
	since     time.Time // when the deployment or halt that asks for changes began
	instances []Instance
	roles     Roles
	state     *State
}

// view collects what is known of an app. Of a deleted one the instances remember what matters for their stop.
func (p *planner) view(id app.ID) view {
	def, defined := p.state.Apps[id]
	v := view{
		id: id, def: def, defined: defined, want: def.Instances, halted: !p.state.Halted.IsZero(),
		postgres: def.IsPostgres(), resident: Resident(def), roles: p.state.Roles[id], state: &p.state,
	}
	for _, i := range p.state.Instances {
		if i.App == id {
			v.instances = append(v.instances, i)
			v.resident = v.resident || i.Volume != ""
			v.postgres = v.postgres || !defined && i.Postgres
		}
	}
	slices.SortFunc(v.instances, func(a, b Instance) int { return strings.Compare(string(a.ID), string(b.ID)) })
	v.turn(p.state.Deployments)
	if v.halted {
		v.want, v.restart, v.held, v.since = 0, false, false, p.state.Halted
	}
	return v
}

// turn finds out what deployments have to say about the app.
func (v *view) turn(deployments []app.Deployment) {
	for _, d := range deployments {
		if !d.Affects(v.id) {
			continue
		}
		v.since = d.Version.Time()
		kind, step := lastAction(d, v.id)
		v.held = step > d.CurrentStep
		v.restart = kind == app.RestartApplication && step == d.CurrentStep
	}
}

// lastAction is what a deployment does to the app in the end, and in which step.
func lastAction(d app.Deployment, id app.ID) (app.ActionKind, int) {
	for n := len(d.Steps); n > 0; n-- {
		for _, a := range d.Steps[n-1].Actions {
			if a.App == id {
				return a.Kind, n
			}
		}
	}
	return "", 0
}

// blocked says why nothing may be done about the app, empty when something may.
func (v *view) blocked() string {
	if strangers := v.state.Strangers[v.id]; len(strangers) > 0 {
		return fmt.Sprintf("task %s runs and the store does not know it: the store is older than what runs, so nothing is started or stopped", strangers[0])
	}
	for _, i := range v.instances {
		if v.state.Unconfirmed[i.ID] {
			return fmt.Sprintf("waiting for the driver to say what became of %s", i.Task())
		}
	}
	return ""
}

// running are the instances that are wanted to run, in the order of their ids.
func (v *view) running() []Instance {
	return v.with(func(i Instance) bool { return i.Goal == GoalRunning })
}

func (v *view) with(keep func(Instance) bool) []Instance {
	var list []Instance
	for _, i := range v.instances {
		if keep(i) {
			list = append(list, i)
		}
	}
	return list
}

func (p *planner) do(a Action) { p.plan.Actions = append(p.plan.Actions, a) }

// wait notes why something is not done, once for each thing: what was found first is what stands in the way.
func (p *planner) wait(id app.ID, i app.InstanceID, why string) {
	for _, w := range p.plan.Waits {
		if w.App == id && w.Instance == i {
			return
		}
	}
	p.plan.Waits = append(p.plan.Waits, Wait{App: id, Instance: i, Why: why})
}

// wake asks for another plan at t at the latest.
func (p *planner) wake(t time.Time) {
	if p.plan.Wake.IsZero() || t.Before(p.plan.Wake) {
		p.plan.Wake = t
	}
}

// insistAfter is how long after the end of its grace a stop may stay unanswered before it is asked for again.
const insistAfter = 30 * time.Second

// insist repeats stops that the driver has not answered in time.
func (p *planner) insist(v view) {
	for _, i := range v.instances {
		if i.Stopping == nil {
			continue
		}
		due := i.Stopping.At.Time().Add(i.Grace() + insistAfter)
		if p.now.Before(due) {
			p.wake(due)
			continue
		}
		p.do(Stop{Instance: i.ID, Goal: i.Goal, Led: i.Led, Cause: i.Stopping.Cause})
	}
}
