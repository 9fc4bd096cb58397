package postgres

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Reread has a running server read its files again although the agent's own did not change: a certificate, or a file that
// they include, may have. It returns whether a server was told.
func (s *Server) Reread() (told bool, err error) {
	pm := s.postmaster()
	if pm == nil {
		return false, nil
	}
	s.query.compareAgain.Store(true)
	if err := signal(pm, unix.SIGHUP); err != nil {
		return false, fmt.Errorf("reload: %w", err)
	}
	return true, nil
}
