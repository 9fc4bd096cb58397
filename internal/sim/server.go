package sim

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// How long the model's servers take for things. Real ones take longer, mostly; a slow one ten times as long.
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
	lookTime       = 200 * time.Microsecond
	// answerTimeout is how long the adapter waits for a server that does not answer.
	answerTimeout = 2500 * time.Millisecond
	// senderTimeout is PostgreSQL's wal_sender_timeout: how long a shutdown waits for a standby that is silent.
	senderTimeout = time.Minute
	slowdown      = 10
)

// Sizes of WAL records, and where WAL begins.
const (
	recordSize         = 64
	shutdownRecordSize = 120
	endOfRecoverySize  = 48
	firstLSN           = wal.LSN(0x1500000)
	initialSystemID    = 7000000000000000000
)

// server is the model of a PostgreSQL server and its data directory. It outlives the agent beside it.
type server struct {
	w    *world
	host *member

	data ha.Data
	id   wal.SystemID
	kept int
	// marked: the standby.signal file is there. led is the timeline on which the data were last a primary's, written down
	// when they got that mark.
	marked bool
	led    wal.Timeline
	// upstream is whom it receives from as a standby; nil for nobody.
	upstream *member

	// line and end are how far the WAL reaches, on disk. ends is the instant at which that last moved.
	line *line
	end  wal.LSN
	ends int64
	// flushed is up to where that is safe on disk. What a standby received is so only a moment later.
	flushed  wal.LSN
	flushing bool

	// file is whom commits wait for, as the configuration file says it: it outlives the process, and managed says that an
	// agent wrote it. names is what a new
	// process of the server goes by, waits whether those of clients wait for anybody; every one takes a new value on in its
	// own time. reloads counts the values, reload and checkpointer are the last ones that were taken on.
	file, names                   guc.SyncNames
	managed, waits                bool
	reloads, reload, checkpointer int
	senders                       []*sender
	waiters                       []waiter
	// hold keeps the clients of the next start out, held those of this one. recovered is where the WAL ended after a crash,
	// when a primary is started in strict mode: what clients may see from then on.
	hold, held bool
	recovered  wal.LSN

	// What follows up to consistent is in the control file.
	state      control
	checkpoint wal.LSN
	// checkpointed is the timeline of the latest checkpoint.
	checkpointed wal.Timeline
	// consistent is the minimum recovery ending location; it lags behind what was received.
	consistent wal.Point

	process  ha.Process
	recovery bool
	// since is the instant of the last change of process, recovery or a fault.
	since int64
	// incarnation counts processes; what an earlier one had planned does not happen.
	incarnation int
	streaming   bool
	pulling     bool
	// promoting: it was told to, and receives no more.
	promoting bool
	// waiting is the job that waits for this server.
	waiting *task

	// Faults; each counts how many hold at once.
	frozen, slow, silent, unstarting, unpromoted, unrewinding, unreadable, lagging int
	// stuck are events of a frozen server.
	stuck []func()
}

// writes reports whether the server accepts writes.
func (s *server) writes() bool { return s.process == ha.Running && !s.recovery && s.frozen == 0 }

// answers reports whether a question gets an answer.
func (s *server) answers() bool { return s.process == ha.Running && s.silent == 0 && s.frozen == 0 }

// takes is how long something takes now: about d, more on a slow disk.
func (s *server) takes(d time.Duration) time.Duration {
	d += time.Duration(s.w.rng.Int64N(int64(d)/2 + 1))
	if s.slow > 0 {
		return slowdown * d
	}
	return d
}

// later does something to this incarnation after a while, unless it has ended by then.
func (s *server) later(after time.Duration, do func()) {
	incarnation := s.incarnation
	s.w.at(s.w.now+int64(after), func() { s.happen(incarnation, do) })
}

func (s *server) happen(incarnation int, do func()) {
	switch {
	case s.incarnation != incarnation:
	case s.frozen > 0:
		s.stuck = append(s.stuck, func() { s.happen(incarnation, do) })
	default:
		do()
	}
}

// changed tells whoever waits for the server, and lets the WAL flow.
func (s *server) changed() {
	s.since = s.w.now
	s.told()
	s.w.flow()
	s.w.touched = true
}

// told lets a job that waits for this server look again.
func (s *server) told() {
	if s.waiting != nil {
		s.w.resumeAt(s.w.now, s.waiting)
	}
}

// moved notes where the WAL ends now.
func (s *server) moved(l *line, end wal.LSN) {
	s.line, s.end, s.ends, s.flushed = l, end, s.w.now, end
}

// launch starts a process on the data directory as it is.
func (s *server) launch() {
	s.w.checkLaunch(s)
	s.incarnation++
	s.process, s.recovery, s.streaming = ha.Starting, true, false
	s.held, s.hold, s.recovered = s.hold && !s.marked, false, 0
	if l := s.host.life; !s.marked && !s.state.clean() && l != nil && l.strict() {
		s.recovered = s.end
	}
	s.freshNames()
	after := startTime
	if !s.state.clean() {
		after = recoveryTime
	}
	s.later(s.takes(after), func() {
		if s.unstarting > 0 {
			s.w.note(s.host, "server", "fails to start")
			s.gone()
			return
		}
		s.up()
	})
	s.host.guard.bars(s)
	s.changed()
}

// up is the end of a start.
func (s *server) up() {
	s.process, s.recovery = ha.Running, s.marked
	s.flushed = s.end // recovery after a crash begins by making safe what is there
	s.consistent = wal.Point{Timeline: s.line.number, LSN: s.end}
	if s.state = inArchiveRecovery; !s.marked {
		s.state, s.consistent = inProduction, wal.Point{}
		s.checkpointed = s.line.number
		s.w.note(s.host, "server", "accepts writes")
		s.w.checkLead(s, "comes up as a primary")
		s.w.checkBound(s, "comes up as a primary")
		s.w.shows(s)
	}
	s.changed()
}

// gone is the end of the process, however it came.
func (s *server) gone() {
	s.incarnation++
	s.process, s.recovery, s.streaming, s.pulling, s.promoting = ha.Stopped, false, false, false, false
	s.flushing, s.held = false, false
	s.senders, s.waiters = nil, nil
	s.stuck = nil
	s.host.exited()
	s.changed()
}

// crash is SIGKILL, or an immediate shutdown: the control file keeps what it said.
func (s *server) crash() {
	if s.process != ha.Stopped {
		s.w.note(s.host, "server", "ends without a checkpoint")
		s.gone()
	}
}

// shutDown is SIGINT: sessions end at once, then comes the checkpoint, then the standbys get the last WAL.
func (s *server) shutDown() {
	if s.process == ha.Starting {
		s.crash()
		return
	}
	if s.process != ha.Running {
		return
	}
	s.process, s.waiters = ha.Stopping, nil
	began := s.w.now
	s.later(s.takes(shutdownTime), func() {
		if s.recovery {
			s.state, s.consistent, s.flushed = shutDownInRecovery, wal.Point{Timeline: s.line.number, LSN: s.end}, s.end
		} else {
			s.state, s.checkpoint, s.checkpointed, s.consistent = shutDown, s.end, s.line.number, wal.Point{}
			s.moved(s.line, s.end+shutdownRecordSize)
		}
		s.changed()
		s.drain(began)
	})
	s.changed()
}

// drain ends a stopping process once the standbys have its WAL. One that the network hides is waited for.
func (s *server) drain(began int64) {
	for _, m := range s.w.members {
		x := &m.server
		if !x.streaming || x.upstream != s.host || s.w.now-began >= int64(senderTimeout) {
			continue
		}
		switch {
		case !s.w.net.open(m.node, s.host.node) || x.frozen > 0:
			s.later(time.Second, func() { s.drain(began) })
			return
		case x.line == s.line && x.flushed < s.end:
			s.later(2*streamTime, func() { s.drain(began) })
			return
		}
	}
	s.w.note(s.host, "server", "is shut down")
	s.gone()
}

// promote begins a new timeline after a while.
func (s *server) promote() {
	if s.promoting {
		return
	}
	s.promoting, s.streaming = true, false
	s.w.listen()
	s.later(s.takes(promoteTime), func() {
		s.promoting = false
		if s.process != ha.Running || s.unpromoted > 0 {
			s.told()
			return
		}
		before := s.line
		s.moved(before.next(s.end, s.host), s.end+endOfRecoverySize)
		s.recovery, s.marked, s.streaming, s.state = false, false, false, inProduction
		// The end-of-recovery record leaves this in the control file until the next checkpoint.
		s.consistent = wal.Point{Timeline: s.line.number, LSN: s.end}
		s.w.promoted(s, before)
		s.changed()
	})
}

// source is the server that this one could get WAL from now; nil when there is none.
func (s *server) source() *server {
	if s.upstream == nil || s.upstream == s.host || s.process != ha.Running || !s.recovery || s.promoting || s.frozen > 0 {
		return nil
	}
	u := &s.upstream.server
	if u.frozen > 0 || u.process != ha.Running && u.process != ha.Stopping || u.id != s.id || !s.w.net.open(s.host.node, u.host.node) {
		return nil
	}
	if s.line == u.line && s.end <= u.end || s.line.begins(s.end, u.line, u.end) {
		return u
	}
	s.w.checkTwin(s, u)
	return nil
}

// pull keeps a standby up with its upstream.
func (s *server) pull() {
	if s.process != ha.Running || !s.recovery {
		return
	}
	u := s.source()
	if u == nil {
		// The network hides the end of an upstream; only an answer tells.
		if up := s.upstream; up == nil || s.w.net.open(s.host.node, up.node) && up.server.frozen == 0 {
			s.streaming = false
		}
		return
	}
	if s.pulling || s.streaming && s.line == u.line && s.end == u.end {
		return
	}
	s.pulling = true
	after := streamTime
	if s.lagging > 0 {
		after = 2 * time.Second
	}
	s.later(after, s.pulled)
}

func (s *server) pulled() {
	s.pulling = false
	u := s.source()
	if u == nil {
		return
	}
	began := !s.streaming
	before := s.flushed
	if s.line != u.line || s.end != u.end {
		s.moved(u.line, u.end)
	}
	s.stream(u, before)
	if s.streaming = true; began {
		s.changed()
	}
	for _, m := range s.w.members {
		if m.server.upstream == s.host {
			m.server.pull() // cascading
		}
	}
}

// write is a client's. It reports whether the server took it.
func (s *server) write() bool {
	if !s.writes() || s.held {
		return false
	}
	s.append(recordSize)
	return true
}

// append makes the WAL longer.
func (s *server) append(size wal.LSN) {
	s.moved(s.line, s.end+size)
	for _, m := range s.w.members {
		if m.server.upstream == s.host {
			m.server.pull()
		}
	}
}

// checkpointNow makes the control file of a primary show its timeline.
func (s *server) checkpointNow() {
	if !s.recovery && s.checkpointed != s.line.number {
		s.checkpointed, s.consistent = s.line.number, wal.Point{}
		s.changed()
	}
}

// copyOf makes the data directory a copy of another server's, to be started as its standby. A copied control file says
// what that of the other server does, a rewound one that it recovers.
func (s *server) copyOf(u *server, state control) {
	s.data, s.id, s.marked, s.led = ha.DataCluster, u.id, true, 0
	s.file, s.managed = u.file, u.managed
	s.moved(u.line, u.end)
	s.state, s.checkpointed, s.consistent = state, u.checkpointed, wal.Point{}
	if state == inArchiveRecovery {
		s.consistent = wal.Point{Timeline: u.line.number, LSN: u.end}
	}
	s.changed()
}

// aside takes the data directory away.
func (s *server) aside() {
	s.data, s.id, s.marked, s.led = ha.DataEmpty, "", false, 0
	s.file, s.managed = guc.SyncNames{}, false
	s.moved(nil, 0)
	s.changed()
}
