package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// jobSlot holds the one job that runs. The loop begins and observes it; the job reports into it.
type jobSlot struct {
	mu       sync.Mutex
	current  ha.RunningJob
	progress string
	ended    *ha.EndedJob
	stop     context.CancelCauseFunc
	done     chan struct{}
}

var errReplaced = errors.New("something more urgent was decided")

// observe returns the running job, and once the one that ended.
func (s *jobSlot) observe() (ha.RunningJob, *ha.EndedJob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := s.ended
	s.ended = nil
	return s.current, ended
}

// describe is the running job in a few words and how far it is; empty when none runs.
func (s *jobSlot) describe() (ha.JobKind, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.current.Job
	job.Request = 0 // the number is the log's business
	text := job.String()
	if s.progress != "" {
		text += ": " + s.progress
	}
	return s.current.Kind, text
}

// makesPrimary reports whether the running job ends with a server that accepts writes.
func (s *jobSlot) makesPrimary() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.Kind == ha.JobPromote || s.current.Primary
}

func (s *jobSlot) report(progress string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress = progress
}

func (s *jobSlot) checkpoint(at wal.LSN) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.Checkpoint = at
}

// cancel ends the running job and waits until it has ended. It returns the job, whose end is nobody's business any
// more; its zero value when none ran.
func (s *jobSlot) cancel(cause error) ha.Job {
	s.mu.Lock()
	job, stop, done := s.current.Job, s.stop, s.done
	s.mu.Unlock()
	if stop == nil {
		return ha.Job{}
	}
	stop(cause)
	<-done
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = nil
	return job
}

// begin runs a job in a goroutine of its own. wake is called when it has ended.
func (s *jobSlot) begin(ctx context.Context, job ha.Job, run func(context.Context) (ha.EndedJob, error), wake func()) {
	ctx, stop := context.WithCancelCause(ctx)
	done := make(chan struct{})
	s.mu.Lock()
	s.current, s.progress, s.ended, s.stop, s.done = ha.RunningJob{Job: job, Began: time.Now()}, "", nil, stop, done
	s.mu.Unlock()
	go func() {
		ended, err := run(ctx)
		ended.Job, ended.OK = job, err == nil
		if err != nil {
			ended.Trouble = err.Error()
			ended.SourceLost = errors.Is(err, postgres.ErrSourceUnreachable)
		}
		stop(nil)
		s.mu.Lock()
		s.current, s.progress, s.ended, s.stop = ha.RunningJob{}, "", &ended, nil
		s.mu.Unlock()
		close(done)
		wake()
	}()
}

// startJob begins a job; one that runs is cancelled and waited for first.
func (a *Agent) startJob(ctx context.Context, v ha.View, job ha.Job) {
	if cancelled := a.job.cancel(errReplaced); cancelled.Request != 0 {
		a.requests.finish(cancelled.Request, ErrDropped)
	}
	a.requests.begin(job.Request)
	began := time.Now()
	up, leaderID := a.upstreamOf(job.Member, job.Remote), v.Cluster.Initialize.SystemID
	if job.Kind == ha.JobStart || job.Kind == ha.JobFollow {
		m, _ := v.Cluster.Member(job.Member)
		a.server.follows, a.server.address, a.server.remote, a.server.upstream = m.Name, m.ConnURL, job.Remote, up
	}
	order, paused := a.order(0), v.Settings.Pause
	a.log.InfoContext(ctx, "job begins", slog.String("job", job.String()))
	a.job.begin(ctx, job, func(ctx context.Context) (ha.EndedJob, error) {
		ended, err := ha.EndedJob{}, a.armFor(ctx, job, order, paused)
		if err == nil {
			ended, err = a.run(ctx, job, up, leaderID, v.Server.MissingSlots)
		}
		if err != nil {
			a.log.ErrorContext(ctx, "job failed", slog.String("job", job.String()), slog.Duration("duration", time.Since(began)), slog.Any("err", err))
			return ended, err
		}
		a.log.InfoContext(ctx, "job done", slog.String("job", job.String()), slog.Duration("duration", time.Since(began)))
		return ended, nil
	}, a.Wake)
}

// run does what a job says. It runs beside the loop and touches nothing of it but the job slot.
func (a *Agent) run(ctx context.Context, job ha.Job, up postgres.Upstream, id wal.SystemID, missing []string) (ha.EndedJob, error) {
	switch job.Kind {
	case ha.JobBootstrap:
		return ha.EndedJob{}, a.bootstrap(ctx, job, up)
	case ha.JobClone:
		return ha.EndedJob{}, a.clone(ctx, up, id)
	case ha.JobStart:
		return ha.EndedJob{}, a.pg.Start(ctx, postgres.StartOptions{Standby: !job.Primary, Upstream: up, SystemID: id, Hold: job.Hold})
	case ha.JobStop:
		return a.stop(ctx, job)
	case ha.JobPromote:
		return ha.EndedJob{}, a.pg.Promote(ctx)
	case ha.JobRestart:
		return ha.EndedJob{}, a.pg.Restart(ctx, postgres.RestartOptions{Hold: job.Hold})
	case ha.JobFollow:
		return ha.EndedJob{}, a.follow(ctx, up)
	case ha.JobRewind:
		return ha.EndedJob{}, a.pg.Rewind(ctx, postgres.RewindOptions{From: up, SystemID: id, Patience: time.Minute})
	case ha.JobReinitialize:
		return ha.EndedJob{}, a.reinitialize(ctx, up, id)
	case ha.JobReplace:
		return ha.EndedJob{}, a.replace(ctx, up, id, job.Discard)
	case ha.JobCheckpoint:
		return ha.EndedJob{}, a.pg.Checkpoint(ctx)
	case ha.JobCopySlots:
		return ha.EndedJob{}, a.pg.CopySlots(ctx, up, missing)
	}
	return ha.EndedJob{}, fmt.Errorf("unknown job %s", job.Kind)
}

// bootstrap makes the data of a new cluster: its own, or a copy of the remote for a standby cluster.
func (a *Agent) bootstrap(ctx context.Context, job ha.Job, up postgres.Upstream) error {
	if job.Remote {
		return a.clone(ctx, up, "")
	}
	return a.pg.Bootstrap(ctx)
}

func (a *Agent) clone(ctx context.Context, from postgres.Upstream, id wal.SystemID) error {
	logged := int64(-1)
	return a.pg.Clone(ctx, postgres.CloneOptions{From: from, SystemID: id, Progress: func(done, total int64) {
		text := fmt.Sprintf("%d of %d MB", done>>20, total>>20)
		percent := int64(-1)
		if total > 0 {
			percent = min(100, done*100/total)
			text += fmt.Sprintf(", %d %%", percent)
		}
		if percent/logStep > logged/logStep || logged < 0 {
			logged = max(percent, 0)
			a.log.InfoContext(ctx, "cloning", slog.String("from", from.Name), slog.String("progress", text))
		}
		a.job.report(text)
		a.Wake()
	}})
}

// logStep is after how many per cent of a clone the log says how far it is.
const logStep = 10

// stop stops the server. While it stops, the position of the shutdown checkpoint is reported, because from then
// on the lead can be handed over.
func (a *Agent) stop(ctx context.Context, job ha.Job) (ha.EndedJob, error) {
	o := postgres.StopOptions{Mode: postgres.Fast, OnCheckpoint: func(s postgres.Shutdown) {
		a.job.checkpoint(s.Checkpoint)
		a.Wake()
	}}
	if job.Immediate {
		o.Mode, o.Patience = postgres.Immediate, time.Second
	}
	if !job.Until.IsZero() {
		o.Patience = max(time.Until(job.Until), time.Second)
	}
	down, err := a.pg.Stop(ctx, o)
	if err == nil {
		a.standDown(ctx)
	}
	return ha.EndedJob{Checkpoint: down.Checkpoint}, err
}

func (a *Agent) follow(ctx context.Context, up postgres.Upstream) error {
	followed, err := a.pg.Follow(ctx, up)
	if err != nil || !followed.NeedsRestart {
		return err
	}
	return a.pg.Restart(ctx, postgres.RestartOptions{})
}

// replace clones anew in place of the data directory. What was there is kept (rule S6); what was kept before goes, if
// discard says so.
func (a *Agent) replace(ctx context.Context, from postgres.Upstream, id wal.SystemID, discard bool) error {
	older := a.pg.Kept()
	if _, err := a.putAside(ctx, from); err != nil {
		return err
	}
	if discard {
		for _, kept := range older {
			if err := a.pg.Discard(kept); err != nil {
				return err
			}
		}
	}
	return a.clone(ctx, from, id)
}

// reinitialize clones anew, because an operator asked for it: nothing of what was there is kept.
func (a *Agent) reinitialize(ctx context.Context, from postgres.Upstream, id wal.SystemID) error {
	kept, err := a.putAside(ctx, from)
	if err != nil {
		return err
	}
	if kept != "" {
		a.job.report("removing the old data directory")
		if err := a.pg.Discard(kept); err != nil {
			return err
		}
	}
	return a.clone(ctx, from, id)
}

// putAside stops the server and renames its data directory, once it is certain that there is something to clone: these
// data may be the last.
func (a *Agent) putAside(ctx context.Context, from postgres.Upstream) (string, error) {
	if err := a.lookAt(ctx, from); err != nil {
		return "", err
	}
	if _, err := a.pg.Stop(ctx, postgres.StopOptions{Mode: postgres.Immediate, Patience: time.Minute}); err != nil {
		return "", err
	}
	return a.pg.SetAside()
}

// lookAt makes sure that a source answers.
func (a *Agent) lookAt(ctx context.Context, from postgres.Upstream) error {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	if _, err := a.pg.IdentifySource(ctx, from); err != nil {
		return fmt.Errorf("look at %s before the data are given up: %w", from.Name, err)
	}
	return nil
}

// finish tells whoever asked for a job how it ended.
func (a *Agent) finish(ctx context.Context, e ha.EndedJob) {
	if e.Request == 0 {
		return
	}
	var err error
	if !e.OK {
		err = errors.New(e.Trouble)
	}
	a.log.InfoContext(ctx, "request done", slog.Int("request", e.Request), slog.Any("err", err))
	a.requests.finish(e.Request, err)
}

// stateOf is the member's state as others see it.
func stateOf(st postgres.Status, job ha.JobKind, crashed bool) cluster.State {
	switch job {
	case ha.JobBootstrap:
		return cluster.StateInitializing
	case ha.JobClone, ha.JobReinitialize, ha.JobReplace:
		return cluster.StateCreatingReplica
	case ha.JobRestart, ha.JobCopySlots:
		return cluster.StateRestarting
	case ha.JobStop:
		return cluster.StateStopping
	case ha.JobStart, ha.JobPromote, ha.JobFollow, ha.JobRewind, ha.JobCheckpoint:
	}
	switch st.Process {
	case postgres.ProcessRunning:
		return cluster.StateRunning
	case postgres.ProcessStarting:
		return cluster.StateStarting
	case postgres.ProcessStopping:
		return cluster.StateStopping
	case postgres.ProcessNone:
	}
	if crashed {
		return cluster.StateCrashed
	}
	return cluster.StateStopped
}
