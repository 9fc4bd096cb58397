package postgres

import (
	"context"
	"log/slog"
	"time"

	"github.com/pgbaton/pgbaton/internal/process"
)

// How often a condition is looked at without an event: rarely where events come, as a safeguard against
// file systems that have none, and often where they cannot be had at all.
const (
	safeguard   = time.Second
	withoutTold = 20 * time.Millisecond
)

// settle waits until reached says so or fails, looking whenever a file below one of the paths changes.
// It ends early, with a last look, when the postmaster ends: then ended is true.
func (s *Server) settle(ctx context.Context, pm *postmaster, paths []string, reached func() (bool, error)) (ended bool, err error) {
	return s.settleUntil(ctx, pm.cleared, paths, reached)
}

// settleUntil is settle for whatever ends when gone is closed.
func (s *Server) settleUntil(ctx context.Context, gone <-chan struct{}, paths []string, reached func() (bool, error)) (ended bool, err error) {
	every := safeguard
	var changes <-chan struct{}
	if w, err := process.NewWatch(paths...); err == nil {
		defer w.Close() //nolint:errcheck // nothing can be lost
		changes = w.Changes()
	} else {
		s.log.DebugContext(ctx, "files cannot be watched, they are looked at often instead", slog.Any("err", err))
		every = withoutTold
	}
	again := time.NewTicker(every)
	defer again.Stop()
	for {
		if done, err := reached(); done || err != nil {
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-gone:
			done, err := reached()
			return !done, err
		case <-changes:
		case <-again.C:
		}
	}
}
