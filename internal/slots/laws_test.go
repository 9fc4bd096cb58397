package slots

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// names are those of members, slots and whoever has the same name.
var names = []string{"n1", "n2", "n3", "n4", "away", "logic", "else"}

func anyLSN(t *rapid.T, label string) wal.LSN { return wal.LSN(rapid.Uint64Range(0, 9).Draw(t, label)) }

// anyView draws any view, sensible or not: the laws hold for all of them.
func anyView(t *rapid.T) View {
	v := newScenario().view
	v.Cluster.Members = nil
	v.Tags = anyTags(t, "own")
	v.Role = rapid.SampledFrom([]Role{Primary, Replica, StandbyLeader}).Draw(t, "role")
	v.Position = anyLSN(t, "position")
	v.Cluster.Leader.Name = rapid.SampledFrom([]string{"", "n1", "n2"}).Draw(t, "leader")
	v.Cluster.Status = cluster.Status{Optime: anyLSN(t, "optime"), Slots: map[string]wal.LSN{}}
	for _, name := range names {
		if rapid.Bool().Draw(t, "status has "+name) {
			v.Cluster.Status.Slots[name] = anyLSN(t, "status "+name)
		}
	}
	v.Cluster.Status.RetainSlots = rapid.SampledFrom([][]string{nil, {"away"}, {"away", "n1", "n4"}}).Draw(t, "retained")
	for _, name := range names[:4] {
		if rapid.Bool().Draw(t, "member "+name) {
			v.Cluster.Members = append(v.Cluster.Members, cluster.Member{
				Name: name, ConnURL: "postgres://x/", State: rapid.SampledFrom([]cluster.State{cluster.StateRunning, cluster.StateStopped}).Draw(t, "state"),
				Tags: anyTags(t, name), Location: anyLSN(t, "location"),
			})
		}
	}
	s := &v.Settings
	s.MemberSlotsTTL = rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "ttl")
	s.UseSlots = rapid.SampledFrom([]bool{true, true, true, false}).Draw(t, "use_slots")
	s.Pause = rapid.SampledFrom([]bool{false, false, true}).Draw(t, "pause")
	if rapid.SampledFrom([]bool{false, false, true}).Draw(t, "standby cluster") {
		s.Standby.Host = "far"
	}
	for _, name := range names {
		if rapid.SampledFrom([]bool{false, false, true}).Draw(t, "permanent "+name) {
			s.Slots[name] = anySlot(t, name)
		}
	}
	s.IgnoreSlots = rapid.SampledFrom([][]cluster.Slot{nil, {{Name: "else"}}, {{Type: cluster.LogicalSlot}}}).Draw(t, "ignore")
	v.Existing, v.OldestWAL = anySlots(t, "own"), anyLSN(t, "oldest WAL")
	if rapid.Bool().Draw(t, "the leader answered") {
		v.Leader = anySlots(t, "leader's")
	}
	v.Cut = rapid.Bool().Draw(t, "cut")
	v.Spoiled = rapid.SampledFrom([][]string{nil, {"logic"}}).Draw(t, "spoiled")
	return v
}

func anyTags(t *rapid.T, whose string) cluster.Tags {
	tags := cluster.Tags{
		"nofailover": rapid.SampledFrom([]bool{false, false, true}).Draw(t, whose+" nofailover"),
		"nostream":   rapid.SampledFrom([]bool{false, false, true}).Draw(t, whose+" nostream"),
	}
	if from := rapid.SampledFrom([]string{"", "", "n1", "n2", "n3", "n9"}).Draw(t, whose+" replicatefrom"); from != "" {
		tags["replicatefrom"] = from
	}
	return tags
}

func anySlot(t *rapid.T, name string) cluster.Slot {
	if rapid.Bool().Draw(t, name+" is logical") {
		return cluster.Slot{Name: name, Type: cluster.LogicalSlot, Plugin: rapid.SampledFrom([]string{"pgoutput", "test_decoding"}).Draw(t, "plugin"), Database: "app"}
	}
	return cluster.Slot{Name: name, Type: cluster.PhysicalSlot}
}

func anySlots(t *rapid.T, whose string) []Existing {
	all := []Existing{}
	flag := func(label string) bool { return rapid.SampledFrom([]bool{false, false, true}).Draw(t, label) }
	for _, name := range names {
		if !rapid.Bool().Draw(t, whose+" has "+name) {
			continue
		}
		e := Existing{
			Slot: anySlot(t, name), Active: flag("active"), Temporary: flag("temporary"), Failover: flag("failover"), Synced: flag("synced"), Lost: flag("lost"),
			Xmin: rapid.Uint32Range(0, 2).Draw(t, "xmin"), CatalogXmin: rapid.Uint32Range(0, 9).Draw(t, "catalog_xmin"), Restart: anyLSN(t, "restart"),
		}
		if e.Logical() {
			e.Confirmed = anyLSN(t, "confirmed")
		}
		all = append(all, e)
	}
	return all
}

func TestWhatMustNotBeTouchedIsNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyView(t)
		want := wanted(v)
		_, plan := Next(Memory{}, v)
		for _, step := range plan.Steps {
			e, exists := find(v.Existing, name(step))
			if !exists {
				continue
			}
			w, wished := want.by[e.Name]
			ignored := slices.ContainsFunc(v.Settings.IgnoreSlots, e.Fits) && (!wished || !w.same(e))
			_, dropped := step.(Drop)
			left := e.Failover && dropped && v.Role != Primary && e.Logical() && !e.Synced
			switch {
			case e.Active, e.Temporary, e.Synced, ignored, e.Failover && !left:
				t.Fatalf("%s: %+v", step, e)
			case dropped && v.Settings.Pause && (!wished || w.same(e)):
				t.Fatalf("%s, in pause: %+v", step, e)
			}
		}
	})
}

func name(step Step) string {
	switch step := step.(type) {
	case Create:
		return ""
	case Drop:
		return step.Name
	case Advance:
		return step.Slot.Name
	}
	panic("no such step")
}

func TestSlotsMoveForwardAndNotPastTheOwnWAL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyView(t)
		_, plan := Next(Memory{}, v)
		for _, step := range plan.Steps {
			a, advance := step.(Advance)
			if !advance {
				continue
			}
			e, exists := find(v.Existing, a.Slot.Name)
			from := e.Restart
			if e.Logical() {
				from = e.Confirmed
			}
			if !exists || e.Slot != a.Slot || a.To <= from || a.To > v.Position || v.Role == Primary && e.Logical() || !e.Logical() && e.pins() {
				t.Fatalf("%s: %+v, own position %s", step, e, v.Position)
			}
		}
	})
}

// What was carried out is not done again, and nothing but copying is left to be done.
func TestStepsReachAFixedPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyView(t)
		v.Position++
		m, plan := Next(Memory{}, v)
		v.Existing = apply(v, plan.Steps)
		for _, w := range wanted(v).sorted() {
			_, exists := find(v.Existing, w.Name)
			if !exists && v.Settings.UseSlots && (!w.Logical() || v.Role == Primary) {
				t.Fatalf("%s is missing", w.Name)
			}
		}
		if _, again := Next(m, v); len(again.Steps) > 0 {
			t.Fatalf("left to do: %v", again.Steps)
		}
	})
}

// Only those that a standby of this cluster can stand in for are copied, and never for a server that must not restart.
func TestWhatIsCopied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyView(t)
		_, plan := Next(Memory{}, v)
		for _, name := range plan.Copy {
			leader, exists := find(v.Leader, name)
			_, configured := v.Settings.Slots[name]
			own, here := find(v.Existing, name)
			replaced := here && !slices.Contains(v.Spoiled, name) && !slices.ContainsFunc(plan.Steps, func(s Step) bool { return s.String() == (Drop{name, "what it should have kept is gone"}).String() })
			switch {
			case !exists, !configured, leader.Restart < v.OldestWAL, leader.Restart > v.Position, leader.Failover, v.Role == Primary, v.Settings.Pause, v.Cut,
				v.Settings.Standby.Active(), own.Active:
				t.Fatalf("%s is copied: %+v", name, leader)
			case replaced && own.Type == cluster.LogicalSlot && own.Plugin == leader.Plugin:
				t.Fatalf("%s is copied although it is there: %+v", name, own)
			}
		}
	})
}

func TestCopiesAreNotTrustedBeforeTheFeedbackArrived(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyView(t)
		m, plan := Next(Memory{}, v)
		for name := range m.Safe {
			own, _ := find(v.Existing, name)
			logical, _ := find(v.Leader, name)
			physical, known := find(v.Leader, slotOnPrimary(v.Cluster, v.Name, v.Tags))
			if !known || logical.CatalogXmin == 0 || logical.CatalogXmin > physical.CatalogXmin || physical.CatalogXmin > own.CatalogXmin {
				t.Fatalf("%s is trusted: %+v, on the leader %+v and %+v", name, own, logical, physical)
			}
			if slices.Contains(plan.Unsafe, name) {
				t.Fatalf("%s is trusted and not", name)
			}
		}
	})
}

func TestARetainedSlotStaysForTheTTL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyView(t)
		v.Role, v.Cluster.Leader.Name, v.Settings.UseSlots, v.Settings.MemberSlotsTTL = Primary, "n1", true, time.Minute
		r, first := Publish(Retention{}, v, at(0))
		v.Cluster.Members, v.Retention = nil, r
		after := rapid.IntRange(0, 120).Draw(t, "seconds")
		_, later := Publish(r, v, at(after))
		for _, name := range first.Retain {
			if kept := slices.Contains(later.Retain, name); kept != (after < 60) && name != "n1" {
				t.Fatalf("%s kept after %d s: %v", name, after, kept)
			}
		}
	})
}

func TestNothingChangesItsArguments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyView(t)
		m, _ := Next(Memory{}, v)
		before := fmt.Sprint(m, v)
		m1, p1 := Next(m, v)
		m2, p2 := Next(m.Clone(), v)
		_, _ = Publish(Retention{Since: map[string]time.Time{"away": at(0)}}, v, at(200))
		Feedback(v)
		if after := fmt.Sprint(m, v); after != before {
			t.Fatalf("before %s\nafter  %s", before, after)
		}
		if diff := cmp.Diff([]any{m1, p1}, []any{m2, p2}); diff != "" {
			t.Fatalf("equal arguments, other results: %s", diff)
		}
	})
}
