package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Promote makes a standby a primary and waits until it accepts writes. A primary stays one. Only the
// holder of the leader key may call it (rule S4). Before it, the operator's program pre_promote is asked; until that
// has ended, cancelling ctx leaves a standby. Later it does not take the promotion back.
//
// Errors: ErrBusy, ErrNotRunning, ErrRefused (give the key back), *ExitError.
func (s *Server) Promote(ctx context.Context) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	pm := s.postmaster()
	if pm == nil {
		return fmt.Errorf("promote: %w", ErrNotRunning)
	}
	if primary, err := s.promoted(ctx); primary || err != nil {
		s.asPrimary(ctx, pm)
		return err
	}
	if err := s.prePromote(ctx); err != nil {
		return err
	}
	from := size(s.logPath())
	_, err = command{
		op:   "promote",
		path: s.binaries().Path("pg_ctl"),
		args: []string{"promote", "-W", "-D", s.dir},
		env:  []string{"LC_ALL=C"},
	}.run(ctx)
	if err != nil {
		return err
	}
	stop := s.keepAwake(ctx, pm)
	defer stop()
	// PostgreSQL notes "in production" in the control file as the last step, in the moment from which
	// writes are accepted.
	ended, err := s.settle(ctx, pm, []string{filepath.Join(s.dir, "global", "pg_control")}, func() (bool, error) {
		return s.promoted(ctx)
	})
	if err != nil {
		return fmt.Errorf("wait for the promotion: %w", err)
	}
	if ended {
		return &ExitError{Op: "promote", Outcome: "the server ended: " + pm.Outcome().Text, Tail: logTail(s.logPath(), from)}
	}
	s.asPrimary(ctx, pm)
	return nil
}

// asPrimary brings the settings of a primary into force, where they differ with the role. That they cannot be written takes
// no promotion back.
func (s *Server) asPrimary(ctx context.Context, pm *postmaster) {
	f := s.current()
	s.mu.Lock()
	differ := len(s.settings.ByRole) > 0
	s.mu.Unlock()
	if !differ || f.standby {
		return
	}
	changed, err := s.configure(ctx, s.dir, f)
	if err == nil && changed {
		err = signal(pm, unix.SIGHUP)
	}
	if err != nil {
		s.log.WarnContext(ctx, "the settings of a primary are not in force", slog.Any("err", err))
	}
}

// prePromote asks the operator's program.
func (s *Server) prePromote(ctx context.Context) error {
	s.mu.Lock()
	words := s.settings.PrePromote
	s.mu.Unlock()
	if len(words) == 0 {
		return nil
	}
	if err := s.runHook(ctx, "pre_promote", words); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// runHook runs an operator's program at a turn of the server's life. What it leaves in the background is its own
// business, unless it is cancelled.
func (s *Server) runHook(ctx context.Context, name string, words Program) error {
	defer s.doing("running " + name)()
	path, err := program(words)
	if err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	_, err = command{op: "run " + name, path: path, args: words[1:], foreign: true}.run(ctx)
	return err
}

// wakeEvery is how often the startup process is woken during a promotion.
const wakeEvery = 25 * time.Millisecond

// keepAwake wakes the startup process until it is told to stop. It may take notice of the promotion and then still
// sleep until the next attempt to stream is due, wal_retrieve_retry_interval after the last one
// (WaitForWALToBecomeAvailable in xlogrecovery.c). A reload wakes it and changes nothing else.
func (s *Server) keepAwake(ctx context.Context, pm *postmaster) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var awake sync.WaitGroup
	awake.Go(func() {
		ticker := time.NewTicker(wakeEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := signal(pm, unix.SIGHUP); err != nil {
				return // it has ended, which settle sees
			}
		}
	})
	return func() {
		cancel()
		awake.Wait()
	}
}

// promoted reports whether the server accepts writes. A standby that has just been cloned has its
// primary's control file, but its own mark.
func (s *Server) promoted(ctx context.Context) (bool, error) {
	if s.current().standby {
		return false, nil
	}
	c, err := s.controlData(ctx, true)
	if err != nil {
		return false, err
	}
	return c.State == StateInProduction, nil
}
