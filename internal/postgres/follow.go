package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"
)

// Followed says what Follow did.
type Followed struct {
	// Changed: the server was told to follow another upstream than before.
	Changed bool
	// NeedsRestart: it will do so only after a Restart (PostgreSQL 12), or after it was stopped and
	// started as a standby, because it runs as a primary.
	NeedsRestart bool
}

// sinceReloadable is the first version that follows another upstream without a restart.
const sinceReloadable = 13

// Follow has a running standby follow an upstream; the zero Upstream is nobody. A standby that follows
// it already is left alone. A running primary is left alone too and only told to need a restart.
//
// Errors: ErrBusy, ErrNotRunning.
func (s *Server) Follow(ctx context.Context, up Upstream) (Followed, error) {
	leave, err := s.enter()
	if err != nil {
		return Followed{}, err
	}
	defer leave()
	pm := s.postmaster()
	if pm == nil {
		return Followed{}, fmt.Errorf("follow %s: %w", up.Name, ErrNotRunning)
	}
	if !current(s.dir).standby {
		return Followed{NeedsRestart: true}, nil
	}
	if err := s.writePass(up); err != nil {
		return Followed{}, err
	}
	f := following{standby: true}
	if up.Known() {
		f.conninfo = s.primaryConninfo(up)
	}
	changed, err := s.configure(ctx, s.dir, f)
	if err != nil || !changed {
		return Followed{}, err
	}
	s.log.InfoContext(ctx, "following", slog.String("member", up.Name), slog.String("host", up.Host), slog.Int("port", up.Port))
	if err := signal(pm, unix.SIGHUP); err != nil {
		return Followed{}, fmt.Errorf("follow %s: %w", up.Name, err)
	}
	return Followed{Changed: true, NeedsRestart: s.binaries().Major < sinceReloadable}, nil
}

// Reload makes new settings the wanted ones, writes the files and has a running server read them.
// Settings that need a restart show in Status. It returns whether any file changed. While another job
// is under way the settings are taken note of, and ErrBusy says that the files wait for the next call.
func (s *Server) Reload(ctx context.Context, settings Settings) (changed bool, err error) {
	if err := s.prepare(settings); err != nil {
		return false, err
	}
	leave, err := s.enter()
	if err != nil {
		return false, err
	}
	defer leave()
	if err := s.usable(ctx); errors.Is(err, ErrNoCluster) {
		return false, nil
	}
	changed, err = s.configure(ctx, s.dir, current(s.dir))
	if err != nil || !changed {
		return changed, err
	}
	pm := s.postmaster()
	if pm == nil {
		return true, nil
	}
	s.query.compareAgain.Store(true)
	if err := signal(pm, unix.SIGHUP); err != nil {
		return true, fmt.Errorf("reload: %w", err)
	}
	return true, nil
}
