package deploy

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// events are what may happen at any time, by its name.
func (w *world) events(choose chooser) map[string]func() {
	some := func(keep func(Instance) bool, do func(Instance)) func() {
		return func() {
			if list := w.with(keep); len(list) > 0 {
				do(list[choose(len(list), "instance")])
			}
		}
	}
	report := func(state app.TaskState) func(Instance) { return func(i Instance) { w.tell(i.ID, state) } }
	anApp := func() app.ID { return []app.ID{cluster, web, files}[choose(3, "app")] }
	host := func() string { return "node" + string(rune('1'+choose(hostCount, "host"))) }
	live := Instance.Live
	return map[string]func(){
		"time": func() {
			w.now = w.now.Add(time.Duration([]int{100, 1100, 70000}[choose(3, "ms")]) * time.Millisecond)
		},
		"started":   some(live, report(app.TaskRunning)),
		"failed":    some(live, report(app.TaskFailed)),
		"killed":    some(Instance.busyStopping, report(app.TaskKilled)),
		"host lost": some(live, report(app.TaskUnreachable)),
		"host back": some(Instance.Unreachable, report(app.TaskFailed)),
		"link back": some(Instance.Unreachable, report(app.TaskRunning)),
		"done":      some(func(Instance) bool { return true }, w.answer),
		"scale":     func() { n := choose(6, "n"); w.change(anApp(), func(a *app.App) { a.Instances = n }) },
		"configure": func() { w.change(anApp(), func(a *app.App) { a.CPUs++ }) },
		"give up":   func() { w.state.Deployments = nil },
		"strategy": func() {
			u := app.UpgradeStrategy{MinimumHealthCapacity: float64(choose(3, "min")) / 2, MaximumOverCapacity: float64(choose(3, "over")) / 2}
			w.change(web, func(a *app.App) { a.UpgradeStrategy = u })
		},
		"unreachable": func() {
			inactive := 60 * choose(2, "inactive")
			w.change(web, func(a *app.App) {
				a.UnreachableStrategy = app.UnreachableStrategy{InactiveAfterSeconds: inactive, ExpungeAfterSeconds: 2 * inactive}
			})
		},
		"silence": some(live, func(i Instance) { w.silent[i.ID] = !w.silent[i.ID] }),
		"bar":     some(live, func(i Instance) { w.barred[i.ID] = !w.barred[i.ID]; w.state.Roles = map[app.ID]Roles{} }),
		"sick":    some(live, func(i Instance) { w.sick[i.ID] = !w.sick[i.ID] }),
		"pause":   func() { w.paused = !w.paused; w.state.Roles = map[app.ID]Roles{} },
		"refuse":  func() { w.refuse = !w.refuse },
		"wait":    func() { w.waits = choose(3, "standbys"); w.state.Roles = map[app.ID]Roles{} },
		"calm":    func() { w.calm(1 + choose(20, "rounds")) },
		"halt":    func() { w.state.Halted = w.now },
		"go on":   func() { w.state.Halted, w.state.Unconfirmed = time.Time{}, map[app.InstanceID]bool{} },
		"forget":  some(live, func(i Instance) { w.state.Unconfirmed[i.ID] = true }),
		"drain":   func() { w.state.Draining = maps.Clone(w.state.Draining); w.state.Draining[host()] = "maintenance" },
		"stay":    func() { w.state.Draining = map[string]string{} },
		"kill":    some(live, func(i Instance) { w.kill(i, choose(4, "force") == 0, i.Goal) }),
		"wipe":    some(func(i Instance) bool { return i.Volume != "" && w.copied(i) }, func(i Instance) { w.kill(i, false, GoalWiped) }),
	}
}

// copied reports whether another member has the data too. People who wipe the last one have lost it.
func (w *world) copied(i Instance) bool {
	return i.App != cluster || slices.ContainsFunc(w.state.Instances, func(x Instance) bool {
		return x.App == cluster && x.ID != i.ID && x.Goal != GoalWiped && w.cloned[x.ID]
	})
}

// kill is a person who wants the task of an instance ended, or the instance replaced.
func (w *world) kill(i Instance, force bool, goal Goal) {
	w.edit(i.ID, func(i *Instance) {
		i.Goal = goal
		if i.Live() {
			i.Kill = &Kill{At: app.At(w.now), Task: i.Task(), Force: force, Cause: "a person asked for it"}
		}
	})
}

// checkStop holds the stop of one task against the laws, by what is true and not by what was answered.
func (w *world) checkStop(i Instance, s Stop) {
	switch {
	case !w.state.Halted.IsZero() || w.wanted(i.App) == 0 && !w.held(i.App):
		return
	case i.App == cluster:
		w.checkMember(i, s)
	default:
		w.checkPlain(i, s)
	}
}

func (w *world) held(id app.ID) bool { return newPlanner(w.state, w.now).view(id).held }

// checkMember: nobody but force takes a member away that the cluster cannot do without.
func (w *world) checkMember(i Instance, s Stop) {
	others := w.with(func(x Instance) bool { return x.App == cluster && x.ID != i.ID && x.Goal == GoalRunning })
	alive := w.with(func(x Instance) bool { return x.App == cluster && x.ID != i.ID && x.Live() })
	if !i.Live() || i.Kill != nil && i.Kill.Force || len(alive) == 0 && w.wanted(cluster) <= 1 {
		return
	}
	w.away[i.ID] = true
	serves := i.ID == w.leader || w.streams(i)
	standbys := 0
	for _, x := range others {
		switch {
		case serves && x.ID != w.leader && !w.streams(x):
			w.t.Fatalf("%s is stopped (%s) and %s does not serve", i.ID, s.Cause, x.ID)
		case x.ID != w.leader:
			standbys++
		}
	}
	switch {
	case w.paused && !w.allSilent():
		w.t.Fatalf("%s of a paused cluster is stopped (%s)", i.ID, s.Cause)
	case i.ID == w.leader && i.State == app.TaskRunning:
		w.t.Fatalf("the leader %s is stopped (%s) while %d others live", i.ID, s.Cause, len(alive))
	case w.streams(i) && standbys < w.waits:
		w.t.Fatalf("%s is stopped (%s): commits wait for %d standbys and %d are left", i.ID, s.Cause, w.waits, standbys)
	}
}

// allSilent reports whether no member could say that its cluster is paused.
func (w *world) allSilent() bool {
	return !slices.ContainsFunc(w.state.Instances, func(i Instance) bool {
		return i.App == cluster && i.State == app.TaskRunning && !w.silent[i.ID]
	})
}

// checkPlain: what is stopped well leaves enough that is well, unless there were too many or a person wanted it.
func (w *world) checkPlain(i Instance, s Stop) {
	def := w.state.Apps[i.App]
	well := func(x Instance) bool {
		return x.App == i.App && x.Goal == GoalRunning && x.State == app.TaskRunning && x.Stopping == nil && (x.App != web || !w.sick[x.ID])
	}
	active := w.with(func(x Instance) bool { return x.App == i.App && x.Goal == GoalRunning })
	left := len(w.with(well)) - 1
	least := ceil(float64(def.Instances) * def.UpgradeStrategy.MinimumHealthCapacity)
	if i.App == files {
		least = min(least, def.Instances-1)
	}
	if well(i) && i.Kill == nil && left < least && len(active) <= def.Instances {
		w.t.Fatalf("%s is stopped (%s): %d are left that are well, %d have to be", i.ID, s.Cause, left, least)
	}
}

// checkCapacity: nothing is launched beyond what the strategy of the app allows. What is out of reach may have been replaced
// already, and of a cluster without a leader any ended member may be the one that has to lead.
func (w *world) checkCapacity(id app.ID, made bool) {
	def := w.state.Apps[id]
	most := def.Instances
	if id == web {
		most = max(floor(float64(def.Instances)*(1+def.UpgradeStrategy.MaximumOverCapacity)), def.Instances+1)
	}
	counted := w.with(func(i Instance) bool { return i.App == id && i.Goal == GoalRunning && !i.Unreachable() })
	if len(counted) > most && (made || id == web && !w.held(web)) {
		w.t.Fatalf("%d instances of %s are to run, %d may", len(counted), id, most)
	}
}

// checkOnce: a plan wants one thing of an instance. The actions of a plan are stored and asked for together, in no order.
func (w *world) checkOnce(plan Plan) {
	seen := map[app.InstanceID]Action{}
	for _, a := range plan.Actions {
		id := subjectOf(a)
		if before := seen[id]; id != "" && before != nil {
			w.t.Fatalf("one plan wants %q and %q", printAction(before), printAction(a))
		}
		seen[id] = a
	}
}

// subjectOf is the instance that an action changes, empty when there is none.
func subjectOf(a Action) app.InstanceID {
	switch a := a.(type) {
	case Launch:
		return a.Instance
	case Stop:
		return a.Instance
	case Withdraw:
		return a.Instance
	case SetGoal:
		return a.Instance
	case Forget:
		return a.Instance
	case Destroy:
		return a.Instance
	case Handover, Advance, Finish:
	}
	return ""
}

// checkAway: at most one member is away by us.
func (w *world) checkAway() {
	if !w.state.Halted.IsZero() || w.wanted(cluster) == 0 {
		clear(w.away)
	}
	away := w.with(func(i Instance) bool {
		return w.away[i.ID] && (i.busyStopping() || !i.Live()) && i.Goal == GoalRunning
	})
	if len(away) > 1 {
		w.t.Fatalf("%s are away, all by us", names(away))
	}
	if n := len(w.with(func(i Instance) bool { return i.busyStopping() && w.away[i.ID] })); n > 1 {
		w.t.Fatalf("%d members are being stopped at once", n)
	}
}

// broken says which promise is not kept, empty when every app has what was promised.
func (w *world) broken() string {
	for _, id := range []app.ID{cluster, web, files} {
		running := w.with(func(i Instance) bool { return i.App == id && i.State == app.TaskRunning && i.Goal == GoalRunning })
		if len(running) != w.wanted(id) {
			return fmt.Sprintf("%d of %s are wanted and %d run", w.wanted(id), id, len(running))
		}
	}
	for _, i := range w.with(func(i Instance) bool { return i.App == cluster && i.State == app.TaskRunning }) {
		if i.ID != w.leader && !w.streams(i) {
			return fmt.Sprintf("%s does not stream", i.ID)
		}
	}
	if left := w.with(func(i Instance) bool { return i.Goal == GoalWiped || i.Goal == GoalGone }); len(left) > 0 {
		return names(left) + " are still there"
	}
	if len(w.state.Deployments) > 0 {
		return "the deployment does not end"
	}
	return ""
}

// TestLaws says: whatever people, hosts and agents do, no member is taken away that its cluster cannot do without, at most
// one is away by us, the leader is stopped last, one plan wants one thing of an instance, nothing is launched twice, no volume is destroyed under a task, a plain app
// keeps to its capacity, and when the trouble is over every app has what was promised.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		turn := t
		choose := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(turn, what) }
		actions := map[string]func(*rapid.T){"": func(t *rapid.T) {
			w.t, turn, w.pure = t, t, true
			w.round()
			w.pure = false
		}}
		for name, happen := range w.events(choose) {
			actions[name] = func(t *rapid.T) { w.t, turn = t, t; happen() }
		}
		t.Repeat(actions)
		w.t = t
		w.settle()
	})
}
