package deploy

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// fleet is a small world that carries out plans: one PostgreSQL app, its agents, and what people do to them.
type fleet struct {
	t      *rapid.T
	state  State
	now    time.Time
	leader app.InstanceID          // holds the leader key
	silent map[app.InstanceID]bool // agents that do not answer
	made   int
}

const cluster = app.ID("/pg")

func newFleet(t *rapid.T) *fleet {
	f := &fleet{t: t, state: emptyState(), now: noon, silent: map[app.InstanceID]bool{}}
	f.state.Apps[cluster] = app.App{
		ID: cluster, Instances: 3, BackoffSeconds: 1, BackoffFactor: 1.15, MaxLaunchDelaySeconds: 300,
		Labels: app.Labels{"PGBATON_POSTGRES": "true"}, Version: app.At(noon),
		VersionInfo: app.VersionInfo{LastScalingAt: app.At(noon), LastConfigChangeAt: app.At(noon)},
	}
	f.deploy(map[app.ID]app.App{}, f.state.Apps)
	return f
}

// deploy replaces whatever deployment there is.
func (f *fleet) deploy(old, next map[app.ID]app.App) {
	steps := Steps(app.Definitions{Apps: old}, app.Definitions{Apps: next})
	f.state.Deployments = []app.Deployment{{ID: "d", Version: app.At(f.now), Steps: steps, AffectedApps: Affected(steps)}}
}

// change gives the app another definition.
func (f *fleet) change(edit func(a *app.App)) {
	old := f.state.Apps
	next := maps.Clone(old)
	a, defined := next[cluster]
	if !defined {
		return
	}
	edit(&a)
	next[cluster] = a.Revised(old[cluster], app.At(f.now))
	f.state.Apps = next
	f.deploy(old, next)
}

// round asks for a plan, checks it and carries it out; when members were asked it does so again with their answers.
func (f *fleet) round() {
	f.elect()
	if f.follow() {
		f.follow()
	}
}

// follow carries out one plan and reports whether it asked for roles.
func (f *fleet) follow() bool {
	before := copyState(f.state)
	plan := Next(f.state, f.now)
	if diff := cmp.Diff(before, f.state); diff != "" {
		f.t.Fatalf("Next changed its input: %s", diff)
	}
	for _, id := range plan.Ask {
		f.ask(id)
	}
	for _, a := range plan.Actions {
		f.carryOut(a)
	}
	if n := len(f.with(Instance.busyStopping)); n > 1 {
		f.t.Fatalf("%d members are being stopped at once", n)
	}
	return len(plan.Ask) > 0
}

func copyState(s State) State {
	s.Apps, s.Roles, s.Health = maps.Clone(s.Apps), maps.Clone(s.Roles), maps.Clone(s.Health)
	s.Instances, s.Deployments = slices.Clone(s.Instances), slices.Clone(s.Deployments)
	return s
}

// elect is what the agents do among themselves: whoever can lead does.
func (f *fleet) elect() {
	alive := f.with(func(i Instance) bool { return i.State == app.TaskRunning })
	if slices.ContainsFunc(alive, func(i Instance) bool { return i.ID == f.leader }) {
		return
	}
	f.leader = ""
	if len(alive) > 0 {
		f.leader = alive[0].ID
	}
}

// ask is what the members answer.
func (f *fleet) ask(id app.ID) {
	members := map[app.InstanceID]Member{}
	for _, i := range f.with(func(i Instance) bool { return i.State == app.TaskRunning || i.State == app.TaskKilling }) {
		switch {
		case f.silent[i.ID]:
		case i.ID == f.leader:
			members[i.ID] = Member{Role: RoleLeader, State: "running"}
		default:
			members[i.ID] = Member{Role: RoleReplica, State: "running", Streaming: f.leader != "", Lag: int64(len(members))}
		}
	}
	f.state.Roles[id] = Roles{At: f.now, Members: members}
}

func (f *fleet) carryOut(a Action) {
	switch a.(type) {
	case Advance, Finish:
	case Launch, Stop, Withdraw, SetGoal, Forget, Destroy, Handover:
		if len(f.state.Unconfirmed) > 0 {
			f.t.Fatalf("something is done about an app of which not everything is known: %s", printAction(a))
		}
	}
	switch a := a.(type) {
	case Launch:
		f.launch(a)
	case Stop:
		f.checkStop(a)
		f.edit(a.Instance, func(i *Instance) {
			i.Goal, i.Led, i.Clean = a.Goal, a.Led, false
			i.Stopping = &Stopping{At: app.At(f.now), Cause: a.Cause}
			if i.State == app.TaskRunning {
				i.State = app.TaskKilling
			}
		})
	case Withdraw:
		f.edit(a.Instance, func(i *Instance) { i.Stopping = nil })
	case SetGoal:
		f.edit(a.Instance, func(i *Instance) { i.Goal = a.Goal })
	case Handover:
		f.leader = a.Candidate
		f.state.Roles = map[app.ID]Roles{}
	case Advance:
		f.state.Deployments[0].CurrentStep = a.Step
	case Finish:
		f.state.Deployments = nil
	case Forget, Destroy:
		f.t.Fatalf("a member with a volume is forgotten")
	}
}

func (f *fleet) launch(a Launch) {
	if a.Instance == "" {
		f.made++
		a.Instance = app.InstanceID(fmt.Sprintf("pg.%d", f.made))
		f.state.Instances = append(f.state.Instances, Instance{ID: a.Instance, App: cluster, Volume: string(a.Instance), Host: fmt.Sprintf("node%d", f.made)})
	}
	f.edit(a.Instance, func(i *Instance) {
		if i.Live() || i.busyStopping() {
			f.t.Fatalf("%s is launched while its last task is %s", i.ID, i.State)
		}
		*i = Staged(*i, f.state.Apps[cluster], f.now)
	})
}

// checkStop holds a stop against the laws.
func (f *fleet) checkStop(s Stop) {
	target := f.with(func(i Instance) bool { return i.ID == s.Instance })[0]
	if target.Stopping != nil || f.state.Health[s.Instance].Kill != "" {
		return
	}
	others := f.with(func(i Instance) bool {
		return i.ID != s.Instance && i.State == app.TaskRunning && i.Stopping == nil
	})
	roles := f.state.Roles[cluster].Members
	if s.Instance == f.leader && roles[f.leader].leads() && len(others) > 0 {
		f.t.Fatalf("the leader %s is stopped (%s) while %s runs", s.Instance, s.Cause, others[0].ID)
	}
	if _, known := roles[s.Instance]; !known && target.State == app.TaskRunning && s.Goal == GoalSuspended && f.wanted() > 0 {
		f.t.Fatalf("%s is stopped (%s) although nobody knows its role", s.Instance, s.Cause)
	}
}

func (f *fleet) wanted() int { return f.state.Apps[cluster].Instances }

func (f *fleet) with(keep func(Instance) bool) []Instance {
	var list []Instance
	for _, i := range f.state.Instances {
		if keep(i) {
			list = append(list, i)
		}
	}
	return list
}

func (f *fleet) edit(id app.InstanceID, change func(*Instance)) {
	for n := range f.state.Instances {
		if f.state.Instances[n].ID == id {
			change(&f.state.Instances[n])
		}
	}
}

// report lets the driver speak about one instance, drawn from those it can speak about.
func (f *fleet) report(t *rapid.T, state app.TaskState, about func(Instance) bool) {
	if id := f.draw(t, about); id != "" {
		f.tell(id, state)
	}
}

func (f *fleet) draw(t *rapid.T, about func(Instance) bool) app.InstanceID {
	ids := []app.InstanceID{}
	for _, i := range f.with(about) {
		ids = append(ids, i.ID)
	}
	if len(ids) == 0 {
		return ""
	}
	return rapid.SampledFrom(ids).Draw(t, "instance")
}

func (f *fleet) tell(id app.InstanceID, state app.TaskState) {
	f.edit(id, func(i *Instance) { *i = Observe(*i, Report{State: state}, f.now) })
	delete(f.state.Roles, cluster)
	f.elect()
}

// settle is a world in which everything asked for happens and nothing else: the driver answers, hosts are back, agents
// speak.
func (f *fleet) settle() {
	f.silent = map[app.InstanceID]bool{}
	f.state.Health = map[app.InstanceID]Health{}
	f.state.Unconfirmed = map[app.InstanceID]bool{}
	f.state.Strangers = map[app.ID][]app.TaskID{}
	f.state.Halted = time.Time{}
	f.calm(150)
}

// calm lets the driver do everything it was asked for.
func (f *fleet) calm(rounds int) {
	for range rounds {
		f.round()
		for _, i := range f.state.Instances {
			switch {
			case i.Stopping != nil:
				f.tell(i.ID, app.TaskKilled)
			case i.State == app.TaskStaging:
				f.tell(i.ID, app.TaskRunning)
			case i.Unreachable():
				f.tell(i.ID, app.TaskFailed)
			}
		}
		f.now = f.now.Add(500 * time.Millisecond)
	}
}

// TestLawsOfMembers says: whatever people, hosts and agents do, the leader is never a victim while another member could
// be, no two members are ever stopped at once, nobody of unknown role is given up, nothing is launched twice, and when
// the trouble is over the app gets what it was promised.
func TestLawsOfMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFleet(t)
		live := func(i Instance) bool { return i.Live() }
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) {
				f.now = f.now.Add(time.Duration(rapid.SampledFrom([]int{100, 1100, 70000}).Draw(t, "ms")) * time.Millisecond)
			},
			"started":   func(t *rapid.T) { f.report(t, app.TaskRunning, live) },
			"failed":    func(t *rapid.T) { f.report(t, app.TaskFailed, live) },
			"killed":    func(t *rapid.T) { f.report(t, app.TaskKilled, Instance.busyStopping) },
			"host lost": func(t *rapid.T) { f.report(t, app.TaskUnreachable, live) },
			"host back": func(t *rapid.T) { f.report(t, app.TaskFailed, Instance.Unreachable) },
			"link back": func(t *rapid.T) { f.report(t, app.TaskRunning, Instance.Unreachable) },
			"scale": func(t *rapid.T) {
				n := rapid.IntRange(0, 5).Draw(t, "n")
				f.change(func(a *app.App) { a.Instances = n })
			},
			"reconfigure": func(*rapid.T) { f.change(func(a *app.App) { a.CPUs++ }) },
			"give up":     func(*rapid.T) { f.state.Deployments = nil },
			"silence": func(t *rapid.T) {
				id := f.draw(t, live)
				f.silent[id] = !f.silent[id]
			},
			"calm": func(t *rapid.T) { f.t = t; f.calm(rapid.IntRange(1, 20).Draw(t, "rounds")) },
			"halt": func(*rapid.T) { f.state.Halted = f.now },
			"go on": func(*rapid.T) {
				f.state.Halted = time.Time{}
				f.state.Unconfirmed = map[app.InstanceID]bool{}
			},
			"forget": func(t *rapid.T) {
				if id := f.draw(t, live); id != "" {
					f.state.Unconfirmed[id] = true
				}
			},
			"": func(t *rapid.T) { f.t = t; f.round() },
		})
		f.t = t
		f.settle()
		f.checkPromise()
	})
}

func (f *fleet) checkPromise() {
	var running, streaming []Instance
	f.ask(cluster)
	for _, i := range f.with(func(i Instance) bool { return i.State == app.TaskRunning }) {
		running = append(running, i)
		if m := f.state.Roles[cluster].Members[i.ID]; m.leads() || m.Streaming {
			streaming = append(streaming, i)
		}
	}
	if len(running) != f.wanted() || len(streaming) != f.wanted() {
		f.t.Fatalf("%d members are wanted, %d run and %d serve: %s", f.wanted(), len(running), len(streaming), printPlan(Next(f.state, f.now)))
	}
	if len(f.state.Deployments) > 0 {
		f.t.Fatalf("the deployment does not end: %s", printPlan(Next(f.state, f.now)))
	}
}
