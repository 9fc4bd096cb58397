package ha

import "time"

// paused acts while the cluster is in pause: nothing is started, stopped, promoted or cloned that an operator did not ask
// for. The leader key still says who leads, so a primary keeps it or takes it, and whoever is no primary lets it go.
//
// A cluster that does not exist yet is bootstrapped all the same: there is nothing to keep one's hands off.
func paused(mem *Memory, v View) (Decision, bool) {
	if !v.Settings.Pause || mem.Bootstrap || v.Server.Data == DataEmpty && !v.Cluster.Initialize.Present {
		return Decision{}, false
	}
	if v.Cluster.Leader.Name == v.Self.Name && !mayKeepKey(mem, v) {
		mem.ReleasedAt = v.Now
		why := "paused, and this server is no primary of this cluster: giving up the leader key"
		return do(why, ReleaseLeader{Version: v.Cluster.Leader.Version}).again(), true
	}
	switch {
	case v.Server.Data != DataCluster:
		return do("paused: there is no usable data directory, and nothing is cloned in pause"), true
	case v.Server.Process == Stopped && mem.Ours:
		return Decision{}, false // stopped by this agent, as in a switchover: it comes up again
	case v.Server.Process == Stopped:
		return do("paused: the server is down and stays down until somebody starts it"), true
	case v.Server.Process != Running || !v.Server.Answers && v.Server.Timeline == 0:
		return do("paused: waiting for the server to answer").wake(time.Second), true
	case v.stale():
		return stale(mem, v)
	case v.leading():
		return pausedLeader(mem, v)
	case !v.Cluster.Locked():
		return pausedVacant(mem, v)
	case v.Server.Primary():
		return do("paused: running as a primary without the leader key, which " + v.Cluster.Leader.Name + " holds"), true
	}
	return Decision{}, false
}

// mayKeepKey reports whether the server may go on holding the leader key in pause: a primary of this cluster, a standby
// that was chosen and is to be promoted, the leader of a standby cluster, or one that this agent stopped itself.
func mayKeepKey(mem *Memory, v View) bool {
	s := v.Server
	switch {
	case v.Job.Kind != "":
		return true
	case s.Data == DataUnknown:
		return true // unknown is not gone (rule S7): a primary may run there
	case s.Data != DataCluster, foreign(v) && s.SystemID.Valid():
		return false
	case s.Process != Running:
		return s.Process != Stopped || mem.Ours || v.Ended != nil
	}
	return s.Primary() || v.Cluster.Failover.Candidate == v.Self.Name || v.Settings.Standby.Active()
}

// pausedLeader keeps the documents in order, and promotes only who was chosen by name.
func pausedLeader(mem *Memory, v View) (Decision, bool) {
	if v.Server.InRecovery && !v.Settings.Standby.Active() {
		return promote(mem, v)
	}
	return Decision{}, false
}

// pausedVacant lets a running primary, or the member that was chosen by name, take the vacant key.
func pausedVacant(mem *Memory, v View) (Decision, bool) {
	switch {
	case v.Server.Primary() && behind(v, v.Server.Timeline):
		return do("paused: nobody leads, and this primary is on an older timeline than the cluster"), true
	case v.Server.Primary():
		return do("paused: nobody leads and this server is the primary: taking the leader key", AcquireLeader{}).again(), true
	case chosen(v) && primaryFirst(mem, v):
		return do("paused: this member was chosen to lead, but the documents were lost: a running primary comes first").wake(raceEvery), true
	case chosen(v):
		return do("paused: this member was chosen to lead: taking the leader key", AcquireLeader{}).again(), true
	}
	return do("paused: nobody leads, and nobody is promoted by itself"), true
}

// chosen reports whether an operator named this member as the next leader, and it could lead.
func chosen(v View) bool {
	f := v.Cluster.Failover
	return f.Candidate == v.Self.Name && f.ScheduledAt == "" && v.Server.Answers && !v.Self.Tags.NoFailover() && !behind(v, v.Server.Timeline)
}
