package ha

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/quorum"
)

// Synchronous replication has two sides (see package quorum): for whom the leader's commits wait, and the promise in the
// sync key, which says who holds every acknowledged commit and therefore may lead next (rule S5). This file is the leader's
// part, what a winner does before its promotion, what the race asks of the promise, and what a synchronous standby does before
// a planned restart.

// promise is the one that binds this member. Where the key was lost while synchronous mode is on, the last one that was seen
// goes on binding. A standby cluster accepts no writes and has none.
func promise(mem *Memory, v View) cluster.Sync {
	switch {
	case v.Settings.Standby.Active():
		return cluster.Sync{}
	case v.Cluster.Sync.Made():
		return v.Cluster.Sync
	case v.Settings.Sync() != cluster.SyncOff:
		return mem.Promise
	}
	return cluster.Sync{}
}

// rememberSync keeps what later decisions about synchronous replication need.
func rememberSync(mem *Memory, v View) {
	switch {
	case v.Fresh && v.Cluster.Sync.Made():
		mem.Promise = v.Cluster.Sync
		mem.Promise.Version = 0 // of a key that will be gone when this is asked for
	case v.Fresh && v.Settings.Sync() == cluster.SyncOff:
		mem.Promise = cluster.Sync{}
	}
	switch outcome[WriteSync](v) {
	case Unknown:
		mem.PromiseSure = false
	case Done:
		mem.PromiseSure = true
	case Refused:
	}
	if !v.leading() {
		mem.PromiseSure = false
	}
	for _, o := range v.Outcomes {
		if a, ok := o.Action.(SetSyncNames); ok {
			mem.NamesSure = o.Result == Done && !a.Release
			mem.NamesFailed = o.Result != Done
		}
	}
	if v.Server.Process == Stopped {
		mem.NamesSure, mem.NamesFailed = false, false
	}
	if !v.Server.Primary() || !v.leading() {
		mem.Quorum = quorum.Memory{} // what was settled under another life of the server, or another leader, proves nothing
	}
	if !mem.Releasing {
		mem.ReleaseSince = time.Time{}
	}
	mem.Releasing = false
}

// synchronous adds the leader's next step to a decision that leaves room for it.
func synchronous(mem *Memory, v View, d Decision) Decision {
	if !v.Server.Primary() || !v.Server.Answers || contains[StartJob](d) || contains[ReleaseLeader](d) {
		return d
	}
	if v.Settings.Sync() == cluster.SyncOff {
		return admit(mem, v, asynchronous(mem, v, d))
	}
	var step quorum.Step
	mem.Quorum, step = quorum.Next(mem.Quorum, quorumView(mem, v))
	d = admit(mem, v, d)
	if step.Kind != quorum.MakePromise && !mem.PromiseSure {
		step = quorum.Step{Kind: quorum.MakePromise, Promise: v.Cluster.Sync, Why: "making sure what is promised"}
	}
	switch step.Kind {
	case quorum.Rest:
		return d
	case quorum.SetNames:
		mem.NamesSure = false
		d = d.with(SetSyncNames{Names: step.Names})
	case quorum.MakePromise:
		d = d.with(WriteSync{step.Promise})
	case quorum.Emit:
		d = d.with(EmitWAL{})
	case quorum.Await:
	}
	d.Why += "; " + step.Why
	if step.Kind == quorum.Emit || step.Kind == quorum.Await {
		d.Wake = shorter(d.Wake, settleStep(mem.Quorum, v.Now))
		return d
	}
	return nextStep(v, d)
}

// nextStep goes on at once, unless the last try got no answer.
func nextStep(v View, d Decision) Decision {
	if outcome[SetSyncNames](v) == Unknown || outcome[WriteSync](v) == Unknown {
		d.Wake = shorter(d.Wake, time.Second)
		return d
	}
	return d.again()
}

// settleStep is the time until the leader looks again whether its standbys have caught up: no event tells. The longer it
// takes, the less often.
func settleStep(q quorum.Memory, now time.Time) time.Duration {
	return handoverStep + now.Sub(q.MarkedAt)/handoverEase
}

// asynchronous ends what synchronous mode left.
func asynchronous(mem *Memory, v View, d Decision) Decision {
	mem.Quorum = quorum.Memory{}
	if v.Cluster.Sync.Made() {
		d.Why += "; synchronous mode ends"
		return nextStep(v, d.with(DeleteSync{v.Cluster.Sync.Version}))
	}
	if v.Server.NamesManaged {
		return nextStep(v, d.with(SetSyncNames{Release: true}))
	}
	return d
}

// admit lets clients in again once whatever a crash left visible is on the synchronous standbys.
func admit(mem *Memory, v View, d Decision) Decision {
	if v.Server.Held && (!strict(v) || mem.Quorum.Settled()) {
		return d.with(AdmitClients{}).again()
	}
	return d
}

// strict reports whether no commit may be acknowledged, nor be seen after a crash, without a synchronous standby.
func strict(v View) bool {
	return v.Settings.Sync() != cluster.SyncOff && v.Settings.SynchronousStrict
}

func quorumView(mem *Memory, v View) quorum.View {
	return quorum.View{
		Now: v.Now, Self: v.Self.Name,
		Mode: v.Settings.Sync(), Count: v.Settings.SynchronousNodes, Strict: v.Settings.SynchronousStrict,
		MaximumLag: v.Settings.MaximumLagOnSyncNode, Patience: v.Settings.LoopWait,
		Settle: v.Server.Held && strict(v), Promise: v.Cluster.Sync, Names: v.Server.SyncNames, Doubt: !mem.NamesSure, Position: v.Server.Position,
		Standbys: syncStandbys(mem, v),
	}
}

// syncStandbys are the members that stream from this server. Who is not to become synchronous is among them: commits may
// wait for it still.
func syncStandbys(mem *Memory, v View) []quorum.Standby {
	var all []quorum.Standby
	for _, s := range v.Server.Senders {
		m, known := memberNamed(v, s.Name)
		if !known && !concerns(mem, v, s.Name) {
			continue
		}
		b := quorum.Standby{
			Name: cmp.Or(m.Name, s.Name), Priority: m.Tags.SyncPriority(), NoFailover: m.Tags.NoFailover(), Sent: s.Sent, Flushed: s.Flushed,
			Barred: !known || m.Tags.NoSync() || !m.Running() || cascades(v, m) || stranger(v, m),
		}
		// A connection that broke unnoticed stays for a while beside its successor.
		twice := slices.IndexFunc(all, func(o quorum.Standby) bool { return o.Name == b.Name })
		switch {
		case twice < 0:
			all = append(all, b)
		case all[twice].Flushed < b.Flushed:
			all[twice] = b
		}
	}
	return all
}

// concerns reports whether commits wait, or may have waited, for a standby of that name.
func concerns(mem *Memory, v View, name string) bool {
	return v.Server.SyncNames.Has(name) || slices.ContainsFunc(mem.Quorum.Owed, func(n guc.SyncNames) bool { return n.Has(name) })
}

// stranger reports whether somebody else streams from here by a member's name, as the leader of a standby cluster does whose
// member is named like one here, or a subscription. PostgreSQL goes by the name alone, so nobody of that name can be
// trusted. Members are known by their slots.
func stranger(v View, m cluster.Member) bool {
	return v.Settings.UseSlots && slices.ContainsFunc(v.Server.Senders, func(s Sender) bool {
		return strings.EqualFold(s.Name, m.Name) && s.Slot != cluster.SlotName(m.Name)
	})
}

// memberNamed is the other member with an application name; PostgreSQL compares these without case.
func memberNamed(v View, application string) (cluster.Member, bool) {
	for _, m := range v.Cluster.Others(v.Self.Name) {
		if strings.EqualFold(m.Name, application) {
			return m, true
		}
	}
	return cluster.Member{}, false
}

// cascades reports whether a member is on its way to another upstream, which streams from here itself.
func cascades(v View, m cluster.Member) bool {
	up, known := v.Cluster.Member(m.Tags.ReplicateFrom())
	return known && up.Name != m.Name && up.Running() && slices.ContainsFunc(v.Server.Senders, func(s Sender) bool { return strings.EqualFold(s.Name, up.Name) })
}

// inherit is what the winner of the leader key does before its promotion: the promise becomes its own, and its server's
// commits wait for whom that names from the first one on. Whether every process of the server knows the names may stay
// uncertain; then nobody but this member is promised the next lead.
func inherit(mem *Memory, v View) (Decision, bool) {
	mode := v.Settings.Sync()
	if mode == cluster.SyncOff || inherited(mem, v) {
		return Decision{}, false
	}
	before := promise(mem, v)
	before.Version = v.Cluster.Sync.Version
	mine, names := quorum.Inherit(before, v.Self.Name, mode, v.Settings.SynchronousStrict)
	if len(mine.Voters) == 0 {
		names = expected(v, names)
	}
	told := mem.NamesSure && v.Server.SyncNames.Same(names)
	if mem.NamesFailed {
		mine, told = cluster.Sync{Leader: v.Self.Name, Version: mine.Version}, true
	}
	d := do("holding the leader key: first, who holds every commit from now on").again()
	if !mem.PromiseSure || !v.Cluster.Sync.Says(mine) {
		d = d.with(WriteSync{mine})
	}
	if !told {
		d = d.with(SetSyncNames{Names: names})
	}
	return d, len(d.Do) > 0
}

// inherited reports whether that is done.
func inherited(mem *Memory, v View) bool {
	done := mem.PromiseSure && mem.NamesSure && quorum.Covers(v.Cluster.Sync, v.Server.SyncNames, v.Self.Name)
	return done && (!strict(v) || !v.Server.SyncNames.Empty())
}

// expected are the standbys that commits wait for from the first one on, where the promise names nobody else: those that
// were seen to stream. Otherwise nothing would be synchronous until one of them has found the new primary.
func expected(v View, otherwise guc.SyncNames) guc.SyncNames {
	var there []cluster.Member
	for _, m := range v.Cluster.Others(v.Self.Name) {
		if m.Running() && m.Role == cluster.RoleReplica && m.Streaming() && !m.Tags.NoSync() {
			there = append(there, m)
		}
	}
	slices.SortStableFunc(there, func(a, b cluster.Member) int { return b.Tags.SyncPriority() - a.Tags.SyncPriority() })
	n := min(v.Settings.SynchronousNodes, len(there))
	if n == 0 {
		return otherwise
	}
	if v.Settings.Sync() == cluster.SyncOn {
		there = there[:n]
	}
	names := guc.SyncNames{Any: v.Settings.Sync() == cluster.SyncQuorum, Num: n}
	for _, m := range there {
		names.Names = append(names.Names, m.Name)
	}
	slices.Sort(names.Names)
	return names
}

// coverStart narrows the promise before a server starts as the primary again, where a hand-over that came to nothing had
// promised the lead to others than its commits wait for.
func coverStart(mem *Memory, v View) (Decision, bool) {
	p := v.Cluster.Sync
	covered := quorum.Covers(p, v.Server.SyncNames, v.Self.Name)
	switch {
	case v.Settings.Sync() == cluster.SyncOff || !p.Made() || covered && mem.PromiseSure:
		return Decision{}, false
	case covered:
		return do("before the primary starts: making sure what is promised", WriteSync{p}).again(), true
	}
	alone := cluster.Sync{Leader: v.Self.Name, Version: p.Version}
	return do("before the primary starts: nobody else is promised the lead", WriteSync{alone}).again(), true
}

// startPrimary starts the server of the leader key's holder as the primary that it was.
func startPrimary(mem *Memory, v View, why string) Decision {
	if d, ok := coverStart(mem, v); ok {
		return d
	}
	return job(why, Job{Kind: JobStart, Primary: true, Hold: strict(v)})
}

// handOverPromise is added to the release of the leader key: whoever has received the last of the WAL holds everything.
func handOverPromise(v View, complete []string) []Action {
	if v.Settings.Sync() == cluster.SyncOff || !v.Cluster.Sync.Made() {
		return nil
	}
	return []Action{WriteSync{quorum.HandOver(v.Cluster.Sync, v.Self.Name, complete)}}
}

// heirs are those of the ready members that hold every acknowledged commit, where they are enough to win by the promise.
func heirs(mem *Memory, v View, ready []string, checks []Check) ([]string, []Check) {
	p := promise(mem, v)
	if !p.Made() {
		return ready, checks
	}
	voters := slices.DeleteFunc(slices.Clone(ready), func(name string) bool { return !p.Names(name) })
	enough := len(voters) > p.Quorum
	checks = append(checks, check("sync", enough, "enough of them hold every acknowledged commit",
		fmt.Sprintf("%d of them count for the promise in the sync key, and %d have to", len(voters), p.Quorum+1)))
	if !enough {
		return nil, checks
	}
	return voters, checks
}

// syncChecks are the conditions that the promise sets for whoever wants to lead. Who an operator makes the leader without
// asking the present one goes without; that may lose writes.
func syncChecks(mem *Memory, v View, asked []string) []Check {
	p := promise(mem, v)
	if f := v.Cluster.Failover; !p.Made() || f.Candidate == v.Self.Name && f.Leader == "" {
		return nil
	}
	holders := append([]string{p.Leader}, p.Voters...)
	checks := []Check{check("sync", p.Votes(v.Self.Name), "this member may hold every acknowledged commit",
		"this member may lack acknowledged commits: only "+list(holders)+" can lead (synchronous_mode)")}
	if p.Quorum == 0 || ledLast(mem, v, p) {
		return checks
	}
	agreeing := slices.DeleteFunc(slices.Clone(asked), func(name string) bool { return !behindUs(v, v.Peers[name]) })
	votes := quorum.Votes(p, v.Self.Name, agreeing)
	detail := fmt.Sprintf("%d of the others confirm that they have no more WAL, and %d have to", votes, p.Quorum)
	return append(checks, Check{"quorum", votes >= p.Quorum, detail})
}

// couldWin reports whether the promise lets the candidate of a failover or switchover win, as far as this member can tell. In
// a failover an operator overrides it.
func couldWin(mem *Memory, v View, candidate string) bool {
	p := promise(mem, v)
	if v.Cluster.Failover.Leader == "" || !p.Made() {
		return true
	}
	// Where it needs votes, it does not get that of a member that has more.
	return p.Votes(candidate) && (p.Quorum == 0 || v.Peers[candidate].Position >= v.Server.Position)
}

// ledLast reports whether the own data are those of the primary that made the promise: they hold all that it acknowledged.
func ledLast(mem *Memory, v View, p cluster.Sync) bool {
	return strings.EqualFold(p.Leader, v.Self.Name) && mem.Led != 0 && mem.Led == v.Server.Timeline
}

// behindUs reports whether a standby said that it holds no WAL of the cluster that this member lacks. On an older timeline
// it may have more bytes, but those the cluster went on without.
func behindUs(v View, p Peer) bool {
	if !p.Reached || !p.InRecovery || p.State != cluster.StateRunning || p.Position == 0 || p.Timeline == 0 {
		return false
	}
	return p.Timeline < v.Server.Timeline || p.Timeline == v.Server.Timeline && p.Position <= v.Server.Position
}

// release keeps a synchronous standby from stopping on purpose until the leader does without it, for a while: else commits
// would wait for it to come back. The bool is false when it may stop.
func release(mem *Memory, v View, what string) (Decision, bool) {
	leader, known := v.Cluster.LeaderMember()
	waits := v.Fresh && known && leader.Running() && !v.leading() && v.Server.Process == Running && v.Cluster.Sync.Names(v.Self.Name)
	if v.Settings.Sync() == cluster.SyncOff || !waits || v.Self.Tags.NoSync() || strict(v) && !replaceable(v) {
		return Decision{}, false
	}
	mem.Releasing = true
	if mem.ReleaseSince.IsZero() {
		mem.ReleaseSince = v.Now
	}
	left := releaseLoops*v.Settings.LoopWait - v.Now.Sub(mem.ReleaseSince)
	if left <= 0 {
		return Decision{}, false
	}
	return do(what + ": asking the leader to do without this synchronous standby first").wake(left), true
}

// replaceable reports whether another standby is there for which commits can wait instead of this one.
func replaceable(v View) bool {
	return slices.ContainsFunc(v.Cluster.Others(v.Self.Name), func(m cluster.Member) bool {
		return m.Name != v.Cluster.Leader.Name && m.Streaming() && !m.Tags.NoSync()
	})
}

// releaseLoops is how many times loop_wait a synchronous standby waits for its release.
const releaseLoops = 2
