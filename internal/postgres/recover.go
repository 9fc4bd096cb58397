package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
)

// RecoverCrash brings a data directory that was not stopped cleanly to a clean end, without letting
// anybody connect: PostgreSQL runs on it alone, replays its WAL and ends. Before a rewind the directory
// needs that. It loses its mark of a standby; a clean directory is left alone.
//
// From PostgreSQL 13 on pg_rewind would do this itself, but without syncing to disk, with archiving as configured, and
// with settings from the files alone, where a server's are on its command line too; PostgreSQL 12's does not. So it is
// done here for all versions, and pg_rewind is told not to.
//
// Errors: ErrBusy, ErrRunning, ErrNoCluster, *ExitError.
func (s *Server) RecoverCrash(ctx context.Context) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	return s.recoverCrash(ctx)
}

func (s *Server) recoverCrash(ctx context.Context) error {
	if s.postmaster() != nil {
		return fmt.Errorf("recover after a crash: %w", ErrRunning)
	}
	if err := s.usable(ctx); err != nil {
		return err
	}
	control, err := s.controlData(ctx, true)
	if err != nil || control.State.Clean() {
		return err
	}
	if exists(filepath.Join(s.dir, "backup_label")) {
		return fmt.Errorf("recover after a crash: %w: it is a copy that was never started", ErrNotRewindable)
	}
	if err := s.clear(ctx.Done()); err != nil {
		return fmt.Errorf("recover after a crash: %w", err)
	}
	if err := s.writeRole(ctx, s.dir, following{names: s.current().names}); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "recovering alone after a crash", slog.String("state", string(control.State)))
	_, err = command{
		op:   "recover after a crash",
		path: s.binaries().Path("postgres"),
		args: append(append([]string{"--single"}, s.launchArgs(following{}, control)...),
			// WAL that is not archived yet must survive the checkpoint at the end.
			"-c", "archive_mode=on", "-c", "archive_command=false", "template1"),
		dir:   s.dir,
		env:   s.reusedPID(),
		stdin: strings.NewReader(""),
	}.run(ctx)
	return err
}
