package deploy

// drainMembers stops the members of a PostgreSQL app that are on hosts which are to become empty, one at a time; a leader
// hands over first. Their volumes stay where they are, so they come back when the drain ends. It reports whether something
// is done or has to be found out.
func (p *planner) drainMembers(v view) bool {
	if len(v.state.Draining) == 0 {
		return false
	}
	leaving := v.with(func(i Instance) bool { return i.Goal == GoalRunning && i.running() && v.draining(i) })
	if len(leaving) == 0 {
		return false
	}
	if !p.asked(v) {
		return true
	}
	for _, i := range v.leaderLast(leaving) {
		if p.disrupt(v, i, planned, GoalRunning, v.drainCause(i)) {
			return true
		}
	}
	return false
}

func (v *view) drainCause(i Instance) string {
	return "its host is being drained (" + v.state.Draining[i.Host] + ")"
}
