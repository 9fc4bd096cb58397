package quorum

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// target is where the steps lead.
type target struct {
	names   guc.SyncNames
	promise cluster.Sync
}

// wanted is the target: the names of the chosen standbys, and the promise that goes with them.
func wanted(mem Memory, v View) target {
	chosen := choose(mem, v)
	n := min(v.Count, len(chosen))
	if n == 0 {
		return nobody(v)
	}
	return target{
		names:   guc.SyncNames{Any: v.Mode == cluster.SyncQuorum, Num: n, Names: chosen},
		promise: promise(v, len(chosen)-n, chosen),
	}
}

// nobody is the target without a standby. Strict commits go on waiting, for whom they waited or for nobody.
func nobody(v View) target {
	alone := promise(v, 0, nil)
	switch {
	case !v.Strict:
		return target{promise: alone}
	case v.Names.Empty() || v.Names.Has("*"):
		return target{guc.SyncNames{Num: 1, Names: []string{guc.NobodySync}}, alone}
	case Covers(v.Promise, v.Names, v.Self):
		return target{v.Names, v.Promise}
	}
	return target{v.Names, alone}
}

// promise is one over the version of the present one.
func promise(v View, quorum int, voters []string) cluster.Sync {
	return cluster.Sync{Leader: v.Self, Quorum: quorum, Voters: slices.Sorted(slices.Values(voters)), Version: v.Promise.Version}
}

// choose are the standbys that shall be synchronous, sorted by name: with SyncOn the first Count in the order of
// preference, with SyncQuorum all of them.
func choose(mem Memory, v View) []string {
	ready := slices.DeleteFunc(slices.Clone(v.Standbys), func(s Standby) bool { return s.Barred || lags(v, s) })
	slices.SortStableFunc(ready, func(a, b Standby) int { return prefer(v, a, b) })
	var names []string
	for _, s := range ready {
		// In a quorum one that never leads is of use only where there are too few others.
		if v.Mode == cluster.SyncQuorum && s.NoFailover && len(names) >= v.Count {
			continue
		}
		names = append(names, s.Name)
	}
	names = append(names, vanished(mem, v)...)
	if v.Mode == cluster.SyncOn {
		names = names[:min(len(names), v.Count)]
	}
	return slices.Sorted(slices.Values(names))
}

// lags reports whether a standby is too far behind the best one that may be synchronous, or the leader where there is only
// one.
func lags(v View, s Standby) bool {
	best, others := wal.LSN(0), 0
	for _, o := range v.Standbys {
		if !o.Barred {
			best, others = max(best, o.Flushed), others+1
		}
	}
	if others <= 1 {
		best = v.Position
	}
	return v.MaximumLag > 0 && s.Flushed.Behind(best) > v.MaximumLag
}

// prefer orders standbys: who may lead, the higher priority, who is synchronous already, who has more.
func prefer(v View, a, b Standby) int {
	bit := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	return cmp.Or(
		bit(a.NoFailover)-bit(b.NoFailover),
		b.Priority-a.Priority,
		bit(v.Names.Has(b.Name))-bit(v.Names.Has(a.Name)),
		cmp.Compare(b.Flushed, a.Flushed),
		strings.Compare(a.Name, b.Name),
	)
}

// vanished are the standbys for which commits wait and that were there a moment ago.
func vanished(mem Memory, v View) []string {
	var names []string
	for _, name := range v.Names.Names {
		there := slices.ContainsFunc(v.Standbys, func(s Standby) bool { return strings.EqualFold(s.Name, name) })
		if at, seen := mem.Seen[strings.ToLower(name)]; !there && seen && v.Now.Sub(at) < v.Patience {
			names = append(names, name)
		}
	}
	return names
}
