package slots

import (
	"maps"
	"slices"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// use is whether somebody is expected to stream through a slot of this server.
type use int

const (
	// unsure: a member that is away may come back to it.
	unsure use = iota
	idle
	streams
)

// wish is a slot that should be here.
type wish struct {
	cluster.Slot
	use use
	// at is how far the slot was used, wherever it is; zero when nobody said.
	at wal.LSN
}

// wishes are all slots that should be here, by name, and what is wrong with the configuration.
type wishes struct {
	by    map[string]wish
	notes []string
}

// wanted are the slots that this server should have.
func wanted(v View) *wishes {
	w := &wishes{by: map[string]wish{}}
	w.members(v)
	w.retained(v)
	w.permanent(v)
	return w
}

// sorted are the wishes in the order of their names.
func (w *wishes) sorted() []wish {
	var out []wish
	for _, name := range slices.Sorted(maps.Keys(w.by)) {
		out = append(out, w.by[name])
	}
	return out
}

// limited reports whether this server keeps no more than what it needs now, because it never leads.
func (v View) limited() bool { return v.Tags.NoFailover() && !v.leads() }

// members wants the slots of the members: of all of them where slots are kept for those that are away, so that they are
// there after a failover; else of those that stream from here.
func (w *wishes) members(v View) {
	owner := map[string]string{}
	for _, m := range v.Cluster.Others(v.Name) {
		if m.Tags.NoStream() {
			continue
		}
		here := v.streamsFrom(m)
		child := m.Tags.ReplicateFrom() == v.Name
		if !here && (v.Settings.MemberSlotsTTL == 0 || v.limited() && !child) {
			continue
		}
		name := cluster.SlotName(m.Name)
		if other, taken := owner[name]; taken {
			w.note("members " + other + " and " + m.Name + " share the slot " + name + ": only one of them can stream; rename the other")
		}
		owner[name] = m.Name
		if here {
			w.add(name, streams, v.memberAt(m))
		} else if w.by[name].use != streams {
			w.add(name, idle, v.memberAt(m))
		}
	}
}

func (w *wishes) note(text string) { w.notes = append(w.notes, text) }

func (w *wishes) add(name string, u use, at wal.LSN) {
	w.by[name] = wish{Slot: cluster.Slot{Name: name, Type: cluster.PhysicalSlot}, use: u, at: at}
}

// memberAt is how far a member is: as the leader says, who does not know of those that do not stream from it.
func (v View) memberAt(m cluster.Member) wal.LSN {
	at := v.Cluster.Status.Slots[cluster.SlotName(m.Name)]
	if cascades(v.Cluster, m) || !tellsPositions(v.Cluster) {
		at = max(at, m.Location, v.Heard[m.Name])
	}
	return at
}

// retained wants the slots of members that are away.
func (w *wishes) retained(v View) {
	if v.limited() || v.Settings.MemberSlotsTTL == 0 {
		return
	}
	names := v.Cluster.Status.RetainSlots
	if v.Retention.Since != nil {
		names = v.Retention.names()
	}
	for _, name := range names {
		if _, known := w.by[name]; !known && name != cluster.SlotName(v.Name) && cluster.ValidSlotName(name) {
			w.add(name, unsure, v.Cluster.Status.Slots[name])
		}
	}
}

// permanent wants the slots of the dynamic configuration.
func (w *wishes) permanent(v View) {
	if v.limited() {
		return
	}
	logical := logicalHere(v.Settings) && slotOnPrimary(v.Cluster, v.Name, v.Tags) != ""
	for _, name := range slices.Sorted(maps.Keys(v.Settings.Slots)) {
		s := v.Settings.Slots[name]
		switch _, taken := w.by[name]; {
		case !inCluster(v.Settings, s), s.Logical() && !logical, name == cluster.SlotName(v.Name) && !s.Logical():
		case s.Logical() && (taken || name == cluster.SlotName(v.Name)):
			w.note("the permanent logical slot " + name + " has the name of a member's slot: give it another one")
		case s.Logical():
			w.by[name] = wish{Slot: s, at: v.Cluster.Status.Slots[name]}
		case !taken || w.by[name].use == unsure:
			w.add(name, v.permanentUse(name), v.Cluster.Status.Slots[name])
		}
	}
}

// permanentUse is whether somebody is expected to stream through a permanent slot: on the leader yes, unless it is that of
// a member that streams from another one.
func (v View) permanentUse(name string) use {
	here := v.leads()
	for _, m := range v.Cluster.Others(v.Name) {
		if cluster.SlotName(m.Name) == name {
			here = v.streamsFrom(m)
		}
	}
	if here {
		return streams
	}
	return idle
}

// inCluster reports whether a permanent slot is meant for a cluster of this kind.
func inCluster(s cluster.Settings, slot cluster.Slot) bool {
	switch slot.ClusterType {
	case "primary":
		return !s.Standby.Active()
	case "standby":
		return s.Standby.Active()
	}
	return true
}

// logicalHere reports whether the cluster has permanent logical slots. A standby cluster has none: it decodes nothing.
func logicalHere(s cluster.Settings) bool {
	if s.Standby.Active() {
		return false
	}
	for _, slot := range s.Slots {
		if slot.Logical() && inCluster(s, slot) {
			return true
		}
	}
	return false
}

// same reports whether an existing slot is the wanted one.
func (w wish) same(e Existing) bool {
	return w.Type == e.Type && (!w.Logical() || w.Plugin == e.Plugin && w.Database == e.Database)
}
