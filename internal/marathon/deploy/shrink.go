package deploy

import "fmt"

// shrink stops one member of a cluster that has more than are wanted. Without a known leader nobody is stopped: the
// member that is about to lead could be the one.
func (p *planner) shrink(v view) {
	leader, ok := p.leader(v)
	if !ok {
		return
	}
	members, _ := p.answers(v)
	for _, victim := range worstFirst(v.running(), members) {
		if victim.ID == leader.ID || members[victim.ID].mayLead() {
			continue
		}
		if victim.Live() && !victim.Unreachable() {
			if quiet := silent(v.running(), members); len(quiet) > 0 {
				p.wait(v.id, "", "waiting for the role of "+names(quiet)+" before a member is chosen to stop")
				return
			}
		}
		p.do(Stop{Instance: victim.ID, Goal: GoalSuspended, Cause: fmt.Sprintf("only %d wanted", v.want)})
		return
	}
}
