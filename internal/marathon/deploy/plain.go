package deploy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// plain decides about an app that is no database, as Marathon would.
func (p *planner) plain(v view) {
	p.wipe(v)
	p.clearGone(v)
	if v.halted {
		for _, i := range v.with(func(i Instance) bool { return i.Live() && i.Stopping == nil }) {
			p.stop(v, i, i.Goal, "everything is being stopped")
		}
		return
	}
	p.killPlain(v)
	p.stopUnhealthy(v)
	active := p.active(v)
	if v.held { // neither more nor fewer, and nobody moves, before its turn
		p.relaunchPlain(v, active)
		p.waitForTurn(v, active)
		return
	}
	switch {
	case v.want > 0 && slices.ContainsFunc(active, v.stale):
		p.roll(v, active)
		return
	case len(active) > v.want:
		for _, i := range plainVictims(v, active)[:len(active)-v.want] {
			p.release(v, i, fmt.Sprintf("only %d wanted", v.want))
		}
		return
	}
	p.relaunchPlain(v, active)
	missing := v.want - len(active)
	if v.restart { // those that were replaced may still be ending
		_, highest := rollBounds(v)
		missing = min(missing, v.room(highest, active))
	}
	p.launchNew(v, missing)
}

// waitForTurn says why instances do not leave a host that is to become empty.
func (p *planner) waitForTurn(v view, active []Instance) {
	for _, i := range active {
		if i.running() && v.draining(i) {
			p.wait(v.id, i.ID, v.drainCause(i)+"; it moves when the turn of its app in the deployment has come")
		}
	}
}

// clearGone forgets instances that are gone and stops those that are not yet.
func (p *planner) clearGone(v view) {
	for _, i := range v.instances {
		switch {
		case i.Goal == GoalRunning || i.Stopping != nil:
		case i.killed():
			p.stop(v, i, i.Goal, i.Kill.Cause)
		case i.Live() && !i.Unreachable():
			p.stop(v, i, i.Goal, "it is not wanted any more")
		case i.Goal == GoalGone && !i.Live():
			p.do(Forget{Instance: i.ID})
		}
	}
}

// stop ends a task of a plain app. The rest of the plan is made as if that were under way.
func (p *planner) stop(v view, i Instance, goal Goal, cause string) {
	p.do(Stop{Instance: i.ID, Goal: goal, Cause: cause})
	n, found := slices.BinarySearchFunc(v.instances, i.ID, func(i Instance, id app.InstanceID) int { return strings.Compare(string(i.ID), string(id)) })
	if found {
		v.instances[n].Goal, v.instances[n].Stopping = goal, &Stopping{At: app.At(p.now), Cause: cause}
	}
}

// active are the instances that count. One that is unreachable for longer than the definition allows is replaced, and
// later given up for good.
func (p *planner) active(v view) []Instance {
	active := make([]Instance, 0, len(v.instances))
	for _, i := range v.instances {
		if i.Goal != GoalRunning {
			continue
		}
		inactive, expunged, limited := v.limits(i)
		switch {
		case !limited:
			active = append(active, i)
		case p.now.Before(inactive):
			p.wake(inactive)
			active = append(active, i)
		case p.now.Before(expunged):
			p.wake(expunged)
		default:
			p.stop(v, i, GoalGone, "its host was unreachable for too long")
		}
	}
	return active
}

// limits are the times at which an unreachable instance is replaced, and given up for good; false where it is waited for as
// long as it takes.
func (v *view) limits(i Instance) (inactive, expunged time.Time, limited bool) {
	if !i.Unreachable() || v.def.UnreachableStrategy.Disabled || v.resident || !v.defined {
		return time.Time{}, time.Time{}, false
	}
	after := func(seconds int) time.Time {
		return i.UnreachableSince.Time().Add(time.Duration(seconds) * time.Second)
	}
	return after(v.def.UnreachableStrategy.InactiveAfterSeconds), after(v.def.UnreachableStrategy.ExpungeAfterSeconds), true
}

// release gives an instance up: its place goes with it, unless it has a volume that something was ever written to.
func (p *planner) release(v view, i Instance, cause string) {
	goal := GoalGone
	if v.resident {
		goal = givenUp(i)
	}
	if i.Live() && i.Stopping == nil {
		p.stop(v, i, goal, cause)
		return
	}
	for n, a := range p.plan.Actions {
		if s, stops := a.(Stop); stops && s.Instance == i.ID { // decided a moment ago, and not carried out yet
			s.Goal = goal
			p.plan.Actions[n] = s
			return
		}
	}
	p.do(SetGoal{Instance: i.ID, Goal: goal}) // what ends already does not have to be asked again
}

// relaunchPlain launches ended instances again. As in Marathon one pause holds for all of the app.
// While a deployment replaces instances those that are about to end take the room of as many.
func (p *planner) relaunchPlain(v view, active []Instance) {
	held := 0
	if v.restart {
		_, highest := rollBounds(v)
		held = min(len(v.ending()), -v.room(highest, active))
	}
	for _, i := range active {
		switch {
		case i.Live() || i.Stopping != nil || !v.defined:
		case held > 0:
			held--
			p.wait(v.id, i.ID, "launched again when those that are being stopped have ended")
		default:
			p.relaunch(v, i, p.plainPause(v, i))
		}
	}
}

// launchNew launches instances that are missing, suspended ones first.
func (p *planner) launchNew(v view, missing int) {
	if missing <= 0 || !v.defined {
		return
	}
	after := p.plainPause(v, Instance{Version: v.def.Version})
	p.queued(v, missing, app.At(v.since), after.end())
	if p.now.Before(after.end()) {
		p.wake(after.end())
		p.wait(v.id, "", fmt.Sprintf("tasks of this app end too soon; more are launched after a pause of %s", after))
		return
	}
	for _, i := range v.with(func(i Instance) bool { return i.Goal == GoalSuspended && !i.Live() && i.Stopping == nil }) {
		if missing > 0 && !v.state.Down[i.Host] && !v.draining(i) {
			p.do(Launch{App: v.id, Instance: i.ID})
			missing--
		}
	}
	for range missing {
		p.do(Launch{App: v.id})
	}
}

// plainPause is what the app waits for before it launches: the failures of all tasks with its present configuration
// count together, those of a task that runs again until it has run long enough.
func (p *planner) plainPause(v view, i Instance) pause {
	if i.outdated(v.def) {
		return pause{}
	}
	failures, last := 0, app.Timestamp(0)
	for n := range v.instances {
		x := &v.instances[n]
		if x.Failures == 0 || x.outdated(v.def) || x.proven(p.now) {
			continue
		}
		failures += x.Failures
		last = max(last, x.EndedAt)
	}
	return pause{last.Time(), delay(v.def, failures)}
}

// plainVictims orders instances for a scale-down: the ended, the unreachable and the young in state first, then those that fail
// their health checks, those not known to be well, those on hosts that are to become empty, then what a GROUP_BY constraint has too many of, then by the kill selection of the app.
func plainVictims(v view, active []Instance) []Instance {
	crowd := crowding(v.def, active)
	order := slices.Clone(active)
	slices.SortStableFunc(order, func(a, b Instance) int {
		age := cmp.Compare(b.since(), a.since())
		if v.def.KillSelection == app.OldestFirst {
			age = -age
		}
		return cmp.Or(
			stateRank(a)-stateRank(b), boolFirst(v.failing(a), v.failing(b)), boolFirst(!v.healthy(a), !v.healthy(b)),
			boolFirst(v.draining(a), v.draining(b)), cmp.Compare(crowd[b.ID], crowd[a.ID]), age, strings.Compare(string(a.ID), string(b.ID)),
		)
	})
	return order
}

// proven reports whether the task runs and has run long enough to forget what failed before.
func (i Instance) proven(now time.Time) bool {
	return i.State == app.TaskRunning && i.StartedAt != 0 && now.Sub(i.StartedAt.Time()) >= provenAfter
}

// since is from when on the instance was active.
func (i Instance) since() app.Timestamp { return cmp.Or(i.StartedAt, i.StagedAt) }

func stateRank(i Instance) int {
	switch {
	case !i.Live(), i.Stopping != nil:
		return 0
	case i.Unreachable():
		return 1
	case i.State == app.TaskStaging:
		return 2
	case i.State == app.TaskStarting:
		return 3
	}
	return 4
}

// crowding numbers the instances that share a value of a GROUP_BY constraint: those with the highest numbers are the
// surplus.
func crowding(a app.App, active []Instance) map[app.InstanceID]int {
	crowd := map[app.InstanceID]int{}
	for _, c := range a.Constraints {
		if c.Operator != app.OperatorGroupBy {
			continue
		}
		seen := map[string]int{}
		for _, i := range active {
			value := i.Host
			if c.Field != "hostname" && c.Field != "@hostname" {
				value = i.Attributes[strings.TrimPrefix(c.Field, "@")]
			}
			seen[value]++
			crowd[i.ID] = max(crowd[i.ID], seen[value])
		}
	}
	return crowd
}

// ceil and floor count instances; the tolerance undoes the rounding of fractions like 0.7·10.
func ceil(x float64) int  { return int(math.Ceil(x - 1e-9)) }
func floor(x float64) int { return int(math.Floor(x + 1e-9)) }
