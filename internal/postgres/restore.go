package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// restoreCluster has the operator's program fill the data directory, usually from a backup, and recovers that to
// its end. Where it fails, what is there is set aside once, for somebody to look at, and otherwise removed.
func (s *Server) restoreCluster(ctx context.Context) error {
	if err := s.beginFilling(); err != nil {
		return err
	}
	err := s.restore(ctx)
	if err == nil {
		return s.endFilling(ctx)
	}
	if exists(filepath.Join(s.dir, "PG_VERSION")) && ctx.Err() == nil && len(s.Kept()) == 0 {
		return errors.Join(err, s.keepFailed(ctx), s.unmarkFilling())
	}
	return errors.Join(err, s.dropFilling())
}

func (s *Server) restore(ctx context.Context) error {
	m := s.cfg.Restore
	err := s.runMethod(ctx, m, nil, Option{"scope", s.cfg.ClusterName}, Option{"datadir", s.dir})
	if err != nil {
		return err
	}
	control, err := s.filled(ctx)
	if err != nil {
		return fmt.Errorf("look at what the method %s made: %w", m.Name, err)
	}
	if err := s.unhold(ctx); err != nil {
		return err
	}
	if err := s.prepareRecovery(ctx, m); err != nil {
		return err
	}
	if err := s.recoverToEnd(ctx, control); err != nil {
		return err
	}
	if err := s.writeRole(ctx, s.dir, following{}); err != nil {
		return err
	}
	if err := s.makeRoles(ctx, s.dir, restoredRoleStatements(s.logins())); err != nil {
		return err
	}
	return s.runPostBootstrap(ctx, s.dir)
}

// recoverToEnd runs the server until its recovery has ended and it accepts writes, and stops it.
func (s *Server) recoverToEnd(ctx context.Context, control Control) error {
	defer s.doing("recovering the new cluster")()
	err := s.attend(ctx, s.dir, control, func(context.Context, attended) error { return nil })
	if err != nil {
		return err
	}
	control, err = readControl(ctx, s.binaries(), s.dir)
	if err == nil && control.State != StateShutDown {
		err = fmt.Errorf("the new cluster is %q after its recovery, which should have ended in a promotion", control.State)
	}
	return err
}

// prepareRecovery writes the recovery settings that are configured, or leaves those that the program wrote. Where
// there are neither, the copy is started as it is.
func (s *Server) prepareRecovery(ctx context.Context, m Method) error {
	f := following{keepAuto: m.KeepRecovery}
	switch {
	case len(m.Recovery) > 0:
		f.restore = s.recoverySettings(ctx, m.Recovery)
		if err := markRecovery(s.dir, false); err != nil {
			return err
		}
	case m.KeepRecovery:
		if err := markRecovery(s.dir, true); err != nil {
			return err
		}
	default:
		if err := setSignal(s.dir, false); err != nil {
			return err
		}
	}
	_, err := s.configure(ctx, s.dir, f)
	return err
}

// markRecovery makes the next start a recovery that ends. A program's mark of a standby, which never ends to be one,
// becomes such a mark too; where only an existing one is wanted, nothing is marked that was not.
func markRecovery(dir string, onlyExisting bool) error {
	standby, recovery := filepath.Join(dir, signalName), filepath.Join(dir, recoverySignal)
	if onlyExisting && !exists(standby) {
		return nil
	}
	if _, err := writeFile(recovery, ""); err != nil {
		return err
	}
	if err := os.Remove(standby); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("begin the recovery: %w", err)
	}
	return syncDir(dir)
}

// recoverySettings are the configured settings, of which PostgreSQL's own know all but those of old versions' files.
func (s *Server) recoverySettings(ctx context.Context, configured map[string]any) guc.Settings {
	all := guc.Settings{}
	for name, value := range configured {
		name = strings.ToLower(name)
		text, ok := guc.Text(value)
		switch {
		case !ok || !guc.ValidName(name):
			s.log.WarnContext(ctx, "a recovery setting is left out: it is no single value", slog.String("parameter", name))
		case name == "standby_mode" || name == "primary_conninfo" || name == "primary_slot_name":
			s.log.WarnContext(ctx, "a recovery setting is left out: a new cluster follows nobody", slog.String("parameter", name))
		case name == "recovery_target_action" && text != "promote":
			s.log.WarnContext(ctx, "recovery ends in a promotion: nobody could reach the new cluster otherwise", slog.String("recovery_target_action", text))
		default:
			all[name] = text
		}
	}
	settings, problems := guc.Validate(s.binaries().Version, all, nil)
	for _, why := range problems {
		s.log.WarnContext(ctx, "a recovery setting is not used as it stands", slog.String("why", why))
	}
	return settings
}

// runPostBootstrap gives the operator's program a new cluster that accepts writes, and nobody else.
func (s *Server) runPostBootstrap(ctx context.Context, dir string) error {
	words := s.cfg.PostBootstrap
	if len(words) == 0 {
		return nil
	}
	defer s.doing("running post_bootstrap")()
	control, err := readControl(ctx, s.binaries(), dir)
	if err != nil {
		return err
	}
	return s.attend(ctx, dir, control, func(ctx context.Context, at attended) error { return s.callPostBootstrap(ctx, dir, at, words) })
}

func (s *Server) callPostBootstrap(ctx context.Context, dir string, at attended, words Program) error {
	passFile := filepath.Join(at.socketDir, "bootstrap.pgpass")
	defer os.Remove(passFile) //nolint:errcheck // it is of use to nobody else
	here := Upstream{Host: at.socketDir, Port: at.port}
	// For a socket libpq also looks for the name "localhost" (libpq, "The Password File").
	superuser := s.logins().Superuser
	lines := passLines(here, superuser) + passLines(Upstream{Host: "localhost", Port: at.port}, superuser)
	if _, err := replaceFile(passFile, lines, 0o600); err != nil {
		return err
	}
	path, err := program(words)
	if err != nil {
		return fmt.Errorf("run post_bootstrap: %w", err)
	}
	dsn := conninfo(pair{"dbname", firstDatabase}, pair{"user", superuser.Username}, pair{"host", at.socketDir}, pair{"port", strconv.Itoa(at.port)})
	_, err = command{
		op: "run post_bootstrap", path: path, args: append(append([]string{}, words[1:]...), dsn), dir: at.socketDir, foreign: true,
		env: []string{"PGPASSFILE=" + passFile, "PGOPTIONS=-c synchronous_commit=local -c statement_timeout=0"},
	}.run(ctx)
	if err != nil {
		return err
	}
	s.log.InfoContext(ctx, "post_bootstrap was run", slog.String("dir", dir))
	return nil
}
