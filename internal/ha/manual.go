package ha

import (
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// handoverLimit is how long a leader that stopped for a switchover waits for a candidate to have received
// everything before it takes its server up again.
const handoverLimit = 10 * time.Second

// drainLimit is how long the last WAL may take to arrive once the leader's server has ended.
const drainLimit = time.Second

// manual acts on the failover key while this member leads.
func manual(mem *Memory, v View) (Decision, bool) {
	f := v.Cluster.Failover
	if !f.Requested() {
		return Decision{}, false
	}
	drop := ClearFailover{Version: f.Version}
	if v.Settings.Pause && (f.ScheduledAt != "" || f.Candidate == "") {
		if f.ScheduledAt != "" {
			return Decision{}, false // what was scheduled waits
		}
		return do("paused: a "+f.Kind()+" needs a candidate: forgetting it", drop).again(), true
	}
	if f.ScheduledAt != "" {
		if d, ok := scheduled(v, drop); ok {
			return d, true
		}
	}
	if f.Leader != "" && f.Leader != v.Self.Name {
		return do("the "+f.Kind()+" from "+f.Leader+" is over: "+v.Self.Name+" leads", drop).again(), true
	}
	if f.Candidate == v.Self.Name {
		return do("the "+f.Kind()+" to "+v.Self.Name+" is done: it leads", drop).again(), true
	}
	if left := v.Failsafe.Until.Sub(v.Now); left > 0 {
		// They gave their word not to lead; whoever released the key now would leave it to nobody.
		return withStatus(v, do(f.Kind()+" requested: waiting until the members' word from the time without the DCS has ended")).wake(left), true
	}
	names := candidates(v, f.Candidate)
	// Older answers will not do: right after a switchover they show the members as they were before it. Where commits are
	// synchronous all are asked: who receives everything is promised the next lead (see handOver).
	if d, ok := ask(v.Now, v, witnesses(mem, v, names), f.Kind()+" requested: asking the candidates"); ok {
		return d, true
	}
	if p := promise(mem, v); p.Made() && v.Settings.Sync() == cluster.SyncOn && f.Leader != "" {
		names = slices.DeleteFunc(names, func(name string) bool { return !p.Names(name) })
	}
	ready, checks := readyPeers(v, names, v.Server.Position)
	if len(ready) == 0 {
		return do("the "+f.Kind()+" is not possible: no candidate is ready", drop).again().checked(checks), true
	}
	if v.Server.InRecovery {
		// The leader of a standby cluster writes nothing of its own: whoever has received as much may lead at once.
		mem.ReleasedAt = v.Now
		return do(f.Kind()+": "+list(ready)+" can take over", ReleaseLeader{v.Cluster.Leader.Version, v.Server.Position}).again().checked(checks), true
	}
	mem.Handover = Handover{Kind: f.Kind(), Candidate: f.Candidate, Until: v.Now.Add(handoverLimit)}
	return job(f.Kind()+": handing over to "+list(ready), Job{Kind: JobStop, Until: stopUntil(v)}).checked(checks), true
}

// scheduled keeps a scheduled switchover waiting, or throws away one that can no longer be meant. The bool is
// false when its time has come.
func scheduled(v View, drop ClearFailover) (Decision, bool) {
	at, err := time.Parse(time.RFC3339Nano, v.Cluster.Failover.ScheduledAt)
	if err != nil {
		return do("the time of the scheduled switchover cannot be read or has no time zone: forgetting it", drop).again(), true
	}
	switch left := at.Sub(v.Now); {
	case left > 0:
		return withStatus(v, do("leading; a switchover is scheduled")).wake(min(left, v.Settings.LoopWait)), true
	case -left > v.Settings.LoopWait+v.Settings.LoopWait/2:
		return do("the scheduled switchover is long past: forgetting it", drop).again(), true
	}
	return Decision{}, false
}

// handOver gives up the leader key the moment a candidate has received the shutdown checkpoint: from then on
// it holds everything that was ever written here. Before that the key stays, and if nobody gets that far the
// server comes up again: a switchover may fail, it may not lose a write.
func handOver(mem *Memory, v View) (Decision, bool) {
	h := mem.Handover
	names := h.answering(v, candidates(v, h.Candidate))
	asked := h.answering(v, witnesses(mem, v, names))
	if d, ok := ask(v.Now.Add(-handoverStep), v, asked, h.Kind+": waiting for the shutdown checkpoint to arrive"); ok {
		return d, true
	}
	if len(h.complete(v, names)) > 0 {
		complete := h.complete(v, asked)
		mem.Handover = Handover{}
		mem.ReleasedAt = v.Now
		d := do(h.Kind+": "+list(complete)+" received everything", handOverPromise(v, complete)...)
		return d.with(ReleaseLeader{v.Cluster.Leader.Version, h.Checkpoint}).again(), true
	}
	if v.Job.Kind == JobStop && !v.Job.Immediate && !v.Now.Before(h.Until) {
		// Its checkpoint is on disk; it waits for a standby that hangs, for as long as wal_sender_timeout says.
		return job("the "+h.Kind+" takes too long: ending the server, which waits for a standby", immediately(v)), true
	}
	// A server ends when its standbys have its WAL, or are gone: afterwards only what lies in their sockets can arrive.
	drained := !mem.StoppedSince.IsZero() && v.Now.Sub(mem.StoppedSince) >= drainLimit
	if v.Job.Kind == "" && (h.Checkpoint == 0 || drained || !v.Now.Before(h.Until)) {
		return handOverFailed(mem, v, names)
	}
	return do(h.Kind + ": waiting for the shutdown checkpoint to arrive").wake(h.step(v.Now)), true
}

// witnesses are those whose answers count in a hand-over to the named ones: in synchronous modes everybody who could lead.
func witnesses(mem *Memory, v View, names []string) []string {
	if !promise(mem, v).Made() {
		return names
	}
	return candidates(v, "")
}

// handOverFailed ends a hand-over for which nobody received the last WAL. Where the server had to be stopped by force, and
// commits are synchronous, those that hold every acknowledged commit may lead all the same; else this member leads again.
func handOverFailed(mem *Memory, v View, names []string) (Decision, bool) {
	h := mem.Handover
	if h.Checkpoint == 0 && promise(mem, v).Made() {
		ready, checks := readyPeers(v, names, v.Cluster.Status.Optime)
		if ready, checks = heirs(mem, v, ready, checks); len(ready) > 0 {
			mem.Handover, mem.ReleasedAt = Handover{}, v.Now
			why := h.Kind + ": the server was stopped by force, and " + list(ready) + " can take over"
			return do(why, ReleaseLeader{Version: v.Cluster.Leader.Version}).again().checked(checks), true
		}
	}
	d := startPrimary(mem, v, "the "+h.Kind+" failed: no candidate received the last WAL; leading again")
	if contains[StartJob](d) {
		mem.Handover = Handover{}
		d = d.with(ClearFailover{Version: v.Cluster.Failover.Version})
	}
	return d, true
}

// stopUntil is when a primary in synchronous mode is stopped by force (primary_stop_timeout); zero: never.
func stopUntil(v View) time.Time {
	if limit := v.Settings.PrimaryStopTimeout; limit > 0 && v.Settings.Sync() != cluster.SyncOff {
		return v.Now.Add(limit)
	}
	return time.Time{}
}
