package ha

// stale acts on a leader key with this member's name on the lease of an earlier life: the agent was
// restarted. While the key exists nobody else leads.
//
// A running server is adopted without interruption. When the server died with the agent, a healthy standby
// takes over at once rather than after crash recovery; only without one does this member go on leading.
func stale(mem *Memory, v View) (Decision, bool) {
	if !v.stale() {
		return Decision{}, false
	}
	adopt := AdoptLeader{Version: v.Cluster.Leader.Version}
	if v.Server.Process != Stopped {
		return do("adopting the leader key of an earlier life with its running server", adopt).again(), true
	}
	names := candidates(v, "")
	if d, ok := ask(mem.StoppedSince, v, names, "the server died with the agent: asking whether a standby can take over"); ok {
		return d, true
	}
	ready, checks := readyPeers(v, names, v.Cluster.Status.Optime)
	if ready, checks = heirs(mem, v, ready, checks); len(ready) == 0 {
		return do("no standby can take over: adopting the leader key of an earlier life", adopt).again().checked(checks), true
	}
	mem.ReleasedAt = v.Now
	why := "the server died with the agent: " + list(ready) + " can take over"
	return do(why, ReleaseLeader{Version: v.Cluster.Leader.Version}).again().checked(checks), true
}
