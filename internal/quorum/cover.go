package quorum

import (
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
)

// Covers reports whether whoever can win by the promise holds every commit that the leader self acknowledges under the
// names (rule S5; see the package comment for the inequality). Without a promise anybody can win. Only the leader's own
// promise covers anything, because the leader of a promise wins alone.
func Covers(p cluster.Sync, n guc.SyncNames, self string) bool {
	voters := without(union(p.Voters), self)
	switch {
	case !strings.EqualFold(p.Leader, self):
		return false
	case p.Quorum >= len(voters) || unanswerable(n, self):
		return true // only the leader can win, or together with it; or nothing is acknowledged
	case n.Has("*"):
		return false
	}
	return len(union(voters, standbys(n, self), []string{self})) <= p.Quorum+count(n)+1
}

// covers reports whether the promise covers all of the names.
func covers(p cluster.Sync, all []guc.SyncNames, self string) bool {
	return !slices.ContainsFunc(all, func(n guc.SyncNames) bool { return !Covers(p, n, self) })
}

// unanswerable reports whether no commit is ever acknowledged under the names: there are fewer than it has to wait for.
func unanswerable(n guc.SyncNames, self string) bool {
	return !n.Empty() && !n.Has("*") && len(standbys(n, self)) < n.Num
}

// standbys are those of the names that a standby of the leader can have, each once.
func standbys(n guc.SyncNames, self string) []string {
	return without(without(union(n.Names), guc.NobodySync), self)
}

// count is how many standbys a commit waits for.
func count(n guc.SyncNames) int {
	if n.Empty() {
		return 0
	}
	return n.Num
}

// during is what commits are acknowledged under from the moment the server is told to go by the next names until all its
// processes do. Each process that sends WAL counts as its own configuration says, but among the standbys whose senders
// found them named in theirs: so the smaller number may be met by any of both names. One alone that is waited for in its
// order is always the sender's own standby (SyncRepGetSyncRecPtr in syncrep.c), and that is named by its own configuration.
func during(now, next guc.SyncNames) []guc.SyncNames {
	mixed := []guc.SyncNames{now, next}
	all := union(now.Names, next.Names)
	for i, n := range mixed {
		if (n.Any || n.Num > 1) && len(union(n.Names)) < len(all) {
			mixed[i] = guc.SyncNames{Any: true, Num: n.Num, Names: all}
		}
	}
	return mixed
}

// least is the smallest quorum with which voters cover all of the names.
func least(voters []string, all []guc.SyncNames, self string) int {
	q := 0
	for _, n := range all {
		if n.Has("*") {
			return len(voters)
		}
		if !unanswerable(n, self) {
			q = max(q, len(union(voters, standbys(n, self), []string{self}))-count(n)-1)
		}
	}
	return q
}

// narrows reports whether whoever can win by one promise can win by the other of the same leader as well.
func narrows(p, other cluster.Sync) bool {
	return strings.EqualFold(p.Leader, other.Leader) && (len(p.Voters) == 0 || p.Quorum >= other.Quorum) &&
		!slices.ContainsFunc(p.Voters, func(name string) bool { return !other.Votes(name) })
}

// union is every name once, without case, sorted.
func union(lists ...[]string) []string {
	var out []string
	for _, name := range slices.Concat(lists...) {
		if !has(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func both(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return !has(b, name) })
}

func without(list []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(n string) bool { return strings.EqualFold(n, name) })
}

func has(list []string, name string) bool {
	return slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) })
}
