package process

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Handle is one process, for good: it never comes to mean another process that got the same number.
type Handle struct {
	pid  int
	file *os.File // the pidfd, non-blocking, so that the runtime waits for it
	gone chan struct{}
	end  end
}

// end is how a child ended. It is written before gone is closed and read only after.
type end struct {
	known  bool
	status unix.WaitStatus
}

// Open binds to a running process, whoever started it. When the process is a child of this one it is
// reaped as soon as it ends; nobody else may wait for it. ErrNone says that there is no such process.
func Open(pid int) (*Handle, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, fmt.Errorf("process %d: %w", pid, ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("watch process %d (needs Linux 5.3 or later): %w", pid, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd) //nolint:errcheck // nothing was written
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	h := &Handle{pid: pid, file: os.NewFile(uintptr(fd), "pidfd"), gone: make(chan struct{})}
	go h.wait()
	return h, nil
}

// Supported says why processes cannot be watched here, if they cannot.
func Supported() error {
	h, err := Open(os.Getpid())
	if err != nil {
		return err
	}
	return h.Close()
}

func (h *Handle) wait() {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return
	}
	// Read returns without a call that was true when Close was called meanwhile.
	ended := false
	err = raw.Read(func(fd uintptr) bool {
		ended = readable(int(fd))
		return ended
	})
	if err != nil || !ended {
		return
	}
	if pid, err := unix.Wait4(h.pid, &h.end.status, unix.WNOHANG, nil); err == nil && pid == h.pid {
		h.end.known = true
	}
	close(h.gone)
}

// readable reports whether a pidfd says that its process has ended.
func readable(fd int) bool {
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // descriptors are small
	n, err := unix.Poll(polled, 0)
	return err == nil && n > 0
}

// PID is the process number; it may be another process's once this one has ended.
func (h *Handle) PID() int { return h.pid }

// Gone is closed when the process has ended. It stays open when the handle is closed before.
func (h *Handle) Gone() <-chan struct{} { return h.gone }

// Ended reports whether the process has ended, as of now.
func (h *Handle) Ended() bool {
	select {
	case <-h.gone:
		return true
	default:
	}
	raw, err := h.file.SyscallConn()
	if err != nil {
		return false
	}
	ended := false
	if err := raw.Control(func(fd uintptr) { ended = readable(int(fd)) }); err != nil {
		return false
	}
	return ended
}

// Outcome is how a process ended.
type Outcome struct {
	// Known is false for one that runs, and for one that was no child of this process.
	Known bool
	// Success is true for exit status 0.
	Success bool
	// Text is "exit status 1", "signal: killed", or says that it is not known.
	Text string
}

// Outcome says how the process ended.
func (h *Handle) Outcome() Outcome {
	select {
	case <-h.gone:
	default:
		return Outcome{Text: "still running"}
	}
	switch s := h.end.status; {
	case !h.end.known:
		return Outcome{Text: "outcome unknown"}
	case s.Signaled():
		return Outcome{Known: true, Text: "signal: " + s.Signal().String()}
	default:
		return Outcome{Known: true, Success: s.ExitStatus() == 0, Text: fmt.Sprintf("exit status %d", s.ExitStatus())}
	}
}

// Signal sends a signal to exactly this process. ErrNone says that it has ended.
func (h *Handle) Signal(s unix.Signal) error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("signal process %d: %w", h.pid, err)
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), s, nil, 0) }); err != nil {
		return fmt.Errorf("signal process %d: %w", h.pid, err)
	}
	if errors.Is(sent, unix.ESRCH) {
		return fmt.Errorf("process %d: %w", h.pid, ErrNone)
	}
	if sent != nil {
		return fmt.Errorf("signal process %d: %w", h.pid, sent)
	}
	return nil
}

// Close stops watching. The process itself goes on.
func (h *Handle) Close() error { return h.file.Close() }
