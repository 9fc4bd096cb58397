package ha

import "github.com/pgbaton/pgbaton/internal/cluster"

// bootstrap fills an empty data directory: with a new database cluster where there is none yet, with a copy
// of another member's otherwise. It also finishes a bootstrap that has made its data.
func bootstrap(mem *Memory, v View) (Decision, bool) {
	if mem.Bootstrapped && v.Server.Data == DataCluster {
		return finishBootstrap(mem, v)
	}
	if v.Server.Data != DataEmpty && v.Server.Data != DataIncomplete {
		return Decision{}, false
	}
	if v.Cluster.Leader.Name == v.Self.Name {
		return withoutData(mem, v, "there are no data to lead with")
	}
	if v.Server.Data == DataIncomplete {
		return incomplete(mem, v)
	}
	// The picture decides, not the answer to the write: an answer may be lost (rule S8).
	mem.Bootstrap = v.Cluster.Initialize.Present && v.Lease.ID != 0 && v.Cluster.Initialize.Lease == v.Lease.ID
	if mem.Bootstrap && v.Settings.Standby.Active() {
		return job("bootstrapping a new standby cluster", Job{Kind: JobBootstrap, Remote: true}), true
	}
	if mem.Bootstrap {
		return job("bootstrapping a new cluster", Job{Kind: JobBootstrap}), true
	}
	if v.Now.Before(mem.RetryAt) {
		return do("the last clone failed: trying again soon").wake(mem.RetryAt.Sub(v.Now)), true
	}
	if v.Cluster.Locked() {
		return clone(v)
	}
	if v.Cluster.Initialize.Known() && v.Self.CloneAlone {
		return job("cloning without a leader", Job{Kind: JobClone}), true
	}
	if v.Cluster.Initialize.Present {
		return do("waiting for a leader to clone"), true
	}
	if mem.Identity != "" {
		return do("the documents of the cluster are gone, and it had data: waiting for a member that has them; " +
			"to begin a new cluster instead, restart this agent"), true
	}
	if name := holdsData(v); name != "" {
		return do("nobody leads and the documents are gone, but " + name + " has data: waiting for it to lead").wake(raceEvery), true
	}
	if v.Self.Tags.NoFailover() {
		return do("waiting for a leader to clone: tagged nofailover, so this member does not bootstrap"), true
	}
	return do("nobody has bootstrapped this cluster yet", CreateInitialize{}).again(), true
}

// holdsData is another member whose document tells that it has data; empty when none does.
func holdsData(v View) string {
	for _, m := range v.Cluster.Others(v.Self.Name) {
		if m.Role != cluster.RoleUninitialized && m.State != cluster.StateInitializing && m.State != cluster.StateCreatingReplica {
			return m.Name
		}
	}
	return ""
}

// incomplete replaces what an interrupted copy or rewind left, once; a second time somebody should look.
func incomplete(mem *Memory, v View) (Decision, bool) {
	switch {
	case v.Now.Before(mem.RetryAt):
		return do("the last clone failed: trying again soon").wake(mem.RetryAt.Sub(v.Now)), true
	case !v.Cluster.Locked():
		return do("the data directory is incomplete: waiting for a leader to clone"), true
	case v.Server.Process != Stopped:
		return job("the data directory is incomplete: stopping the server that runs on it", immediately(v)), true
	case v.Server.SetAside:
		return do("the data directory is incomplete and a failed one is kept already: reinitialize this member").wake(handoverWait), true
	}
	return replace(v, "the data directory is incomplete", source{member: v.Cluster.Leader.Name}, false)
}

func clone(v View) (Decision, bool) {
	leader, ok := v.Cluster.LeaderMember()
	if !ok || !takesWrites(v, leader) {
		return do("waiting until leader " + v.Cluster.Leader.Name + " can be cloned").wake(handoverWait), true
	}
	source := leader
	for _, m := range v.Cluster.Others(v.Self.Name) {
		if m.Name != leader.Name && m.Running() && m.Tags.CloneFrom() {
			source = m
		}
	}
	return job("cloning "+source.Name, Job{Kind: JobClone, Member: source.Name}), true
}

// finishBootstrap makes the new cluster known and takes the lead. The server was not reachable until now,
// so no write can have been accepted without the leader key (rule S1).
func finishBootstrap(mem *Memory, v View) (Decision, bool) {
	switch {
	case v.leading():
		mem.Bootstrap, mem.Bootstrapped = false, false
		return Decision{}, false
	case !v.Cluster.Initialize.Known() && v.Cluster.Initialize.Present && v.Cluster.Initialize.Lease != v.Lease.ID:
		return do("the right to bootstrap was lost and another member bootstraps: waiting for its cluster").wake(handoverWait), true
	case !v.Cluster.Initialize.Known():
		return do("the new cluster gets its identity", WriteInitialize{v.Server.SystemID, v.Cluster.Initialize.Version}).again(), true
	case v.Cluster.Locked():
		mem.Bootstrap, mem.Bootstrapped = false, false
		return Decision{}, false
	}
	return do("the new cluster gets its leader", AcquireLeader{}).again(), true
}
