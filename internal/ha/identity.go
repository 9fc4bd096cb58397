package ha

import "time"

// identity makes sure that the data directory belongs to this cluster before anything is done with it
// (rules S4, S6).
func identity(mem *Memory, v View) (Decision, bool) {
	if v.Server.Data == DataUnknown {
		d := do("the data directory cannot be used: " + v.Server.Trouble).wake(time.Second)
		if v.leading() {
			return withoutData(mem, v, d.Why)
		}
		if (mem.Led != 0 || !mem.Looked) && !mem.Ours {
			// It was a primary when it was last seen, as in a pause that has ended, or was never seen.
			return job(d.Why+": making sure that no server runs", immediately(v)), true
		}
		return d, true
	}
	if !foreign(v) {
		return Decision{}, false
	}
	if !v.Server.SystemID.Valid() {
		return do("the system identifier of the data directory could not be read").wake(time.Second), true
	}
	if mem.Bootstrap {
		mem.Bootstrap, mem.Bootstrapped = false, false
		return job("another member bootstrapped the cluster first: setting the own data aside", Job{Kind: JobReplace, Member: v.Cluster.Leader.Name}), true
	}
	why := "the data directory belongs to another database cluster (system identifier " + string(v.Server.SystemID) +
		", here " + string(v.Cluster.Initialize.SystemID) + "): move it away, or use another scope"
	d := do(why)
	if v.leading() {
		d = d.with(ReleaseLeader{Version: v.Cluster.Leader.Version})
	}
	return d.with(Exit{}), true
}

// foreign reports whether the data are not known to be this cluster's, although it has an identity.
func foreign(v View) bool {
	return v.Server.Data == DataCluster && v.Cluster.Initialize.Known() && v.Server.SystemID != v.Cluster.Initialize.SystemID
}

// withoutData gives up the leader key of a member whose data are gone or cannot be seen. A server may run on them all the
// same, so it is stopped first (rule S1).
func withoutData(mem *Memory, v View, why string) (Decision, bool) {
	if e := v.Ended; e == nil || !e.OK || e.Kind != JobStop {
		return job(why+": making sure that no server runs", immediately(v)), true
	}
	mem.ReleasedAt = v.Now
	return do(why+": giving up the leader key", ReleaseLeader{Version: v.Cluster.Leader.Version}).again(), true
}
