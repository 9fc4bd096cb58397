package slots

import "slices"

// reason is why an existing slot should go, in half a sentence; empty when it stays. The first rule that applies decides.
func (p *planner) reason(e Existing) string {
	w, known := p.by[e.Name]
	switch {
	case e.Temporary, e.Synced:
		return ""
	case e.Failover:
		return p.leftOver(e)
	case known && w.same(e):
		return p.useless(w, e)
	case p.ignored(e):
		return ""
	case known:
		return "it is " + kindOf(e.Slot) + " and should be " + kindOf(w.Slot)
	case p.Settings.Pause || !p.told():
		return ""
	}
	return "nobody wants it any more"
}

// ignored reports whether a slot is somebody else's.
func (p *planner) ignored(e Existing) bool {
	return slices.ContainsFunc(p.Settings.IgnoreSlots, e.Fits)
}

// leftOver is about slots that PostgreSQL 17 brings to the standbys by itself: one that a former primary still has as its
// own keeps the synchronized copy from coming.
func (p *planner) leftOver(e Existing) string {
	if p.Role == Primary || !e.Logical() || p.Settings.Pause || p.ignored(e) {
		return ""
	}
	return "it is left from when this server was the primary, and in the way of the one that PostgreSQL synchronizes"
}

// useless is why a wanted slot has to be made anew.
func (p *planner) useless(w wish, e Existing) string {
	switch {
	case p.Settings.Pause:
		return ""
	case e.Lost:
		return "what it should have kept is gone"
	case e.Logical(), e.Active:
		return ""
	case w.use == idle && e.pins() && p.settled():
		// Nobody will ever move its xmin, and rows would be kept for it for ever.
		return "it keeps rows for a standby that does not stream from here"
	case w.use != streams && e.Restart == 0:
		return "it keeps no WAL, and a slot that nobody uses cannot be made to"
	}
	return ""
}

// settled reports whether somebody leads, and if this member does, its server is the primary: only then it is clear who
// streams from where.
func (p *planner) settled() bool {
	return p.Cluster.Locked() && (p.Cluster.Leader.Name != p.Name || p.Role == Primary)
}

// spoiled reports whether a logical slot has to be copied again.
func (p *planner) spoiled(name string) bool { return slices.Contains(p.Spoiled, name) }
