package slots

import "github.com/pgbaton/pgbaton/internal/cluster"

// streamsFrom reports whether a member streams from this server, as far as can be told.
func (v View) streamsFrom(m cluster.Member) bool {
	if m.Name == v.Cluster.Leader.Name && v.Cluster.Leader.Name != v.Name {
		return false
	}
	from := v.Cluster.Feeder(m)
	return from == v.Name || v.leads() && from == v.Cluster.Leader.Name
}

// cascades reports whether a member has somebody else than the leader between it and the primary, whether that one runs or
// not.
func cascades(c cluster.Cluster, m cluster.Member) bool {
	_, known := c.Member(m.Tags.ReplicateFrom())
	return known && m.Tags.ReplicateFrom() != c.Leader.Name
}

// slotOnPrimary is the slot through which the feedback of a member arrives at the primary: its own, or that of the member
// at the head of its cascade. Empty when none does, because somebody on the way gets its WAL from the archive alone.
func slotOnPrimary(c cluster.Cluster, name string, tags cluster.Tags) string {
	for range len(c.Members) + 1 {
		if tags.NoStream() {
			return ""
		}
		up, known := c.Member(tags.ReplicateFrom())
		if !known || up.Name == name || up.Name == c.Leader.Name {
			return cluster.SlotName(name)
		}
		name, tags = up.Name, up.Tags
	}
	return ""
}

// OwnSlot is the name of the slot that the upstream has for this member; empty when it streams without one, or not at all.
// On the remote of a standby cluster it is the configured one.
func OwnSlot(name string, tags cluster.Tags, s cluster.Settings, remote bool) string {
	switch {
	case !s.UseSlots, tags.NoStream():
		return ""
	case !remote:
		return cluster.SlotName(name)
	case s.Standby.PrimarySlotName == "":
		return ""
	}
	return cluster.SlotName(s.Standby.PrimarySlotName)
}

// tellsPositions reports whether the leader's agent publishes the positions of all slots, as those do from 4.0 on.
func tellsPositions(c cluster.Cluster) bool {
	leader, _ := c.LeaderMember()
	return !leader.Older(4)
}
