package ha

import "github.com/pgbaton/pgbaton/internal/cluster"

// quorumSince is the major version from which on an agent knows synchronous_mode: quorum. Patroni 3 takes it for off: such a
// member would lead without regard to the promise, and let acknowledged commits go.
const quorumSince = 4

// doubtQuorum tells of members whose agents do not know the quorum that the leader keeps.
func doubtQuorum(v View, d Decision) Decision {
	if v.Settings.Sync() != cluster.SyncQuorum {
		return d
	}
	var old []string
	for _, m := range v.Cluster.Others(v.Self.Name) {
		if m.Older(quorumSince) {
			old = append(old, m.Name+" ("+m.AgentVersion+")")
		}
	}
	if len(old) == 0 {
		return d
	}
	d.Doubt = "agents before version 4 take synchronous_mode: quorum for off, and may lead without acknowledged commits: upgrade " + list(old)
	return d.checked(append(d.Checks, Check{Rule: "versions", Detail: d.Doubt}))
}
