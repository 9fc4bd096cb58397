package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// RewindOptions say from whom.
type RewindOptions struct {
	// From is a primary that has finished its recovery and a checkpoint since.
	From Upstream
	// SystemID is the cluster's; see CloneOptions.
	SystemID wal.SystemID
	// Patience bounds the stop of a running server; see StopOptions.
	Patience time.Duration
}

// Rewind makes a diverged data directory a standby of another server: it takes back what the other
// server never had. A running server is stopped, finished WAL is archived, a crashed server is recovered first. The
// result is marked as a standby and not started.
//
// Errors: ErrBusy, ErrNoCluster, ErrForeign, *ExitError with pg_rewind's last words, and
//
//   - ErrSourceUnreachable: the source does not answer, is in recovery, or has not made its checkpoint yet. The
//     directory is as it was; try again.
//   - ErrNotRewindable: it never will be; clone instead.
//   - ErrBroken: pg_rewind changed files and failed. The directory is DataIncomplete for good, never to be started.
//
// An error that is none of these leaves the directory as it was; another attempt will hardly help.
func (s *Server) Rewind(ctx context.Context, o RewindOptions) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := s.usable(ctx); err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	if err := s.rewindable(ctx); err != nil {
		return err
	}
	if err := s.ready(ctx, o); err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	if _, err := s.stop(ctx, StopOptions{Patience: o.Patience}); err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	// Recovery ends with a checkpoint, which may remove WAL: so before it, and once more for what it finished.
	s.tryArchiveWAL(ctx)
	if err := s.recoverCrash(ctx); err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	s.tryArchiveWAL(ctx)
	return s.rewind(ctx, o.From)
}

// rewindable checks what pg_rewind would refuse.
func (s *Server) rewindable(ctx context.Context) error {
	control, err := s.controlData(ctx, false)
	if err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	if !control.Rewindable() {
		return fmt.Errorf("rewind: %w: it has neither data checksums nor wal_log_hints", ErrNotRewindable)
	}
	if !s.binaries().Has("pg_rewind") {
		return fmt.Errorf("rewind: %w: pg_rewind is not installed in %s", ErrNotRewindable, s.binaries().Dir)
	}
	return nil
}

// ready makes sure that the source can be rewound from, before anything is stopped or changed.
func (s *Server) ready(ctx context.Context, o RewindOptions) error {
	source, err := s.sameCluster(ctx, o.From, o.SystemID)
	if err != nil {
		return err
	}
	control, err := s.controlData(ctx, false)
	if err != nil {
		return err
	}
	if source.SystemID != control.SystemID {
		return fmt.Errorf("%w: %s has %s, the data directory has %s", ErrForeign, o.From.Name, source.SystemID, control.SystemID)
	}
	if source.InRecovery {
		return fmt.Errorf("%w: %s is still in recovery", ErrSourceUnreachable, o.From.Name)
	}
	return s.checkpointed(ctx, o.From, source.Timeline)
}

// checkpointed makes sure that the source's control file tells its timeline, which after a promotion it does from the
// first checkpoint on. Before that pg_rewind would find that both are on one timeline and do nothing.
func (s *Server) checkpointed(ctx context.Context, from Upstream, timeline wal.Timeline) error {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout+answerTimeout, errNoAnswer)
	defer cancel()
	conn, err := s.dial(ctx, from, s.logins().Rewind, nil)
	if err != nil {
		return err
	}
	defer closeSource(ctx, conn)
	row, err := oneRow(ctx, conn, "SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()")
	if err != nil {
		return fmt.Errorf("%w: ask %s for its checkpoint: %w", ErrSourceUnreachable, from.Name, err)
	}
	at, err := parseTimeline(row[0])
	if err != nil {
		return err
	}
	if at < timeline {
		return fmt.Errorf("%w: %s has not made the checkpoint after its promotion yet", ErrSourceUnreachable, from.Name)
	}
	return nil
}

// rewind runs pg_rewind between two states that a crash cannot confuse: the marker is there before the
// first change and goes after the last.
func (s *Server) rewind(ctx context.Context, from Upstream) error {
	if err := s.writePass(from); err != nil {
		return err
	}
	files := s.files(s.dir)
	base, err := os.ReadFile(files.base)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rewind: %w", err)
	}
	// pg_rewind takes restore_command from the directory's own configuration.
	as := s.current()
	as.recovery = s.recoveryOf(ctx, from)
	if _, err := s.configure(ctx, s.dir, as); err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	restores, err := s.configured(ctx, "restore_command")
	if err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	marker := rewindMarker(s.dir)
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	if err := syncDir(filepath.Dir(marker)); err != nil {
		return err
	}
	began := time.Now()
	if err := s.runRewind(ctx, from, restores != ""); err != nil {
		return s.explain(ctx, from, began, err)
	}
	// pg_rewind copies the source's configuration too; ours is written at the next start, except for
	// what only this server had.
	if base != nil {
		if _, err := writeFile(files.base, string(base)); err != nil {
			return err
		}
	}
	if err := setSignal(s.dir, true); err != nil {
		return err
	}
	if err := s.forgetLed(); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "rewound", slog.String("member", from.Name))
	return s.unmark()
}

// rewindConfig is the first version of pg_rewind that finds restore_command in a configuration elsewhere.
const rewindConfig = 14

func (s *Server) runRewind(ctx context.Context, from Upstream, restores bool) error {
	defer s.doing("running pg_rewind")()
	s.mu.Lock()
	given := s.settings.RewindOptions
	s.mu.Unlock()
	var args []string
	for _, o := range given {
		args = append(args, option(o))
	}
	args = append(args, "--target-pgdata="+s.dir, "--source-server="+s.sourceConninfo(from, s.logins().Rewind))
	if s.binaries().Major >= 13 {
		args = append(args, "--no-ensure-shutdown") // it was made sure of
		if restores && (s.cfg.ConfigDir == "" || s.binaries().Major >= rewindConfig) {
			args = append(args, "--restore-target-wal") // else WAL older than the last checkpoint may be missing
		}
	}
	if conf := s.files(s.dir).conf; conf != filepath.Join(s.dir, confName) && s.binaries().Major >= rewindConfig {
		args = append(args, "--config-file="+conf)
	}
	_, err := command{
		op: "run pg_rewind", path: s.binaries().Path("pg_rewind"), args: args, dir: s.dir,
		env: []string{"LC_ALL=C", s.serviceEnv(), "PGOPTIONS=-c synchronous_commit=local -c statement_timeout=0"},
	}.run(ctx)
	return err
}

// explain says what a failed pg_rewind means. Only when no file was changed is the directory still good.
func (s *Server) explain(ctx context.Context, from Upstream, began time.Time, failed error) error {
	changed, err := changedSince(s.dir, rewindMarker(s.dir))
	if err != nil || changed || clockWasSet(began) {
		return errors.Join(fmt.Errorf("%w: %w", ErrBroken, failed), err)
	}
	if err := s.unmark(); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrBroken, failed), err)
	}
	if _, err := s.IdentifySource(ctx, from); errors.Is(err, ErrSourceUnreachable) {
		return fmt.Errorf("%w: %w", ErrSourceUnreachable, failed)
	}
	return failed
}

func (s *Server) unmark() error {
	if err := os.Remove(rewindMarker(s.dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rewind: %w", err)
	}
	return syncDir(filepath.Dir(s.dir))
}

// changedSince reports whether any file below dir was changed after the marker was made, by the kernel's
// own change times, which no program sets. What changed in the same moment counts as changed.
func changedSince(dir, marker string) (bool, error) {
	made, err := changeTime(marker)
	if err != nil {
		return false, err
	}
	changed := false
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at, err := changeTime(path)
		if err != nil {
			return err
		}
		if entry.Type().IsRegular() && !at.Before(made) {
			changed = true
			return filepath.SkipAll
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look for changed files: %w", err)
	}
	return changed, nil
}

// clockWasSet reports whether the wall clock, which file times are taken from, moved otherwise than time
// itself since then.
func clockWasSet(since time.Time) bool {
	now := time.Now()
	elapsed := now.Sub(since) // monotonic
	return (now.Round(0).Sub(since.Round(0)) - elapsed).Abs() > 50*time.Millisecond+elapsed/1000
}

func changeTime(path string) (time.Time, error) {
	at, err := os.Lstat(path)
	if err != nil {
		return time.Time{}, err
	}
	stat, ok := at.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, fmt.Errorf("%s has no change time", path)
	}
	return time.Unix(stat.Ctim.Unix()), nil
}
