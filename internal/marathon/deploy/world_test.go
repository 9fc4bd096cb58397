package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// The apps of the small world.
const (
	cluster = app.ID("/pg")  // PostgreSQL members
	web     = app.ID("/web") // a plain app
	files   = app.ID("/db")  // a plain app with volumes of its own
)

// hostCount is how many hosts there are. Members of a cluster never share one.
const hostCount = 7

// failer is told of a broken law.
type failer interface {
	Fatalf(format string, args ...any)
}

// chooser makes the choices of a history: one of 0 … n-1.
type chooser func(n int, what string) int

// world is a small one that carries out plans: its agents elect, its hosts come and go, people change their minds.
type world struct {
	t      failer
	bend   mutant
	pure   bool // hold Next to leaving its input alone
	state  State
	now    time.Time
	leader app.InstanceID          // holds the leader key
	silent map[app.InstanceID]bool // agents that do not answer
	cloned map[app.InstanceID]bool // members that stream; the others still copy
	barred map[app.InstanceID]bool // members that cannot lead
	sick   map[app.InstanceID]bool // plain tasks that fail their health checks
	paused bool                    // the cluster
	waits  int                     // standbys that commits wait for
	refuse bool                    // switchovers
	away   map[app.InstanceID]bool // members that were stopped by us and are not back, not counting force
	killed map[app.InstanceID]bool // instances of which a person wants the task ended
	made   int

	remembered map[app.ID]Roles // the last answers of members, however old, for deliberate mistakes
}

func newWorld(t failer) *world {
	w := &world{
		t: t, state: emptyState(), now: noon, silent: map[app.InstanceID]bool{}, cloned: map[app.InstanceID]bool{},
		barred: map[app.InstanceID]bool{}, sick: map[app.InstanceID]bool{}, away: map[app.InstanceID]bool{},
		killed: map[app.InstanceID]bool{},
	}
	for id, change := range map[app.ID]func(*app.App){
		cluster: func(a *app.App) { a.Labels = app.Labels{"PGBATON_POSTGRES": "true"} },
		web:     func(a *app.App) { a.HealthChecks = []app.HealthCheck{{Protocol: app.ProtocolHTTP}} },
		files: func(a *app.App) {
			a.Container = &app.Container{Volumes: []app.Volume{{ContainerPath: "data", Persistent: &app.PersistentVolume{Size: 1}}}}
			a.UpgradeStrategy = app.UpgradeStrategy{MinimumHealthCapacity: 0.5}
		},
	} {
		a := app.App{
			ID: id, Instances: 3, BackoffSeconds: 1, BackoffFactor: 1.15, MaxLaunchDelaySeconds: 300, KillSelection: app.YoungestFirst,
			UpgradeStrategy: app.UpgradeStrategy{MinimumHealthCapacity: 1, MaximumOverCapacity: 1},
		}
		change(&a)
		w.state.Apps[id] = a.Created(app.At(noon))
	}
	w.deploy(map[app.ID]app.App{}, w.state.Apps)
	return w
}

// deploy replaces whatever deployment there is.
func (w *world) deploy(old, next map[app.ID]app.App) {
	steps := Steps(app.Definitions{Apps: old}, app.Definitions{Apps: next})
	w.state.Deployments = []app.Deployment{{ID: "d", Version: app.At(w.now), Steps: steps, AffectedApps: Affected(steps)}}
}

// change gives an app another definition.
func (w *world) change(id app.ID, edit func(a *app.App)) {
	old := w.state.Apps
	next := maps.Clone(old)
	a := next[id]
	edit(&a)
	next[id] = a.Revised(old[id], app.At(w.now))
	w.state.Apps = next
	w.deploy(old, next)
}

// round asks for a plan, checks it and carries it out; when members were asked it does so again with their answers.
func (w *world) round() {
	w.elect()
	if w.follow() {
		w.follow()
	}
}

// follow carries out one plan and reports whether it asked for roles.
func (w *world) follow() bool {
	seen := w.see()
	before := copyState(seen)
	plan := Next(seen, w.now)
	if w.pure {
		if diff := cmp.Diff(before, seen); diff != "" {
			w.t.Fatalf("Next changed its input: %s", diff)
		}
	}
	if w.bend.plan != nil {
		w.bend.plan(w, &plan)
	}
	for _, id := range plan.Ask {
		w.ask(id)
	}
	w.checkOnce(plan)
	for _, a := range plan.Actions {
		w.carryOut(a)
	}
	w.checkAway()
	return len(plan.Ask) > 0
}

// see is the state as a decision sees it.
func (w *world) see() State {
	s := w.state
	s.Health, s.Ready = map[app.InstanceID]Health{}, map[app.InstanceID]bool{}
	for _, i := range s.Instances {
		switch {
		case i.App == cluster && w.silent[i.ID] && i.State == app.TaskRunning:
			s.Health[i.ID] = Health{Kill: "its agent is silent"}
		case i.App == web && i.State == app.TaskRunning:
			s.Health[i.ID] = Health{Healthy: !w.sick[i.ID], Failing: w.sick[i.ID]}
		}
	}
	if w.bend.state != nil {
		s = copyState(s)
		w.bend.state(w, &s)
	}
	return s
}

func copyState(s State) State {
	s.Apps, s.Roles, s.Health = maps.Clone(s.Apps), maps.Clone(s.Roles), maps.Clone(s.Health)
	for id, r := range s.Roles {
		r.Members = maps.Clone(r.Members)
		s.Roles[id] = r
	}
	s.Draining, s.Unconfirmed, s.Strangers = maps.Clone(s.Draining), maps.Clone(s.Unconfirmed), maps.Clone(s.Strangers)
	s.Instances, s.Deployments = slices.Clone(s.Instances), slices.Clone(s.Deployments)
	return s
}

// elect is what the agents do among themselves: whoever can lead does.
func (w *world) elect() {
	alive := w.with(func(i Instance) bool { return i.App == cluster && i.State == app.TaskRunning })
	if slices.ContainsFunc(alive, func(i Instance) bool { return i.ID == w.leader }) {
		return
	}
	w.leader = ""
	for _, i := range alive {
		if w.cloned[i.ID] && !w.barred[i.ID] {
			w.leader = i.ID
			return
		}
	}
	if len(alive) > 0 && len(w.cloned) == 0 { // nobody has data: somebody makes some
		w.leader = alive[0].ID
		w.cloned[w.leader] = true
	}
}

// ask is what the members answer.
func (w *world) ask(id app.ID) {
	members := map[app.InstanceID]Member{}
	for _, i := range w.with(func(i Instance) bool {
		return i.App == id && (i.State == app.TaskRunning || i.State == app.TaskKilling)
	}) {
		if w.silent[i.ID] {
			continue
		}
		m := Member{Role: RoleReplica, State: StateRunning, Streaming: w.streams(i), Lag: int64(len(members)), Paused: w.paused}
		switch {
		case i.ID == w.leader:
			m.Role, m.Server, m.Synchronous = RoleLeader, ServerPrimary, w.waits
		case !w.cloned[i.ID]:
			m.State, m.Empty = "creating replica", true
		case w.waits > 0:
			m.Role = RoleQuorumStandby
		}
		if w.barred[i.ID] {
			m.Barred = "a tag"
		}
		members[i.ID] = m
	}
	w.state.Roles[id] = Roles{At: w.now, Members: members}
	w.remembered = map[app.ID]Roles{id: w.state.Roles[id]}
}

// streams reports whether the member receives what the leader writes.
func (w *world) streams(i Instance) bool {
	return i.State == app.TaskRunning && i.ID != w.leader && w.leader != "" && w.cloned[i.ID]
}

func (w *world) carryOut(a Action) {
	switch a := a.(type) {
	case Launch:
		w.launch(a)
	case Stop:
		w.stop(a)
	case Withdraw:
		w.edit(a.Instance, func(i *Instance) { i.Stopping = nil })
	case SetGoal:
		w.edit(a.Instance, func(i *Instance) { i.Goal = a.Goal })
	case Destroy:
		if i := w.get(a.Instance); i.Goal != GoalWiped || i.Live() || i.Stopping != nil || i.Postgres && i.Incarnation > 0 && !i.Clean {
			w.t.Fatalf("the volume of %s is destroyed: goal %s, %s, clean %v", i.ID, i.Goal, i.State, i.Clean)
		}
		w.edit(a.Instance, func(i *Instance) { i.DestroyedAt = app.At(w.now) })
	case Handover:
		w.handOver(a)
	case Advance:
		w.state.Deployments[0].CurrentStep = a.Step
	case Finish:
		w.state.Deployments = nil
	case Forget:
		i := w.get(a.Instance)
		if i.Volume != "" && (i.Bound || i.ReservedAt != 0) {
			w.t.Fatalf("%s is forgotten and its volume is not", i.ID)
		}
		w.state.Instances = w.with(func(x Instance) bool { return x.ID != i.ID })
	}
}

func (w *world) handOver(a Handover) {
	switch to := w.get(a.Candidate); {
	case w.paused:
		w.t.Fatalf("a paused cluster is asked for a switchover")
	case w.barred[to.ID] || !w.streams(to):
		w.t.Fatalf("%s cannot lead and is asked to", to.ID)
	case w.state.Switchovers[cluster].Failed.Add(switchoverPause).After(w.now):
		w.t.Fatalf("a switchover is asked for again as soon as it was refused")
	}
	w.state.Roles = map[app.ID]Roles{}
	if w.refuse {
		w.state.Switchovers[cluster] = Switchover{Failed: w.now, Why: "refused", Refused: w.state.Switchovers[cluster].Refused + 1}
		return
	}
	w.leader = a.Candidate
	delete(w.state.Switchovers, cluster)
}

// launch does what a scheduler does in two phases where there is a volume.
func (w *world) launch(a Launch) {
	if w.blocked(a.App) {
		w.t.Fatalf("something of %s is launched while not everything about it is known", a.App)
	}
	made := a.Instance == ""
	if made {
		w.made++
		a.Instance = app.InstanceID(fmt.Sprintf("%s.%02d", strings.TrimPrefix(string(a.App), "/"), w.made))
		i := Instance{ID: a.Instance, App: a.App, Goal: GoalRunning}
		if Resident(w.state.Apps[a.App]) {
			i.Volume = string(i.ID)
		}
		i.Host = w.place(i)
		if i.Host == "" {
			return
		}
		w.state.Instances = append(w.state.Instances, i)
	}
	i := w.get(a.Instance)
	if i.Live() || i.busyStopping() {
		w.t.Fatalf("%s is launched while its last task is %s", i.ID, i.State)
	}
	if i.Goal == GoalWiped && (i.App != cluster || w.leader != "") || i.Goal == GoalGone {
		w.t.Fatalf("%s is launched and was to be %s", i.ID, i.Goal)
	}
	if !i.Bound {
		i.Host = w.place(i)
	}
	if w.state.Draining[i.Host] != "" {
		w.t.Fatalf("%s is launched on %s, which is to become empty", i.ID, i.Host)
	}
	if i.Host == "" {
		return
	}
	if i.Volume != "" && !i.Bound {
		i.Goal, i.ReservedAt = GoalRunning, app.At(w.now)
	} else {
		i = Staged(i, w.state.Apps[a.App], w.now)
	}
	w.edit(i.ID, func(x *Instance) { *x = i })
	w.checkCapacity(i.App, made)
}

// place is a host for the instance, empty when there is none.
func (w *world) place(i Instance) string {
	for n := range hostCount {
		host := fmt.Sprintf("node%d", n+1)
		taken := slices.ContainsFunc(w.state.Instances, func(x Instance) bool {
			return i.App == cluster && x.App == cluster && x.ID != i.ID && x.Host == host
		})
		if !taken && w.state.Draining[host] == "" {
			return host
		}
	}
	return ""
}

func (w *world) blocked(id app.ID) bool {
	return slices.ContainsFunc(w.state.Instances, func(i Instance) bool { return i.App == id && w.state.Unconfirmed[i.ID] })
}

func (w *world) stop(a Stop) {
	i := w.get(a.Instance)
	if w.blocked(i.App) {
		w.t.Fatalf("%s is stopped (%s) while not everything about it is known", i.ID, a.Cause)
	}
	if i.Stopping == nil {
		w.checkStop(i, a)
	}
	w.edit(a.Instance, func(i *Instance) {
		i.Goal, i.Led, i.Clean = a.Goal, a.Led, false
		i.Stopping = &Stopping{At: app.At(w.now), Cause: a.Cause}
		if i.State == app.TaskRunning {
			i.State = app.TaskKilling
		}
	})
	w.elect()
}

func (w *world) wanted(id app.ID) int { return w.state.Apps[id].Instances }

func (w *world) with(keep func(Instance) bool) []Instance {
	var list []Instance
	for _, i := range w.state.Instances {
		if keep(i) {
			list = append(list, i)
		}
	}
	return list
}

func (w *world) get(id app.InstanceID) Instance {
	return w.with(func(i Instance) bool { return i.ID == id })[0]
}

func (w *world) edit(id app.InstanceID, change func(*Instance)) {
	for n := range w.state.Instances {
		if w.state.Instances[n].ID == id {
			change(&w.state.Instances[n])
		}
	}
}

// tell lets the driver speak about a task.
func (w *world) tell(id app.InstanceID, state app.TaskState) {
	w.edit(id, func(i *Instance) { *i = Observe(*i, Report{State: state}, w.now) })
	if state == app.TaskRunning {
		delete(w.away, id)
	}
	w.state.Roles = map[app.ID]Roles{}
	w.elect()
}

// answer lets the driver do what it was asked for, and members make progress.
func (w *world) answer(i Instance) {
	switch {
	case i.Stopping != nil && !i.Unreachable():
		w.tell(i.ID, app.TaskKilled)
	case i.State == app.TaskStaging:
		w.tell(i.ID, app.TaskRunning)
	case i.State == app.TaskRunning && w.leader != "":
		w.cloned[i.ID] = true
		w.state.Roles = map[app.ID]Roles{} // a decision may be a moment late, which is no broken law
	case i.ReservedAt != 0:
		w.edit(i.ID, func(i *Instance) { i.ReservedAt, i.Bound = 0, true })
	case i.DestroyedAt != 0:
		w.edit(i.ID, func(i *Instance) { i.Volume, i.Bound, i.DestroyedAt = "", false, 0 })
		delete(w.cloned, i.ID)
	}
}

// calm lets everything that was asked for happen.
func (w *world) calm(rounds int) {
	for range rounds {
		w.round()
		for _, i := range w.state.Instances {
			w.answer(i)
		}
		w.now = w.now.Add(500 * time.Millisecond)
	}
}

// settle ends all trouble. Two hundred seconds later every app has what was promised.
func (w *world) settle() {
	w.silent, w.barred, w.sick = map[app.InstanceID]bool{}, map[app.InstanceID]bool{}, map[app.InstanceID]bool{}
	w.state.Unconfirmed = map[app.InstanceID]bool{}
	w.state.Halted, w.state.Draining = time.Time{}, map[string]string{}
	w.paused, w.refuse, w.waits = false, false, 0
	for _, i := range w.with(Instance.Unreachable) {
		w.tell(i.ID, app.TaskFailed)
	}
	for range 100 {
		w.calm(4)
		if w.broken() == "" {
			return
		}
	}
	w.t.Fatalf("%s: %s", w.broken(), printPlan(Next(w.see(), w.now)))
}
