package haproxy

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/process"
)

// running is one live HAProxy, started by us or found.
type running struct{ *process.Handle }

// hold takes hold of a process. One of ours is reaped when it ends.
func hold(pid int) (*running, error) {
	h, err := process.Open(pid)
	if err != nil {
		return nil, fmt.Errorf("take hold of HAProxy: %w", err)
	}
	return &running{h}, nil
}

// ended waits until the process has ended, or ctx has; then the error is why.
func (r *running) ended(ctx context.Context) error {
	select {
	case <-r.Gone():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stop ends the process: SIGTERM, which closes all sessions at once, and SIGKILL when that is not heard.
func (r *running) stop(ctx context.Context) error {
	if err := r.tell(syscall.SIGTERM); err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if r.ended(patience) == nil {
		return nil
	}
	if err := r.tell(syscall.SIGKILL); err != nil {
		return err
	}
	return r.ended(ctx)
}

// tell sends a signal. A process that has ended takes none, which is no error.
func (r *running) tell(s syscall.Signal) error {
	if err := r.Signal(s); err != nil && !errors.Is(err, process.ErrNone) {
		return err
	}
	return nil
}

// release lets go of the process, which goes on.
func (r *running) release() {
	_ = r.Close() // Nothing was written.
}
