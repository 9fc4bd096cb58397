package agent_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// life is one run of an agent, from its start to its end, and the server as that agent may touch it. After the
// agent was killed nothing it still tries has any effect.
type life struct {
	host   *host
	agent  *agent.Agent
	dcs    *kvClient
	lease  func() time.Time
	began  time.Time
	leave  context.CancelFunc
	exited chan struct{}
	killed chan struct{}
	// done is closed when Run has returned, with err.
	done chan struct{}
	err  error
	// busy is true while a job is under way; guarded by the lab's mutex.
	busy bool
	// looks counts the calls of Status.
	looks int
}

var (
	errKilled = errors.New("the agent was killed")
	errBroken = errors.New("broken on purpose")
)

func (l *life) dead() bool {
	select {
	case <-l.killed:
		return true
	default:
		return false
	}
}

func (l *life) alive() bool {
	select {
	case <-l.done:
		return false
	default:
		return !l.dead()
	}
}

// enter begins a job on the server, as the adapter does: one at a time.
func (l *life) enter() (leave func(), err error) {
	l.host.halt()
	l.host.lab.mu.Lock()
	defer l.host.lab.mu.Unlock()
	if l.dead() {
		return nil, errKilled
	}
	if l.busy {
		return nil, postgres.ErrBusy
	}
	l.busy = true
	return func() {
		l.host.lab.mu.Lock()
		defer l.host.lab.mu.Unlock()
		l.busy = false
	}, nil
}

// pause waits for a step of a job.
func (l *life) pause(ctx context.Context, d time.Duration) error {
	defer l.host.halt()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.killed:
		return errKilled
	}
}

// await waits until the condition, which is asked with the lab's mutex held, is true.
func (l *life) await(ctx context.Context, reached func() bool) error {
	for {
		l.host.halt()
		l.host.lab.mu.Lock()
		ok, changed := reached(), l.host.lab.changed
		l.host.lab.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.killed:
			return errKilled
		}
	}
}

// change changes the server, unless the agent was killed.
func (l *life) change(do func(s *server) error) (err error) {
	l.host.halt()
	l.host.lab.change(func() {
		if l.dead() {
			err = errKilled
			return
		}
		err = do(l.host.server)
	})
	return err
}

// Status implements agent.Postgres.
func (l *life) Status(ctx context.Context) postgres.Status {
	const look, answerTimeout = 200 * time.Microsecond, 2500 * time.Millisecond
	lab, s := l.host.lab, l.host.server
	lab.mu.Lock()
	l.looks++
	wait := look
	if s.silent && s.process == postgres.ProcessRunning {
		wait = answerTimeout
	}
	lab.mu.Unlock()
	err := l.pause(ctx, wait)
	if l.dead() {
		return postgres.Status{Data: postgres.DataCluster}
	}
	lab.mu.Lock()
	defer lab.mu.Unlock()
	st := s.status()
	if err != nil {
		st.Answers, st.Err = false, err
	}
	return st
}

// Exited implements agent.Postgres.
func (l *life) Exited() <-chan struct{} {
	l.host.halt()
	return l.exited
}

// Bootstrap implements agent.Postgres.
func (l *life) Bootstrap(ctx context.Context) error {
	leave, err := l.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := l.pause(ctx, initdbTime); err != nil {
		return err
	}
	err = l.change(func(s *server) error {
		if s.data != postgres.DataEmpty {
			return postgres.ErrOccupied
		}
		if s.unstarting {
			return &postgres.ExitError{Op: "run initdb", Outcome: "exit status 1"}
		}
		s.data, s.id, s.marked = postgres.DataCluster, s.lab.newSystemID(), false
		s.line, s.end, s.state, s.checkpointed = &line{number: 1, by: s.name}, firstLSN, postgres.StateShutDown, 1
		s.checkpoint = s.end - shutdownRecordSize
		s.lab.counts.bootstraps++
		s.launch()
		return nil
	})
	if err != nil {
		return err
	}
	return l.started(ctx)
}

// started waits until the server that was launched takes connections.
func (l *life) started(ctx context.Context) error {
	s := l.host.server
	var ended bool
	err := l.await(ctx, func() bool {
		ended = s.process == postgres.ProcessNone
		return ended || s.process == postgres.ProcessRunning
	})
	if err == nil && ended {
		return &postgres.ExitError{Op: "start PostgreSQL", Outcome: "exit status 1"}
	}
	return err
}

// reach finds another server that answers, or the error that it does not.
func (l *life) reach(up postgres.Upstream) (*server, error) {
	u := l.host.lab.server(up.Host)
	if u == nil || u.process != postgres.ProcessRunning || u.silent || l.host.lab.apart(l.host.name, u.name) {
		return nil, fmt.Errorf("%w: connect to %s", postgres.ErrSourceUnreachable, up.Name)
	}
	return u, nil
}

// from does something with another server while changing the own one.
func (l *life) from(up postgres.Upstream, id wal.SystemID, do func(s, u *server) error) error {
	return l.change(func(s *server) error {
		u, err := l.reach(up)
		if err != nil {
			return err
		}
		if id != "" && u.id != id {
			return postgres.ErrForeign
		}
		return do(s, u)
	})
}

// Clone implements agent.Postgres.
func (l *life) Clone(ctx context.Context, o postgres.CloneOptions) error {
	leave, err := l.enter()
	if err != nil {
		return err
	}
	defer leave()
	const steps = 4
	for i := range int64(steps) {
		err := l.from(o.From, o.SystemID, func(s, _ *server) error {
			if s.data != postgres.DataEmpty {
				return postgres.ErrOccupied
			}
			return nil
		})
		if err != nil {
			return err
		}
		o.Progress(i<<20, steps<<20)
		if err := l.pause(ctx, copyStep); err != nil {
			return err
		}
	}
	return l.from(o.From, o.SystemID, func(s, u *server) error {
		s.copyOf(u, u.state)
		s.note("is a copy of " + u.name)
		return nil
	})
}

// Start implements agent.Postgres.
func (l *life) Start(ctx context.Context, o postgres.StartOptions) error {
	leave, err := l.enter()
	if err != nil {
		return err
	}
	defer leave()
	err = l.change(func(s *server) error {
		switch {
		case s.process != postgres.ProcessNone:
			return nil
		case s.data != postgres.DataCluster:
			return postgres.ErrNoCluster
		case o.SystemID != "" && o.SystemID != s.id:
			return postgres.ErrForeign
		}
		s.marked, s.upstream, s.through = o.Standby, o.Upstream.Host, o.Upstream.Slot
		l.mayLead(s, "is started as a primary")
		s.launch()
		return nil
	})
	if err != nil {
		return err
	}
	return l.started(ctx)
}

// mayLead holds rule S4: a server is made to accept writes only while its member has the leader key. One that an agent
// starts because it was frozen in that moment is stopped by the guard before it is up.
func (l *life) mayLead(s *server, what string) {
	if holder := l.host.lab.holder(); !s.marked && holder != l.host.member && !l.host.bars() {
		l.host.lab.violate("S4: %s %s while the leader key is %q's", s.name, what, holder)
	}
}

// Stop implements agent.Postgres.
func (l *life) Stop(ctx context.Context, o postgres.StopOptions) (postgres.Shutdown, error) {
	if l.dead() {
		return postgres.Shutdown{}, nil // it lets the agent's goroutines end
	}
	leave, err := l.enter()
	if err != nil {
		return postgres.Shutdown{}, err
	}
	defer leave()
	return l.stop(ctx, o)
}

func (l *life) stop(ctx context.Context, o postgres.StopOptions) (postgres.Shutdown, error) {
	s, began := l.host.server, 0
	err := l.change(func(s *server) error {
		if s.unstopping {
			return errBroken
		}
		began = s.incarnation
		if s.shutDown(); o.Mode == postgres.Immediate {
			s.crash()
		}
		return nil
	})
	if err != nil {
		return postgres.Shutdown{}, err
	}
	if o.Patience > 0 {
		kill := time.AfterFunc(o.Patience/4*3, func() {
			_ = l.change(func(s *server) error {
				if s.incarnation == began {
					s.crash()
				}
				return nil
			})
		})
		defer kill.Stop()
	}
	var down postgres.Shutdown
	for ended := false; !ended; {
		err := l.await(ctx, func() bool {
			ended = s.process == postgres.ProcessNone || s.incarnation != began
			down = s.shutdown()
			return ended || o.OnCheckpoint != nil && down.Checkpoint != 0
		})
		if err != nil {
			return postgres.Shutdown{}, err
		}
		if o.OnCheckpoint != nil && o.Mode == postgres.Fast && down.Checkpoint != 0 {
			o.OnCheckpoint(down)
			o.OnCheckpoint = nil
		}
	}
	return down, nil
}

// Restart implements agent.Postgres.
func (l *life) Restart(ctx context.Context, o postgres.RestartOptions) error {
	leave, err := l.enter()
	if err != nil {
		return err
	}
	defer leave()
	if _, err := l.stop(ctx, postgres.StopOptions{}); err != nil {
		return err
	}
	err = l.change(func(s *server) error {
		if s.data != postgres.DataCluster {
			return postgres.ErrNoCluster
		}
		s.held = s.held || o.Hold && !s.marked
		l.mayLead(s, "is restarted as a primary")
		s.launch()
		return nil
	})
	if err != nil {
		return err
	}
	return l.started(ctx)
}

// Promote implements agent.Postgres.
func (l *life) Promote(ctx context.Context) error {
	leave, err := l.enter()
	if err != nil {
		return err
	}
	defer leave()
	began, s := 0, l.host.server
	err = l.change(func(s *server) error {
		if s.process != postgres.ProcessRunning {
			return postgres.ErrNotRunning
		}
		if !s.recovery {
			return nil
		}
		if holder := l.host.lab.holder(); holder != l.host.member {
			l.host.lab.violate("S4: %s is promoted while the leader key is %q's", s.name, holder)
		}
		l.host.lab.counts.promotions++
		began = s.incarnation
		s.promote()
		return nil
	})
	if err != nil || began == 0 {
		return err
	}
	var done bool
	err = l.await(ctx, func() bool {
		done = s.incarnation == began && !s.recovery
		return done || s.incarnation != began || !s.promoting
	})
	if err == nil && !done {
		return &postgres.ExitError{Op: "promote", Outcome: "exit status 1"}
	}
	return err
}

// Follow implements agent.Postgres.
func (l *life) Follow(_ context.Context, up postgres.Upstream) (postgres.Followed, error) {
	leave, err := l.enter()
	if err != nil {
		return postgres.Followed{}, err
	}
	defer leave()
	var f postgres.Followed
	err = l.change(func(s *server) error {
		switch {
		case s.process == postgres.ProcessNone:
			return postgres.ErrNotRunning
		case !s.marked:
			f.NeedsRestart = true
		case s.upstream != up.Host || s.through != up.Slot:
			s.upstream, s.through, s.streaming, f.Changed = up.Host, up.Slot, false, true
			s.note("follows " + up.Host)
		}
		return nil
	})
	return f, err
}

// Rewind implements agent.Postgres.
func (l *life) Rewind(ctx context.Context, o postgres.RewindOptions) error {
	leave, err := l.enter()
	if err != nil {
		return err
	}
	defer leave()
	if _, err := l.stop(ctx, postgres.StopOptions{Patience: o.Patience}); err != nil {
		return err
	}
	if err := l.pause(ctx, rewindStep); err != nil {
		return err
	}
	changed := false
	err = l.from(o.From, o.SystemID, func(s, u *server) error {
		if u.recovery {
			return postgres.ErrSourceUnreachable
		}
		// pg_rewind believes the control file: until the checkpoint after a promotion it still shows the old
		// timeline, and nothing seems to have diverged.
		if changed = u.checkpointed != s.checkpointed; changed {
			s.data = postgres.DataIncomplete
		} else {
			s.marked = true
		}
		return nil
	})
	if err != nil || !changed {
		return err
	}
	if err := l.pause(ctx, rewindStep); err != nil {
		return err
	}
	return l.from(o.From, o.SystemID, func(s, u *server) error {
		s.copyOf(u, postgres.StateInArchiveRecovery)
		s.note("is rewound to " + u.name)
		s.lab.counts.rewinds++
		return nil
	})
}

// Checkpoint implements agent.Postgres.
func (l *life) Checkpoint(ctx context.Context) error {
	if err := l.pause(ctx, checkpointTime); err != nil {
		return err
	}
	return l.change(func(s *server) error {
		if s.process != postgres.ProcessRunning || s.silent {
			return postgres.ErrNotRunning
		}
		if !s.recovery {
			s.checkpointed, s.consistent = s.line.number, wal.Point{}
		}
		return nil
	})
}

// Reload implements agent.Postgres.
func (l *life) Reload(context.Context, postgres.Settings) (bool, error) { return false, nil }

// Reread implements agent.Postgres.
func (l *life) Reread() (bool, error) {
	l.host.lab.mu.Lock()
	defer l.host.lab.mu.Unlock()
	return l.host.server.process != postgres.ProcessNone && !l.dead(), nil
}

// Activity implements agent.Postgres.
func (*life) Activity() (string, time.Time) { return "", time.Time{} }

// SetAside implements agent.Postgres.
func (l *life) SetAside() (kept string, err error) {
	err = l.change(func(s *server) error {
		switch {
		case s.process != postgres.ProcessNone:
			return postgres.ErrRunning
		case s.data == postgres.DataEmpty:
			return nil
		}
		kept = fmt.Sprintf("/data.failed.%d", s.incarnation)
		s.kept = append(s.kept, kept)
		s.data, s.id, s.line, s.end, s.marked = postgres.DataEmpty, "", nil, 0, false
		s.note("has its data set aside")
		return nil
	})
	return kept, err
}

// Kept implements agent.Postgres.
func (l *life) Kept() []string {
	l.host.lab.mu.Lock()
	defer l.host.lab.mu.Unlock()
	return l.host.server.kept
}

// Discard implements agent.Postgres.
func (l *life) Discard(kept string) error {
	return l.change(func(s *server) error {
		var left []string
		for _, k := range s.kept {
			if k != kept {
				left = append(left, k)
			}
		}
		s.kept = left
		return nil
	})
}

// LocalHistory implements agent.Postgres.
func (l *life) LocalHistory(tl wal.Timeline) (h wal.History, err error) {
	err = l.change(func(s *server) error {
		if s.line == nil || s.line.number != tl {
			return fmt.Errorf("read the history of timeline %d: %w", tl, errBroken)
		}
		h = s.line.history()
		return nil
	})
	return h, err
}

// ask asks another server, which takes a moment when it answers and until the end of ctx when the network hides it.
func (l *life) ask(ctx context.Context, up postgres.Upstream, do func(u *server)) error {
	l.host.lab.mu.Lock()
	hidden := l.host.lab.apart(l.host.name, up.Host)
	l.host.lab.mu.Unlock()
	wait := time.Millisecond
	if hidden {
		wait = time.Hour
	}
	if err := l.pause(ctx, wait); err != nil {
		return fmt.Errorf("%w: %w", postgres.ErrSourceUnreachable, err)
	}
	return l.change(func(*server) error {
		u, err := l.reach(up)
		if err == nil {
			do(u)
		}
		return err
	})
}

// IdentifySource implements agent.Postgres.
func (l *life) IdentifySource(ctx context.Context, up postgres.Upstream) (source postgres.Source, err error) {
	err = l.ask(ctx, up, func(u *server) {
		source = postgres.Source{SystemID: u.id, Timeline: u.line.number, Position: u.end, InRecovery: u.recovery, Major: 15}
	})
	return source, err
}

// TimelineHistory implements agent.Postgres.
func (l *life) TimelineHistory(ctx context.Context, up postgres.Upstream, tl wal.Timeline) (h wal.History, err error) {
	err = l.ask(ctx, up, func(u *server) { h = u.line.history() })
	_ = tl
	return h, err
}
