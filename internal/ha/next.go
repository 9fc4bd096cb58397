package ha

import "time"

// rule decides one situation. The bool is false when the situation is not this one.
type rule func(mem *Memory, v View) (Decision, bool)

// rules in order; the first that applies decides.
func rules() []rule {
	return []rule{
		jobEnded,   // what the last job left to be settled at once
		leave,      // the agent is to end
		jobRunning, // one thing at a time
		noDCS,      // the shared picture cannot be read
		requested,  // an operator asked for something
		identity,   // whose data is this?
		bootstrap,  // no data yet
		stale,      // the leader key has our name on an earlier life's lease
		down,       // the server does not run
		starting,   // it comes up
		race,       // nobody leads
		leader,     // we lead
		replica,    // somebody else leads
	}
}

// Next decides what the member does now. It is pure: equal arguments give equal results, and neither the
// memory nor the view that was passed in is changed.
func Next(mem Memory, v View) (Memory, Decision) {
	observe(&mem, v)
	if d, ok := fence(v); ok {
		// A server that accepts writes without the right to: nothing else matters, and nothing that
		// could take time, such as a renewal, goes before it.
		return mem, d
	}
	for _, r := range rules() {
		d, ok := r(&mem, v)
		if ok {
			return mem, keepLease(v, d)
		}
	}
	return mem, keepLease(v, do("nothing to do"))
}

// observe takes into memory what every rule may rely on.
func observe(mem *Memory, v View) {
	if v.Fresh && v.Cluster.Locked() {
		mem.VacantSince = time.Time{}
		mem.LastLeader = v.Cluster.Leader.Name
	}
	if v.Fresh && !v.Cluster.Locked() && mem.VacantSince.IsZero() {
		mem.VacantSince = v.Now
	}
	if v.Server.Process != Stopped || v.Job.Kind != "" || v.Ended != nil {
		mem.StoppedSince = time.Time{}
	}
	if v.Server.Process == Stopped && v.Job.Kind == "" && mem.StoppedSince.IsZero() {
		mem.StoppedSince = v.Now
	}
	if v.Server.Process == Running {
		mem.StartFailures = 0
	}
	remember(mem, v.Server)
}

// keepLease puts the renewal of the lease before everything else a decision does. The lease also carries
// the member document, so a member without the leader key renews it as well. It is the only place
// that renews (rule S2: only the loop does). A member that does not lead does not try while the store is silent.
func keepLease(v View, d Decision) Decision {
	if v.Lease.ID != 0 {
		d.Wake = shorter(d.Wake, v.renewal())
	}
	if v.Lease.ID != 0 && v.renewDue() && (v.Fresh || v.leading()) {
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
