package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// StopMode is how a server is stopped.
type StopMode int

// The modes.
const (
	// Fast runs before_stop, ends sessions, writes a checkpoint and hands the last WAL to the standbys.
	Fast StopMode = iota
	// Immediate ends at once; the next start recovers. Acknowledged commits are safe.
	Immediate
)

// StopOptions say how and how long.
type StopOptions struct {
	Mode StopMode
	// Patience bounds the stop: after three quarters of it a fast stop becomes an immediate one, and at
	// its end the postmaster and its processes are killed. Zero: as long as ctx lasts.
	Patience time.Duration
	// OnCheckpoint is called, once, when a primary has written its shutdown checkpoint: no write can
	// follow, though the process may live on for long to archive or send WAL. The stop waits for it.
	OnCheckpoint func(Shutdown)
}

// Stop stops the server and returns where its WAL ends, which is known after a clean stop of a primary
// only. When it returns without an error no process of the server is left. A server that does not run
// is fine. ctx only ends the waiting.
func (s *Server) Stop(ctx context.Context, o StopOptions) (Shutdown, error) {
	leave, err := s.enter()
	if err != nil {
		return Shutdown{}, err
	}
	defer leave()
	return s.stop(ctx, o)
}

func (s *Server) stop(ctx context.Context, o StopOptions) (Shutdown, error) {
	pm := s.postmaster()
	if pm == nil {
		if err := s.clear(ctx.Done()); err != nil {
			return Shutdown{}, fmt.Errorf("stop PostgreSQL: %w", err)
		}
		return s.lastPoint(ctx), nil
	}
	s.log.InfoContext(ctx, "stopping the server", slog.Int("pid", pm.PID()), slog.Bool("immediate", o.Mode == Immediate))
	escalate := s.escalate(pm, o)
	defer escalate.stop()
	s.beforeStop(ctx, o)
	if err := signal(pm, o.Mode.signal()); err != nil {
		return Shutdown{}, fmt.Errorf("stop PostgreSQL: %w", err)
	}
	if o.Mode == Fast {
		defer s.reminding(ctx, pm)()
	}
	_, err := s.settle(ctx, pm, []string{filepath.Join(s.dir, "global", "pg_control")}, func() (bool, error) {
		if o.OnCheckpoint != nil && o.Mode == Fast {
			if down := s.written(ctx, pm); down.Checkpoint != 0 {
				o.OnCheckpoint(down)
				o.OnCheckpoint = nil
			}
		}
		return isClosed(pm.cleared), nil
	})
	if err != nil {
		return Shutdown{}, fmt.Errorf("wait for the server to stop: %w", err)
	}
	return s.lastPoint(ctx), nil
}

// beforeStop runs the operator's program, whose outcome changes nothing. It has no say in an immediate stop, which is
// for when every moment counts (rule S1), and otherwise at most half of the patience.
func (s *Server) beforeStop(ctx context.Context, o StopOptions) {
	s.mu.Lock()
	words := s.settings.BeforeStop
	s.mu.Unlock()
	if len(words) == 0 || o.Mode == Immediate {
		return
	}
	if o.Patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.Patience/2, errHookTooLong)
		defer cancel()
	}
	if err := s.runHook(ctx, "before_stop", words); err != nil {
		s.log.WarnContext(ctx, "before_stop failed, the server is stopped all the same", slog.Any("err", err))
	}
}

var errHookTooLong = errors.New("it took more than half of the time there is to stop")

func (m StopMode) signal() unix.Signal {
	if m == Immediate {
		return unix.SIGQUIT
	}
	return unix.SIGINT
}

// signal sends a signal to the postmaster; one that has ended needs none.
func signal(pm *postmaster, s unix.Signal) error {
	if err := pm.Signal(s); err != nil && !errors.Is(err, process.ErrNone) {
		return err
	}
	return nil
}

// timers are what makes a stop harder as time goes by.
type timers []*time.Timer

func (t timers) stop() {
	for _, timer := range t {
		timer.Stop()
	}
}

// escalate makes sure that the patience is the end of it. Killing the postmaster is enough: its
// processes are killed behind it.
func (s *Server) escalate(pm *postmaster, o StopOptions) timers {
	if o.Patience <= 0 {
		return nil
	}
	harder := func(after time.Duration, sig unix.Signal) *time.Timer {
		return time.AfterFunc(after, func() {
			s.log.Warn("the server does not stop in time", slog.String("signal", sig.String()))
			if err := signal(pm, sig); err != nil {
				s.log.Error("the server cannot be stopped", slog.Any("err", err))
			}
		})
	}
	t := timers{harder(o.Patience, unix.SIGKILL)}
	if o.Mode == Fast {
		t = append(t, harder(o.Patience/4*3, unix.SIGQUIT))
	}
	return t
}

// written returns the shutdown checkpoint of a server that is still stopping, zero before there is one.
func (s *Server) written(ctx context.Context, pm *postmaster) Shutdown {
	if s.phase(pm) != ProcessStopping {
		return Shutdown{}
	}
	c, err := s.controlData(ctx, true)
	if err != nil {
		return Shutdown{}
	}
	return s.shutdownPoint(ctx, c)
}

// lastPoint returns where the WAL of the stopped server ends. That this cannot be told does not make the
// stop a failure.
func (s *Server) lastPoint(ctx context.Context) Shutdown {
	if inspect(s.dir).data != DataCluster {
		return Shutdown{}
	}
	c, err := s.controlData(ctx, true)
	if err != nil {
		s.log.WarnContext(ctx, "the control file of the stopped server cannot be read", slog.Any("err", err))
		return Shutdown{}
	}
	return s.shutdownPoint(ctx, c)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
