package quorum

import (
	"testing"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
)

// mutants are rules with one fault each, which the search has to notice.
var mutants = []struct {
	fault string
	from  int
	mode  cluster.SyncMode
	count int
	rules rules
}{
	{"nothing is settled first", all, cluster.SyncQuorum, 1, rules{next: func(mem Memory, v View) (Memory, Step) {
		mem.Unsure, mem.Owed = false, nil
		mem, step := Next(mem, v)
		mem.Unsure, mem.Owed = false, nil
		return mem, step
	}}},
	{"the quorum is one too small", one, cluster.SyncQuorum, 1, rules{next: func(mem Memory, v View) (Memory, Step) {
		mem, step := Next(mem, v)
		step.Promise.Quorum = max(0, step.Promise.Quorum-1)
		return mem, step
	}}},
	{"one standby fewer has to flush", changing, cluster.SyncQuorum, 2, rules{next: func(mem Memory, v View) (Memory, Step) {
		if mem.Heard && mem.Mark > 0 && !settled(mem, v) {
			fewer := v
			fewer.Names.Num--
			if settled(mem, fewer) {
				mem.Unsure, mem.Owed = false, nil
			}
		}
		return Next(mem, v)
	}}},
	{"what was sent counts as flushed", changing, cluster.SyncQuorum, 2, rules{next: func(mem Memory, v View) (Memory, Step) {
		return Next(mem, bent(v, func(s *Standby) { s.Flushed = max(s.Flushed, s.Sent) }))
	}}},
	{"the winner keeps the promise of the former leader", all, cluster.SyncQuorum, 1, rules{inherit: func(p cluster.Sync, self string, mode cluster.SyncMode, strict bool) (cluster.Sync, guc.SyncNames) {
		_, names := Inherit(p, self, mode, strict)
		return p, names
	}}},
	{"the winner drops the former leader from the voters and leaves the quorum", all, cluster.SyncQuorum, 1, rules{inherit: func(p cluster.Sync, self string, mode cluster.SyncMode, strict bool) (cluster.Sync, guc.SyncNames) {
		mine, names := Inherit(p, self, mode, strict)
		mine.Quorum = 0
		return mine, names
	}}},
	{"a new life of the agent knows everything", all, cluster.SyncQuorum, 1, rules{next: func(mem Memory, v View) (Memory, Step) {
		mem = observe(mem, v)
		mem.Unsure = false
		return Next(mem, v)
	}}},
	{"the names go first", one, cluster.SyncQuorum, 1, rules{next: func(mem Memory, v View) (Memory, Step) {
		after, step := Next(mem, v)
		if t := wanted(after, v); step.Kind == MakePromise && v.Promise.Made() && !v.Names.Same(t.names) {
			return tell(after, v, t.names, "")
		}
		return after, step
	}}},
	{"nobody thinks of a server that goes by both", one, cluster.SyncQuorum, 2, rules{next: func(mem Memory, v View) (Memory, Step) {
		after, step := Next(mem, v)
		t := wanted(after, v)
		if step.Kind == MakePromise && after.Heard && !v.Names.Same(t.names) && Covers(v.Promise, t.names, v.Self) && Covers(v.Promise, v.Names, v.Self) {
			after.Owed = append(after.Owed, v.Names)
			return after, Step{Kind: SetNames, Names: t.names}
		}
		return after, step
	}}},
	{"nobody is heard", lost, cluster.SyncQuorum, 2, rules{next: func(mem Memory, v View) (Memory, Step) {
		return Next(mem, bent(v, func(s *Standby) { s.Sent = v.Position + 1 }))
	}}},
	{"the first mark is the last", changing, cluster.SyncQuorum, 2, rules{next: func(mem Memory, v View) (Memory, Step) {
		after, step := Next(mem, v)
		if after.Heard && !mem.Heard {
			after.Mark = mem.Mark
		}
		return after, step
	}}},
	{"no doubt", lost, cluster.SyncQuorum, 2, rules{next: func(mem Memory, v View) (Memory, Step) {
		v.Doubt = false
		return Next(mem, v)
	}}},
	{"commits wait for one standby less than all with synchronous_mode on", all, cluster.SyncOn, 2, rules{next: func(mem Memory, v View) (Memory, Step) {
		mem, step := Next(mem, v)
		step.Names.Num = min(step.Names.Num, 1)
		return mem, step
	}}},
}

func bent(v View, bend func(*Standby)) View {
	all := v.Standbys
	v.Standbys = nil
	for _, s := range all {
		bend(&s)
		v.Standbys = append(v.Standbys, s)
	}
	return v
}

// TestSearchNoticesFaults shows that the law is none that everything keeps.
func TestSearchNoticesFaults(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.fault, func(t *testing.T) {
			t.Parallel()
			bad := honest
			if m.rules.next != nil {
				bad.next = m.rules.next
			}
			if m.rules.inherit != nil {
				bad.inherit = m.rules.inherit
			}
			found := explore(begins(t, 3, m.mode, m.count)[m.from:m.from+1], bad, 6)
			if found.loss == "" {
				t.Fatalf("unnoticed in %.3g sequences of events", found.sequences)
			}
			t.Logf("noticed after %d states: %s", found.states, found.loss)
		})
	}
}
