package deploy

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// State is everything a decision is made from. Next does not change it.
type State struct {
	Apps        map[app.ID]app.App
	Instances   []Instance
	Deployments []app.Deployment

	// Roles are the answers of the members of PostgreSQL apps, kept only as long as nothing changed since.
	Roles map[app.ID]Roles
	// Health is what the health checks say; an instance without checks or results is missing.
	Health map[app.InstanceID]Health
	// Breaker is what the last plan has made of it.
	Breaker Breaker
	// Ready are the instances whose readiness check has passed since they run, for apps that have one.
	Ready map[app.InstanceID]bool
	// Down are the hosts known to be without power.
	Down map[string]bool
	// Draining are the hosts that are to become empty, each with the reason.
	Draining map[string]string
	// Unconfirmed are instances with a task of which the driver has not spoken since the scheduler started.
	Unconfirmed map[app.InstanceID]bool
	// Strangers are living tasks of an app that the store does not know, or knows only by an earlier incarnation.
	Strangers map[app.ID][]app.TaskID
	// Switchovers are the ones asked for and not answered, or refused a moment ago.
	Switchovers map[app.ID]Switchover
	// Began is when the scheduler has read its state: what was decided before may never have been carried out.
	Began time.Time
	// Halted is when everything was asked to stop for a while, definitions and goals untouched; zero when it was not.
	Halted time.Time
}

// Roles are the answers of one app's members.
type Roles struct {
	At      time.Time // when the last one answered or ran out of time
	Members map[app.InstanceID]Member
}

// Member is what the agent of a PostgreSQL member says of itself. A member that did not answer has none.
type Member struct {
	Name   string
	Role   Role
	Server Server
	State  string // of its server: StateRunning, "starting", "creating replica", …
	// Streaming means that it is a replica that receives what the leader writes.
	Streaming bool
	Lag       int64 // bytes behind the leader, negative when unknown
	Timeline  int
	// Empty means that it has no data of its own: it waits for somebody to copy from, or copies.
	Empty bool
	// Barred says why it cannot lead (a nofailover tag, or what its agent says of itself), empty when it can.
	Barred string
	// Paused means that its cluster is paused: nobody stops members of it but people.
	Paused bool
	// Synchronous is how many standbys commits of its cluster wait for, 0 for none. Only the leader says so.
	Synchronous int
	// Lenient means that commits do without standbys when too few are left (synchronous mode that is not strict). Only the
	// leader says so; unsaid, commits would wait for ever.
	Lenient bool
	// ServerMajor is the major version of its server, 0 when unknown.
	ServerMajor int
}

// Role is a member's role in its cluster.
type Role string

// Roles of members. Every other word means a replica of some kind.
const (
	RoleLeader        Role = "leader" // holds the leader key
	RoleStandbyLeader Role = "standby_leader"
	RoleReplica       Role = "replica"
	RoleSyncStandby   Role = "sync_standby" // commits wait for it
	RoleQuorumStandby Role = "quorum_standby"
)

// StateRunning is the state of a server that takes connections.
const StateRunning = "running"

// Server is what a member's server is by itself, seen at the server. Role comes from the cluster's shared picture, of which
// each agent has a copy that may be a moment old: right after a switchover the old leader can still be named there.
type Server int

// What a server is.
const (
	ServerUnknown Server = iota
	ServerPrimary        // not in recovery: it accepts writes
	ServerStandby        // in recovery
)

// leads reports whether the cluster's picture names the member as leader.
func (m Member) leads() bool { return m.Role == RoleLeader || m.Role == RoleStandbyLeader }

// synchronous reports whether commits wait for the member, or may wait for it.
func (m Member) synchronous() bool { return m.Role == RoleSyncStandby || m.Role == RoleQuorumStandby }

// mayLead reports whether anything at all speaks for the member being the leader. Such a member is nobody's first victim.
func (m Member) mayLead() bool { return m.leads() || m.Server == ServerPrimary }

// Health is what the health checks of an app say about one instance.
type Health struct {
	Healthy bool
	// Failing means that a check has said so. Neither one nor the other is known of a task that was not asked yet, as all are
	// when another scheduler takes over, or that may still fail because it has just begun.
	Failing bool
	// Mute is since when a check fails because it reaches nobody, zero when none does. That may be the scheduler's own fault.
	Mute time.Time
	// Kill asks for the end of the task, with the reason: too many failures, or for a PostgreSQL member an agent that
	// has not answered at all.
	Kill string
	// Own means that Kill comes from the scheduler's own questions and from nothing else; the breaker stands in its way.
	// Sick is since when the task is not well, and Quiet since when its questions do not even reach anybody; zero when they
	// do, so that what fails is an answer.
	Own         bool
	Sick, Quiet time.Time
	// Contact is what the scheduler hears of the task.
	Contact Contact
}

// Switchover is a planned change of leader that the scheduler asked for.
type Switchover struct {
	Running bool
	Failed  time.Time // when it was refused, zero when it was not
	Why     string    // why it was refused
	Refused int       // refusals in a row: the pause before the next request grows with them
}
