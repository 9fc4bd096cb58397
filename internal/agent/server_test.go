package agent_test

import (
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// How long the model's servers take for things. Real ones take longer, mostly.
const (
	initdbTime     = 300 * time.Millisecond
	copyStep       = 100 * time.Millisecond
	startTime      = 50 * time.Millisecond
	recoveryTime   = 200 * time.Millisecond
	shutdownTime   = 20 * time.Millisecond
	promoteTime    = 100 * time.Millisecond
	checkpointTime = 20 * time.Millisecond
	rewindStep     = 100 * time.Millisecond
	streamTime     = 2 * time.Millisecond
	// senderTimeout is PostgreSQL's wal_sender_timeout: how long a shutdown waits for a standby that is silent.
	senderTimeout = time.Minute
)

// Sizes of WAL records.
const (
	recordSize              = 64
	shutdownRecordSize      = 120
	endOfRecoverySize       = 48
	firstLSN                = wal.LSN(0x1500000)
	initialSystemID    uint = 7000000000000000000
)

// server is the model of a PostgreSQL server and its data directory. It outlives the agent beside it. Everything is
// guarded by the lab's mutex.
type server struct {
	lab  *lab
	name string

	data postgres.Data
	id   wal.SystemID
	kept []string
	// marked: the standby.signal file is there.
	marked   bool
	upstream string
	// through is the slot that it streams through; slots are its own, by name.
	through string
	slots   map[string]postgres.Slot
	// names are whom commits wait for, as the configuration file says; held: it keeps clients out.
	names postgres.SyncNames
	held  bool

	// line and end are how far the WAL reaches, on disk.
	line *line
	end  wal.LSN

	// What follows up to consistent is in the control file.
	state      postgres.ControlState
	checkpoint wal.LSN
	// checkpointed is the timeline of the latest checkpoint.
	checkpointed wal.Timeline
	// consistent is the minimum recovery ending location; it lags behind what was received.
	consistent wal.Point

	process  postgres.Process
	recovery bool
	started  time.Time
	// incarnation counts processes; a timer of an earlier one does nothing.
	incarnation int
	streaming   bool
	pulling     bool
	// promoting: it was told to, and receives no more.
	promoting bool

	// Faults.
	slow       time.Duration // how much longer a start or promotion takes
	silent     bool          // it runs and answers no question
	unstarting bool          // it ends when it is started
	unpromoted bool          // a promotion ends in an error
	unstopping bool          // a stop ends in an error, at once
	unreadable bool          // the data directory cannot be looked at
	slotless   bool          // questions about slots get no answer
	spoils     bool          // logical slots cannot be advanced

	copies int // how often slots were copied
}

// writes reports whether the server accepts writes.
func (s *server) writes() bool { return s.process == postgres.ProcessRunning && !s.recovery }

// later does something to this incarnation after a while, unless it has ended by then.
func (s *server) later(after time.Duration, do func()) {
	incarnation := s.incarnation
	time.AfterFunc(after, func() {
		s.lab.change(func() {
			if s.incarnation == incarnation {
				do()
			}
		})
	})
}

// launch starts a process on the data directory as it is.
func (s *server) launch() {
	s.incarnation++
	s.process, s.started, s.recovery, s.streaming = postgres.ProcessStarting, time.Now(), true, false
	if s.lab.hosts[s.name].bars() {
		s.later(startTime/2, s.crash)
	}
	after := startTime
	if !s.state.Clean() {
		after = recoveryTime
	}
	s.later(after+s.slow, func() {
		if s.unstarting {
			s.ended()
			return
		}
		s.process, s.recovery = postgres.ProcessRunning, s.marked
		s.consistent = wal.Point{Timeline: s.line.number, LSN: s.end}
		if s.state = postgres.StateInArchiveRecovery; !s.marked {
			s.state, s.consistent = postgres.StateInProduction, wal.Point{}
			s.checkpointed = s.line.number
			s.note("accepts writes")
		}
	})
}

// ended is the end of the process, however it came.
func (s *server) ended() {
	s.incarnation++
	s.process, s.recovery, s.streaming, s.pulling, s.promoting = postgres.ProcessNone, false, false, false, false
	s.lab.exited(s)
}

// crash is SIGKILL, or an immediate shutdown: the control file keeps what it said.
func (s *server) crash() {
	if s.process != postgres.ProcessNone {
		s.note("ends without a checkpoint")
		s.ended()
	}
}

// shutDown is SIGINT: sessions end at once, then comes the checkpoint, then the standbys get the last WAL.
func (s *server) shutDown() {
	if s.process == postgres.ProcessStarting {
		s.crash()
		return
	}
	if s.process != postgres.ProcessRunning {
		return
	}
	s.process = postgres.ProcessStopping
	began := time.Now()
	s.later(shutdownTime, func() {
		if s.recovery {
			s.state, s.consistent = postgres.StateShutDownInRecovery, wal.Point{Timeline: s.line.number, LSN: s.end}
		} else {
			s.state, s.checkpoint, s.checkpointed, s.consistent = postgres.StateShutDown, s.end, s.line.number, wal.Point{}
			s.end += shutdownRecordSize
		}
		s.drain(began)
	})
}

// drain ends a stopping process once the standbys have its WAL. One that the network hides is waited for.
func (s *server) drain(began time.Time) {
	pause := 2 * streamTime
	for _, x := range s.lab.servers() {
		if x.streaming && x.upstream == s.name && s.lab.apart(x.name, s.name) && time.Since(began) < senderTimeout {
			pause = time.Second
		}
	}
	if pause > time.Second/2 {
		s.later(pause, func() { s.drain(began) })
		return
	}
	s.later(pause, func() {
		s.note("is shut down")
		s.ended()
	})
}

// promote begins a new timeline after a while.
func (s *server) promote() {
	if s.promoting {
		return
	}
	s.promoting, s.streaming = true, false
	s.later(promoteTime+s.slow, func() {
		s.promoting = false
		if s.process != postgres.ProcessRunning || s.unpromoted {
			return
		}
		s.line = s.line.next(s.end, s.name)
		s.end += endOfRecoverySize
		s.recovery, s.marked, s.streaming, s.state = false, false, false, postgres.StateInProduction
		// The end-of-recovery record leaves this in the control file until the next checkpoint.
		s.consistent = wal.Point{Timeline: s.line.number, LSN: s.end}
		s.note(fmt.Sprintf("accepts writes on timeline %d", s.line.number))
	})
}

// source is the server that this one could get WAL from now; nil when there is none.
func (s *server) source() *server {
	u := s.lab.server(s.upstream)
	if u == nil || u == s || s.process != postgres.ProcessRunning || !s.recovery || s.promoting || s.lab.apart(s.name, u.name) {
		return nil
	}
	if u.process != postgres.ProcessRunning && u.process != postgres.ProcessStopping || u.id != s.id {
		return nil
	}
	if _, there := u.slots[s.through]; s.through != "" && !there {
		return nil
	}
	if s.line.begins(s.end, u.line, u.end) {
		return u
	}
	// Going by the numbers alone, as PostgreSQL does, it may look otherwise.
	point := wal.Point{Timeline: s.line.number, LSN: s.end}
	looks := s.end <= u.end && wal.Relate(point, u.line.number, u.line.history()) == wal.Ancestor
	if looks && s.line.twin(u.line) && (s.line.by == s.name || !s.lab.twins) {
		s.lab.violate("%s streams from %s, whose timeline %d is only of the same number: the data are no longer equal", s.name, u.name, s.line.number)
	}
	return nil
}

// pull keeps a standby up with its upstream.
func (s *server) pull() {
	u := s.source()
	if u == nil {
		// The network hides the end of an upstream; only an answer tells.
		if up := s.lab.server(s.upstream); up == nil || !s.lab.apart(s.name, up.name) {
			s.streaming = false
		}
		return
	}
	if s.pulling || s.streaming && s.line == u.line && s.end == u.end {
		return
	}
	s.pulling = true
	s.later(streamTime, func() {
		s.pulling = false
		if u := s.source(); u != nil {
			s.streaming, s.line, s.end = true, u.line, u.end
		}
	})
}

// copyOf makes the data directory a copy of another server's, to be started as its standby. A copied control file says
// what that of the other server does, a rewound one that it recovers.
func (s *server) copyOf(u *server, state postgres.ControlState) {
	s.data, s.id, s.marked = postgres.DataCluster, u.id, true
	s.slots = nil // neither a backup nor pg_rewind brings any
	s.line, s.end = u.line, u.end
	s.state, s.checkpointed, s.consistent = state, u.checkpointed, wal.Point{}
	if state == postgres.StateInArchiveRecovery {
		s.consistent = wal.Point{Timeline: u.line.number, LSN: u.end}
	}
}

// shutdown is where the WAL of a cleanly stopped former primary ends.
func (s *server) shutdown() postgres.Shutdown {
	if s.data != postgres.DataCluster || s.state != postgres.StateShutDown {
		return postgres.Shutdown{}
	}
	return postgres.Shutdown{Timeline: s.checkpointed, Checkpoint: s.checkpoint, Previous: s.checkpoint, End: s.checkpoint + shutdownRecordSize}
}

// status is what the adapter would see, in the same order of looking.
func (s *server) status() postgres.Status {
	st := postgres.Status{Data: s.data, MajorVersion: 15}
	if s.unreadable {
		return postgres.Status{Data: postgres.DataUnreadable, DataReason: "input/output error"}
	}
	if s.data != postgres.DataCluster {
		return st
	}
	st.SystemID, st.Standby, st.Process = s.id, s.marked, s.process
	st.SyncNames, st.SyncManaged, st.Held = s.names.Text, s.names.Managed, s.held
	st.Control = postgres.Control{
		SystemID: s.id, State: s.state, Checkpoint: s.checkpoint, CheckpointTimeline: s.checkpointed,
		MinRecoveryEnd: s.consistent.LSN, MinRecoveryEndTimeline: s.consistent.Timeline, DataChecksums: true,
	}
	if s.process == postgres.ProcessNone {
		st.End = s.walEnd()
	} else {
		st.PID = s.incarnation
	}
	if s.process == postgres.ProcessRunning && !s.silent {
		s.answer(&st)
	}
	return st
}

func (s *server) walEnd() wal.Point {
	switch {
	case s.consistent.LSN != 0 && (s.state == postgres.StateShutDownInRecovery || s.state == postgres.StateInArchiveRecovery):
		return s.consistent
	case s.state == postgres.StateShutDown:
		return wal.Point{Timeline: s.checkpointed, LSN: s.checkpoint + shutdownRecordSize}
	}
	return wal.Point{Timeline: s.checkpointed}
}

func (s *server) answer(st *postgres.Status) {
	st.Answers, st.InRecovery, st.Timeline, st.ServerVersion = true, s.recovery, s.line.number, 150004
	st.CheckpointTimeline, st.PostmasterStarted = s.checkpointed, s.started
	if !s.recovery {
		st.Written = s.end
	} else {
		st.Received, st.Replayed = s.end, s.end
	}
	if s.streaming {
		st.ReplicationState, st.Upstream, st.UpstreamEnd = postgres.ReplicationStreaming, upstreamAt(s.upstream), s.end
	}
	for _, x := range s.lab.servers() {
		if x.streaming && x.upstream == s.name {
			st.Replication = append(st.Replication, postgres.Receiver{
				Application: x.name, Slot: cluster.SlotName(x.name), State: postgres.ReplicationStreaming, Sent: x.end, Flushed: x.end,
			})
		}
	}
}

func (s *server) note(what string) { s.lab.note("server", s.name, what) }
