package postgres

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// keptPrefix begins the names of the directories that SetAside makes.
func (s *Server) keptPrefix() string { return filepath.Base(s.dir) + keptMark }

// Kept lists the data directories that were set aside, oldest first.
func (s *Server) Kept() []string {
	entries, err := os.ReadDir(filepath.Dir(s.dir))
	if err != nil {
		s.log.Debug("the directories set aside cannot be listed", slog.Any("err", err))
		return nil
	}
	var kept []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), s.keptPrefix()) {
			kept = append(kept, filepath.Join(filepath.Dir(s.dir), e.Name()))
		}
	}
	return kept
}

// Discard removes a directory that SetAside made, because a human asked for it (rule S6). Any other path is
// refused.
func (s *Server) Discard(kept string) error {
	if filepath.Dir(kept) != filepath.Dir(s.dir) || !strings.HasPrefix(filepath.Base(kept), s.keptPrefix()) {
		return fmt.Errorf("discard %s: it was not set aside by this agent", kept)
	}
	if err := removeKept(kept); err != nil {
		return fmt.Errorf("discard what was set aside: %w", err)
	}
	return nil
}
