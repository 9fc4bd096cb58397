package ha

// fence stops a server that accepts writes although this member may not have one (rule S1). It comes
// before all other rules.
func fence(v View) (Decision, bool) {
	if !v.Server.Primary() || v.mayWrite() {
		return Decision{}, false
	}
	if v.Job.Kind == JobStop || v.Job.Kind == JobBootstrap {
		return Decision{}, false // already on its way down; a bootstrap is reachable by nobody
	}
	if d, ok := stopFailed(v); ok {
		return d, true
	}
	switch {
	case v.leading() && v.Fresh && v.Now.Before(v.Lease.Deadline) && outcome[RenewLease](v) != Unknown:
		// The loop was late, not cut off: one renewal decides. While the deadline lies ahead nobody
		// else can hold the key.
		return do("renewing the lease at the last moment", RenewLease{}).again(), true
	case v.leading():
		why := "the lease could not be renewed in time: giving up the primary role before another member may take it"
		return job(why, Job{Kind: JobStop, Until: v.deadline()}), true
	case !v.Fresh:
		return job("the DCS does not answer and there is no lease: this server may not accept writes", immediately(v)), true
	case v.Cluster.Locked() && !v.stale():
		return job(v.Cluster.Leader.Name+" holds the leader key: this server may not accept writes", immediately(v)), true
	}
	// Vacant, or our own name from an earlier life: the race and stale rules may still keep the
	// running server as it is.
	return Decision{}, false
}

func immediately(v View) Job { return Job{Kind: JobStop, Immediate: true, Until: v.Now} }
