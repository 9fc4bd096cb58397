package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Next decides what to do now, app by app and then deployment by deployment.
func Next(s State, now time.Time) Plan {
	p := newPlanner(s, now)
	for _, id := range p.ids {
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
	state     State
	now       time.Time
	ids       []app.ID // of apps that are defined and of those that only have instances left, sorted
	instances map[app.ID][]Instance
	turns     map[app.ID]turn
	plan      Plan
	queue     map[app.ID]*app.Queued
	waiting   map[subject]bool
	blames    map[app.InstanceID]blame // whose fault it is that tasks do not answer
	heard     *ears                    // nil before anybody asks
	turn      map[app.InstanceID]bool  // plain tasks that may be ended for a failed check now, nil before anybody asks
}

// subject is what a wait is about.
type subject struct {
	app      app.ID
	instance app.InstanceID
}

func newPlanner(s State, now time.Time) *planner {
	p := &planner{
		state: s, now: now, instances: byApp(s.Instances), turns: turns(s.Deployments),
		queue: map[app.ID]*app.Queued{}, waiting: map[subject]bool{},
	}
	for id := range s.Apps {
		p.ids = append(p.ids, id)
	}
	for id := range p.instances {
		if _, defined := s.Apps[id]; !defined {
			p.ids = append(p.ids, id)
		}
	}
	slices.Sort(p.ids)
	p.plan.Breaker, p.blames = s.Breaker.next(&s, now)
	return p
}

// ears are what is heard of all tasks.
func (p *planner) ears() ears {
	if p.heard == nil {
		e := newEars(&p.state)
		p.heard = &e
	}
	return *p.heard
}

// byApp are the instances of each app in the order of their ids.
func byApp(all []Instance) map[app.ID][]Instance {
	sizes := map[app.ID]int{}
	for n := range all {
		sizes[all[n].App]++
	}
	lists := make(map[app.ID][]Instance, len(sizes))
	room := make([]Instance, len(all))
	for id, size := range sizes {
		lists[id], room = room[:0:size], room[size:]
	}
	for n := range all {
		lists[all[n].App] = append(lists[all[n].App], all[n])
	}
	byID := func(a, b Instance) int { return strings.Compare(string(a.ID), string(b.ID)) }
	for _, list := range lists {
		if !slices.IsSortedFunc(list, byID) {
			slices.SortFunc(list, byID)
		}
	}
	return lists
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
	now       time.Time
	ears      func() ears // what is heard of all tasks
}

// view collects what is known of an app. Of a deleted one the instances remember what matters for their stop.
func (p *planner) view(id app.ID) view {
	def, defined := p.state.Apps[id]
	v := view{
		id: id, def: def, defined: defined, want: def.Instances, halted: !p.state.Halted.IsZero(), instances: p.instances[id],
		postgres: def.IsPostgres(), resident: Resident(def), roles: p.state.Roles[id], state: &p.state,
		now: p.now, ears: p.ears,
	}
	for n := range v.instances {
		v.resident = v.resident || v.instances[n].Volume != ""
		v.postgres = v.postgres || !defined && v.instances[n].Postgres
	}
	if t, ok := p.turns[id]; ok {
		v.since, v.held, v.restart = t.since, t.held, t.restart
	}
	if v.halted {
		v.want, v.restart, v.held, v.since = 0, false, false, p.state.Halted
	}
	return v
}

// turn is what deployments have to say about an app.
type turn struct {
	since         time.Time
	held, restart bool
}

// turns are those of all apps that deployments touch; of two deployments the later one counts.
func turns(deployments []app.Deployment) map[app.ID]turn {
	all := map[app.ID]turn{}
	for _, d := range deployments {
		for _, id := range d.AffectedApps {
			all[id] = turn{since: d.Version.Time()}
		}
		started := map[app.ID]bool{}
		for n, step := range d.Steps {
			for _, a := range step.Actions {
				// Of an app that was deleted and came back before its tasks had ended, some run an older configuration.
				started[a.App] = started[a.App] || a.Kind == app.StartApplication
				replaces := a.Kind == app.RestartApplication || a.Kind == app.ScaleApplication && started[a.App]
				all[a.App] = turn{since: d.Version.Time(), held: n+1 > d.CurrentStep, restart: replaces && n+1 == d.CurrentStep}
			}
		}
	}
	return all
}

// blocked says why nothing may be done about the app, empty when something may.
func (v *view) blocked() string {
	if len(v.state.Strangers) == 0 && len(v.state.Unconfirmed) == 0 {
		return ""
	}
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
	if p.waiting[subject{id, i}] {
		return
	}
	p.waiting[subject{id, i}] = true
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

// insist repeats stops that the driver has not answered in time, and those from before the scheduler began, which may never
// have been asked for. One of a member that still runs did not reach the driver: it is decided anew, for the gate that was
// open then may be closed now.
func (p *planner) insist(v view) {
	for _, i := range v.instances {
		if i.Stopping == nil {
			continue
		}
		due := i.Stopping.At.Time().Add(i.Grace() + insistAfter)
		if i.Stopping.At.Time().Before(p.state.Began) {
			due = p.state.Began
		}
		switch {
		case p.now.Before(due):
			p.wake(due)
			continue
		case v.postgres && i.State == app.TaskRunning:
			p.do(Withdraw{Instance: i.ID})
			continue
		}
		p.do(Stop{Instance: i.ID, Goal: i.Goal, Led: i.Led, Cause: i.Stopping.Cause})
	}
}
