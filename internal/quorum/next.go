package quorum

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
)

// Next returns the next safe step, and what to remember. It is pure: neither argument is changed.
func Next(mem Memory, v View) (Memory, Step) {
	mem = observe(mem, v)
	if s, ok := repair(mem, v); ok {
		return mem, s
	}
	t := wanted(mem, v)
	if v.Doubt {
		return mem, Step{Kind: SetNames, Names: v.Names, Why: "making sure that the server goes by its synchronous_standby_names"}
	}
	if !v.Names.Same(t.names) {
		return change(mem, v, t)
	}
	if v.Promise.Says(t.promise) && mem.Heard && (!v.Settle || mem.Settled()) {
		return mem, Step{Kind: Rest, Why: "synchronous standbys are as they shall be"}
	}
	if !v.Promise.Says(t.promise) && safe(mem, v, t.promise) {
		return mem, Step{Kind: MakePromise, Promise: t.promise, Why: "the synchronous standbys hold every acknowledged commit"}
	}
	// Commits that wait when the names change are released by a process that sends WAL when its standby answers, and not by the
	// change: where all clients wait there is nothing to answer to. The same step makes sure that all go by the names.
	return mem, await(mem, v)
}

// observe brings the memory up to what is seen: who is there, new names, what they settled.
func observe(mem Memory, v View) Memory {
	mem.Seen = seen(mem, v)
	switch {
	case !mem.Begun:
		mem.Begun, mem.Names, mem.Unsure = true, v.Names, true
	case !mem.Names.Same(v.Names):
		mem.Owed = owe(mem.Owed, mem.Names, v.Names)
		mem.Names, mem.Heard, mem.Mark = v.Names, false, 0
	}
	if v.Doubt {
		mem.Heard, mem.Mark = false, 0
		return mem
	}
	if mem.Mark == 0 && !mem.Heard {
		mem.MarkedAt = v.Now
	}
	if mem.Mark == 0 {
		mem.Mark = v.Position
	}
	switch {
	case !mem.Heard && heard(mem, v):
		mem.Heard, mem.Mark = true, 0 // the next position is behind all that was acknowledged before
	case mem.Heard && settled(mem, v):
		mem.Owed, mem.Unsure = nil, false
	}
	return mem
}

// seen is when each standby was last there and could be synchronous: nobody waits
// for one to come back that announced its end before it vanished. An agent that begins takes those for which commits wait for there.
func seen(mem Memory, v View) map[string]time.Time {
	at := map[string]time.Time{}
	maps.Copy(at, mem.Seen)
	if !mem.Begun && !v.Names.Has("*") {
		for _, name := range standbys(v.Names, v.Self) {
			at[strings.ToLower(name)] = v.Now
		}
	}
	for _, s := range v.Standbys {
		at[strings.ToLower(s.Name)] = v.Now
		if s.Barred {
			delete(at, strings.ToLower(s.Name))
		}
	}
	return at
}

// owe adds to the names that are owed those of a change.
func owe(owed []guc.SyncNames, now, next guc.SyncNames) []guc.SyncNames {
	owed = slices.Clone(owed)
	for _, n := range during(now, next) {
		if !slices.ContainsFunc(owed, n.Same) {
			owed = append(owed, n)
		}
	}
	return owed
}

// heard reports whether every process that sends WAL goes by the names in force. All have been told when the mark is set,
// and each looks at what it was told before it takes the next answer of its standby. One that has sent what lies behind the
// mark is through with the answer it was at. Those that have not, because their standby is slow or frozen, get a second.
func heard(mem Memory, v View) bool {
	return v.Now.Sub(mem.MarkedAt) >= senderGrace || !slices.ContainsFunc(v.Standbys, func(s Standby) bool { return s.Sent <= mem.Mark })
}

// senderGrace is how long the processes that send WAL to slow standbys may take to read their configuration.
const senderGrace = time.Second

// settled reports whether every commit up to the mark, which was set anew when all processes were heard, satisfies the
// names in force, and with them every commit that was acknowledged under earlier ones: enough of the named standbys have
// flushed that far.
func settled(mem Memory, v View) bool {
	if v.Names.Empty() || unanswerable(v.Names, v.Self) {
		return false
	}
	flushed := 0
	for _, s := range v.Standbys {
		if v.Names.Has(s.Name) && s.Flushed >= mem.Mark {
			flushed++
		}
	}
	return flushed >= v.Names.Num
}

// repair gives the leader a promise of its own where it has none, and one that covers what commits wait for where somebody
// else's hand changed either.
func repair(mem Memory, v View) (Step, bool) {
	var why string
	switch {
	case !v.Promise.Made():
		return Step{Kind: MakePromise, Promise: promise(v, 0, nil), Why: "synchronous mode begins"}, true
	case !strings.EqualFold(v.Promise.Leader, v.Self):
		why = "the promise is still that of " + v.Promise.Leader
	case !covers(v.Promise, append(slices.Clone(mem.Owed), v.Names), v.Self):
		why = "more is promised than commits wait for"
	case v.Mode == cluster.SyncOn && v.Promise.Quorum > 0:
		why = "with synchronous_mode on every voter holds everything"
	default:
		return Step{}, false
	}
	return Step{Kind: MakePromise, Promise: bridge(mem, v, wanted(mem, v), v.Names), Why: why}, true
}

// change is the next step towards other names. Never two changes of names at once: the promise covers what the server's
// processes may go by while they learn of one.
func change(mem Memory, v View, t target) (Memory, Step) {
	if !mem.Heard {
		return mem, await(mem, v)
	}
	if covers(v.Promise, during(v.Names, t.names), v.Self) {
		return tell(mem, v, t.names, "other standbys are to be synchronous")
	}
	narrow := bridge(mem, v, t, t.names)
	if len(narrow.Voters) > 0 || len(t.promise.Voters) == 0 || !worthwhile(mem, v) {
		return mem, Step{Kind: MakePromise, Promise: narrow, Why: "other standbys are to be synchronous: the promise goes first"}
	}
	// Nobody but the leader could win for a while. As long as those who can are there, that is not worth it: more becomes
	// possible when earlier names are settled, and then commits wait for the old and the new standbys for a while.
	if !mem.Settled() {
		return mem, await(mem, v)
	}
	if more := joined(v.Names, t.names); !more.Same(v.Names) && covers(v.Promise, during(v.Names, more), v.Self) {
		return tell(mem, v, more, "other standbys are to be synchronous: the old ones stay until the new ones have caught up")
	}
	return mem, Step{Kind: MakePromise, Promise: narrow, Why: "other standbys are to be synchronous: for now only the leader may lead"}
}

// tell has the server go by other names. From now on it may, whatever becomes of the step.
func tell(mem Memory, v View, names guc.SyncNames, why string) (Memory, Step) {
	mem.Owed = owe(mem.Owed, v.Names, names)
	return mem, Step{Kind: SetNames, Names: names, Why: why}
}

// worthwhile reports whether the standbys for which commits wait are worth waiting for: each streams, keeps up, and has
// caught up or had less than the patience to. They are not where that would settle nothing.
func worthwhile(mem Memory, v View) bool {
	fresh := v.Now.Sub(mem.MarkedAt) < v.Patience
	return !v.Names.Empty() && !unanswerable(v.Names, v.Self) && !slices.ContainsFunc(v.Names.Names, func(name string) bool {
		return !slices.ContainsFunc(v.Standbys, func(s Standby) bool {
			return strings.EqualFold(s.Name, name) && !lags(v, s) && (fresh || mem.Mark > 0 && s.Flushed >= mem.Mark)
		})
	})
}

// joined are names that make commits wait for all of both.
func joined(a, b guc.SyncNames) guc.SyncNames {
	all := union(a.Names, b.Names)
	return guc.SyncNames{Any: b.Any, Num: len(all), Names: all}
}

// bridge is the widest promise that covers what commits wait for, waited for, and will wait for. With SyncOn members of
// other kinds do not count votes, so there every voter has to hold everything.
func bridge(mem Memory, v View, t target, next guc.SyncNames) cluster.Sync {
	best, slack := promise(v, 0, nil), -1
	all := append(owe(mem.Owed, v.Names, next), v.Names)
	for _, voters := range [][]string{
		t.promise.Voters, without(union(v.Promise.Voters, t.promise.Voters), v.Self), without(v.Promise.Voters, v.Self), both(v.Promise.Voters, t.promise.Voters),
	} {
		q := least(voters, all, v.Self)
		p := promise(v, q, voters)
		room := len(voters) - 1 - q
		allowed := len(voters) > 0 && (!mem.Unsure || narrows(p, v.Promise)) && (v.Mode == cluster.SyncQuorum || q == 0)
		if allowed && room > slack {
			best, slack = p, room
		}
	}
	return best
}

// safe reports whether a promise covers all that was ever acknowledged.
func safe(mem Memory, v View, p cluster.Sync) bool {
	return (!mem.Unsure || narrows(p, v.Promise)) && covers(p, append(slices.Clone(mem.Owed), v.Names), v.Self)
}

// await waits for the standbys, and has the WAL of an idle server move, for only so its processes are heard.
func await(mem Memory, v View) Step {
	if mem.Heard {
		return Step{Kind: Await, Why: "waiting until " + strings.Join(v.Names.Names, ", ") + " hold every acknowledged commit"}
	}
	const why = "waiting until all processes of the server are known to go by its synchronous_standby_names"
	if v.Position <= mem.Mark {
		return Step{Kind: Emit, Why: why}
	}
	return Step{Kind: Await, Why: why}
}
