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
)

// How clients are kept out of a primary that was started again after a crash: commits that were waiting for a standby are
// visible in it, though nobody was told that they are done, and a failover may take them back. Until the standbys have them,
// pg_hba.conf lets in the agent's own roles only, and the original waits beside it.
//
// The original beside it is what says that a server is held. It is made before anything else and goes after everything else,
// when the running server was told to read the real one again. So whoever comes after a crash finds the server held, and can
// admit, or untouched; and what is started meanwhile is held.
const (
	heldMark   = "# Written by pgbaton: clients are kept out until the synchronous standbys have what this server has.\n"
	heldHeader = heldMark + "# The real rules are in " + unheldName + "; they come back by themselves.\n"
)

// isHeldFile reports whether pg_hba.conf is the one that keeps clients out.
func isHeldFile(hba string) bool { return strings.HasPrefix(hba, heldMark) }

// steps are what must be done in order; a crash may come between any two of them.
type steps []func() error

func (all steps) run() error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// holdOrNot prepares the rules for the role in which the server is about to start. A standby keeps nobody out.
func (s *Server) holdOrNot(ctx context.Context, f following) error {
	if f.standby || !s.files(s.dir).held() {
		if err := s.unhold(ctx); err != nil {
			return err
		}
	}
	if f.standby || !f.hold && !s.files(s.dir).held() {
		return nil
	}
	return s.hold(ctx)
}

// hold keeps clients out of the server that is about to be started as a primary. One that is held already stays it, with
// rules that follow from what the original says by now.
func (s *Server) hold(ctx context.Context) error {
	if why := s.unholdable(); why != "" {
		s.log.WarnContext(ctx, "clients cannot be kept out, the server starts without", slog.String("why", why))
		return nil
	}
	todo, err := s.holding()
	if err == nil {
		err = todo.run()
	}
	if err != nil {
		return fmt.Errorf("keep clients out: %w", err)
	}
	s.log.InfoContext(ctx, "clients are kept out until the synchronous standbys have caught up")
	return nil
}

// unholdable says why rules in the data directory would keep nobody out.
func (s *Server) unholdable() string {
	s.mu.Lock()
	plan := s.plan
	s.mu.Unlock()
	path := s.files(s.dir).hba
	if set := plan.File["hba_file"]; set != path {
		return "hba_file is configured as " + set
	}
	if autoSets(s.dir, "hba_file") {
		return "hba_file was set by ALTER SYSTEM"
	}
	if at, err := os.Lstat(path); err == nil && !at.Mode().IsRegular() {
		return path + " is no regular file"
	}
	return ""
}

func (s *Server) holding() (steps, error) {
	files := s.files(s.dir)
	path, kept := files.hba, files.unheld
	original, err := readFirst(kept, path)
	if err != nil {
		return nil, err
	}
	rules := s.heldRules(original)
	return steps{
		func() error { _, err := writeFile(kept, original); return err },
		func() error { return syncDir(files.dir) },
		func() error { _, err := writeFile(path, rules); return err },
		func() error { return syncDir(files.dir) },
	}, nil
}

// heldRules are the rules that keep clients out, derived from the real ones.
func (s *Server) heldRules(original string) string {
	var roles []string
	logins := s.logins()
	for _, login := range []Login{logins.Superuser, logins.Replication, logins.Rewind} {
		if !slices.Contains(roles, login.Username) {
			roles = append(roles, login.Username)
		}
	}
	rules := rulesFor(roles, original, s.binaries().Major)
	if !admitsLocally(logins.Superuser.Username, s.database(), rules) {
		method, _ := localMethod(logins.Superuser)
		rules = append([]string{"local all " + quoteHBA(logins.Superuser.Username) + " " + method}, rules...)
	}
	return heldHeader + strings.Join(rules, "\n") + "\n"
}

// readFirst reads the first of several files that there is.
func readFirst(paths ...string) (string, error) {
	var err error
	for _, path := range paths {
		var content []byte
		if content, err = os.ReadFile(path); err == nil || !errors.Is(err, fs.ErrNotExist) { //nolint:gosec // files of the data directory
			return string(content), err
		}
	}
	return "", err
}

// AdmitClients lets in the clients that a start with Hold kept out. A server that is not held is left alone; one that does
// not run admits them from its next start on. It may be called again after anything.
//
// Errors: ErrBusy.
func (s *Server) AdmitClients(ctx context.Context) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if !s.files(s.dir).held() {
		return nil
	}
	todo, err := s.admitting(func() error {
		pm := s.postmaster()
		if pm == nil {
			return nil
		}
		return signal(pm, unix.SIGHUP)
	})
	if err == nil {
		err = todo.run()
	}
	if err != nil {
		return fmt.Errorf("let clients in: %w", err)
	}
	s.log.InfoContext(ctx, "clients are let in")
	return nil
}

func (s *Server) admitting(reload func() error) (steps, error) {
	files := s.files(s.dir)
	path, kept := files.hba, files.unheld
	original, err := os.ReadFile(kept) //nolint:gosec // a file of the data directory
	if err != nil {
		return nil, err
	}
	return steps{
		func() error { _, err := writeFile(path, string(original)); return err },
		func() error { return syncDir(files.dir) },
		reload,
		func() error { return os.Remove(kept) },
		func() error { return syncDir(files.dir) },
	}, nil
}

// unhold makes the rules of a stopped server the real ones again. In a copy of a server that was held, the original may be
// missing, because it went while the copy was made; then there are the rules of a new cluster, or those that are configured.
func (s *Server) unhold(ctx context.Context) error {
	files := s.files(s.dir)
	if files.held() {
		todo, err := s.admitting(func() error { return nil })
		if err == nil {
			err = todo.run()
		}
		if err != nil {
			return fmt.Errorf("bring back %s: %w", hbaName, err)
		}
	}
	if content, err := os.ReadFile(files.hba); err != nil || !isHeldFile(string(content)) {
		return nil //nolint:nilerr // without such a file the server says at its start what is wrong
	}
	s.log.WarnContext(ctx, "pg_hba.conf keeps clients out and its original is missing: the rules of a new cluster are used")
	logins := s.logins()
	_, err := writeFile(files.hba, defaultHBA(logins.Superuser, logins.Replication))
	return err
}
