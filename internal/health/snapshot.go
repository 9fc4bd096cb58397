package health

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// Snapshot is what an agent knew at the end of one tick. It is never changed after it was published.
type Snapshot struct {
	// Began is when the tick began that made the snapshot: everything in it was seen after that.
	Began time.Time
	// Next is when the following tick is due at the latest.
	Next time.Time

	Name, Scope, AgentVersion string
	Tags                      cluster.Tags

	State cluster.State
	Role  cluster.Role
	// Reason is the sentence that explains the last decision.
	Reason string
	// Progress says how far a running job is; empty when none runs.
	Progress string
	Server   Server

	// Leading is true while the leader key is this member's; it counts until LeaseEnds.
	Leading   bool
	LeaseEnds time.Time

	// FailsafeActive is true while the member relies on the others without the DCS, or promised one of them not to lead.
	FailsafeActive bool
	// WatchdogFailed is true when the member must have a watchdog and has none.
	WatchdogFailed bool
	// DeclinesUntil is until when the member stays out of races, since its promotion failed.
	DeclinesUntil time.Time
	// LogQueued is how many lines of the log wait to be written, LogLost how many were dropped.
	LogQueued, LogLost int
	// Restart is the scheduled restart; nil when there is none.
	Restart *cluster.ScheduledRestart

	Settings cluster.Settings
	Cluster  cluster.Cluster
	// Seen is when Cluster was read; zero when it never was.
	Seen time.Time
}

// Server is the local server in a snapshot.
type Server struct {
	SystemID   wal.SystemID
	Version    int
	Started    time.Time
	Running    bool
	InRecovery bool
	// Known is false while no query was answered; positions then mean nothing.
	Known     bool
	Timeline  wal.Timeline
	Written   wal.LSN
	Received  wal.LSN
	Replayed  wal.LSN
	LatestEnd wal.LSN
	// ReplayedAt is the commit time of the last replayed transaction; zero when there was none.
	ReplayedAt       time.Time
	ReplayPaused     bool
	ReplicationState string
	// Pending are the settings that need a restart, by name; nil when none do.
	Pending  map[string]cluster.Pending
	Standbys []Standby
}

// Standby is one WAL sender of the server.
type Standby struct {
	Username        string  `json:"usename"`
	ApplicationName string  `json:"application_name"`
	ClientAddr      *string `json:"client_addr"`
	State           string  `json:"state"`
	SyncState       string  `json:"sync_state"`
	SyncPriority    int     `json:"sync_priority"`
}

// leads reports whether the member is the leader at this instant. In pause, once nobody has seen the DCS for a ttl, the
// member that is the primary counts as the leader, because nobody will take that from it.
func (s Snapshot) leads(now time.Time) bool {
	if s.Settings.Pause && now.Sub(s.Seen) > s.Settings.TTL {
		return s.Role == cluster.RolePrimary || s.Role == cluster.RoleStandbyLeader
	}
	return s.Leading && now.Before(s.LeaseEnds)
}

// primary reports whether the member takes writes at this instant.
func (s Snapshot) primary(now time.Time) bool {
	return s.leads(now) && s.Server.Running && !s.Server.InRecovery
}

// standbyLeader reports whether the member leads a standby cluster at this instant.
func (s Snapshot) standbyLeader(now time.Time) bool {
	return s.leads(now) && s.Server.Running && s.Role == cluster.RoleStandbyLeader
}

// state is what the member's server is doing. Of one that runs and does not answer nobody knows what it is doing.
func (s Snapshot) state() cluster.State {
	if s.State == cluster.StateRunning && !s.Server.Known {
		return cluster.StateUnknown
	}
	return s.State
}

// Informed reports whether the DCS was seen so lately that what stood there may be told.
func (s Snapshot) Informed(now time.Time) bool {
	return !s.Seen.IsZero() && now.Sub(s.Seen) <= s.Settings.TTL
}

// syncRole is what the promise of synchronous mode makes of the member as far as is known: a sync standby, a quorum standby
// or a plain replica.
func (s Snapshot) syncRole(now time.Time) string {
	if s.Role != cluster.RoleReplica || !s.Informed(now) {
		return string(cluster.RoleReplica)
	}
	return s.Settings.SyncRole(s.Cluster.Sync, s.Name)
}

// Lease is how long the leader key is still ours at this instant; zero when it is not.
func (s Snapshot) Lease(now time.Time) time.Duration {
	if !s.Leading || !now.Before(s.LeaseEnds) {
		return 0
	}
	return s.LeaseEnds.Sub(now)
}

// ahead is the position the leader is known to have reached.
func (s Snapshot) ahead() wal.LSN { return max(s.Cluster.Status.Optime, s.Server.LatestEnd) }
