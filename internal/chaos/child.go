package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// child is one process of pgbaton that was started here.
type child struct {
	process *os.Process
	ended   chan struct{}
	code    int // once ended: the exit code, -1 when a signal ended it
}

// spawn starts the command in a process group of its own, so that a Ctrl-C on the terminal reaches it only through
// us, and so that it is asked to stop should we die first.
func spawn(cmd *exec.Cmd) (*child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGTERM
	c := &child{ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is bound to the thread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		c.process = cmd.Process
		started <- err
		if err != nil {
			return
		}
		cmd.Wait() //nolint:errcheck // the exit code tells
		c.code = cmd.ProcessState.ExitCode()
		close(c.ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return c, nil
}

func (c *child) lives() bool {
	if c == nil {
		return false
	}
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// wait returns the exit code.
func (c *child) wait(ctx context.Context) (int, error) {
	select {
	case <-c.ended:
		return c.code, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for the end of pgbaton: %w", context.Cause(ctx))
	}
}

// kill ends it as a power cut would.
func (c *child) kill() error {
	if err := c.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill pgbaton: %w", err)
	}
	<-c.ended
	return nil
}
