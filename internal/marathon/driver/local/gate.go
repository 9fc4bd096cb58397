package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// gateScript waits at the gate (file 3) and then becomes the task. Before that it proves, as the user the task will be,
// that the program can be executed, and says so (file 4).
const gateScript = `[ -x "$1" ] || exit 126
echo ready >&4
read -r go <&3 || exit 125
exec "$@" 3<&- 4>&-`

// gatePatience bounds the time a shell may take to reach the gate.
const gatePatience = 10 * time.Second

// command is a program to be started.
type command struct {
	argv       []string // argv[0] is an absolute path
	env        []string
	dir        string
	log        *os.File
	credential *syscall.Credential
}

// start starts the program. record is called when the process exists and cannot do anything yet; if it fails, nothing
// was started.
func (c command) start(boot string, record func(identity) error) (*held, error) {
	gateRead, gateWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer closeAll(gateRead, gateWrite) // unless the gate was opened, this ends the shell
	readyRead, readyWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer closeAll(readyRead)
	child, err := c.fork(gateRead, readyWrite)
	closeAll(readyWrite)
	if err != nil {
		return nil, err
	}
	p, err := c.atGate(child, readyRead, boot, record)
	if err == nil {
		_, err = io.WriteString(gateWrite, "go\n")
	}
	if err != nil {
		return nil, c.abandon(child, p, err)
	}
	return p, nil
}

// closeAll closes files whose content nobody has written or will miss.
func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

func (c command) fork(gate, ready *os.File) (*os.Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer closeAll(null)
	argv := append([]string{"sh", "-c", gateScript, "gate"}, c.argv...)
	child, err := os.StartProcess("/bin/sh", argv, &os.ProcAttr{
		Dir:   c.dir,
		Env:   c.env,
		Files: []*os.File{null, c.log, c.log, gate, ready},
		Sys:   &syscall.SysProcAttr{Setsid: true, Credential: c.credential},
	})
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("folder %s cannot be entered by the user the task runs as", c.dir)
	}
	return child, err
}

// atGate waits for the shell to reach the gate and has it recorded.
func (c command) atGate(child *os.Process, ready *os.File, boot string, record func(identity) error) (*held, error) {
	if err := ready.SetReadDeadline(time.Now().Add(gatePatience)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(ready, make([]byte, len("ready\n"))); err != nil {
		return nil, fmt.Errorf("%s cannot be executed by the user the task runs as", c.argv[0])
	}
	pid := child.Pid
	p, err := hold(pid)
	if err != nil {
		return nil, err
	}
	// From here on the handle takes the end of the child.
	if err := child.Release(); err != nil {
		return p, err
	}
	p.id, err = identify(pid, boot)
	if err != nil {
		return p, err
	}
	return p, record(p.id)
}

// abandon ends a shell that must not become the task.
func (c command) abandon(child *os.Process, p *held, cause error) error {
	if p == nil {
		_ = child.Kill()
		_, _ = child.Wait()
		return cause
	}
	defer p.close()
	return errors.Join(cause, p.signal(unix.SIGKILL), p.wait(time.Now().Add(killPatience)))
}
