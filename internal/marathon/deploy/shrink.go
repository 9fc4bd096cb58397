package deploy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// shrink gives up one member of a cluster that has more than are wanted. Without a known leader nobody is given up: the
// member that is about to lead could be the one.
func (p *planner) shrink(v view) {
	if _, ok := p.leader(v); !ok {
		return
	}
	members := v.roles.Members
	for _, victim := range v.victims(v.running(), members) {
		if members[victim.ID].mayLead() {
			continue
		}
		if victim.Live() && !victim.Unreachable() {
			if quiet := silent(v.running(), members); len(quiet) > 0 {
				p.wait(v.id, "", "waiting for the role of "+names(quiet)+" before a member is chosen to stop")
				return
			}
		}
		if victim.settled() {
			p.do(SetGoal{Instance: victim.ID, Goal: givenUp(victim)})
			return
		}
		p.disrupt(v, victim, planned, GoalSuspended, fmt.Sprintf("only %d wanted", v.want))
		return
	}
}

// victims orders members by how little is lost with them. Among those that serve the ones whose host is to become empty
// come first: they have to stop anyway.
func (v *view) victims(list []Instance, members map[app.InstanceID]Member) []Instance {
	order := worstFirst(list, members)
	rank := func(i Instance) int {
		switch {
		case !i.Live() || i.Unreachable() || !members[i.ID].serves():
			return 0
		case v.draining(i):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(order, func(a, b Instance) int { return cmp.Compare(rank(a), rank(b)) })
	return order
}

// givenUp is the goal of an instance with a volume that is not wanted any more. A volume in which nothing ever ran holds
// nothing worth keeping.
func givenUp(i Instance) Goal {
	if i.Incarnation == 0 {
		return GoalWiped
	}
	return GoalSuspended
}
