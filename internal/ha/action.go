package ha

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// Action is one thing to do. The set is sealed: executor, simulator and renderer switch over all of it.
//
//sumtype:decl
type Action interface {
	// String is the action in a few words, for explanations and scenarios.
	String() string
	action()
}

type (
	// AcquireLeader takes the vacant leader key, bound to the own lease, by create-if-absent (rule S4).
	AcquireLeader struct{}
	// AdoptLeader moves the leader key, which has the own name on an earlier life's lease, to the own
	// lease, by compare-and-swap.
	AdoptLeader struct{ Version cluster.Version }
	// RenewLease renews the own lease, which carries the member document and, when leading, the leader key.
	RenewLease struct{}
	// WriteStatus says in the status key how far the leader is.
	WriteStatus struct{ Optime wal.LSN }
	// ReleaseLeader writes the last position and deletes the leader key of that version.
	ReleaseLeader struct {
		Version cluster.Version
		Optime  wal.LSN
	}
	// CreateInitialize takes the right to bootstrap: the initialize key, if absent, bound to the lease so
	// that the right ends with whoever had it.
	CreateInitialize struct{}
	// WriteInitialize says which database cluster this is.
	WriteInitialize struct {
		SystemID wal.SystemID
		Version  cluster.Version
	}
	// DeleteInitialize gives the right to bootstrap back.
	DeleteInitialize struct{ Version cluster.Version }
	// WriteConfig writes the dynamic configuration in force where the DCS has none.
	WriteConfig struct{ Version cluster.Version }
	// WriteHistory brings the history key up to the server's timeline.
	WriteHistory struct{}
	// ClearFailover empties the failover key of that version.
	ClearFailover struct{ Version cluster.Version }
	// WriteSync promises in the sync key, over the version in it, which members hold every acknowledged commit.
	WriteSync struct{ Promise cluster.Sync }
	// DeleteSync withdraws the promise of that version: there are no synchronous standbys any more.
	DeleteSync struct{ Version cluster.Version }
	// SetSyncNames makes the server's commits wait for these standbys. Done: every process of the server goes by it. With
	// Release the server goes back to what an operator configured.
	SetSyncNames struct {
		Names   guc.SyncNames
		Release bool
	}
	// EmitWAL writes a record that changes nothing, because an idle server's WAL does not move.
	EmitWAL struct{}
	// AdmitClients lets in the clients that a start with Hold kept out.
	AdmitClients struct{}
	// PromiseFailsafe says in the failsafe key whom a primary without the DCS has to ask.
	PromiseFailsafe struct{ Members map[string]string }
	// AskFailsafe asks all members of the failsafe key, each at its REST address, whether this one may go on as the
	// primary without the DCS. Done: all agreed. Refused: one of them has a primary of its own. Unknown: one was silent.
	AskFailsafe struct{ Members map[string]string }
	// ActivateWatchdog sets the watchdog off: from now on the host is reset unless the lease is renewed in time. Every
	// renewal, and every consent without the DCS, feeds it.
	ActivateWatchdog struct{}
	// DisableWatchdog ends that.
	DisableWatchdog struct{}
	// AskPeers asks the named members for their status, all at once, with a short deadline.
	AskPeers struct{ Names []string }
	// AskUpstream asks the named member's server, or the source of the standby cluster, for its timeline and history.
	AskUpstream struct {
		Member string
		Remote bool
	}
	// StartJob begins a job; a job that still runs is cancelled and waited for first.
	StartJob struct{ Job Job }
	// Refuse answers a request that can no longer be granted.
	Refuse struct {
		Request int
		Why     string
	}
	// Exit ends the agent because going on would be wrong; Decision.Why says what to do.
	Exit struct{}
)

func (AcquireLeader) action()    {}
func (AdoptLeader) action()      {}
func (RenewLease) action()       {}
func (WriteStatus) action()      {}
func (ReleaseLeader) action()    {}
func (CreateInitialize) action() {}
func (WriteInitialize) action()  {}
func (DeleteInitialize) action() {}
func (WriteConfig) action()      {}
func (WriteHistory) action()     {}
func (ClearFailover) action()    {}
func (WriteSync) action()        {}
func (DeleteSync) action()       {}
func (SetSyncNames) action()     {}
func (EmitWAL) action()          {}
func (AdmitClients) action()     {}
func (PromiseFailsafe) action()  {}
func (AskFailsafe) action()      {}
func (ActivateWatchdog) action() {}
func (DisableWatchdog) action()  {}
func (AskPeers) action()         {}
func (AskUpstream) action()      {}
func (StartJob) action()         {}
func (Refuse) action()           {}
func (Exit) action()             {}

func (AcquireLeader) String() string { return "acquire leader key" }
func (AdoptLeader) String() string   { return "adopt leader key" }
func (RenewLease) String() string    { return "renew lease" }
func (a WriteStatus) String() string { return "write status " + a.Optime.String() }
func (a ReleaseLeader) String() string {
	if a.Optime == 0 {
		return "release leader key"
	}
	return "release leader key at " + a.Optime.String()
}
func (CreateInitialize) String() string  { return "create initialize key" }
func (a WriteInitialize) String() string { return "write initialize key " + string(a.SystemID) }
func (DeleteInitialize) String() string  { return "delete initialize key" }
func (WriteConfig) String() string       { return "write config" }
func (WriteHistory) String() string      { return "write history" }
func (ClearFailover) String() string     { return "clear failover key" }
func (a WriteSync) String() string {
	if len(a.Promise.Voters) == 0 {
		return "write sync: leader " + a.Promise.Leader + ", nobody else"
	}
	return fmt.Sprintf("write sync: leader %s, quorum %d of %s", a.Promise.Leader, a.Promise.Quorum, list(a.Promise.Voters))
}
func (DeleteSync) String() string { return "delete sync" }
func (a SetSyncNames) String() string {
	if a.Release {
		return "leave synchronous_standby_names to the configuration"
	}
	return "set synchronous_standby_names to '" + a.Names.String() + "'"
}
func (EmitWAL) String() string         { return "write a record that changes nothing" }
func (AdmitClients) String() string    { return "let clients in" }
func (PromiseFailsafe) String() string { return "write failsafe" }
func (a AskFailsafe) String() string {
	return "ask failsafe " + list(slices.Sorted(maps.Keys(a.Members)))
}
func (ActivateWatchdog) String() string { return "activate watchdog" }
func (DisableWatchdog) String() string  { return "disable watchdog" }
func (a AskPeers) String() string       { return "ask peers " + list(a.Names) }
func (a AskUpstream) String() string {
	if a.Remote {
		return "ask upstream remote"
	}
	return "ask upstream " + a.Member
}
func (a StartJob) String() string { return "job " + a.Job.String() }
func (a Refuse) String() string   { return "refuse request " + strconv.Itoa(a.Request) + ": " + a.Why }
func (Exit) String() string       { return "exit" }

// JobKind is what a job does.
type JobKind string

// The jobs. Each may take long, is idempotent, and can be begun again after it was cancelled.
const (
	// JobBootstrap makes a new database cluster in an empty data directory and leaves it stopped.
	JobBootstrap JobKind = "bootstrap"
	// JobClone copies another member's database cluster into an empty data directory and leaves it stopped.
	JobClone JobKind = "clone"
	// JobStart starts the server, as primary or as a standby that follows Member.
	JobStart JobKind = "start"
	// JobStop stops the server.
	JobStop JobKind = "stop"
	// JobPromote makes a running standby the primary.
	JobPromote JobKind = "promote"
	// JobRestart stops and starts the server in the role it has.
	JobRestart JobKind = "restart"
	// JobFollow makes a running standby follow Member.
	JobFollow JobKind = "follow"
	// JobRewind takes a stopped, diverged server back to where Member's history left it.
	JobRewind JobKind = "rewind"
	// JobReinitialize removes the data directory on request and clones Member.
	JobReinitialize JobKind = "reinitialize"
	// JobReplace renames a data directory that cannot be used, keeps it, and clones Member.
	JobReplace JobKind = "replace"
	// JobCopySlots copies logical slots from Member, which takes a restart of the server, a standby.
	JobCopySlots JobKind = "copy slots"
	// JobCheckpoint makes the checkpoint after which others may rewind from this server.
	JobCheckpoint JobKind = "checkpoint"
)

// Job is a job to begin.
type Job struct {
	Kind JobKind
	// Member is whom to clone, follow or rewind from; empty for a standby that follows nobody, and for a clone that needs
	// nobody.
	Member string
	// Remote says that it is the source of the standby cluster instead.
	Remote bool
	// Primary says that JobStart or JobRestart starts a server that accepts writes.
	Primary bool
	// Immediate says that JobStop gives sessions no time to end.
	Immediate bool
	// Discard says that JobReplace removes data that were set aside before, because the configuration says so.
	Discard bool
	// Hold says that JobStart or JobRestart of a primary keeps clients out until AdmitClients: commits that were waiting
	// when the server ended are visible afterwards though nobody was told of them, and have to reach the synchronous standbys
	// first.
	Hold bool
	// Until is when JobStop must be through, by force if need be; zero sets no such bound.
	Until time.Time
	// Timeout is how long JobStart or JobRestart of a leader may take before another member is preferred; zero leaves it to
	// primary_start_timeout.
	Timeout time.Duration
	// Request is the request that asked for the job, zero when none did.
	Request int
}

// String is the job in a few words.
func (j Job) String() string {
	s := string(j.Kind)
	switch {
	case j.Primary:
		s += " as primary"
		if j.Hold {
			s += ", clients kept out"
		}
	case j.Kind == JobStop && j.Immediate:
		s += " immediately"
	case j.Remote:
		s += " from remote"
	case j.Member != "":
		s += " from " + j.Member
	}
	if j.Request != 0 {
		s += " (request " + strconv.Itoa(j.Request) + ")"
	}
	return s
}

// RunningJob is a job and how far it is.
type RunningJob struct {
	Job
	// Began is when it was begun.
	Began time.Time
	// Checkpoint is where the shutdown checkpoint begins, once a stopping primary has written it.
	Checkpoint wal.LSN
}

// EndedJob is a job that ended.
type EndedJob struct {
	Job
	// OK is false when it failed or was cancelled.
	OK bool
	// SourceLost is true when it failed because Member could not be reached: try again, conclude nothing.
	SourceLost bool
	// Trouble is the reason in one sentence.
	Trouble string
	// Checkpoint is where the shutdown checkpoint of a stopped primary begins.
	Checkpoint wal.LSN
}
