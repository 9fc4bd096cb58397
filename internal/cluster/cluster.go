package cluster

import (
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Version is the store's version of one document; zero when the document does not exist. It is only
// handed back in a compare-and-swap.
type Version int64

// Cluster is everything the DCS holds about one scope, read at one revision.
type Cluster struct {
	// Initialize is the content of the initialize key.
	Initialize Initialize
	Config     Config
	Leader     Leader
	Failover   Failover
	Sync       Sync
	Status     Status
	History    History
	Failsafe   map[string]string
	// Members is sorted by name.
	Members []Member
	// Revision of the store at which the picture was taken; watching after it misses nothing.
	Revision Version
}

// Initialize says whether the cluster exists: absent, being bootstrapped (present but not a system
// identifier yet), or known.
type Initialize struct {
	Present  bool
	SystemID wal.SystemID
	// Lease is the lease the key is bound to while a member bootstraps, so that an interrupted bootstrap
	// leaves nothing that would stop the next one; zero once the identifier is written.
	Lease   int64
	Version Version
}

// Known reports whether the key holds a system identifier.
func (i Initialize) Known() bool { return i.Present && i.SystemID.Valid() }

// Leader is the leader key: the lock that makes one member the leader.
type Leader struct {
	// Name is the holder; empty when nobody holds the lock.
	Name string
	// Lease is the lease the key is bound to, as the store names it.
	Lease   int64
	Version Version
}

// Locked reports whether some member holds the leader key.
func (c Cluster) Locked() bool { return c.Leader.Name != "" }

// Member returns the member with that name.
func (c Cluster) Member(name string) (Member, bool) {
	i, ok := slices.BinarySearchFunc(c.Members, name, func(m Member, name string) int {
		return strings.Compare(m.Name, name)
	})
	if !ok {
		return Member{}, false
	}
	return c.Members[i], true
}

// LeaderMember returns the member that holds the leader key. The bool is false when nobody holds it or
// the holder has no member document.
func (c Cluster) LeaderMember() (Member, bool) {
	if !c.Locked() {
		return Member{}, false
	}
	return c.Member(c.Leader.Name)
}

// Others returns the members except the named one.
func (c Cluster) Others(name string) []Member {
	var others []Member
	for _, m := range c.Members {
		if m.Name != name {
			others = append(others, m)
		}
	}
	return others
}

// Feeder is the name of the member that a member streams from: the one that its tag replicatefrom names, as long as that
// runs and does not lead back here, else the leader. Empty when nobody leads.
func (c Cluster) Feeder(m Member) string {
	up, known := c.Member(m.Tags.ReplicateFrom())
	if !known || !up.Running() || up.ConnURL == "" || c.circular(m) {
		return c.Leader.Name
	}
	return up.Name
}

// circular reports whether going from a member to the one that it replicates from, and so on, never ends.
func (c Cluster) circular(m Member) bool {
	at := m
	for range len(c.Members) + 1 {
		if at.Name == c.Leader.Name {
			return false
		}
		next := at.Tags.ReplicateFrom()
		up, known := c.Member(next)
		switch {
		case next == m.Name:
			return true // its own document may not be there yet
		case !known:
			return false
		}
		at = up
	}
	return true
}

// Timeline is the cluster's timeline as the history key tells it: one more than the last that ended,
// 1 when no timeline ended yet, 0 when nothing is known.
func (c Cluster) Timeline() wal.Timeline {
	if !c.History.Present {
		return 0
	}
	if len(c.History.Lines) == 0 {
		return 1
	}
	return c.History.Lines[len(c.History.Lines)-1].Timeline + 1
}

// The roles of replicas that synchronous mode counts on, as operators see them. They say replica of themselves.
const (
	RoleSyncStandby   = "sync_standby"
	RoleQuorumStandby = "quorum_standby"
)

// RoleOf is a member's role as operators see it: leader, standby_leader, sync_standby or quorum_standby for those whom the
// promise of synchronous mode counts on, or replica, whatever the member says of itself.
func (c Cluster) RoleOf(m Member) string {
	switch {
	case m.Name == c.Leader.Name && m.Role == RoleStandbyLeader:
		return string(RoleStandbyLeader)
	case m.Name == c.Leader.Name:
		return "leader"
	}
	return c.Config.Settings().SyncRole(c.Sync, m.Name)
}

// SyncRole is the role of a member that does not lead, by name. Promises that were made before synchronous mode was turned
// off count for nothing.
func (s Settings) SyncRole(promise Sync, name string) string {
	mode := s.Sync()
	switch {
	case mode == SyncOff, !promise.Made(), !promise.Names(name):
		return string(RoleReplica)
	case mode == SyncQuorum:
		return RoleQuorumStandby
	}
	return RoleSyncStandby
}

// StateOf is a member's state as operators see it: how it replicates where that is known, else what its
// server does.
func (c Cluster) StateOf(m Member) string {
	leads := m.Name == c.Leader.Name && m.Role != RoleStandbyLeader
	if !leads && m.Running() && m.ReplicationState != "" {
		return m.ReplicationState
	}
	return string(m.State)
}
