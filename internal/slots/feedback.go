package slots

import "github.com/pgbaton/pgbaton/internal/cluster"

// Feedback reports whether the member's server must have hot_standby_feedback: whoever has copies of logical slots, and
// whoever hands the feedback of such a member on, or the primary would remove rows that the copies need.
func Feedback(v View) bool {
	if !v.Settings.UseSlots || !logicalHere(v.Settings) {
		return false
	}
	self := cluster.Member{Name: v.Name, Tags: v.Tags}
	return copiesIn(v.Cluster, self, len(v.Cluster.Members)+1)
}

// copiesIn reports whether a member, or one that streams from it, has copies of logical slots. depth bounds a chain of
// replicatefrom that goes round.
func copiesIn(c cluster.Cluster, m cluster.Member, depth int) bool {
	if depth == 0 || slotOnPrimary(c, m.Name, m.Tags) == "" {
		return false
	}
	if !m.Tags.NoFailover() {
		return true
	}
	for _, child := range c.Members {
		if child.Name != m.Name && child.Tags.ReplicateFrom() == m.Name && child.Name != c.Leader.Name && copiesIn(c, child, depth-1) {
			return true
		}
	}
	return false
}
