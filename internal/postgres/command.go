package postgres

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// command is one run of one of PostgreSQL's programs that ends by itself.
type command struct {
	op   string // "run pg_rewind": the beginning of an error
	path string
	args []string
	dir  string
	// env is added to the cleaned environment.
	env   []string
	stdin io.Reader
	// files are open in the program under the numbers 3, 4 and so on.
	files []*os.File
	// line is called with each line of standard error as it comes.
	line func(string)
	// foreign: it is the operator's program. It has the environment of the agent but for the agent's own part, and
	// errors quote what it wrote to standard output too.
	foreign bool
	// began is called with the process number when it runs.
	began func(pid int)
}

// How long a program that ended or was cancelled may leave others writing to its pipes before they are closed. An
// operator's may have begun something in the background; nobody waits for that.
const (
	stopDelay        = 2 * time.Second
	foreignStopDelay = 50 * time.Millisecond
)

// The environment that a program is given.
func (c command) environment() []string {
	if c.foreign {
		return append(withoutOurs(os.Environ()), c.env...)
	}
	return append(cleanEnv(os.Environ()), c.env...)
}

// run waits for the program and returns its standard output. Cancelling the context kills it and its
// children. It also dies with the agent: a clone that goes on after its agent would write into a folder
// that the next agent removes.
func (c command) run(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Dir = c.dir
	cmd.Env = c.environment()
	cmd.Stdin, cmd.ExtraFiles = c.stdin, c.files
	cmd.WaitDelay = stopDelay
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out bytes.Buffer
	last := tail{line: c.line}
	cmd.Stdout, cmd.Stderr = &out, &last
	if c.foreign {
		cmd.Stdout, cmd.WaitDelay = &last, foreignStopDelay
	}
	// The kernel sends Pdeathsig when the thread ends that started the child, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	if err == nil {
		if c.began != nil {
			c.began(cmd.Process.Pid)
		}
		err = cmd.Wait()
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: %w", c.op, context.Cause(ctx))
	}
	if c.foreign && errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well itself
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), &ExitError{Op: c.op, Outcome: exit.Error(), Tail: last.String()}
	}
	if err != nil {
		return "", &ExitError{Op: c.op, Outcome: err.Error(), Tail: last.String()}
	}
	return out.String(), nil
}

// tailLines is how much of a program's complaints an error quotes.
const tailLines = 10

// tail keeps the last lines written to it. A carriage return ends a line too: progress is told so.
type tail struct {
	line  func(string)
	rest  []byte
	lines []string
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.rest = append(t.rest, p...)
	for {
		i := bytes.IndexAny(t.rest, "\r\n")
		if i < 0 {
			return len(p), nil
		}
		t.add(string(t.rest[:i]))
		t.rest = t.rest[i+1:]
	}
}

func (t *tail) add(line string) {
	line = strings.TrimSpace(line)
	if line == "" {
		return
	}
	if t.line != nil {
		t.line(line)
	}
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

// String returns the last lines as one.
func (t *tail) String() string {
	t.add(string(t.rest))
	t.rest = nil
	return strings.Join(t.lines, "; ")
}

// cleanEnv leaves out what PostgreSQL's programs must not see: the agent's own part, and libpq's variables, which
// would silently override what is configured, in the server's replication connection too. Variables of backup
// programs that begin alike stay, because the server calls those.
func cleanEnv(env []string) []string {
	var clean []string
	for _, entry := range withoutOurs(env) {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case name == "PG_MALLOC_ARENA_MAX":
			clean = append(clean, "MALLOC_ARENA_MAX="+value)
		case name == "PG_GRANDPARENT_PID":
		case strings.HasPrefix(name, "PG") && !hasAnyPrefix(name, "PG_", "PGBACKREST_"):
		default:
			clean = append(clean, entry)
		}
	}
	return clean
}

// withoutOurs leaves out what belongs to the agent alone: its configuration and credentials, and the service
// manager's socket.
func withoutOurs(env []string) []string {
	var clean []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if name != "NOTIFY_SOCKET" && !hasAnyPrefix(name, "PATRONI_", "PGBATON_", "KUBERNETES_") {
			clean = append(clean, entry)
		}
	}
	return clean
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// logTailSize is how much of the end of a log is looked at for the last lines.
const logTailSize = 64 << 10

// logTail returns the last lines of a log file, of what was written after an offset.
func logTail(path string, offset int64) string {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return ""
	}
	defer file.Close() //nolint:errcheck // only read
	offset = max(offset, size(path)-logTailSize)
	var last tail
	lines := bufio.NewScanner(io.NewSectionReader(file, offset, logTailSize))
	for lines.Scan() {
		last.add(lines.Text())
	}
	return last.String()
}
