package ha

import "time"

// leave ends the agent as planned: the server stops, the lead goes to whoever has received everything, and only
// then the agent exits. A leader without such a successor gives the key up all the same once its server has
// stopped cleanly: its last position stays in the status key, so nobody too far behind takes over.
func leave(mem *Memory, v View) (Decision, bool) {
	if v.Leaving && v.Settings.Pause {
		return do("leaving in pause: the server and the leader key stay as they are", Exit{}), true
	}
	if !v.Leaving || v.Job.Kind == JobStop {
		return Decision{}, false // a stop that runs is the business of the job rule
	}
	if v.Server.Process != Stopped || v.Job.Kind != "" {
		if v.leading() {
			// Whoever is silent is found out while the server still runs, not while nobody takes writes.
			if d, ok := ask(v.Now.Add(-time.Second), v, candidates(v, ""), "leaving: asking the candidates"); ok && v.Fresh {
				return d, true
			}
			mem.Handover = Handover{Kind: "shutdown", Until: v.Now.Add(handoverLimit)}
		}
		if d, wait := release(mem, v, "leaving"); wait {
			return d, true
		}
		return job("leaving: stopping the server", Job{Kind: JobStop}), true
	}
	if v.Server.Data != DataCluster && !mem.Ours {
		// Whether a server runs shows in its data directory, and that cannot be seen (rule S7).
		return job("leaving: making sure that no server runs", immediately(v)), true
	}
	if v.leading() && v.Fresh {
		end := mem.Handover.Checkpoint
		mem.Handover = Handover{}
		mem.ReleasedAt = v.Now
		return do("leaving: giving up the leader key", ReleaseLeader{v.Cluster.Leader.Version, end}).again(), true
	}
	if mem.Bootstrap && v.Cluster.Initialize.Lease == v.Lease.ID && v.Lease.ID != 0 {
		mem.Bootstrap = false
		return do("leaving: giving back the right to bootstrap", DeleteInitialize{v.Cluster.Initialize.Version}).again(), true
	}
	return do("leaving", Exit{}).wake(time.Second), true
}
