package local

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// held is a handle on one process that cannot come to mean another one.
type held struct {
	*process.Handle

	id     identity
	closed chan struct{}
	once   sync.Once
}

// hold gets a handle on a running process, whatever it is.
func hold(pid int) (*held, error) {
	h, err := process.Open(pid)
	if err != nil {
		return nil, err
	}
	return &held{Handle: h, id: identity{PID: pid}, closed: make(chan struct{})}, nil
}

// adopt gets a handle on the process with that identity, if it still lives.
func adopt(id identity, boot string) (*held, bool) {
	if id.PID == 0 || id.Boot != boot {
		return nil, false
	}
	p, err := hold(id.PID)
	if err != nil {
		return nil, false
	}
	// The handle is held, so what is read now is about the process it stands for, or that process is gone.
	start, err := process.Ticks(id.PID)
	if err != nil || start != id.Start || p.Ended() {
		p.close()
		return nil, false
	}
	p.id = id
	return p, true
}

// signal sends a signal. A process that has ended already is no error.
func (p *held) signal(sig unix.Signal) error {
	if err := p.Signal(sig); err != nil && !errors.Is(err, process.ErrNone) {
		return err
	}
	return nil
}

// wait blocks until the process has ended, the deadline passed (zero for none), or the handle was closed.
func (p *held) wait(deadline time.Time) error {
	var late <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-p.Gone():
		return nil
	case <-p.closed:
		return os.ErrClosed
	case <-late:
		return os.ErrDeadlineExceeded
	}
}

// close lets go of the process. Its end and that of the driver may both do so.
func (p *held) close() {
	p.once.Do(func() {
		close(p.closed)
		_ = p.Close() // nothing was written
	})
}
