package quorum

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// The twin: groups that can win and sets that hold an acknowledged commit, as they are, without any arithmetic. A set is a
// list of small letters.

// subsets are all sets of some of the names.
func subsets(names []string) [][]string {
	sets := [][]string{nil}
	for _, n := range names {
		for _, s := range sets {
			sets = append(sets, append(slices.Clone(s), n))
		}
	}
	return sets
}

func folded(lists ...[]string) []string {
	var out []string
	for _, n := range slices.Concat(lists...) {
		if n = strings.ToLower(n); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// universe are all who may stream or lead, and some that nobody names.
func universe(p cluster.Sync, names ...guc.SyncNames) []string {
	lists := [][]string{{"a", "z"}, p.Voters}
	for _, n := range names {
		lists = append(lists, n.Names)
		if n.Has("*") {
			lists = append(lists, []string{"w", "x", "y"})
		}
	}
	if p.Made() {
		lists = append(lists, []string{p.Leader})
	}
	return slices.DeleteFunc(folded(lists...), func(n string) bool { return n == "*" || n == guc.NobodySync })
}

// groups are those that can make one of them the leader: whoever made the promise, or a member with as many others as it
// asks for. Without a promise anybody can.
func groups(p cluster.Sync, all []string) [][]string {
	var can [][]string
	for _, g := range subsets(all) {
		switch {
		case len(g) == 0:
		case !p.Made(), len(g) == 1 && strings.EqualFold(g[0], p.Leader):
			can = append(can, g)
		case !slices.ContainsFunc(g, func(n string) bool { return !p.Votes(n) }) && len(g) > p.Quorum:
			can = append(can, g)
		}
	}
	return can
}

// holders are the sets that may hold an acknowledged commit: the leader and as many standbys as it waited for.
func holders(n guc.SyncNames, all []string) [][]string {
	streams := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "a" })
	var sets [][]string
	for _, s := range subsets(streams) {
		named := !slices.ContainsFunc(s, func(name string) bool { return !n.Has(name) && !n.Has("*") })
		if n.Empty() && len(s) == 0 || !n.Empty() && named && len(s) >= n.Num {
			sets = append(sets, append(s, "a"))
		}
	}
	return sets
}

// mixedHolders are the sets that may hold a commit that was acknowledged while each sender went by one of two names.
func mixedHolders(now, next guc.SyncNames, all []string) [][]string {
	streams := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "a" })
	var sets [][]string
	if now.Empty() || next.Empty() {
		sets = append(sets, []string{"a"})
	}
	for _, late := range subsets(streams) {
		place := map[string]int{} // by the names that the own sender goes by
		goes := map[string]guc.SyncNames{}
		for _, s := range streams {
			goes[s] = next
			if slices.Contains(late, s) {
				goes[s] = now
			}
			if at := slices.IndexFunc(goes[s].Names, func(n string) bool { return n == "*" || strings.EqualFold(n, s) }); at >= 0 {
				place[s] = at
			}
		}
		for sender := range place {
			n := goes[sender]
			for _, set := range subsets(streams) {
				if len(set) == n.Num && releases(n, sender, set, place) {
					sets = append(sets, append(slices.Clone(set), "a"))
				}
			}
		}
	}
	return sets
}

// releases reports whether a sender may acknowledge what the set has.
func releases(n guc.SyncNames, sender string, set []string, place map[string]int) bool {
	for _, s := range set {
		if _, candidate := place[s]; !candidate {
			return false
		}
	}
	// With FIRST the sender's own standby is one of the first; who of the others streams is not known.
	return n.Any || slices.Contains(set, sender)
}

// meet reports whether every group has a member in every set.
func meet(groups, sets [][]string) bool {
	for _, g := range groups {
		for _, s := range sets {
			if !slices.ContainsFunc(g, func(n string) bool { return slices.Contains(s, n) }) {
				return false
			}
		}
	}
	return true
}

var (
	someone  = rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "B", "E"})
	somebody = rapid.SampledFrom([]string{"b", "c", "d", "e", "C", "a", "*", guc.NobodySync})
)

func somePromise(t *rapid.T) cluster.Sync {
	p := cluster.Sync{Leader: rapid.SampledFrom([]string{"a", "a", "a", "A", "b", ""}).Draw(t, "leader")}
	if p.Made() {
		p.Quorum = rapid.IntRange(0, 4).Draw(t, "quorum")
		p.Voters = slices.Sorted(slices.Values(rapid.SliceOfN(someone, 0, 4).Draw(t, "voters")))
	}
	return p
}

func someNames(t *rapid.T) guc.SyncNames {
	n := guc.SyncNames{Names: rapid.SliceOfN(somebody, 0, 4).Draw(t, "names")}
	if !n.Empty() {
		n.Any, n.Num = rapid.Bool().Draw(t, "any"), rapid.IntRange(1, 4).Draw(t, "num")
	}
	return n
}

func TestCoversMeansThatSetsMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, n := somePromise(t), someNames(t)
		all := universe(p, n)
		want := strings.EqualFold(p.Leader, "a") && meet(groups(p, all), holders(n, all))
		if got := Covers(p, n, "a"); got != want {
			t.Fatalf("promise of %q, %d of %v, and names %q: got %v, want %v", p.Leader, p.Quorum, p.Voters, n, got, want)
		}
	})
}

// someView is any state, whether or not one can come to it.
func someView(t *rapid.T) View {
	v := View{
		Now: instant, Self: "a", Position: origin, Patience: patience, Promise: somePromise(t), Names: someNames(t),
		Mode:  rapid.SampledFrom([]cluster.SyncMode{cluster.SyncOn, cluster.SyncQuorum}).Draw(t, "mode"),
		Count: rapid.IntRange(1, 3).Draw(t, "count"), Strict: rapid.Bool().Draw(t, "strict"), Doubt: rapid.Bool().Draw(t, "doubt"),
		MaximumLag: rapid.SampledFrom([]uint64{0, tooFar}).Draw(t, "maximum lag"),
	}
	for _, who := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"b", "c", "d", "e"}), 0, 4, rapid.ID[string]).Draw(t, "standbys") {
		v.Standbys = append(v.Standbys, Standby{
			Name: who, Priority: rapid.IntRange(1, 2).Draw(t, "priority"), NoFailover: rapid.IntRange(0, 3).Draw(t, "nofailover") == 0,
			Barred: rapid.IntRange(0, 5).Draw(t, "barred") == 0, Sent: origin, Flushed: rapid.SampledFrom([]wal.LSN{origin, origin, origin, 1}).Draw(t, "flushed"),
		})
	}
	return v
}

// path carries steps out from a state until nothing is left to do, with the standbys flushing everything, and hands each
// step with the state before it to a law.
func path(t *rapid.T, v View, law func(before View, mem Memory, s Step)) (View, Memory) {
	var mem Memory
	for range 40 {
		after, step := Next(mem, v)
		law(v, mem, step)
		mem = after
		switch step.Kind {
		case Rest:
			return v, mem
		case SetNames:
			v.Names, v.Doubt = step.Names, false
		case MakePromise:
			v.Promise = step.Promise
		case Emit:
			v.Position++
		case Await:
			v.Now = v.Now.Add(senderGrace)
		}
		v = bent(v, func(s *Standby) {
			s.Sent = v.Position
			if !lags(v, *s) {
				s.Flushed = v.Position
			}
		})
	}
	t.Fatalf("no end: %+v", v)
	return v, mem
}

// TestEveryStepKeepsWinnersAndHoldersTogether is rule S5 along a path from any state at all: what the leader found may be
// wrong, but from its first own promise on whoever can win meets whoever holds an acknowledged commit, before, during and
// after every step.
func TestEveryStepKeepsWinnersAndHoldersTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		good := false
		path(t, someView(t), func(v View, _ Memory, s Step) {
			all := universe(v.Promise, v.Names, s.Names)
			meets := func(p cluster.Sync, sets [][]string) bool { return meet(groups(p, all), sets) }
			if good && !meets(v.Promise, holders(v.Names, all)) {
				t.Fatalf("winners %+v and holders %q are apart", v.Promise, v.Names)
			}
			switch s.Kind {
			case MakePromise:
				good = true
				if !meets(s.Promise, holders(v.Names, all)) {
					t.Fatalf("winners %+v and holders %q are apart", s.Promise, v.Names)
				}
			case SetNames:
				good = true
				if !meets(v.Promise, holders(s.Names, all)) || !meets(v.Promise, mixedHolders(v.Names, s.Names, all)) {
					t.Fatalf("winners %+v and holders on the way from %q to %q are apart", v.Promise, v.Names, s.Names)
				}
			case Rest, Await, Emit:
			}
		})
	})
}

// TestStepsEndAtTheTarget: with nothing changing and the standbys flushing, the steps end soon, with all of those
// synchronous that can be.
func TestStepsEndAtTheTarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := someView(t)
		begin.Patience = 0 // whoever is not there is gone
		end, _ := path(t, begin, func(View, Memory, Step) {})
		var ready, leaders []string
		for _, s := range end.Standbys {
			if !s.Barred && !lags(end, s) {
				ready = append(ready, s.Name)
				if !s.NoFailover {
					leaders = append(leaders, s.Name)
				}
			}
		}
		n := min(end.Count, len(ready))
		size := n
		if end.Mode == cluster.SyncQuorum {
			size = max(n, len(leaders))
		}
		switch {
		case n == 0 && !end.Strict && !end.Names.Empty(), n == 0 && end.Strict && end.Names.Empty():
			t.Fatalf("nobody is there, and commits wait for %q", end.Names)
		case n == 0:
			return
		}
		if end.Names.Num != n || len(end.Names.Names) != size || len(end.Promise.Voters) != size || end.Promise.Quorum != size-n {
			t.Fatalf("of %d ready and %d to wait for: names %q, promise %d of %v", len(ready), end.Count, end.Names, end.Promise.Quorum, end.Promise.Voters)
		}
		for _, name := range end.Names.Names {
			if !slices.Contains(ready, strings.ToLower(name)) || !end.Promise.Names(name) {
				t.Fatalf("names %q, promise %v, ready %v", end.Names, end.Promise.Voters, ready)
			}
		}
	})
}

// TestAgentThatBeginsOnlyNarrowsThePromise: until the names it found are settled it knows nothing of earlier ones.
func TestAgentThatBeginsOnlyNarrowsThePromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path(t, someView(t), func(v View, mem Memory, s Step) {
			after, _ := Next(mem, v)
			if s.Kind != MakePromise || !after.Unsure || !v.Promise.Made() {
				return
			}
			if !strings.EqualFold(v.Promise.Leader, "a") && len(s.Promise.Voters) > 0 {
				t.Fatalf("%+v promised to others, with earlier names unknown", s.Promise)
			}
			all := universe(v.Promise)
			for _, g := range groups(s.Promise, folded(all, s.Promise.Voters)) {
				can := func(o []string) bool {
					return slices.Equal(slices.Sorted(slices.Values(o)), slices.Sorted(slices.Values(g)))
				}
				if strings.EqualFold(v.Promise.Leader, "a") && !slices.ContainsFunc(groups(v.Promise, all), can) {
					t.Fatalf("%v can win by %+v and could not by %+v", g, s.Promise, v.Promise)
				}
			}
		})
	})
}

// TestNextIsPure: the same arguments give the same step, and neither is changed.
func TestNextIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path(t, someView(t), func(v View, mem Memory, _ Step) {
			mem.Owed = append(make([]guc.SyncNames, 0, 8), mem.Owed...) // room to spoil
			room := mem.Owed[:cap(mem.Owed)]
			before := []any{deep(room), maps.Clone(mem.Seen), deep([]guc.SyncNames{v.Names})[0], slices.Clone(v.Promise.Voters), slices.Clone(v.Standbys)}
			mem1, step1 := Next(mem, v)
			mem2, step2 := Next(mem, v)
			if !reflect.DeepEqual([]any{mem1, step1}, []any{mem2, step2}) {
				t.Fatal(cmp.Diff([]any{mem1, step1}, []any{mem2, step2}))
			}
			if after := []any{room, mem.Seen, v.Names, v.Promise.Voters, v.Standbys}; !reflect.DeepEqual(before, after) {
				t.Fatalf("an argument changed: %s", cmp.Diff(before, after))
			}
		})
	})
}

func deep(all []guc.SyncNames) []guc.SyncNames {
	all = slices.Clone(all)
	for i := range all {
		all[i].Names = slices.Clone(all[i].Names)
	}
	return all
}

// TestWhoInheritsKeepsWinnersWithin: nobody can win after a change of leaders who could not before, and who can holds what
// the new leader acknowledges.
func TestWhoInheritsKeepsWinnersWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := somePromise(t)
		mode := rapid.SampledFrom([]cluster.SyncMode{cluster.SyncOn, cluster.SyncQuorum}).Draw(t, "mode")
		mine, names := Inherit(p, "a", mode, rapid.Bool().Draw(t, "strict"))
		all := universe(p, names)
		if !meet(groups(mine, all), holders(names, all)) {
			t.Fatalf("%+v and %q are apart", mine, names)
		}
		if !p.Votes("a") && len(mine.Voters) > 0 {
			t.Fatalf("%+v is promised on from %+v, in which a has no part", mine, p)
		}
		before := groups(p, all)
		for _, g := range groups(mine, all) {
			within := func(o []string) bool {
				return !slices.ContainsFunc(o, func(n string) bool { return !slices.Contains(g, n) })
			}
			if !slices.Contains(g, "a") && !slices.ContainsFunc(before, within) {
				t.Fatalf("%v can win by %+v and could not by %+v", g, mine, p)
			}
		}
	})
}
