package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// child is one process of the guard and the connection to it.
type child struct {
	*process.Handle

	conn net.Conn
}

// spawn starts a process and waits until it says that it is there.
//
// It has a session of its own, so that no terminal and no process group ends it with the agent. It shares the agent's
// working directory, by which platforms find all processes of a task. It gets no other file than its end of the
// connection, and no environment: a task's processes are found by that as well, and a guard is none that could be
// adopted.
func spawn(ctx context.Context, cfg Config) (*child, error) {
	ours, theirs, err := connection()
	if err != nil {
		return nil, err
	}
	conn, err := net.FileConn(ours)
	if err := errors.Join(err, ours.Close()); err != nil {
		return nil, errors.Join(err, theirs.Close())
	}
	args := append(append([]string{}, cfg.Command[1:]...), cfg.DataDir)
	cmd := exec.Command(cfg.Command[0], args...) //nolint:noctx // it outlives every context
	cmd.Args[0] = "pgbaton"
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = complaints()
	cmd.Env = []string{"GOMAXPROCS=1", "GOGC=20"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	if err := errors.Join(err, theirs.Close()); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	handle, err := process.Open(cmd.Process.Pid)
	if err := errors.Join(err, cmd.Process.Release()); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &child{Handle: handle, conn: conn}
	if err := c.await(ctx, 0); err != nil {
		return nil, errors.Join(err, c.kill())
	}
	return c, nil
}

// connection makes both ends. Neither is inherited by a program that the agent starts, and above all not by the server,
// or the guard would not notice the agent's death.
func connection() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a connection: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "agent"), os.NewFile(uintptr(fds[1]), "guard"), nil //nolint:gosec // not negative
}

// complaints is where the guard's words for people go: to the agent's standard error, unless that is a pipe, whose reader
// would be kept waiting for the guard after the agent died.
func complaints() io.Writer {
	if info, err := os.Stderr.Stat(); err != nil || info.Mode()&fs.ModeNamedPipe != 0 {
		return nil
	}
	return os.Stderr
}

// tell sends an order and waits until it is confirmed.
func (c *child) tell(ctx context.Context, m message) error {
	datagram, err := m.encode()
	if err != nil {
		return fmt.Errorf("write the order: %w", err)
	}
	if err := c.send(ctx, datagram); err != nil {
		return err
	}
	return c.await(ctx, m.Seq)
}

func (c *child) send(ctx context.Context, datagram []byte) error {
	deadline, _ := ctx.Deadline()
	if err := c.conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if _, err := c.conn.Write(datagram); err != nil {
		return c.because(ctx, err)
	}
	return nil
}

// await reads until the confirmation with that number.
func (c *child) await(ctx context.Context, seq uint64) error {
	deadline, _ := ctx.Deadline()
	if err := c.conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("await the confirmation: %w", err)
	}
	buffer := make([]byte, longest)
	for {
		n, err := c.conn.Read(buffer)
		if err != nil || n == 0 {
			return c.because(ctx, err)
		}
		got, trouble, err := parseConfirmation(buffer[:n])
		switch {
		case err != nil:
			return err
		case got != seq:
			continue // of an order that was given up waiting for
		case trouble != "":
			return errors.New(trouble)
		}
		return nil
	}
}

// because says why there is no answer.
func (c *child) because(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("process %d of the guard does not answer: %w", c.PID(), cmp.Or(context.Cause(ctx), err))
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("process %d of the guard has ended", c.PID())
	}
	return fmt.Errorf("process %d of the guard: %w", c.PID(), err)
}

// leave says farewell and waits for the end, or only hangs up, after which an armed guard stays on guard.
func (c *child) leave(farewellToo bool) error {
	if !farewellToo {
		c.close()
		return nil
	}
	datagram, err := message{Kind: farewell}.encode()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), confirmWithin, errSilent)
	defer cancel()
	if err := c.send(ctx, datagram); err != nil {
		return c.kill()
	}
	select {
	case <-c.Gone():
		c.close()
		return nil
	case <-ctx.Done():
		return c.kill()
	}
}

// kill ends the process.
func (c *child) kill() error {
	defer c.close()
	return end(c.Handle)
}

// close lets go of the process. It goes on.
func (c *child) close() {
	_ = c.conn.Close() // nothing is buffered
	_ = c.Close()      // nothing was written
}
