package ha

import (
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// raceEvery is how often the peers are asked again while nobody leads.
const raceEvery = time.Second

// completeWait is how long a member that lacks something of the last leader's known WAL leaves the key to one that has
// it all.
const completeWait = 3 * time.Second

// race decides who takes a vacant leader key. Every member runs it; the compare-and-swap of the key decides
// between those who think they should.
func race(mem *Memory, v View) (Decision, bool) {
	if v.Cluster.Locked() {
		return Decision{}, false
	}
	if twin(mem, v) {
		return job("another member began the timeline that this one was the primary of: stopping", immediately(v)), true
	}
	if v.Server.Primary() {
		return keepPrimary(mem, v)
	}
	if left, wait := backoff(mem, v); wait {
		return do("nobody leads, but the own server still receives WAL: waiting before the race, as primary_race_backoff says").wake(left), true
	}
	names := peersToAsk(v)
	if f := v.Cluster.Failover; f.Candidate == v.Self.Name && !forgetful(mem, v) && (f.Leader == "" || promise(mem, v).Quorum == 0) {
		names = nil // it was chosen; there is nobody to compare with
	}
	if d, ok := ask(later(mem.VacantSince, v.Now.Add(-raceEvery)), v, names, "nobody leads: asking the other members"); ok {
		return d, true
	}
	checks := raceChecks(mem, v, names)
	if bad, lost := firstFailed(checks); lost {
		return do("nobody leads, and " + bad.Detail).wake(raceEvery).checked(checks), true
	}
	return do("nobody leads and this member is the healthiest: taking the leader key", AcquireLeader{}).again().checked(checks), true
}

// backoff reports whether a standby is to wait before it races, and until when it looks again: as long as primary_race_backoff
// says while WAL still arrives, for the primary may only have lost the DCS. Whether it does shows after one loop_wait.
func backoff(mem *Memory, v View) (time.Duration, bool) {
	limit, passed := v.Settings.PrimaryRaceBackoff, v.Now.Sub(mem.VacantSince)
	if passed >= limit || v.Settings.Standby.Active() || v.Cluster.Failover.Requested() {
		return 0, false
	}
	receives := v.Server.Streaming && v.Server.Position > mem.Position
	if receives || passed < v.Settings.LoopWait {
		return min(limit-passed, v.Settings.LoopWait), true
	}
	return 0, false
}

// keepPrimary lets a running primary take the vacant key back, unless the cluster went on without it.
func keepPrimary(mem *Memory, v View) (Decision, bool) {
	if behind(v, v.Server.Timeline) {
		return job("this primary is on an older timeline than the cluster", immediately(v)), true
	}
	if p := promise(mem, v); p.Made() && !strings.EqualFold(p.Leader, v.Self.Name) {
		// Whoever wins makes the promise its own before its promotion: there was another primary since.
		return job("the promise about synchronous standbys is "+p.Leader+"'s: this primary is a former one", immediately(v)), true
	}
	if outcome[AcquireLeader](v) == Unknown {
		return job("the leader key could not be taken: this server may not accept writes", immediately(v)), true
	}
	return do("nobody leads and this server is the primary: taking the leader key", AcquireLeader{}).again(), true
}

// behind reports whether a timeline is older than the cluster's (rule S4).
func behind(v View, own wal.Timeline) bool { return own < v.Cluster.Timeline() }

// raceChecks are the conditions for taking the key, in order.
func raceChecks(mem *Memory, v View, asked []string) []Check {
	own, optime := v.Server.Position, v.Cluster.Status.Optime
	checks := []Check{
		check("promotion", !v.Now.Before(mem.NoRaceUntil), "no promotion failed lately", "this member's promotion failed a moment ago"),
		check("nofailover", !v.Self.Tags.NoFailover(), "this member may lead", "this member is tagged nofailover"),
		check("answers", v.Server.Answers, "the own server answers", "the own server does not answer"),
		check("timeline", v.Settings.Standby.Active() || !behind(v, v.Server.Timeline), "this member is on the cluster's timeline", "this member is on an older timeline than the cluster"),
	}
	if v.Watchdog.Required {
		checks = append(checks, check("watchdog", v.Watchdog.Usable || v.Watchdog.Active, "the watchdog can be used", "the watchdog is required and cannot be used"))
	}
	if mem.Wiped {
		// A leader that lost its key like that has a ttl to take it back, which is also how long it may believe in its lease
		// while it is cut off. Who it was, and whom to ask, stood in the documents too. That they are back says only that
		// somebody knew them.
		checks = append(checks, check("documents", !primaryFirst(mem, v), "a running primary had a ttl to take the key", "the documents were lost: a running primary comes first"))
	}
	if v.Settings.FailsafeMode {
		checks = append(checks, failsafeChecks(mem, v)...)
	}
	checks = append(checks, syncChecks(mem, v, asked)...)
	if c, decided := manualRace(mem, v, asked); decided {
		return append(checks, c)
	}
	lag := own.Behind(optime)
	distance := "this member is " + wal.Size(lag) + " behind the last known leader position"
	limit := ", the limit is " + wal.Size(v.Settings.MaximumLagOnFailover) + " (maximum_lag_on_failover)"
	checks = append(checks, check("lag", lag <= v.Settings.MaximumLagOnFailover, distance, distance+limit))
	// After a planned end of all members the last leader has more than the others, and may only be slower to come up.
	patient := lag == 0 || promise(mem, v).Made() || v.Now.Sub(mem.VacantSince) >= completeWait
	checks = append(checks, check("complete", patient, "nobody who has more had to be waited for",
		distance+": a member that has everything may be coming up"))
	for _, name := range asked {
		gaveUp := name == mem.LastLeader || name == v.Cluster.Failover.Leader
		checks = append(checks, peerCheck(promise(mem, v), v, name, gaveUp))
	}
	return checks
}

// primaryFirst reports whether the documents were lost, and a primary that lost its key with them still has time to take
// it back.
func primaryFirst(mem *Memory, v View) bool {
	return mem.Wiped && v.Now.Sub(mem.VacantSince) < v.Settings.TTL
}

// check makes a Check with the sentence that fits its verdict.
func check(rule string, ok bool, good, bad string) Check {
	if ok {
		return Check{Rule: rule, OK: true, Detail: good}
	}
	return Check{Rule: rule, Detail: bad}
}

// peerCheck is whether another member leaves the key to us. A member that cannot be reached neither blocks
// nor helps. The priority of one that gave up the lead does not count: it is down or on its way, or waits for us.
// Whatever one has that is no part of the promise, nobody acknowledged, and it cannot lead.
func peerCheck(made cluster.Sync, v View, name string, gaveUp bool) Check {
	p := v.Peers[name]
	switch {
	case !p.Reached:
		return Check{"peer " + name, true, name + " does not answer"}
	case !p.InRecovery && p.State == cluster.StateRunning:
		return Check{"peer " + name, false, name + " is still a primary"}
	case p.NoFailover || p.WatchdogFailed:
		return Check{"peer " + name, true, name + " may not lead"}
	case made.Made() && !made.Votes(name):
		return Check{"peer " + name, true, name + " may lack acknowledged commits"}
	case p.Timeline > v.Server.Timeline:
		return Check{"peer " + name, false, name + " is on a newer timeline"}
	case p.Timeline != 0 && p.Timeline < v.Server.Timeline:
		// It may have more bytes, but the cluster went on without them.
		return Check{"peer " + name, true, name + " is on an older timeline"}
	case p.InRecovery && p.Position > v.Server.Position:
		return Check{"peer " + name, false, name + " has received more WAL"}
	case p.InRecovery && p.State == cluster.StateRunning && p.Position == v.Server.Position && p.Priority > v.Self.Tags.FailoverPriority() && !gaveUp:
		return Check{"peer " + name, false, name + " has the same WAL and a higher failover_priority"}
	}
	return Check{"peer " + name, true, name + " has no more WAL"}
}

// manualRace applies a failover key while nobody leads. The bool says that it alone decides. A candidate is only
// waited for while it is a member that answers, and could lead.
func manualRace(mem *Memory, v View, asked []string) (Check, bool) {
	f := v.Cluster.Failover
	if !f.Requested() || f.ScheduledAt != "" {
		return Check{}, false
	}
	if f.Candidate == v.Self.Name {
		return Check{"candidate", true, "this member is the candidate of the " + f.Kind()}, true
	}
	if f.Candidate != "" {
		waited := v.Now.Sub(mem.VacantSince) >= v.Settings.TTL // it had its time; whatever keeps it, somebody has to lead
		if !waited && slices.Contains(asked, f.Candidate) && couldLead(v, v.Peers[f.Candidate]) && couldWin(mem, v, f.Candidate) {
			return Check{"candidate", false, f.Candidate + " is the candidate of the " + f.Kind()}, true
		}
		return Check{}, false
	}
	if f.Leader != v.Self.Name {
		return Check{}, false
	}
	// Who has less WAL leaves the key to us in turn, and then nobody would lead.
	ready, _ := readyPeers(v, candidates(v, ""), 0)
	ready, _ = heirs(mem, v, ready, nil)
	ready = slices.DeleteFunc(ready, func(name string) bool { return v.Peers[name].Position < v.Server.Position })
	if len(ready) > 0 {
		return Check{"switchover", false, "this member gave up the lead to " + list(ready)}, true
	}
	return Check{}, false
}

// couldLead reports whether a peer is a running standby that may lead. One whose server does not answer has no
// position.
func couldLead(v View, p Peer) bool {
	return p.Reached && p.InRecovery && p.State == cluster.StateRunning && p.Position != 0 &&
		!p.NoFailover && !p.WatchdogFailed && !p.Declines && !behind(v, p.Timeline)
}

func firstFailed(checks []Check) (Check, bool) {
	for _, c := range checks {
		if !c.OK {
			return c, true
		}
	}
	return Check{}, false
}

// peersToAsk are all members with a REST address, except ourselves.
func peersToAsk(v View) []string {
	var names []string
	for _, m := range v.Cluster.Others(v.Self.Name) {
		if m.APIURL != "" {
			names = append(names, m.Name)
		}
	}
	return names
}

// candidates are the members that could lead instead of us, or only the named one.
func candidates(v View, only string) []string {
	var names []string
	for _, m := range v.Cluster.Others(v.Self.Name) {
		if m.APIURL == "" || m.Tags.NoFailover() || only != "" && m.Name != only {
			continue
		}
		names = append(names, m.Name)
	}
	return names
}

// ask asks for answers newer than since where some are missing. The bool is false when all are there. Answers to the
// question of the last decision are never too old: one silent member makes all of them take as long as it is waited for.
func ask(since time.Time, v View, names []string, why string) (Decision, bool) {
	for _, name := range names {
		if p, ok := v.Peers[name]; !ok || p.At.Before(since) && !askedJustNow(v, name) {
			return do(why, AskPeers{Names: names}).again(), true
		}
	}
	return Decision{}, false
}

func askedJustNow(v View, name string) bool {
	for _, o := range v.Outcomes {
		if a, ok := o.Action.(AskPeers); ok && slices.Contains(a.Names, name) {
			return true
		}
	}
	return false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// readyPeers are the asked members that could take the lead from a leader whose WAL reached end.
func readyPeers(v View, names []string, end wal.LSN) ([]string, []Check) {
	var ready []string
	var checks []Check
	for _, name := range names {
		c := readyCheck(v, name, end)
		checks = append(checks, c)
		if c.OK {
			ready = append(ready, name)
		}
	}
	return ready, checks
}

func readyCheck(v View, name string, end wal.LSN) Check {
	p := v.Peers[name]
	switch {
	case !p.Reached:
		return Check{"peer " + name, false, name + " does not answer"}
	case v.Failsafe.Until.After(v.Now):
		return Check{"peer " + name, false, name + " gave its word not to lead for a while, when the DCS was gone"}
	case !p.InRecovery || p.State != cluster.StateRunning:
		return Check{"peer " + name, false, name + " is no running standby"}
	case p.NoFailover || p.WatchdogFailed:
		return Check{"peer " + name, false, name + " may not lead"}
	case p.Declines:
		return Check{"peer " + name, false, name + "'s promotion failed a moment ago"}
	case behind(v, p.Timeline):
		return Check{"peer " + name, false, name + " is on an older timeline"}
	case p.Position.Behind(end) > v.Settings.MaximumLagOnFailover:
		return Check{"peer " + name, false, name + " is " + wal.Size(p.Position.Behind(end)) + " behind"}
	}
	return Check{"peer " + name, true, name + " is ready"}
}
