package service

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/peer"
)

// asParent names the variable that makes the test program a Parent of its arguments.
const asParent = "SERVICE_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(asParent) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	code, err := Parent(os.Args[1], os.Args[1:], os.Environ())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 99
	}
	os.Exit(code)
}

// patience is how long anything here may take.
const patience = 20 * time.Second

func TestWhatTheServiceManagerIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close() //nolint:errcheck // only read
	t.Setenv("NOTIFY_SOCKET", path)
	m := NewManager(slog.New(slog.DiscardHandler))
	before := monotonic()
	for _, c := range []struct {
		tell func(context.Context)
		want string
	}{
		{m.Ready, `^READY=1$`}, {m.Reloading, `^RELOADING=1\nMONOTONIC_USEC=(\d+)$`}, {m.Stopping, `^STOPPING=1$`},
	} {
		c.tell(t.Context())
		got := receive(t, socket)
		if !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("told %q, want %s", got, c.want)
		}
		var usec int64
		if _, err := fmt.Sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%d", &usec); err == nil {
			at := time.Duration(usec) * time.Microsecond
			if at < before.Truncate(time.Microsecond) || at > monotonic() {
				t.Errorf("reloading since %s, now it is %s", at, monotonic())
			}
		}
	}
}

func receive(t *testing.T, socket *net.UnixConn) string {
	t.Helper()
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 1024)
	n, err := socket.Read(message)
	if err != nil {
		t.Fatal(err)
	}
	return string(message[:n])
}

func TestWithoutServiceManager(t *testing.T) {
	var told bytes.Buffer
	m := NewManager(slog.New(slog.NewTextHandler(&told, nil)))
	t.Setenv("NOTIFY_SOCKET", "")
	m.Ready(t.Context())
	if told.Len() > 0 {
		t.Errorf("logged without a manager: %s", &told)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	m.Ready(t.Context())
	if !strings.Contains(told.String(), "was not told") {
		t.Errorf("a manager that is gone: %q", &told)
	}
}

// container is the test program as process 1 of a namespace of its own, with a shell script as the real program.
type container struct {
	t   *testing.T
	cmd *exec.Cmd
	out *bufio.Reader
}

func contain(t *testing.T, script string) container {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "/bin/sh", "-c", script)
	cmd.Env = append(os.Environ(), asParent+"=yes")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
			peer.Missing(t, "this machine lets nobody but root make a PID namespace: "+err.Error())
		}
		t.Fatal(err)
	}
	return container{t, cmd, bufio.NewReader(out)}
}

// line is the next line that the script prints.
func (c container) line() string {
	c.t.Helper()
	text, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("the script prints nothing more: %v", err)
	}
	return strings.TrimSpace(text)
}

// code waits for the end and returns the exit code.
func (c container) code() int {
	c.t.Helper()
	io.Copy(io.Discard, c.out) //nolint:errcheck // the end is what counts
	err := c.cmd.Wait()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		c.t.Fatal(err)
	}
	return c.cmd.ProcessState.ExitCode()
}

func TestExitCodeIsPassedOn(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -KILL $$": 128 + 9} {
		if got := contain(t, script).code(); got != want {
			t.Errorf("%s: exit code %d, want %d", script, got, want)
		}
	}
}

func TestSignalsReachTheProgram(t *testing.T) {
	c := contain(t, `for s in HUP QUIT USR1 USR2 INT ABRT; do trap "echo $s" $s; done
trap 'echo TERM; exit 3' TERM
echo ready
while :; do sleep 0.01; done`)
	c.line()
	for _, s := range forwarded() {
		if err := c.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		number, _ := s.(syscall.Signal)
		want := strings.TrimPrefix(unix.SignalName(number), "SIG")
		if got := c.line(); got != want {
			t.Errorf("%s arrived as %s", want, got)
		}
	}
	if got := c.code(); got != 3 {
		t.Errorf("exit code %d", got)
	}
}

// Orphans are waited for, and the program's own children are left to the program.
func TestOrphansAreReaped(t *testing.T) {
	c := contain(t, `sh -c 'exit 5'; echo "own child $?"
sh -c '(sleep 0; echo orphan ends) & exec true'
sleep 600`)
	if got := c.line(); got != "own child 5" {
		t.Errorf("the program saw %q of its own child", got)
	}
	if got := c.line(); got != "orphan ends" {
		t.Errorf("the script printed %q", got)
	}
	awaitNoZombies(t, c.cmd.Process.Pid)
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.code()
}

// awaitNoZombies waits until the process has exactly one child, which lives. The kernel tells of zombies nowhere but by
// a look.
func awaitNoZombies(t *testing.T, parent int) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for {
		children := childrenOf(t, parent)
		if len(children) == 1 && children[0] != "Z" {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("the children of process 1 are in the states %v", children)
		}
	}
}

// childrenOf returns the states of a process's children.
func childrenOf(t *testing.T, parent int) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		var state string
		var of int
		if _, err := fmt.Sscan(rest, &state, &of); err == nil && of == parent {
			states = append(states, state)
		}
	}
	return states
}
