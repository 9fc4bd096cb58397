package ha

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/slots"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// View is what was seen at one instant. Next never changes it.
type View struct {
	// Now was read before anything else in the view. It carries a monotonic reading, so comparing it
	// with Lease.Deadline is immune to steps of the wall clock.
	Now      time.Time
	Self     Self
	Settings cluster.Settings
	// Cluster is the shared picture; when Fresh is false it is the last one that could be read.
	Cluster cluster.Cluster
	Fresh   bool
	Lease   Lease
	Server  Server
	// Job is the job that runs now; its zero Kind says none does.
	Job RunningJob
	// Ended is the job that ended since the last decision, if any.
	Ended *EndedJob
	// Peers holds the last answer of each member that was asked.
	Peers map[string]Peer
	// Upstream is the last answer of the leader's server about its timeline.
	Upstream Upstream
	Requests []Request
	Failsafe Failsafe
	// Published is what a leader would say of the slots in the status key; nil where it has nothing to say.
	Published slots.Published
	Watchdog  Watchdog
	// Leaving is true once the agent was told to end.
	Leaving bool
	// Outcomes are the results of the last decision's actions.
	Outcomes []Outcome
}

// Self is what the member knows of itself without looking.
type Self struct {
	Name string
	Tags cluster.Tags
	// CloneAfterRewindFailure and CloneDiverged say that data which pg_rewind failed on, or cannot help, may be given up
	// for a new copy. Without them such a member waits for an operator.
	CloneAfterRewindFailure, CloneDiverged bool
	// CloneAlone says that there is a way to fill a data directory without another member, as from a backup.
	CloneAlone bool
}

// Failsafe is what members agreed on without the DCS (failsafe_mode).
type Failsafe struct {
	// Until is the end of the consent of all other members that this one goes on as the primary: the instant before they
	// were asked, plus ttl. Zero when they never all agreed, or one of them refused since.
	Until time.Time
	// Asked is when they were last asked.
	Asked time.Time
	// Leader said last that it goes on as the primary without the DCS, and this member agreed; Heard is when.
	Leader string
	Heard  time.Time
}

// Watchdog is the device that resets the host of a primary whose agent is silent.
type Watchdog struct {
	// Wanted is true unless it is turned off; Required forbids to be the primary without it.
	Wanted, Required bool
	// Usable is false when there is no such device, or it cannot be set as needed.
	Usable bool
	// Active is true from the activation on.
	Active bool
}

// Lease is the agent's own lease.
type Lease struct {
	// ID is zero while there is none; a lease that was found lost has none.
	ID int64
	// Deadline is the instant before the last renewal was sent, plus ttl (rule S2): nobody else can
	// hold the leader key before it.
	Deadline time.Time
	// Renewed is the instant before the last successful renewal was sent.
	Renewed time.Time
	// TTL is what it was granted for: for a while another one than in the settings, when that was changed. Zero: the same.
	TTL time.Duration
}

// Data says what the data directory holds.
type Data int

// What a data directory can hold.
const (
	// DataUnknown: it could not be looked at; nothing may be concluded (rule S7).
	DataUnknown Data = iota
	// DataEmpty: nothing; it may be filled.
	DataEmpty
	// DataIncomplete: a part of a database cluster that must never be started. It is kept, not redone in
	// place (rule S6).
	DataIncomplete
	// DataCluster: a database cluster.
	DataCluster
)

// Process says what the postmaster does.
type Process int

// What a postmaster can do.
const (
	Stopped Process = iota
	Starting
	Running
	Stopping
)

// Server is the local server as it was seen.
type Server struct {
	Data Data
	// Trouble says in one sentence why Data is unknown.
	Trouble  string
	SystemID wal.SystemID
	Process  Process
	// Answers is false when the process lives but did not answer a query in time; the fields about
	// recovery and positions are then those of the last answer.
	Answers    bool
	InRecovery bool
	Timeline   wal.Timeline
	// Position is the end of the server's WAL: written by a primary, received or replayed by a standby.
	Position wal.LSN
	// Streaming is true while a standby receives WAL from its upstream.
	Streaming bool
	// Follows is the name of the member it is configured to follow; empty for none. FollowsRemote is true instead when it
	// follows the source of the standby cluster.
	Follows       string
	FollowsRemote bool
	// ReplayPaused is true while a standby holds replay back because the primary raised a setting that it has lower: only
	// a restart, with the new value, takes it on.
	ReplayPaused bool
	// Started is when the postmaster started; Version is the server's, as 150012; PendingRestart is true when a setting
	// waits for a restart. They are the conditions an operator can name for a restart.
	Started        time.Time
	Version        int
	PendingRestart bool
	// Led is the timeline on which the data were a primary's before they became a standby's, as it was written down; zero
	// when they never were.
	Led wal.Timeline
	// Control is what the control file of a stopped server says.
	Control Control
	// SyncNames is synchronous_standby_names as a running server goes by it, or a stopped one will. NamesManaged is false
	// where they are an operator's own. Senders are those that stream WAL from the server.
	SyncNames    guc.SyncNames
	NamesManaged bool
	Senders      []Sender
	// MissingSlots are the logical slots that a standby should copy from the leader.
	MissingSlots []string
	// Held is true while clients are kept out, as a start that held them said.
	Held bool
	// CanRewind is true when pg_rewind is there, allowed, and its preconditions hold.
	CanRewind bool
	// SetAside is true when an older failed data directory is already kept beside this one.
	SetAside bool
}

// Sender is one standby that streams WAL from the server.
type Sender struct {
	// Name is the standby's application name, which is that of the member.
	Name string
	// Slot is the replication slot that it uses; empty for none.
	Slot string
	// SyncState is PostgreSQL's word for it: async, potential, sync or quorum.
	SyncState string
	// Sent and Flushed are how far the WAL was sent, and is safe on the standby's disk.
	Sent, Flushed wal.LSN
}

// Primary reports whether the server accepts writes.
func (s Server) Primary() bool { return s.Process == Running && !s.InRecovery }

// Control is the part of pg_controldata that decisions need.
type Control struct {
	// Clean is true after a complete shutdown.
	Clean bool
	// Standby is true when the server last ran as a standby.
	Standby bool
	// Primary is true when it last ran as a primary and was not told to become a standby since.
	Primary  bool
	Timeline wal.Timeline
	// End is where the server's WAL is known to end: one byte into the shutdown checkpoint of a
	// primary, the minimum recovery end of a standby. Zero when unknown, as after a crash.
	End wal.LSN
}

// Peer is another member's answer about itself.
type Peer struct {
	At time.Time
	// Reached is false when no answer came.
	Reached    bool
	InRecovery bool
	State      cluster.State
	Timeline   wal.Timeline
	Position   wal.LSN
	NoFailover bool
	// Priority orders members that have received the same WAL.
	Priority int
	// WatchdogFailed is true when the member must have a watchdog and has none.
	WatchdogFailed bool
	// Declines is true when its promotion failed a moment ago: it stays out of races for a while, and may win a later one.
	Declines bool
}

// Upstream is what the leader's server, or the source of the standby cluster, said over a replication connection.
type Upstream struct {
	Member string
	// Remote is true for the source of the standby cluster.
	Remote     bool
	At         time.Time
	Reached    bool
	SystemID   wal.SystemID
	InRecovery bool
	Timeline   wal.Timeline
	History    wal.History
}

// RequestKind is what an operator asked of this member.
type RequestKind int

// What can be asked.
const (
	RequestRestart RequestKind = iota + 1
	RequestReinitialize
)

// Request is one thing an operator asked through the REST API, checked already.
type Request struct {
	ID   int
	Kind RequestKind
	// FromLeader asks that a reinitialisation clones from the leader and from nobody else.
	FromLeader bool
	// At is when a restart is due; zero asks for it now. StartedAt is when the postmaster had started that it is meant for.
	At, StartedAt time.Time
	// Role, Below and Pending are what a restart asks of the server: the role, a version older than this one (150012), and
	// a setting that waits. Zero values ask for nothing.
	Role    cluster.Role
	Below   int
	Pending bool
	// Timeout is how long a restart may take before another member is preferred; zero leaves it to primary_start_timeout.
	Timeout time.Duration
}

// Result is how an action ended.
type Result int

// How an action can end.
const (
	// Done: it happened.
	Done Result = iota + 1
	// Refused: it certainly did not happen; somebody else was first.
	Refused
	// Unknown: no answer came; it may have happened (rule S8).
	Unknown
)

// Outcome is the result of one action of the last decision.
type Outcome struct {
	Action Action
	Result Result
}

// outcome returns how the last decision's action of type A ended, zero when there was none.
func outcome[A Action](v View) Result {
	for _, o := range v.Outcomes {
		if _, ok := o.Action.(A); ok {
			return o.Result
		}
	}
	return 0
}

// leading reports whether the last picture shows this member's own lease on the leader key.
func (v View) leading() bool {
	return v.Lease.ID != 0 && v.Cluster.Leader.Name == v.Self.Name && v.Cluster.Leader.Lease == v.Lease.ID
}

// stale reports whether the leader key carries this member's name on a lease of an earlier life.
func (v View) stale() bool {
	return v.Cluster.Leader.Name == v.Self.Name && !v.leading()
}

// ttl is the shorter one of the settings' and that of the lease in hand: a ttl that was raised counts once a lease has it.
func (v View) ttl() time.Duration { return v.Lease.Shortest(v.Settings.TTL) }

// Shortest is the lease's own ttl where that is less than the given one.
func (l Lease) Shortest(ttl time.Duration) time.Duration {
	if l.TTL > 0 {
		return min(l.TTL, ttl)
	}
	return ttl
}

// margin is how long before the deadline a primary that could not renew begins to stop, so that the
// server is down when somebody else may win: a sixth of ttl.
func (v View) margin() time.Duration { return v.ttl() / 6 }

// mayWrite reports whether the member may have a server that accepts writes (rule S1).
//
// In pause it may whatever the lease does. Without the DCS the consent of all members counts as the lease does.
func (v View) mayWrite() bool {
	if v.Settings.Pause {
		return true
	}
	return v.leading() && v.Now.Before(v.deadline().Add(-v.margin()))
}

// deadline is when somebody else may win: the later one of the lease's and, without the DCS, of the members' consent.
func (v View) deadline() time.Time {
	if v.Fresh {
		return v.Lease.Deadline
	}
	return later(v.Lease.Deadline, v.Failsafe.Until)
}

// renewDue reports whether the lease is to be renewed in this tick: once per loop_wait, but at least three times per ttl and
// at most ten times.
func (v View) renewDue() bool {
	every := v.renewEvery()
	return !v.Now.Before(v.Lease.Renewed.Add(every - every/10))
}

func (v View) renewEvery() time.Duration {
	return min(max(v.Settings.LoopWait, v.ttl()/10), v.ttl()/3)
}

// renewal is the time until the next renewal after this tick.
func (v View) renewal() time.Duration {
	if v.renewDue() {
		return v.renewEvery()
	}
	return v.Lease.Renewed.Add(v.renewEvery()).Sub(v.Now)
}
