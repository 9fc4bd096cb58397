package postgres

import (
	"context"
	"time"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Process is what the postmaster is doing.
type Process int

// What a postmaster can be doing.
const (
	// ProcessNone: there is no postmaster.
	ProcessNone Process = iota
	// ProcessStarting: it recovers, or replays up to a consistent state, and takes no connections yet.
	ProcessStarting
	// ProcessRunning: it takes connections. Whether it answers is another question.
	ProcessRunning
	// ProcessStopping: it was told to stop.
	ProcessStopping
)

// String names the state for logs.
func (p Process) String() string {
	switch p {
	case ProcessStarting:
		return "starting"
	case ProcessRunning:
		return "running"
	case ProcessStopping:
		return "stopping"
	case ProcessNone:
	}
	return "none"
}

// How a standby gets its WAL.
const (
	ReplicationStreaming = "streaming"
	ReplicationArchive   = "in archive recovery"
)

// Status is what is true of the server at one moment. What is not known is zero.
type Status struct {
	// Data is what lies in the data directory, and DataReason why it is not a cluster.
	Data       Data
	DataReason string
	// SystemID and MajorVersion are those of the data directory, running or not.
	SystemID     wal.SystemID
	MajorVersion int
	// Control is the control file as of when the server was last seen stopped; while it runs, only what
	// never changes is to be relied on.
	Control Control
	// Standby reports whether the directory is marked as a standby's: started as it is, the server would
	// not accept writes.
	Standby bool
	// Led is the timeline on which the data were last a primary's, as it was noted when they became a standby's; zero when
	// they never were. See also Control.
	Led wal.Timeline
	// End is how far the WAL of a stopped server reaches. Its position is zero after a crash.
	End wal.Point

	Process Process
	// PID and Started are those of the postmaster; Started is exact to a second.
	PID     int
	Started time.Time
	// Answers reports whether the server answered a question just now. A live process that does not
	// answer is not dead (rule S7): it may be starting, overloaded or out of connections.
	Answers bool
	// Err is why something is unknown.
	Err error

	// What follows is known when Answers.

	InRecovery bool
	Timeline   wal.Timeline
	// Written is how far a primary's WAL is safe on disk.
	Written wal.LSN
	// Received and Replayed are a standby's positions. After a start Received may be less than Replayed.
	Received, Replayed wal.LSN
	ReplayPaused       bool
	// ReplayedAt is the commit time of the last transaction replayed.
	ReplayedAt time.Time
	// ReplicationState is ReplicationStreaming, ReplicationArchive or empty.
	ReplicationState string
	// Upstream is the server a standby really receives from; zero when it receives from none.
	// UpstreamEnd is the upstream's position as it last told.
	Upstream    Upstream
	UpstreamEnd wal.LSN
	// CheckpointTimeline is the timeline of the latest checkpoint. A new primary can be rewound from
	// when it equals Timeline.
	CheckpointTimeline wal.Timeline
	// ServerVersion is as server_version_num: 150004.
	ServerVersion     int
	PostmasterStarted time.Time
	// Replication lists who receives from this server.
	Replication []Receiver
	// PendingRestart are the settings that need a restart, by name.
	PendingRestart map[string]Pending
	// SyncNames is synchronous_standby_names as one process of a running server goes by it; of a stopped one what SetSyncNames
	// wrote.
	SyncNames string
	// SyncManaged reports whether its file has a value that SetSyncNames wrote. It is known without an answer.
	SyncManaged bool
	// Held is true while clients are kept out since a start that said so; see AdmitClients. It is known without an answer.
	Held bool
}

// Receiver is one connection that receives WAL from this server (pg_stat_replication); the JSON is that
// of the REST API.
type Receiver struct {
	Username     string  `json:"usename"`
	Application  string  `json:"application_name"`
	ClientAddr   *string `json:"client_addr"` // nil for the socket
	State        string  `json:"state"`
	SyncState    string  `json:"sync_state"`
	SyncPriority int     `json:"sync_priority"`
	// Slot is the replication slot that it uses; empty for none.
	Slot string `json:"-"`
	// Sent and Flushed are how far the WAL was sent, and is safe on the receiver's disk; zero when that is not known.
	Sent    wal.LSN `json:"-"`
	Flushed wal.LSN `json:"-"`
}

// Pending is one setting that runs with another value than is wanted, in units that people read.
type Pending struct{ Running, Wanted string }

// Status looks at the data directory, the process and, when the server takes connections, asks it one
// question. That takes a fraction of a millisecond; where the server is frozen, as long as the timeouts of
// one statement or one connection, three seconds, unless ctx ends earlier. It never retries and never fails.
func (s *Server) Status(ctx context.Context) Status {
	c := s.look()
	st := Status{Data: c.data, DataReason: c.reason, MajorVersion: c.major}
	if c.data != DataCluster {
		return st
	}
	says := s.current()
	st.Standby, st.SyncManaged, st.Led = says.standby, says.names.Managed, led(s.dir)
	st.Held = !st.Standby && s.files(s.dir).held()
	pm := s.postmaster()
	control, err := s.controlData(ctx, pm == nil)
	st.Control, st.SystemID, st.Err = control, control.SystemID, err
	if pm == nil {
		st.SyncNames = says.names.Text
		if err == nil {
			st.End = s.walEnd(ctx, control)
		}
		return st
	}
	st.PID, st.Started, st.Process = pm.PID(), pm.started, s.phase(pm)
	if st.Process != ProcessRunning {
		return st
	}
	if err := s.ask(ctx, pm, &st); err != nil {
		st.Err = err
	}
	if !st.Answers && pm.Ended() {
		st.Process, st.PID, st.Started = ProcessNone, 0, time.Time{}
	}
	return st
}

// phase reads what a live postmaster says of itself in postmaster.pid. A file of another incarnation,
// which may well end with "ready", says nothing about this one.
func (s *Server) phase(pm *postmaster) Process {
	file, err := readPidFile(s.dir)
	if err != nil || file.pid != pm.PID() {
		// The file is made early and removed at the very end.
		if pm.named.Load() {
			return ProcessStopping
		}
		return ProcessStarting
	}
	pm.named.Store(true)
	switch file.status {
	case "ready":
		return ProcessRunning
	case "stopping":
		return ProcessStopping
	}
	return ProcessStarting
}
