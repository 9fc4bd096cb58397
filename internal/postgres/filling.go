package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// An operator's program fills the data directory itself rather than a folder beside it, because restore programs
// have its path in their own configuration. While DATADIR.filling exists, what lies in the data directory is an
// unfinished attempt: of no use to anybody, never started, and removed by the next attempt.

func fillingDir(dir string) string { return dir + ".filling" }

// beginFilling marks the data directory as unfinished, durably, before anything is written to it.
func (s *Server) beginFilling() error {
	marker := fillingDir(s.dir)
	if err := os.Mkdir(marker, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("mark the data directory as unfinished: %w", err)
	}
	return syncDir(filepath.Dir(marker))
}

// endFilling makes what a program left the data directory: everything is written to disk first.
func (s *Server) endFilling(ctx context.Context) error {
	_, err := command{op: "write the data directory to disk", path: s.binaries().Path("initdb"), args: []string{"--sync-only", "--pgdata=" + s.dir}}.run(ctx)
	if err != nil {
		return err
	}
	if err := os.Remove(rewindMarker(s.dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("finish: %w", err)
	}
	return s.unmarkFilling()
}

func (s *Server) unmarkFilling() error {
	if err := os.RemoveAll(fillingDir(s.dir)); err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	return syncDir(filepath.Dir(s.dir))
}

// runMethod runs a program that fills the data directory. Whatever it began has ended when this returns.
func (s *Server) runMethod(ctx context.Context, m Method, env []string, ours ...Option) error {
	defer s.doing("running the method " + m.Name)()
	s.log.InfoContext(ctx, "filling the data directory", slog.String("method", m.Name))
	path, err := program(m.Program)
	if err != nil {
		return fmt.Errorf("run the method %s: %w", m.Name, err)
	}
	_, err = command{
		op: "run the method " + m.Name, path: path, args: m.arguments(ours...), dir: fillingDir(s.dir), env: env, foreign: true,
	}.run(ctx)
	return errors.Join(err, s.endPrograms(ctx))
}

// program finds an operator's program as the agent's own working directory and PATH have it.
func program(words Program) (string, error) {
	if filepath.Base(words[0]) == words[0] {
		return words[0], nil
	}
	return filepath.Abs(words[0])
}

// endPrograms ends what a program left running, and servers on the unfinished data directory. The end of the job does
// not keep it from that. Whoever else has the data directory for a working directory may be somebody who looks at it.
func (s *Server) endPrograms(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTimeout)
	defer cancel()
	return errors.Join(endAll(ctx, fillingDir(s.dir)), endThose(ctx, s.dir, isServer))
}

// filled checks what a program has made, finds the programs for it, and removes what only the server had that it
// was copied from.
func (s *Server) filled(ctx context.Context) (Control, error) {
	c := inspectData(s.dir)
	if c.data != DataCluster {
		return Control{}, fmt.Errorf("it ended well, but the data directory is %s: %s", c.data, c.reason)
	}
	if err := s.chooseBinaries(ctx, c.major); err != nil {
		return Control{}, err
	}
	for _, name := range []string{"postmaster.pid", "postmaster.opts"} {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Control{}, fmt.Errorf("remove what belongs to another server: %w", err)
		}
	}
	if !exists(s.files(s.dir).hba) {
		if err := s.writeDefaultHBA(s.dir); err != nil {
			return Control{}, err
		}
	}
	return readControl(ctx, s.binaries(), s.dir)
}

// dropFilling removes what an attempt left that failed before our eyes.
func (s *Server) dropFilling() error {
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove what an attempt left: %w", err)
	}
	return s.unmarkFilling()
}

// leaveNothing removes what an attempt left that an earlier agent did not see to its end. What might be a whole
// cluster is kept aside, since somebody may have put it there meanwhile (rule S6).
func (s *Server) leaveNothing(ctx context.Context) error {
	if !exists(fillingDir(s.dir)) {
		return nil
	}
	if err := s.endPrograms(ctx); err != nil {
		return err
	}
	if !exists(filepath.Join(s.dir, "global", "pg_control")) {
		return s.dropFilling()
	}
	if err := s.keepFailed(ctx); err != nil {
		return err
	}
	return s.unmarkFilling()
}

// keepFailed sets an unfinished data directory aside for somebody to look at.
func (s *Server) keepFailed(ctx context.Context) error {
	kept := s.keptPath()
	if err := os.Rename(s.dir, kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set an unfinished data directory aside: %w", err)
	}
	s.log.WarnContext(ctx, "an unfinished data directory was set aside", slog.String("kept", kept))
	return syncDir(filepath.Dir(s.dir))
}

func (s *Server) keptPath() string {
	return filepath.Join(filepath.Dir(s.dir), s.keptPrefix()+time.Now().UTC().Format("20060102T150405.000Z"))
}
