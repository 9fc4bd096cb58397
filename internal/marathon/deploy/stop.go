package deploy

import (
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// stopMembers stops a whole cluster, one member at a time: replicas first, the leader last, so that every replica has
// what the leader wrote and the last one down is the first to come up.
func (p *planner) stopMembers(v view, all []Instance, goal Goal, cause string) {
	left := slices.DeleteFunc(slices.Clone(all), func(i Instance) bool { return i.settled() || i.Stopping != nil })
	if len(left) == 0 {
		p.settleGoals(v, goal)
		return
	}
	order, ok := p.stopOrder(v, left)
	if !ok {
		return
	}
	next := order[0]
	// A member that was given up before, or is to lose its volume, does not come back by this.
	if next.Goal != GoalRunning {
		goal = next.Goal
	}
	// The last one to be stopped is the one that was kept for last, unless one out of reach may have led.
	led := v.leads(next) || len(left) == 1 && next.Goal == GoalRunning && !slices.ContainsFunc(all, func(i Instance) bool {
		return i.Led || i.ID != next.ID && i.Unreachable()
	})
	p.do(Stop{Instance: next.ID, Goal: goal, Led: led, Cause: cause})
}

// settleGoals gives members that were stopped already, or by a halt, the goal that is wanted now.
func (p *planner) settleGoals(v view, goal Goal) {
	if goal == GoalRunning {
		return
	}
	for _, i := range v.instances {
		if i.Goal == GoalRunning && i.Stopping == nil {
			p.do(SetGoal{Instance: i.ID, Goal: givenUp(i)})
		}
	}
}

// stopOrder is the order in which the members that are left are stopped. It waits for a known leader, but not for ever:
// where all are stopped in the end a leader stopped too early costs an unplanned failover, not data.
func (p *planner) stopOrder(v view, left []Instance) ([]Instance, bool) {
	living := slices.DeleteFunc(slices.Clone(left), func(i Instance) bool { return !i.Live() || i.Unreachable() })
	if len(living) < 2 {
		return worstFirst(left, nil), true
	}
	members, ok := p.answers(v)
	if !ok {
		p.wait(v.id, "", "asking the members for their roles")
		return nil, false
	}
	_, doubt := v.settledLeader(members)
	if quiet := silent(living, members); len(quiet) > 0 {
		doubt = "waiting for the role of " + names(quiet)
	}
	if doubt != "" && !p.outOfPatience(v) {
		p.wait(v.id, "", doubt+"; the leader is to be stopped last")
		return nil, false
	}
	order := worstFirst(left, members)
	slices.SortStableFunc(order, func(a, b Instance) int { return rank(a, members) - rank(b, members) })
	return order, true
}

// rank puts known replicas before members that do not answer, and leaders last.
func rank(i Instance, members map[app.InstanceID]Member) int {
	m, known := members[i.ID]
	switch {
	case !i.Live():
		return 0
	case known && m.mayLead():
		return 3
	case !known && !i.Unreachable():
		return 2
	}
	return 1
}

func countLeaders(list []Instance, members map[app.InstanceID]Member) int {
	n := 0
	for _, i := range list {
		if members[i.ID].leads() {
			n++
		}
	}
	return n
}

// outOfPatience reports whether the reason for the changes is old enough to go on without a known leader.
func (p *planner) outOfPatience(v view) bool {
	limit := patience
	if v.halted {
		limit = haltPatience
	}
	due := v.since.Add(limit)
	if p.now.Before(due) {
		p.wake(due)
		return false
	}
	return true
}
