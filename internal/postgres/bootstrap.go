package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// Bootstrap makes a new cluster with its roles and leaves it stopped: it is for the caller to hold the
// leader key before anything can be written (rule S1). The cluster becomes the data directory only when
// all of it is there and on disk. After an interruption it starts over.
//
// Errors: ErrBusy, ErrOccupied, ErrVersion, *ExitError.
func (s *Server) Bootstrap(ctx context.Context) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := vacant(s.dir); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := s.chooseBinaries(ctx, 0); err != nil {
		return err
	}
	staging, err := s.newStaging(ctx)
	if err != nil {
		return err
	}
	if err := s.initdb(ctx, staging); err != nil {
		return err
	}
	if err := s.writeDefaultHBA(staging); err != nil {
		return err
	}
	if err := s.writeRole(ctx, staging, following{}); err != nil {
		return err
	}
	if err := s.makeRoles(ctx, staging); err != nil {
		return err
	}
	if err := s.finish(staging); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "made a new cluster", slog.Int("version", s.binaries().Major))
	return nil
}

// newStaging makes an empty folder to work in. What an earlier attempt left is removed: it was never a
// data directory, and a program that still writes to it is ended first.
func (s *Server) newStaging(ctx context.Context) (string, error) {
	dir := stagingDir(s.dir)
	if err := endAll(ctx, dir); err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("remove what an earlier attempt left: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a folder to work in: %w", err)
	}
	return dir, nil
}

// endAll kills the programs that work in a folder of ours.
func endAll(ctx context.Context, dir string) error {
	left, err := process.In(dir)
	if err != nil {
		return err
	}
	for _, p := range left {
		handle, err := process.Open(p.PID)
		if errors.Is(err, process.ErrNone) {
			continue
		}
		if err != nil {
			return err
		}
		defer handle.Close() //nolint:errcheck // nothing can be lost
		if err := handle.Signal(unix.SIGKILL); err != nil && !errors.Is(err, process.ErrNone) {
			return fmt.Errorf("end what an earlier attempt left: %w", err)
		}
		select {
		case <-handle.Gone():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// finish makes a whole copy the data directory.
func (s *Server) finish(staging string) error {
	// A marker of a directory that was set aside must not condemn this one.
	if err := os.Remove(rewindMarker(s.dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("finish: %w", err)
	}
	if err := syncDir(staging); err != nil {
		return err
	}
	return moveIntoPlace(staging, s.dir)
}

// initdb makes the cluster. The superuser's password is handed over in a file that only this user can
// read, since arguments can be read by everybody on the machine.
func (s *Server) initdb(ctx context.Context, dir string) error {
	args := initdbArgs(s.cfg, dir)
	if s.cfg.Superuser.Password != "" {
		path, err := writeTemporary(s.cfg.Superuser.Password)
		if err != nil {
			return err
		}
		defer os.Remove(path) //nolint:errcheck // it lies in a folder for temporary files
		args = append(args, "--pwfile="+path)
	}
	_, err := command{op: "run initdb", path: s.binaries().Path("initdb"), args: args, dir: dir}.run(ctx)
	return err
}

// writeTemporary writes a secret to a new file of mode 0600.
func writeTemporary(text secret.Text) (path string, err error) {
	file, err := os.CreateTemp("", "pgbaton-*")
	if err != nil {
		return "", fmt.Errorf("hand over a password: %w", err)
	}
	_, err = file.WriteString(text.Reveal() + "\n")
	if err := errors.Join(err, file.Close()); err != nil {
		os.Remove(file.Name()) //nolint:errcheck // it could not even be written
		return "", fmt.Errorf("hand over a password: %w", err)
	}
	return file.Name(), nil
}

// initdbArgs are the configured options, and safe ones where none are: checksums, which also make the
// cluster rewindable, UTF-8, passwords proved by SCRAM, and a locale that every host has and that sorts
// alike on all of them. The agent's own environment is no guide: it may name a locale that is not
// installed, and the next host's may name another.
func initdbArgs(cfg Config, dir string) []string {
	args := []string{"--pgdata=" + dir, "--username=" + cfg.Superuser.Username}
	given := func(names ...string) bool {
		return slices.ContainsFunc(cfg.Initdb, func(o InitdbOption) bool { return slices.Contains(names, o.Name) })
	}
	for _, o := range cfg.Initdb {
		args = append(args, option(o))
	}
	if !given("data-checksums", "k", "no-data-checksums") {
		args = append(args, "--data-checksums")
	}
	if !given("encoding", "E") {
		args = append(args, "--encoding=UTF8")
	}
	if !slices.ContainsFunc(cfg.Initdb, func(o InitdbOption) bool { return namesLocale(o.Name) }) {
		args = append(args, "--locale=C.UTF-8")
	}
	if !given("auth", "A", "auth-local") {
		local := "scram-sha-256"
		if cfg.Superuser.Password == "" {
			local = "peer"
		}
		args = append(args, "--auth-local="+local)
	}
	if !given("auth", "A", "auth-host") {
		args = append(args, "--auth-host=scram-sha-256")
	}
	return args
}

// namesLocale recognises initdb's options for locales: locale, no-locale, lc-ctype, icu-locale.
func namesLocale(name string) bool {
	return strings.Contains(name, "locale") || strings.HasPrefix(name, "lc-")
}

// option renders an option; one letter is a short one.
func option(o InitdbOption) string {
	switch {
	case len(o.Name) == 1:
		return "-" + o.Name + o.Value
	case o.Value == "":
		return "--" + o.Name
	}
	return "--" + o.Name + "=" + o.Value
}

// writeDefaultHBA replaces initdb's pg_hba.conf, unless lines are configured, which come with the rest
// of the configuration.
func (s *Server) writeDefaultHBA(dir string) error {
	s.mu.Lock()
	configured := len(s.settings.HBA) > 0
	s.mu.Unlock()
	if configured {
		return nil
	}
	_, err := writeFile(filepath.Join(dir, hbaName), defaultHBA(s.cfg.Superuser, s.cfg.Replication))
	return err
}

// makeRoles runs the server on the unfinished cluster without any possibility to connect. What it reads
// is neither logged nor quoted in errors.
func (s *Server) makeRoles(ctx context.Context, dir string) error {
	_, err := command{
		op:   "make the roles",
		path: s.binaries().Path("postgres"),
		args: []string{
			"--single", "-D", dir, "-c", "exit_on_error=on", "-c", "log_statement=none", "-c", "log_min_duration_statement=-1",
			"-c", "log_min_error_statement=panic", "-c", "password_encryption=scram-sha-256", "-c", "synchronous_commit=local", database,
		},
		dir:   dir,
		stdin: strings.NewReader(roleStatements(s.cfg)),
	}.run(ctx)
	return err
}
