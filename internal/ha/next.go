package ha

import "time"

// rule decides one situation.
type rule struct {
	name string
	// when is the situation in a sentence for people, without its period.
	when string
	// decide is false when the situation is not this one.
	decide func(mem *Memory, v View) (Decision, bool)
}

// rules yields the rules in order; the first that applies decides. Nothing is allocated on the way: the simulator asks
// millions of times.
func rules(yield func(rule) bool) {
	for _, r := range [...]rule{
		{"job ended", "the last job left something to be settled at once", jobEnded},
		{"leave", "the agent is to end", leave},
		{"job", "a job runs: one thing at a time", jobRunning},
		{"no DCS", "the shared picture cannot be read", noDCS},
		{"request", "an operator asked for something", requested},
		{"pause", "the cluster is in pause: hands off", paused},
		{"identity", "the data may be another cluster's", identity},
		{"bootstrap", "there are no data yet", bootstrap},
		{"stale", "the leader key has this member's name on an earlier life's lease", stale},
		{"down", "the server does not run", down},
		{"starting", "the server comes up", starting},
		{"race", "nobody holds the leader key", race},
		{"leader", "this member holds the leader key", leader},
		{"replica", "another member holds the leader key", replica},
	} {
		if !yield(r) {
			return
		}
	}
}

// fenceName and fenceWhen describe the rule before all others, and restName and restWhen what is left when none applies.
const (
	fenceName, fenceWhen = "fence", "the server accepts writes without the right to"
	restName, restWhen   = "rest", "none of these"
)

// Next decides what the member does now. It is pure: equal arguments give equal results, and neither the
// memory nor the view that was passed in is changed.
func Next(mem Memory, v View) (Memory, Decision) {
	observe(&mem, v)
	if d, ok := fence(v); ok {
		// A server that accepts writes without the right to: nothing else matters, and nothing that
		// could take time, such as a renewal, goes before it.
		return mem, d.by(fenceName)
	}
	for r := range rules {
		d, ok := r.decide(&mem, v)
		if ok {
			return mem, settle(&mem, v, d).by(r.name)
		}
	}
	return mem, settle(&mem, v, do("nothing to do")).by(restName)
}

// settle adds to a decision what every one needs.
func settle(mem *Memory, v View, d Decision) Decision {
	mem.Position = v.Server.Position
	if next := scheduledIn(v); next > 0 {
		d.Wake = shorter(d.Wake, next)
	}
	return keepLease(v, keepWatchdog(v, d))
}

// observe takes into memory what every rule may rely on.
func observe(mem *Memory, v View) {
	if v.Fresh && v.Cluster.Locked() {
		mem.VacantSince, mem.Wiped = time.Time{}, false
		mem.LastLeader = v.Cluster.Leader.Name
	}
	if changed := v.Fresh && v.Cluster.Leader != mem.Lead; changed || v.Server.Streaming {
		mem.UpstreamSince = v.Now
	}
	if v.Fresh {
		mem.Lead = v.Cluster.Leader
	}
	if v.Fresh && v.Cluster.Locked() && !v.leading() && v.Server.Streaming {
		mem.NoRaceUntil = time.Time{} // Whatever kept its promotion, it is a standby of another leader since.
	}
	if v.Fresh && !v.Cluster.Locked() && mem.VacantSince.IsZero() {
		mem.VacantSince = v.Now
	}
	if v.Server.Process != Stopped || v.Job.Kind != "" || v.Ended != nil {
		mem.StoppedSince = time.Time{}
	}
	if v.Server.Process == Stopped && v.Job.Kind == "" && mem.StoppedSince.IsZero() {
		if v.Ended == nil && v.leading() && mem.Ran {
			crashed(mem, v.Now)
		}
		mem.StoppedSince = v.Now
	}
	if v.Server.Process == Running {
		mem.StartFailures, mem.Ours = 0, false
	}
	mem.Ran = v.Server.Process == Running
	mem.Wiped = mem.Wiped || v.Fresh && !v.Cluster.Locked() && !v.Cluster.Initialize.Known()
	if v.Fresh && v.Cluster.Initialize.Known() {
		mem.Identity = v.Cluster.Initialize.SystemID
	}
	mem.Looked = mem.Looked || v.Server.Data != DataUnknown
	if mem.Born.IsZero() {
		mem.Born = v.Now
	}
	remember(mem, v.Server)
	rememberSync(mem, v)
}

// keepLease puts the renewal of the lease before everything else a decision does. The lease also carries
// the member document, so a member without the leader key renews it as well. It is the only place
// that renews (rule S2: only the loop does). While the store is silent only a member tries that may still use the leader
// key: the store may hear what it does not answer, and a lease that nobody can use would keep everybody else from leading.
func keepLease(v View, d Decision) Decision {
	if v.Lease.ID != 0 {
		d.Wake = shorter(d.Wake, v.renewal())
	}
	if v.Lease.ID != 0 && v.renewDue() && !contains[RenewLease](d) && (v.Fresh || v.leading() && v.mayWrite()) {
		d.Do = append([]Action{RenewLease{}}, d.Do...)
	}
	if outcome[RenewLease](v) == Unknown {
		// No answer to the last renewal: try again soon, long before the deadline.
		d.Wake = shorter(d.Wake, time.Second)
	}
	return d
}

func shorter(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}
