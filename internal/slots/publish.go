package slots

import (
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// Retention is the leader's memory of the members whose slots are kept. Its zero value is that of a member that does not
// lead; a new leader begins with what the last one published, as if it had seen all of them just now.
type Retention struct {
	// Since is when the member behind a slot was last seen.
	Since map[string]time.Time
}

// names are the retained slots, sorted.
func (r Retention) names() []string { return slices.Sorted(maps.Keys(r.Since)) }

// Published is what the leader says of its slots in the status key.
type Published struct {
	// Positions are how far the slots are used, by name.
	Positions map[string]wal.LSN
	// Retain names the slots that every member keeps although their members may be away.
	Retain []string
}

// Publish is what the leader writes next. A leader that has not looked at its slots yet (View.Existing is nil) passes on
// what the last one wrote. It never changes its arguments.
func Publish(r Retention, v View, now time.Time) (Retention, Published) {
	if !v.Settings.UseSlots {
		return Retention{}, Published{}
	}
	if r.Since == nil {
		r = begin(v, now)
	}
	v.Retention = r
	positions := v.Cluster.Status.Slots
	if v.Existing != nil {
		positions = v.positions()
	}
	if v.Settings.MemberSlotsTTL == 0 {
		return Retention{Since: map[string]time.Time{}}, Published{Positions: v.onlyPermanent(positions)}
	}
	next := v.retain(r, positions, now)
	return next, Published{Positions: positions, Retain: next.names()}
}

// begin is the memory of a new leader.
func begin(v View, now time.Time) Retention {
	r := Retention{Since: map[string]time.Time{}}
	for _, name := range v.Cluster.Status.RetainSlots {
		r.Since[name] = now
	}
	return r
}

// positions are those of all slots that are wanted, and the own position for the slot that the others have for this
// member.
func (v View) positions() map[string]wal.LSN {
	want, out := wanted(v), map[string]wal.LSN{}
	for _, e := range v.Existing {
		w, known := want.by[e.Name]
		if !known || !w.same(e) || e.Temporary || e.Lost {
			continue
		}
		at := e.Restart
		if e.Logical() {
			at = e.Confirmed
		}
		if at != 0 {
			out[e.Name] = at
		}
	}
	if v.Position != 0 {
		out[cluster.SlotName(v.Name)] = v.Position
	}
	return out
}

// onlyPermanent leaves out what nobody uses where the slots of members are not kept.
func (v View) onlyPermanent(positions map[string]wal.LSN) map[string]wal.LSN {
	members := map[string]bool{}
	for _, m := range v.Cluster.Members {
		members[cluster.SlotName(m.Name)] = true
	}
	out := map[string]wal.LSN{}
	for name, at := range positions {
		if s, permanent := v.Settings.Slots[name]; permanent && (!s.Logical() || !members[name]) {
			out[name] = at
		}
	}
	return out
}

// retain notes which members are there, and forgets those that have been away for too long.
func (v View) retain(r Retention, positions map[string]wal.LSN, now time.Time) Retention {
	next := Retention{Since: map[string]time.Time{}}
	for name, seen := range r.Since {
		if now.Sub(seen) < v.Settings.MemberSlotsTTL {
			next.Since[name] = seen
		}
	}
	own := cluster.Member{Name: v.Name, Tags: v.Tags}
	for _, m := range append(v.Cluster.Others(v.Name), own) {
		name := cluster.SlotName(m.Name)
		s, permanent := v.Settings.Slots[name]
		if _, there := positions[name]; there && !m.Tags.NoStream() && (!permanent || s.Logical()) {
			next.Since[name] = now
		}
	}
	return next
}
