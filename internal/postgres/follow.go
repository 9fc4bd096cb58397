package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// Followed says what Follow did.
type Followed struct {
	// Changed: the server was told to follow another upstream than before, or in another way.
	Changed bool
	// NeedsRestart: it will do so only after a Restart (before PostgreSQL 13 for another upstream or slot, and before 14
	// for another restore_command), or after it was stopped and started as a standby, because it runs as a primary.
	NeedsRestart bool
}

// The first versions that follow another upstream, and restore by another command, without a restart.
const (
	followReloadable  = 13
	restoreReloadable = 14
)

// Follow has a running standby follow an upstream. The zero Upstream is nobody, and one without a host is an
// archive that is only restored from. A standby that does so already is left alone. A running primary is left
// alone too and only told to need a restart.
//
// Errors: ErrBusy, ErrNotRunning, ErrNoCluster.
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
	if err := s.usable(ctx); err != nil {
		return Followed{}, fmt.Errorf("follow %s: %w", up.Name, err)
	}
	before, f := s.current(), s.standbyOf(ctx, up)
	if !before.standby {
		return Followed{NeedsRestart: true}, nil
	}
	if err := s.writePass(up); err != nil {
		return Followed{}, err
	}
	changed, err := s.configure(ctx, s.dir, f)
	if err != nil || !changed {
		return Followed{}, err
	}
	s.log.InfoContext(ctx, "following", slog.String("member", up.Name), slog.String("host", up.Host), slog.String("port", up.ports()),
		slog.Bool("archive_only", !up.Known()))
	if err := signal(pm, unix.SIGHUP); err != nil {
		return Followed{}, fmt.Errorf("follow %s: %w", up.Name, err)
	}
	return Followed{Changed: true, NeedsRestart: needsRestart(s.binaries().Major, before, f)}, nil
}

// needsRestart reports whether a version follows in another way only after a restart.
func needsRestart(major int, before, after following) bool {
	return major < followReloadable && (before.conninfo != after.conninfo || before.slot != after.slot) ||
		major < restoreReloadable && before.recovery["restore_command"] != after.recovery["restore_command"]
}

// standbyOf is what the configuration of a standby of an upstream says. Whom the commits of a primary waited for, perhaps of
// the one that these data were copied from, is nothing that a later primary may start from.
func (s *Server) standbyOf(ctx context.Context, up Upstream) following {
	s.mu.Lock()
	s.upstream = up
	s.mu.Unlock()
	f := following{standby: true, leads: up.Remote, recovery: s.recoveryOf(ctx, up), names: SyncNames{Managed: s.current().names.Managed}}
	if up.Known() {
		f.conninfo, f.slot = s.primaryConninfo(up), up.Slot
	}
	return f
}

// recoveryOf are the settings that an upstream brings. They come from the dynamic configuration, too, and what PostgreSQL
// would refuse must not keep a standby from starting.
func (s *Server) recoveryOf(ctx context.Context, up Upstream) guc.Settings {
	settings, problems := guc.Validate(s.binaries().Version, up.recovery(), nil)
	for _, why := range problems {
		s.log.WarnContext(ctx, "a setting of whom to follow is not used as it stands", slog.String("why", why))
	}
	return settings
}

// Reload makes new settings the wanted ones, writes the files and has a running server read them.
// Settings that need a restart show in Status. It returns whether any file changed. While another job
// is under way the settings are taken note of, and ErrBusy says that the files wait for the next call.
func (s *Server) Reload(ctx context.Context, settings Settings) (changed bool, err error) {
	if err := s.prepare(ctx, settings); err != nil {
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
	f, err := s.asBefore()
	if err != nil {
		return false, err
	}
	changed, err = s.configure(ctx, s.dir, f)
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

// asBefore is whom the server follows already, with the logins in force: a new password is in the password file from then
// on, where the next connection finds it. An agent that has not told the server whom to follow yet leaves that as it is.
func (s *Server) asBefore() (following, error) {
	f := s.current()
	s.mu.Lock()
	up := s.upstream
	s.mu.Unlock()
	if !f.standby || !up.Known() || f.conninfo == "" {
		return f, nil
	}
	f.conninfo = s.primaryConninfo(up)
	return f, s.writePass(up)
}
