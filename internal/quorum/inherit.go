package quorum

import (
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
)

// Inherit is what a member that won the leader key promises, and has its server's commits wait for, before it is promoted:
// afterwards whoever can win next holds what was acknowledged before, because nobody else can win than could before, and
// what is acknowledged from now on. A promise that had no part for the winner ends: it was made the leader by an operator,
// whatever that loses.
//
// With every voter holding everything (quorum zero), the former leader, who is gone, is not waited for; else it takes the
// winner's place among the voters. Where strict commits wait for nobody in particular, nothing is acknowledged for now, and
// whoever holds everything goes on being promised the next lead.
func Inherit(p cluster.Sync, self string, mode cluster.SyncMode, strict bool) (cluster.Sync, guc.SyncNames) {
	mine := cluster.Sync{Leader: self, Version: p.Version}
	switch {
	case !p.Votes(self):
	case p.Quorum <= 0:
		mine.Voters = without(p.Voters, self)
	default:
		mine.Quorum = p.Quorum
		mine.Voters = without(union(p.Voters, []string{p.Leader}), self)
	}
	slices.Sort(mine.Voters)
	n := guc.SyncNames{Any: mode == cluster.SyncQuorum, Num: len(mine.Voters) - mine.Quorum, Names: mine.Voters}
	if n.Num <= 0 || n.Empty() {
		mine.Quorum, mine.Voters, n = 0, nil, guc.SyncNames{}
	}
	if n.Empty() && strict {
		n = guc.SyncNames{Num: 1, Names: []string{guc.NobodySync}}
		if p.Votes(self) && p.Quorum <= 0 {
			mine.Voters = without(union(p.Voters, []string{p.Leader}), self)
		}
	}
	return mine, n
}

// HandOver is what a leader that has stopped its server promises before it gives the leader key up: those that received the
// last of its WAL hold everything there is, whatever the quorum was.
func HandOver(p cluster.Sync, self string, complete []string) cluster.Sync {
	return cluster.Sync{Leader: self, Voters: slices.Sorted(slices.Values(complete)), Version: p.Version}
}

// Votes counts the other members of the promise among names.
func Votes(p cluster.Sync, self string, names []string) int {
	n := 0
	for _, name := range names {
		if p.Votes(name) && !strings.EqualFold(name, self) {
			n++
		}
	}
	return n
}
