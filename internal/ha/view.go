package ha

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
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
	// Leaving is true once the agent was told to end.
	Leaving bool
	// Outcomes are the results of the last decision's actions.
	Outcomes []Outcome
}

// Self is what the member knows of itself without looking.
type Self struct {
	Name string
	Tags cluster.Tags
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
	// Follows is the name of the member it is configured to follow; empty for none.
	Follows string
	// Control is what the control file of a stopped server says.
	Control Control
	// CanRewind is true when pg_rewind is there, allowed, and its preconditions hold.
	CanRewind bool
	// SetAside is true when an older failed data directory is already kept beside this one.
	SetAside bool
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
	// WatchdogFailed is true when the member must have a watchdog and has none.
	WatchdogFailed bool
}

// Upstream is what the leader's server said over a replication connection.
type Upstream struct {
	Member     string
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

// margin is how long before the deadline a primary that could not renew begins to stop, so that the
// server is down when somebody else may win: a sixth of ttl.
func (v View) margin() time.Duration { return v.Settings.TTL / 6 }

// mayWrite reports whether the member may have a server that accepts writes (rule S1).
func (v View) mayWrite() bool {
	return v.leading() && v.Now.Before(v.Lease.Deadline.Add(-v.margin()))
}

// renewDue reports whether the lease is to be renewed in this tick: once per loop_wait, and at least
// three times per ttl.
func (v View) renewDue() bool {
	every := v.renewEvery()
	return !v.Now.Before(v.Lease.Renewed.Add(every - every/10))
}

func (v View) renewEvery() time.Duration { return min(v.Settings.LoopWait, v.Settings.TTL/3) }

// renewal is the time until the next renewal after this tick.
func (v View) renewal() time.Duration {
	if v.renewDue() {
		return v.renewEvery()
	}
	return v.Lease.Renewed.Add(v.renewEvery()).Sub(v.Now)
}
