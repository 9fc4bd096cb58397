package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/process"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// Bootstrap makes a new cluster with its roles and leaves it stopped: it is for the caller to hold the
// leader key before anything can be written (rule S1). It is made by initdb, or by the program of Config.Restore,
// whose copy is recovered to its end. Config.PostBootstrap has its say before anybody else can reach the cluster. It
// becomes the data directory only when all of it is there and on disk. After an interruption it starts over.
//
// Errors: ErrBusy, ErrOccupied, ErrVersion, *ExitError with the last words of the program that failed.
func (s *Server) Bootstrap(ctx context.Context) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := s.vacant(); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := errors.Join(s.leaveNothing(ctx), s.forgetLed()); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := s.chooseBinaries(ctx, 0); err != nil {
		return err
	}
	if len(s.cfg.Restore.Program) > 0 {
		err = s.restoreCluster(ctx)
	} else {
		err = s.initCluster(ctx)
	}
	if err != nil {
		return err
	}
	s.log.InfoContext(ctx, "made a new cluster", slog.Int("version", s.binaries().Major))
	return nil
}

// initCluster makes an empty cluster.
func (s *Server) initCluster(ctx context.Context) error {
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
	if err := s.makeRoles(ctx, staging, roleStatements(s.logins())); err != nil {
		return err
	}
	if err := s.runPostBootstrap(ctx, staging); err != nil {
		return err
	}
	return s.finish(staging)
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
	return endThose(ctx, dir, func(process.Info) bool { return true })
}

// endThose kills some of the programs that work in a folder and waits for their end.
func endThose(ctx context.Context, dir string, doomed func(process.Info) bool) error {
	left, err := process.In(dir)
	if err != nil {
		return err
	}
	for _, p := range left {
		if !doomed(p) {
			continue
		}
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

// initdb makes the cluster. The superuser's password is handed over through a pipe: arguments can be read by everybody
// on the machine, and a file would be left behind by an agent that is killed.
func (s *Server) initdb(ctx context.Context, dir string) error {
	defer s.doing("running initdb")()
	superuser := s.logins().Superuser
	c := command{op: "run initdb", path: s.binaries().Path("initdb"), args: initdbArgs(s.cfg, superuser, dir), dir: dir}
	if superuser.Password != "" {
		password, err := pipeWith(superuser.Password)
		if err != nil {
			return err
		}
		defer password.Close() //nolint:errcheck // the child has its own
		c.files, c.args = []*os.File{password}, append(c.args, "--pwfile=/dev/fd/3")
	}
	_, err := c.run(ctx)
	return err
}

// pipeWith returns the end of a pipe that a secret can be read from, once. It is short enough for the pipe's buffer.
func pipeWith(text secret.Text) (*os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("hand over a password: %w", err)
	}
	_, err = writer.WriteString(text.Reveal() + "\n")
	if err := errors.Join(err, writer.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("hand over a password: %w", err), reader.Close())
	}
	return reader, nil
}

// initdbArgs are the configured options, and safe ones where none are: checksums, which also make the
// cluster rewindable, UTF-8, passwords proved by SCRAM, and a locale that every host has and that sorts
// alike on all of them. The agent's own environment is no guide: it may name a locale that is not
// installed, and the next host's may name another.
func initdbArgs(cfg Config, superuser Login, dir string) []string {
	args := []string{"--pgdata=" + dir, "--username=" + superuser.Username}
	given := func(names ...string) bool {
		return slices.ContainsFunc(cfg.Initdb, func(o Option) bool { return slices.Contains(names, o.Name) })
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
	if !slices.ContainsFunc(cfg.Initdb, func(o Option) bool { return namesLocale(o.Name) }) {
		args = append(args, "--locale=C.UTF-8")
	}
	if !given("auth", "A", "auth-local") {
		local := "scram-sha-256"
		if superuser.Password == "" {
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
func option(o Option) string {
	switch {
	case len(o.Name) == 1:
		return "-" + o.Name + o.Value
	case o.Value == "":
		return "--" + o.Name
	}
	return "--" + o.Name + "=" + o.Value
}

// writeDefaultHBA replaces initdb's pg_hba.conf, unless lines are configured, which come with the rest
// of the configuration. In a folder of its own for configuration files there may be an administrator's, which stays.
func (s *Server) writeDefaultHBA(dir string) error {
	s.mu.Lock()
	settings := s.settings.in(cluster.RolePrimary)
	s.mu.Unlock()
	path := s.files(dir).hba
	if len(settings.HBA) > 0 || s.cfg.ConfigDir != "" && exists(path) {
		return nil
	}
	if err := s.makeConfDir(); err != nil {
		return err
	}
	_, err := writeFile(path, defaultHBA(settings.Superuser, settings.Replication))
	return err
}

// makeRoles runs the server on the unfinished cluster without any possibility to connect. What it reads
// is neither logged nor quoted in errors.
func (s *Server) makeRoles(ctx context.Context, dir, statements string) error {
	_, err := command{
		op:   "make the roles",
		path: s.binaries().Path("postgres"),
		args: []string{
			"--single", "-D", dir, "-c", "exit_on_error=on", "-c", "log_statement=none", "-c", "log_min_duration_statement=-1",
			"-c", "log_min_error_statement=panic", "-c", "password_encryption=scram-sha-256", "-c", "synchronous_commit=local", firstDatabase,
		},
		dir:   dir,
		stdin: strings.NewReader(statements),
	}.run(ctx)
	return err
}
