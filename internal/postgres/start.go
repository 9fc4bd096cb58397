package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// StartOptions say as what the server starts.
type StartOptions struct {
	// Standby makes it one that accepts no writes; otherwise it is a primary. Only the holder of the
	// leader key may start a primary (rule S4).
	Standby bool
	// Upstream is whom a standby follows; see Follow.
	Upstream Upstream
	// SystemID is the cluster's; a data directory with another one is refused with ErrForeign (rule S6).
	// Empty: not known yet.
	SystemID wal.SystemID
	// Hold keeps clients out of a primary until AdmitClients; the agent's own roles and standbys get in. A primary that
	// was held stays it without. It is not possible where hba_file lies elsewhere, which a warning tells.
	Hold bool
	// Timeout is how long it may take. Zero: as long as ctx lasts.
	Timeout time.Duration
}

// Start writes the configuration, starts the server and waits until it takes connections. A server that
// runs already is waited for and otherwise left as it is. When ctx or the timeout ends while the server is still
// starting, it goes on starting; Status tells.
//
// Errors: ErrBusy, ErrNoCluster, ErrForeign, ErrVersion, ErrStillStarting, *ExitError with the server's last words.
func (s *Server) Start(ctx context.Context, o StartOptions) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.Timeout, ErrStillStarting)
		defer cancel()
	}
	if pm := s.postmaster(); pm != nil {
		return s.awaitReady(ctx, pm, 0)
	}
	if err := s.writePass(o.Upstream); err != nil {
		return err
	}
	f := following{names: s.current().names}
	if o.Standby {
		f = s.standbyOf(ctx, o.Upstream)
	}
	f.hold = o.Hold
	return s.start(ctx, f, o.SystemID)
}

// start starts a stopped server.
func (s *Server) start(ctx context.Context, f following, expected wal.SystemID) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	control, err := s.controlData(ctx, true)
	if err != nil {
		return err
	}
	if expected != "" && control.SystemID != expected {
		return fmt.Errorf("start PostgreSQL: %w: the data directory has %s, the cluster has %s", ErrForeign, control.SystemID, expected)
	}
	if err := s.clear(ctx.Done()); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	if f.standby {
		if err := s.noteLed(ctx, control); err != nil {
			return err
		}
	}
	if err := s.writeRole(ctx, s.dir, f); err != nil {
		return err
	}
	if err := s.holdOrNot(ctx, f); err != nil {
		return err
	}
	if err := s.clearSockets(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	from := size(s.logPath())
	pm, err := s.launch(s.launchArgs(f, control))
	if err != nil {
		return err
	}
	s.log.InfoContext(ctx, "starting the server", slog.Int("pid", pm.PID()), slog.Bool("standby", f.standby))
	return s.awaitReady(ctx, pm, from)
}

// writeRole writes the configuration of a primary or a standby. The mark of a standby comes first and
// goes last, so that a start in between never makes a primary of what was to be a standby.
func (s *Server) writeRole(ctx context.Context, dir string, f following) error {
	if f.standby {
		if err := setSignal(dir, true); err != nil {
			return err
		}
	}
	if _, err := s.configure(ctx, dir, f); err != nil {
		return err
	}
	if f.standby {
		return nil
	}
	return setSignal(dir, false)
}

// launchArgs is the postmaster's command line. A standby gets at least what its primary had when it
// wrote the WAL, or PostgreSQL would refuse to start it; Status shows the difference as pending.
func (s *Server) launchArgs(f following, c Control) []string {
	s.mu.Lock()
	plan := s.plan
	s.mu.Unlock()
	if f.standby {
		plan = plan.AtLeast(c.Limits)
	}
	return append(s.serverArgs(s.dir, s.files(s.dir).conf), arguments(plan)...)
}

// awaitReady waits until the server takes connections. from is where in the log its own words begin.
func (s *Server) awaitReady(ctx context.Context, pm *postmaster, from int64) error {
	ended, err := s.settle(ctx, pm, []string{s.dir}, func() (bool, error) {
		return s.phase(pm) == ProcessRunning, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the server to start: %w", err)
	}
	if ended {
		return &ExitError{Op: "start PostgreSQL", Outcome: pm.Outcome().Text, Tail: logTail(s.logPath(), from)}
	}
	return nil
}

// size is the length of a file in bytes, zero when there is none.
func size(path string) int64 {
	at, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return at.Size()
}

// RestartOptions say how the server comes back.
type RestartOptions struct {
	// Hold keeps clients out of a primary until AdmitClients, as StartOptions.Hold does.
	Hold bool
}

// Restart stops the server in an orderly way and starts it again in the role it has. When it is not
// running it is started. A primary whose clients are kept out stays it.
//
// Errors: as Stop and Start.
func (s *Server) Restart(ctx context.Context, o RestartOptions) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if _, err := s.stop(ctx, StopOptions{}); err != nil {
		return err
	}
	f := s.current()
	f.hold = o.Hold
	return s.start(ctx, f, "")
}

// Checkpoint writes everything to disk and waits for it. After a promotion this is what makes the new
// primary's control file tell the new timeline, without which nobody can rewind from it.
func (s *Server) Checkpoint(ctx context.Context) (err error) {
	conn, err := s.connect(ctx, "pgbaton checkpoint", map[string]string{"statement_timeout": "0"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("make a checkpoint: %w", err)
	}
	return nil
}
