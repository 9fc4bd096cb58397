package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// SetAside renames the data directory to DATADIR.failed.TIME, and its WAL and tablespaces that lie elsewhere alike, and
// returns the new path, so that a clone can take its place; nothing is ever deleted (rule S6). Where there is nothing it does nothing and
// returns an empty path. Errors: ErrRunning, ErrBusy.
func (s *Server) SetAside() (string, error) {
	leave, err := s.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	if s.postmaster() != nil {
		return "", ErrRunning
	}
	if isMount(s.dir) {
		return "", fmt.Errorf("set the data directory aside: %s is a mount point; set data_dir to a folder inside it", s.dir)
	}
	kept := s.keptPath()
	if err := moveLinked(s.dir, strings.TrimPrefix(kept, s.dir)); err != nil {
		return "", err
	}
	err = os.Rename(s.dir, kept)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kept = ""
	case err != nil:
		return "", fmt.Errorf("set the data directory aside: %w", err)
	default:
		s.log.Warn("the data directory was set aside", slog.String("kept", kept))
	}
	if err := s.forgetLed(); err != nil {
		return kept, err
	}
	// The marker belongs to the directory that is gone; removed last, so that a crash in between leaves
	// a marker without a directory, which means nothing.
	if err := os.Remove(rewindMarker(s.dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return kept, fmt.Errorf("set the data directory aside: %w", err)
	}
	return kept, syncDir(filepath.Dir(s.dir))
}
