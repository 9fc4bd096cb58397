package slots

import (
	"maps"
	"slices"
	"time"
)

// A logical slot that was copied keeps catalog rows on the standby from a certain transaction on (catalog_xmin), but the
// primary may have removed them before it learned of that: it hears of it through the feedback of the standby, which ends
// up as the catalog_xmin of the standby's physical slot. So the copy can be trusted once
//
//	primary's logical slot ≤ standby's physical slot on the primary ≤ standby's copy
//
// where the first is the catalog_xmin at the moment from which the second is known at all. Until then a promotion makes a
// primary whose consumer may fail or miss rows.

// Memory is what is remembered of the logical slots of a standby. Its zero value trusts none of them.
type Memory struct {
	// Started is the life of the server that this is about; a restart interrupts the feedback.
	Started time.Time
	// Standby: the server was one when this was learned.
	Standby bool
	// Safe are the slots that can be trusted.
	Safe map[string]bool
	// Reach is the catalog_xmin that the feedback has to reach, for each slot that cannot be trusted yet; one that is
	// missing is not known yet.
	Reach map[string]uint32
}

// readiness finds out which logical slots can be trusted, and names those that cannot.
func (p *planner) readiness(m Memory) (Memory, []string) {
	copies := p.copied()
	if p.Role == Primary {
		var unsafe []string
		if m.Standby {
			unsafe = untrusted(copies, m.Safe)
		}
		return Memory{Started: p.Started}, unsafe
	}
	next := Memory{Started: p.Started, Standby: true, Safe: map[string]bool{}, Reach: map[string]uint32{}}
	if !m.Started.Equal(p.Started) || !m.Standby {
		m = Memory{}
	}
	for _, e := range copies {
		p.trust(&next, m, e)
	}
	return next, untrusted(copies, next.Safe)
}

// copied are the logical slots that are managed here and stay.
func (p *planner) copied() []Existing {
	var out []Existing
	for _, w := range p.sorted() {
		e, exists := find(p.Existing, w.Name)
		if exists && w.Logical() && w.same(e) && p.ours(e) && !slices.Contains(p.gone, e.Name) && !p.spoiled(e.Name) {
			out = append(out, e)
		}
	}
	return out
}

func untrusted(copies []Existing, safe map[string]bool) []string {
	var out []string
	for _, e := range copies {
		if !safe[e.Name] {
			out = append(out, e.Name)
		}
	}
	return out
}

// unready reports whether the leader's slots would tell whether a copy can be trusted.
func (p *planner) unready() bool {
	return len(p.unsafe) > 0 && !p.Cut && p.Cluster.Locked() && p.Cluster.Leader.Name != p.Name
}

// trust settles whether one copy can be trusted.
func (p *planner) trust(next *Memory, m Memory, e Existing) {
	if m.Safe[e.Name] {
		next.Safe[e.Name] = true
		return
	}
	reach, known := m.Reach[e.Name]
	physical, exists := find(p.Leader, slotOnPrimary(p.Cluster, p.Name, p.Tags))
	if !exists || physical.CatalogXmin == 0 {
		if known {
			next.Reach[e.Name] = reach
		}
		return
	}
	if !known {
		logical, exists := find(p.Leader, e.Name)
		if !exists || logical.CatalogXmin == 0 {
			return
		}
		reach = logical.CatalogXmin
	}
	if notAfter(reach, physical.CatalogXmin) && notAfter(physical.CatalogXmin, e.CatalogXmin) {
		next.Safe[e.Name] = true
		return
	}
	next.Reach[e.Name] = reach
}

// notAfter compares transaction numbers, which go round (PostgreSQL, "Transaction ID Wraparound").
func notAfter(a, b uint32) bool { return int32(a-b) <= 0 } //nolint:gosec // the sign of the difference is what is meant

// Clone returns a memory of which nothing is shared with this one.
func (m Memory) Clone() Memory {
	m.Safe, m.Reach = maps.Clone(m.Safe), maps.Clone(m.Reach)
	return m
}
