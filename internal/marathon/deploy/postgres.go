package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

const (
	// rolesLast is how long answers about roles are good for a decision: a person may ask the agents for a switchover at
	// any time, and nobody tells us.
	rolesLast = 250 * time.Millisecond
	// askPause is how long members are left in peace while something about them is waited for.
	askPause = time.Second
	// patience is how long the order "leader last" is waited for when nobody is known to lead and all are to be stopped,
	// or a change of configuration may be what brings a leader back.
	patience = 60 * time.Second
	// haltPatience is the same for a person who waits at a terminal.
	haltPatience = 10 * time.Second
)

// postgres decides about a PostgreSQL app. Launches never wait for other members; stops happen one at a time.
func (p *planner) postgres(v view) {
	p.wipe(v)
	before := len(p.plan.Actions)
	p.changeMembers(v)
	for _, a := range p.plan.Actions[before:] {
		if _, stops := a.(Stop); stops {
			return // what follows from it is decided when it is done
		}
	}
	if v.defined && !v.halted && (v.want > 0 || v.held) {
		p.relaunchMembers(v)
	}
}

// changeMembers does what a person, the definition, a health check, a drain or a deployment asks for, in this order.
func (p *planner) changeMembers(v view) {
	if p.killForced(v) {
		return
	}
	if stopping := v.with(Instance.busyStopping); len(stopping) > 0 {
		p.wait(v.id, stopping[0].ID, "waiting for it to stop: "+stopping[0].Stopping.Cause)
		return
	}
	switch {
	case v.halted:
		p.stopMembers(v, v.instances, GoalRunning, "everything is being stopped")
	case v.want == 0 && !v.held:
		p.stopMembers(v, v.instances, GoalSuspended, v.stopCause())
	case p.stopHung(v) || p.killMembers(v):
	case v.held:
		p.drainMembers(v)
	default:
		p.resize(v)
	}
}

// resize brings a cluster to its size, then its members off hosts that drain, then to its configuration.
func (p *planner) resize(v view) {
	running := len(v.running())
	var again []app.InstanceID
	if running < v.want {
		again = p.grow(v, v.want-running)
	}
	// Stopped and launched at once, nobody could say which task of it runs.
	surplus := slices.DeleteFunc(v.surplus(), func(i Instance) bool { return slices.Contains(again, i.ID) })
	switch {
	case len(again) == 0 && p.rescue(v):
	case p.stopReturned(v, surplus):
	case running > v.want:
		p.shrink(v)
	case len(surplus) > 0: // one thing after the other
	case p.drainMembers(v):
	case v.restart:
		p.restartMembers(v)
	}
}

func (v *view) stopCause() string {
	if v.defined {
		return "no member is wanted"
	}
	return "the app was deleted"
}

// relaunchMembers launches the members whose tasks have ended. Where there are too many members and a leader, shrink
// takes the ended ones first, so they are spared the launch; without a leader one of them may have to become it, and others
// that are to be stopped before wait for it.
func (p *planner) relaunchMembers(v view) {
	if !v.held && len(v.running()) > v.want && len(v.surplus()) == 0 && countLeaders(v.running(), v.roles.Members) == 1 {
		return
	}
	ended := v.with(func(i Instance) bool {
		return i.Goal == GoalRunning && !i.Live() && i.Stopping == nil && !p.givesUp(i)
	})
	slices.SortStableFunc(ended, ledFirst)
	for _, i := range ended {
		p.relaunch(v, i, v.pauseAfter(i))
	}
}

// givesUp reports whether the plan has given up an instance.
func (p *planner) givesUp(i Instance) bool {
	return slices.ContainsFunc(p.plan.Actions, func(a Action) bool {
		s, sets := a.(SetGoal)
		return sets && s.Instance == i.ID && s.Goal != GoalRunning
	})
}

func ledFirst(a, b Instance) int { return boolFirst(a.Led, b.Led) }

// surplus are the members that are not wanted any more and still there.
func (v *view) surplus() []Instance {
	return v.with(func(i Instance) bool { return i.Goal != GoalRunning && !i.settled() && !i.Unreachable() })
}

// stopReturned stops one of the members that are not wanted any more: given up while their host was away, or by a person. It
// reports whether one is stopped, or has to be asked about.
func (p *planner) stopReturned(v view, surplus []Instance) bool {
	return slices.ContainsFunc(v.leaderLast(surplus), func(i Instance) bool {
		return p.disrupt(v, i, planned, i.Goal, "it is not wanted any more")
	})
}

// answers gives the roles of the app if they are fresh, else asks for them.
func (p *planner) answers(v view) (map[app.InstanceID]Member, bool) {
	if v.fresh(p.now) {
		p.wake(v.roles.At.Add(askPause)) // what is waited for announces itself nowhere else
		return v.roles.Members, true
	}
	p.plan.Ask = append(p.plan.Ask, v.id)
	return nil, false
}

// leader is the one living member that leads beyond doubt. When that cannot be said it waits, with the reason.
func (p *planner) leader(v view) (Instance, bool) {
	members, ok := p.answers(v)
	if !ok {
		p.wait(v.id, "", "asking the members for their roles")
		return Instance{}, false
	}
	leader, doubt := v.settledLeader(members)
	if doubt != "" {
		p.wait(v.id, "", doubt)
		return Instance{}, false
	}
	return leader, true
}

// settledLeader is the one member that is named leader, with a server that runs and, as far as servers say, is the only
// one to accept writes. Else it says what is in doubt: while a lead passes from one to another, the next leader looks
// like any replica.
func (v *view) settledLeader(members map[app.InstanceID]Member) (Instance, string) {
	var leaders, primaries []Instance
	for _, i := range v.instances {
		m, answered := members[i.ID]
		if !answered || !i.Live() {
			continue
		}
		if m.leads() {
			leaders = append(leaders, i)
		}
		if m.Server == ServerPrimary {
			primaries = append(primaries, i)
		}
	}
	switch {
	case len(leaders) == 0:
		return Instance{}, "no member says that it leads"
	case len(leaders) > 1:
		return Instance{}, "more than one member says that it leads"
	}
	leader := leaders[0]
	m := members[leader.ID]
	for _, i := range primaries {
		if i.ID != leader.ID {
			return Instance{}, fmt.Sprintf("%s leads and %s accepts writes: the lead is passing from one to the other", names(leaders), names([]Instance{i}))
		}
	}
	if m.State != StateRunning || m.Role == RoleLeader && m.Server == ServerStandby {
		return Instance{}, fmt.Sprintf("%s leads and its server does not accept writes (it is %s)", names(leaders), m.State)
	}
	return leader, ""
}

// leads reports what was last known, for the order of a later start.
func (v *view) leads(i Instance) bool {
	if m, ok := v.roles.Members[i.ID]; ok {
		return m.mayLead()
	}
	return i.Led
}

// silent are running members that gave no answer.
func silent(list []Instance, members map[app.InstanceID]Member) []Instance {
	var quiet []Instance
	for _, i := range list {
		if _, ok := members[i.ID]; !ok && i.Live() && !i.Unreachable() {
			quiet = append(quiet, i)
		}
	}
	return quiet
}

// worstFirst orders members by how little is lost with them: those without a living task, then those out of reach, then
// those that do not stream, then those that no commit waits for (a switchover can be refused to them), then the largest lag,
// then the youngest.
func worstFirst(list []Instance, members map[app.InstanceID]Member) []Instance {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b Instance) int {
		ma, mb := members[a.ID], members[b.ID]
		return cmp.Or(
			boolFirst(!a.Live(), !b.Live()),
			boolFirst(a.Unreachable(), b.Unreachable()),
			boolFirst(!ma.Streaming, !mb.Streaming),
			boolFirst(!ma.synchronous(), !mb.synchronous()),
			boolFirst(ma.Lag < 0, mb.Lag < 0),
			cmp.Compare(mb.Lag, ma.Lag),
			cmp.Compare(b.StagedAt, a.StagedAt),
			strings.Compare(string(a.ID), string(b.ID)),
		)
	})
	return sorted
}
