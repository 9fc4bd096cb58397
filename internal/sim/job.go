package sim

import (
	"errors"
	"time"

	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// jobSlot holds the one job that runs.
type jobSlot struct {
	task    *task
	current ha.RunningJob
	ended   *ha.EndedJob
}

// observe returns the running job, and once the one that ended.
func (s *jobSlot) observe() (ha.RunningJob, *ha.EndedJob) {
	ended := s.ended
	s.ended = nil
	return s.current, ended
}

func (s *jobSlot) running() ha.RunningJob { return s.current }

// makesPrimary reports whether the running job ends with a server that accepts writes.
func (s *jobSlot) makesPrimary() bool { return s.current.Kind == ha.JobPromote || s.current.Primary }

// startJob begins a job; one that runs is cancelled first.
func (l *life) startJob(v *ha.View, job ha.Job) {
	if t := l.job.task; t != nil {
		request := l.job.current.Request
		t.cancel()
		l.job.ended = nil
		l.finish(request)
	}
	l.w.checkPause(l, v, job)
	l.begin(job.Request)
	up, id := l.upstreamOf(job.Member), v.Cluster.Initialize.SystemID
	if job.Kind == ha.JobStart || job.Kind == ha.JobFollow {
		l.last.follows = up
	}
	l.w.note(l.host, "job", job.String())
	deadline, mayLead := l.order()
	paused := v.Settings.Pause
	l.job.current, l.job.ended = ha.RunningJob{Job: job, Began: l.now()}, nil
	l.job.task = l.w.spawn(l, func(t *task) {
		ended := ha.EndedJob{Job: job}
		defer func() {
			if l.dead {
				return
			}
			l.job.current, l.job.ended, l.job.task = ha.RunningJob{}, &ended, nil
			l.wakeAfter(int64(10 * time.Microsecond))
		}()
		j := doing{t: t, l: l, s: &l.host.server, job: job, up: up, id: id}
		err := j.armed(deadline, mayLead, paused)
		if err == nil {
			err = j.run()
		}
		ended.OK, ended.Checkpoint = err == nil, j.checkpoint
		if err != nil {
			ended.Trouble, ended.SourceLost = err.Error(), errors.Is(err, errSource)
			l.w.note(l.host, "job", string(job.Kind)+" failed: "+ended.Trouble)
		}
	})
}

// upstreamOf is the member with that name, as far as the last picture shows it.
func (l *life) upstreamOf(name string) *member {
	if m, known := l.seen.cluster.Member(name); !known || m.ConnURL == "" {
		return nil
	}
	return l.w.member(name)
}

// doing is a job under way.
type doing struct {
	t   *task
	l   *life
	s   *server
	job ha.Job
	up  *member
	id  wal.SystemID
	// checkpoint is what a stop found.
	checkpoint wal.LSN
}

// armed arms the guard before a job makes a primary. In pause nothing is guarded.
func (j *doing) armed(deadline time.Time, mayLead, paused bool) error {
	switch {
	case paused || !makesPrimary(j.job) || j.l.w.bend.noOrder:
		return nil
	case !mayLead || !j.l.arm(j.t, deadline):
		return errUnguarded
	}
	return nil
}

func (j *doing) run() error {
	switch j.job.Kind {
	case ha.JobBootstrap:
		return j.bootstrap()
	case ha.JobClone:
		return j.clone()
	case ha.JobStart:
		return j.start(!j.job.Primary)
	case ha.JobStop:
		return j.stopAsked()
	case ha.JobPromote:
		return j.promote()
	case ha.JobRestart, ha.JobCopySlots: // slots have no model
		return j.restart(0)
	case ha.JobFollow:
		return j.follow()
	case ha.JobRewind:
		return j.rewind()
	case ha.JobReinitialize:
		return j.replace(true)
	case ha.JobReplace:
		return j.replace(false)
	case ha.JobCheckpoint:
		return j.makeCheckpoint()
	}
	return errBroken
}

func (j *doing) bootstrap() error {
	if j.s.data != ha.DataEmpty {
		return errOccupied
	}
	if err := j.t.pause(j.s.takes(initdbTime)); err != nil {
		return err
	}
	s, w := j.s, j.l.w
	if s.unstarting > 0 {
		return errBroken
	}
	if w.bootstraps++; w.bootstraps > 1 && w.store.wiped == 0 {
		w.violate("S6", "%s makes a second database cluster", s.host.name)
	}
	s.data, s.id, s.marked = ha.DataCluster, w.newSystemID(), false
	s.moved(w.newLine(s.host), firstLSN)
	s.state, s.checkpointed, s.checkpoint = shutDown, 1, firstLSN-shutdownRecordSize
	s.consistent = wal.Point{}
	s.changed()
	return nil
}

// source is the server to copy from, when it answers and is of this database cluster.
func (j *doing) source() (*server, error) {
	m := j.up
	if m == nil || !j.l.w.net.open(j.s.host.node, m.node) || !m.server.answers() {
		return nil, errSource
	}
	if j.id != "" && m.server.id != j.id {
		return nil, errForeign
	}
	return &m.server, nil
}

func (j *doing) clone() error {
	const steps = 4
	if j.l.w.bend.deleteFirst {
		j.l.w.removed(j.s, j.job)
	}
	for range steps {
		if j.s.data != ha.DataEmpty {
			return errOccupied
		}
		u, err := j.source()
		if err != nil {
			return err
		}
		u.checkpointNow() // a base backup begins with one
		j.l.wakeAfter(0)  // progress
		if err := j.t.pause(j.s.takes(copyStep)); err != nil {
			return err
		}
	}
	u, err := j.source()
	if err != nil {
		return err
	}
	if j.s.data != ha.DataEmpty {
		return errOccupied
	}
	j.s.copyOf(u, u.state)
	j.l.w.note(j.s.host, "server", "is a copy of "+u.host.name)
	return nil
}

func (j *doing) start(standby bool) error {
	s := j.s
	if s.process == ha.Stopped {
		switch {
		case s.data != ha.DataCluster:
			return errNoCluster
		case j.id != "" && j.id != s.id && !j.l.w.bend.skipIdentity:
			return errForeign
		}
		if c := s.controlFile(); standby && c.Primary {
			s.led = c.Timeline
		}
		s.marked, s.upstream = standby, j.up
		s.hold = j.job.Hold
		j.forgetNames()
		s.launch()
	}
	return j.started()
}

// started waits until the server that was launched takes connections.
func (j *doing) started() error {
	err := j.t.await(j.s, func() bool { return j.s.process == ha.Stopped || j.s.process == ha.Running })
	if err == nil && j.s.process == ha.Stopped {
		return errEnded
	}
	return err
}

func (j *doing) stopAsked() error {
	patience := time.Duration(0)
	if j.job.Immediate {
		patience = time.Second
	}
	if !j.job.Until.IsZero() {
		patience = max(j.job.Until.Sub(j.l.now()), time.Second)
	}
	err := j.stop(j.job.Immediate, patience, true)
	if err == nil {
		j.checkpoint = j.s.shutdown()
		j.s.host.watchdog.disable() // nothing is left to guard
	}
	return err
}

func (j *doing) stop(immediate bool, patience time.Duration, tell bool) error {
	s := j.s
	began := s.incarnation
	if s.shutDown(); immediate && s.frozen == 0 {
		s.crash()
	}
	if patience > 0 && s.process != ha.Stopped {
		if s.frozen == 0 {
			j.kill(began, patience/4*3)
		}
		j.kill(began, patience)
	}
	told := !tell || immediate
	for {
		var ended bool
		err := j.t.await(s, func() bool {
			ended = s.process == ha.Stopped || s.incarnation != began
			return ended || !told && s.shutdown() != 0 && s.process == ha.Stopping
		})
		if err != nil || ended {
			return err
		}
		told = true
		j.l.job.current.Checkpoint = s.shutdown()
		j.l.wakeAfter(0)
	}
}

// kill makes sure that the patience is the end of a stop.
func (j *doing) kill(incarnation int, after time.Duration) {
	s, l := j.s, j.l
	t := j.t
	l.w.at(l.w.now+l.host.clock.global(after), func() {
		if s.incarnation == incarnation && !l.dead && !t.done && l.frozen == 0 {
			s.crash()
		}
	})
}

func (j *doing) restart(patience time.Duration) error {
	if err := j.stop(false, patience, false); err != nil {
		return err
	}
	if j.s.data != ha.DataCluster {
		return errNoCluster
	}
	j.s.hold = j.job.Hold
	j.forgetNames()
	j.s.launch()
	return j.started()
}

// forgetNames takes out of the configuration of a standby whom the commits of a primary waited for.
func (j *doing) forgetNames() {
	if j.s.marked || j.l.w.bend.forgetNames {
		j.s.file = guc.SyncNames{}
	}
}

func (j *doing) promote() error {
	s := j.s
	switch {
	case s.process != ha.Running:
		return errNotRunning
	case !s.recovery:
		return nil
	}
	j.l.w.stats.Promotions++
	began := s.incarnation
	s.promote()
	err := j.t.await(s, func() bool { return s.incarnation != began || !s.recovery || !s.promoting })
	if err == nil && (s.incarnation != began || s.recovery) {
		return errEnded
	}
	return err
}

func (j *doing) follow() error {
	s := j.s
	switch {
	case s.process == ha.Stopped:
		return errNotRunning
	case !s.marked:
		return j.restart(0)
	case s.upstream != j.up:
		s.upstream, s.streaming = j.up, false
		s.changed()
	}
	s.setNames(guc.SyncNames{}, s.managed)
	return nil
}

func (j *doing) rewind() error {
	s := j.s
	if s.data != ha.DataCluster {
		return errNoCluster
	}
	if u, err := j.source(); err != nil || u.recovery {
		return errSource
	}
	if err := j.stop(false, time.Minute, false); err != nil {
		return err
	}
	if err := j.t.pause(s.takes(rewindStep)); err != nil {
		return err
	}
	u, err := j.source()
	if err != nil || u.recovery {
		return errSource
	}
	// pg_rewind believes the control file: until the checkpoint after a promotion it still shows the old timeline, and
	// nothing seems to have diverged.
	if u.checkpointed == s.checkpointed {
		s.marked, s.led = true, 0
		return nil
	}
	s.data = ha.DataIncomplete
	if err := j.t.pause(s.takes(rewindStep)); err != nil {
		return err
	}
	if s.unrewinding > 0 {
		return errEnded
	}
	u, err = j.source()
	if err != nil {
		return errEnded
	}
	s.copyOf(u, inArchiveRecovery)
	j.l.w.note(s.host, "server", "is rewound to "+u.host.name)
	return nil
}

func (j *doing) makeCheckpoint() error {
	if err := j.t.pause(j.s.takes(checkpointTime)); err != nil {
		return err
	}
	if !j.s.answers() {
		return errNotRunning
	}
	j.s.checkpointNow()
	return nil
}

// replace clones anew in place of the data directory. What was there is kept, unless an operator asked for a new
// beginning.
func (j *doing) replace(asked bool) error {
	// These data may be the last: there has to be something to clone.
	if !j.l.w.bend.deleteFirst && j.l.reach(j.t, j.job.Member, upstreamTimeout) == nil {
		return errSource
	}
	if j.t.cancelled {
		return errCancelled
	}
	if err := j.stop(true, time.Minute, false); err != nil {
		return err
	}
	switch s := j.s; {
	case s.data == ha.DataEmpty:
	case asked || j.l.w.bend.deleteFirst:
		j.l.w.removed(s, j.job)
	default:
		if s.kept++; j.job.Discard {
			s.kept = 1
		}
		s.aside()
		j.l.w.note(s.host, "server", "has its data set aside")
	}
	return j.clone()
}
