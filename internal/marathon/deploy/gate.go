package deploy

import (
	"fmt"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// handoverLag is how many bytes a member may lie behind the leader to be handed the lead: one segment of WAL, which it
// replays in well under a second. Clients wait for as long as it takes.
const handoverLag = 16 << 20

// Gate is the disruption gate: whether each living member of a PostgreSQL app may be stopped now, and if not, why. Whatever
// stops a member has to pass it: a deployment, a drain, a person, a health check, a scale-down. An open gate for the leader
// means that it may hand over and be stopped then. Two things do not pass it: a person's kill with force, and the end of
// all members, where there is nothing left to protect. The map is empty for an app that is no PostgreSQL app.
//
// Unknown is closed: the answers of the members must be fresh. To judge by answers that were kept, pass the time at which
// they came as now.
func Gate(s State, id app.ID, now time.Time) map[app.InstanceID]app.Verdict {
	verdicts := map[app.InstanceID]app.Verdict{}
	v := newPlanner(s, now).view(id)
	if !v.postgres {
		return verdicts
	}
	for _, i := range v.instances {
		if i.Live() {
			why := v.gate(i, planned, now)
			verdicts[i.ID] = app.Verdict{Open: why == "", Why: why}
		}
	}
	return verdicts
}

// occasion is why a member is to be stopped, as far as it makes a difference to the gate.
type occasion int

const (
	planned occasion = iota
	// hung: its agent does not answer, and that is the reason, not a doubt.
	hung
	// hopeless: nobody has led for a long time, and a change of configuration may be the cure.
	hopeless
)

// gate says why the member must not be stopped now, empty when it may be.
func (v *view) gate(target Instance, why occasion, now time.Time) string {
	if blocked := v.blocked(); blocked != "" {
		return blocked
	}
	if !target.Live() {
		return "" // nothing of it serves anybody
	}
	if busy := v.busy(target); busy != "" {
		return busy
	}
	members := v.roles.Members
	if v.paused(members) {
		return "the cluster is paused"
	}
	if v.lone(target) {
		return ""
	}
	if !v.fresh(now) {
		return "the members have to be asked for their roles first"
	}
	if doubt := v.unclear(target, why, members); doubt != "" {
		return doubt
	}
	if m, known := members[target.ID]; target.Unreachable() || known && !m.serves() {
		return "" // the cluster does without it already
	}
	if weak := v.weakness(target, members); weak != "" {
		return weak
	}
	if members[target.ID].mayLead() {
		_, nobody := v.successor(target, members)
		return nobody
	}
	return ""
}

// lone reports whether the member is all of its cluster: its end is an outage at any time. One that another is to take the
// place of has what that one needs first.
func (v *view) lone(i Instance) bool {
	return v.want <= 1 && (v.want == 0 || i.Goal == GoalRunning) && len(v.others(i, Instance.Live)) == 0
}

// busy says what is being done to the cluster at this moment.
func (v *view) busy(target Instance) string {
	for _, i := range v.instances {
		switch {
		case i.busyStopping() && i.ID == target.ID:
			return "it is being stopped already: " + i.Stopping.Cause
		case i.busyStopping():
			return fmt.Sprintf("%s is being stopped: %s", name(i), i.Stopping.Cause)
		case i.ID != target.ID && i.Goal == GoalRunning && i.Clean && !i.Live():
			return name(i) + " was stopped and does not run again yet"
		}
	}
	if v.state.Switchovers[v.id].Running {
		return "a switchover is under way"
	}
	return ""
}

// paused reports whether a member says that people asked for its cluster to be left alone.
func (v *view) paused(members map[app.InstanceID]Member) bool {
	return slices.ContainsFunc(v.instances, func(i Instance) bool { return i.Live() && members[i.ID].Paused })
}

// unclear says what about the cluster is not known or in doubt.
func (v *view) unclear(target Instance, why occasion, members map[app.InstanceID]Member) string {
	for _, i := range silent(v.instances, members) {
		if i.ID != target.ID || why != hung {
			return name(i) + " does not answer, so nobody knows its role"
		}
	}
	_, doubt := v.settledLeader(members)
	if why == hopeless && v.leaderless(members) {
		return ""
	}
	return doubt
}

// leaderless reports whether nothing at all speaks for any member being the leader.
func (v *view) leaderless(members map[app.InstanceID]Member) bool {
	for _, i := range v.instances {
		if i.Live() && members[i.ID].mayLead() {
			return false
		}
	}
	return true
}

// weakness says what the others could not make up for if the target were away too.
func (v *view) weakness(target Instance, members map[app.InstanceID]Member) string {
	others := v.others(target, func(i Instance) bool { return i.Goal == GoalRunning })
	serving := 0
	for _, i := range others {
		m := members[i.ID]
		switch {
		case i.State != app.TaskRunning:
			return fmt.Sprintf("%s does not run (%s)", name(i), stateName(i))
		case !m.serves():
			return fmt.Sprintf("%s does not stream (its server: %s)", name(i), m.State)
		}
		serving++
	}
	there := v.with(func(i Instance) bool { return i.Live() && !i.Unreachable() })
	if len(there) < v.want {
		return fmt.Sprintf("only %d of %d members are there", len(there), v.want)
	}
	return v.tooFew(target, serving-1, members)
}

// tooFew says that commits would wait for more standbys than are left. One that no commit waits for is not missed.
func (v *view) tooFew(target Instance, left int, members map[app.InstanceID]Member) string {
	m, known := members[target.ID]
	if known && !m.synchronous() && !m.mayLead() {
		return ""
	}
	leader, doubt := v.settledLeader(members)
	if doubt != "" {
		return ""
	}
	if l := members[leader.ID]; max(left, 0) < l.Synchronous && !l.Lenient {
		return fmt.Sprintf("commits wait for %s and only %s would be left", count(l.Synchronous, "standby"), count(max(left, 0), "standby"))
	}
	return ""
}

// successor is the member that the leader may hand over to: one that streams from it on its timeline, close behind, is not
// barred and, where commits wait for standbys, is one of those. Of several that qualify it is one whose host stays, then
// one with the present configuration, then the closest. Else it says why nobody qualifies.
func (v *view) successor(leader Instance, members map[app.InstanceID]Member) (Instance, string) {
	var fit []Instance
	var reasons []string
	for _, i := range v.others(leader, func(i Instance) bool { return i.Goal == GoalRunning }) {
		if why := v.unfit(i, leader, members); why != "" {
			reasons = append(reasons, name(i)+" "+why)
			continue
		}
		fit = append(fit, i)
	}
	if len(fit) == 0 {
		return Instance{}, "it leads and nobody can take over" + listed(reasons)
	}
	order := worstFirst(fit, members)
	preferLast(order, func(i Instance) bool { return !v.draining(i) && !i.killed() }, func(i Instance) bool { return !i.outdated(v.def) })
	return order[len(order)-1], ""
}

// unfit says why the member cannot be handed the lead, empty when it can.
func (v *view) unfit(i, leader Instance, members map[app.InstanceID]Member) string {
	m, l := members[i.ID], members[leader.ID]
	switch {
	case !i.running():
		return "does not run"
	case !m.Streaming || m.State != StateRunning || m.mayLead():
		return "does not stream"
	case m.Barred != "":
		return "cannot lead: " + m.Barred
	case m.Timeline != l.Timeline:
		return fmt.Sprintf("is on timeline %d, the leader on %d", m.Timeline, l.Timeline)
	case m.Lag < 0:
		return "has an unknown lag"
	case m.Lag > handoverLag:
		return fmt.Sprintf("lags by %d MiB", m.Lag>>20)
	case v.synchronized(members) && !m.synchronous():
		return "is no synchronous standby"
	}
	return ""
}

// synchronized reports whether commits wait for standbys: only one of those is sure to have everything, and to any other
// its agents refuse to hand over.
func (v *view) synchronized(members map[app.InstanceID]Member) bool {
	for _, i := range v.instances {
		if m := members[i.ID]; i.Live() && (m.synchronous() || m.leads() && m.Synchronous > 0) {
			return true
		}
	}
	return false
}

// serves reports whether the cluster has anything of the member: it leads, or receives what the leader writes.
func (m Member) serves() bool { return m.Streaming || m.mayLead() }

// others are the instances but one that have a property.
func (v *view) others(target Instance, keep func(Instance) bool) []Instance {
	return v.with(func(i Instance) bool { return i.ID != target.ID && keep(i) })
}

// draining reports whether the host of the instance is to become empty.
func (v *view) draining(i Instance) bool {
	_, ok := v.state.Draining[i.Host]
	return ok && i.Host != ""
}

// fresh reports whether the members' answers are good for a decision.
func (v *view) fresh(now time.Time) bool {
	return !v.roles.At.IsZero() && now.Sub(v.roles.At) <= rolesLast
}
