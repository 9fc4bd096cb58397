package deploy

import (
	"fmt"
	"slices"
)

// killForced ends the tasks that a person wants ended whatever that costs. It reports whether there were any.
func (p *planner) killForced(v view) bool {
	found := false
	for _, i := range v.instances {
		if i.killed() && i.Kill.Force {
			p.do(Stop{Instance: i.ID, Goal: i.Goal, Led: v.leads(i), Cause: i.Kill.Cause})
			found = true
		}
	}
	return found
}

// killMembers ends the tasks of members that a person wants ended, one at a time and each when the gate lets it. It
// reports whether one is on its way.
func (p *planner) killMembers(v view) bool {
	wanted := v.with(Instance.killed)
	for _, i := range v.leaderLast(wanted) {
		if i.Unreachable() {
			p.wait(v.id, i.ID, i.Kill.Cause+"; not now: its host is unreachable")
			continue
		}
		if p.disrupt(v, i, planned, i.Goal, i.Kill.Cause) {
			return true
		}
	}
	return false
}

// killPlain ends the tasks of a plain app that a person wants ended. One on an unreachable host is given up, unless it has
// a volume there.
func (p *planner) killPlain(v view) {
	for _, i := range v.instances {
		if !i.killed() || i.Goal != GoalRunning {
			continue
		}
		goal := GoalRunning
		if i.Unreachable() && !v.resident {
			goal = GoalGone
		}
		p.stop(v, i, goal, i.Kill.Cause)
	}
}

// stopHung stops a member for which its health check asks: its agent has not answered for very long. As long as the agent
// answers a member is left alone while it leads and while its server is anything but running: it clones, recovers, rewinds
// or starts, for as long as that takes. It reports whether a member is concerned.
func (p *planner) stopHung(v view) bool {
	for _, i := range v.instances {
		why := v.state.Health[i.ID].Kill
		if why == "" || !i.running() {
			continue
		}
		if spared := p.spared(i); spared != "" {
			p.wait(v.id, i.ID, "its agent does not answer; it is left alone: "+spared)
			continue
		}
		if !p.asked(v) {
			return true
		}
		m, answered := v.roles.Members[i.ID]
		if reason := m.excuse(); answered && reason != "" {
			p.wait(v.id, i.ID, why+"; it is left alone: its agent answers and "+reason)
			continue
		}
		if p.disrupt(v, i, hung, i.Goal, why) {
			return true
		}
	}
	return false
}

// excuse is why a member whose agent answers is left alone by health checks, empty when it is not.
func (m Member) excuse() string {
	switch {
	case m.mayLead():
		return "it leads"
	case m.State != StateRunning:
		return fmt.Sprintf("its server is %q", m.State)
	}
	return ""
}

// disrupt stops a member if the gate lets it, after a switchover if it leads. It reports whether anything was done, or has
// to be found out first: nothing else is to be done about the cluster then.
func (p *planner) disrupt(v view, i Instance, why occasion, goal Goal, cause string) bool {
	if i.Live() && !v.lone(i) && !p.asked(v) {
		return true
	}
	if closed := v.gate(i, why, p.now); closed != "" {
		p.wait(v.id, i.ID, cause+"; not now: "+closed)
		return false
	}
	if i.Live() && v.roles.Members[i.ID].mayLead() && !v.lone(i) {
		p.handOver(v, i)
		return true
	}
	p.do(Stop{Instance: i.ID, Goal: goal, Led: v.leads(i), Cause: cause})
	return true
}

// asked reports whether the members' answers are fresh; else they are asked for.
func (p *planner) asked(v view) bool {
	_, ok := p.answers(v)
	if !ok {
		p.wait(v.id, "", "asking the members for their roles")
	}
	return ok
}

// leaderLast orders members from the one that is missed least to the leader.
func (v *view) leaderLast(list []Instance) []Instance {
	members := v.roles.Members
	order := worstFirst(list, members)
	slices.SortStableFunc(order, func(a, b Instance) int {
		return boolFirst(!members[a.ID].mayLead(), !members[b.ID].mayLead())
	})
	return order
}
