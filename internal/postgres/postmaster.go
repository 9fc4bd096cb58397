package postgres

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// postmaster is one incarnation of the server.
type postmaster struct {
	*process.Handle
	started time.Time
	// named is set once postmaster.pid was seen to name this incarnation.
	named atomic.Bool
	// cleared is closed when the postmaster has ended and none of its processes is left.
	cleared chan struct{}
}

// postmaster returns the live postmaster of the data directory, nil when there is none. It adopts one
// that was started by somebody else or by an earlier agent.
func (s *Server) postmaster() *postmaster {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pm != nil && !s.pm.Ended() {
		return s.pm
	}
	handle, started, ok := findPostmaster(s.dir)
	if !ok {
		return nil
	}
	return s.follow(handle, started)
}

// follow makes a postmaster the current one and watches it. s.mu is held.
func (s *Server) follow(handle *process.Handle, started time.Time) *postmaster {
	pm := &postmaster{Handle: handle, started: started, cleared: make(chan struct{})}
	s.pm = pm
	s.watch.Go(func() { s.await(pm) })
	return pm
}

// await waits for the end of a postmaster and clears up behind it.
func (s *Server) await(pm *postmaster) {
	defer pm.Close() //nolint:errcheck // nothing can be lost
	select {
	case <-pm.Gone():
	case <-s.closed:
		return
	}
	s.clearUp()
	s.log.Info("the server ended", slog.Int("pid", pm.PID()), slog.String("outcome", pm.Outcome().Text))
	close(pm.cleared)
	select {
	case s.exited <- struct{}{}:
	default:
	}
}

// clearUp ends what a postmaster has left behind, for a short while at most. What cannot be ended stands in
// the way of the next start, which says so.
func (s *Server) clearUp() {
	enough := make(chan struct{})
	timer := time.AfterFunc(clearTimeout, func() { close(enough) })
	defer timer.Stop()
	if err := s.clear(enough); err != nil {
		s.log.Warn("processes remain in the data directory", slog.Any("err", err))
	}
}

// findPostmaster looks for a live postmaster of a data directory. A number in postmaster.pid proves
// nothing, because it may be in use again: the process must be PostgreSQL's and work in the directory.
// Where the process may not be looked at, because it belongs to another user, it must have started when
// the file says.
func findPostmaster(dir string) (*process.Handle, time.Time, bool) {
	file, err := readPidFile(dir)
	if err != nil || file.pid <= 0 {
		return nil, time.Time{}, false
	}
	handle, err := process.Open(file.pid)
	if err != nil {
		return nil, time.Time{}, false
	}
	if !isPostmaster(file, dir) || handle.Ended() {
		handle.Close() //nolint:errcheck // nothing can be lost
		return nil, time.Time{}, false
	}
	return handle, file.started, true
}

// startTolerance is how far the start time in postmaster.pid, in full seconds and taken a moment later,
// may be from the kernel's.
const startTolerance = 3 * time.Second

func isPostmaster(file pidFile, dir string) bool {
	info, err := process.Inspect(file.pid)
	if err != nil {
		return false
	}
	if info.Program == "" {
		began, err := process.Started(file.pid)
		return err == nil && file.started.Sub(began).Abs() <= startTolerance
	}
	at, err := os.Stat(dir)
	return err == nil && isServer(info) && !isBackend(info) && process.WorksIn(file.pid, at)
}

func isServer(p process.Info) bool { return p.Program == "postgres" || p.Program == "postmaster" }

// isBackend recognises the processes a postmaster has made, by the title they give themselves.
func isBackend(p process.Info) bool { return strings.HasPrefix(p.Title, "postgres: ") }

// clearTimeout bounds the killing of processes without a postmaster; it takes milliseconds unless the
// kernel waits for a disk.
const clearTimeout = 3 * time.Second

// clear kills what a postmaster that ended has left behind and waits until it is gone, or until enough
// is closed. Processes under a live postmaster are left alone. It is an error when another
// server works in the directory that postmaster.pid does not name, such as one in single-user mode.
func (s *Server) clear(enough <-chan struct{}) error {
	for {
		left, err := s.leftovers()
		if err != nil || len(left) == 0 {
			return err
		}
		if err := killBackends(left, enough); err != nil {
			return err
		}
		i := slices.IndexFunc(left, func(p process.Info) bool { return !isBackend(p) })
		if i < 0 {
			continue
		}
		// A backend that was made a moment ago has no title yet: it gets one, or ends. One that was frozen with the whole
		// server goes on for that; for others the signal means nothing.
		if err := send(left[i], unix.SIGCONT, isServer); err != nil {
			return err
		}
		select {
		case <-enough:
			return fmt.Errorf("process %d (%s) works in the data directory, but postmaster.pid does not name it; stop it first", left[i].PID, left[i].Title)
		case <-time.After(clearStep):
		}
	}
}

// clearStep is the pause between two looks for a process that nothing announces.
const clearStep = 5 * time.Millisecond

// leftovers lists PostgreSQL's processes in the data directory whose parent is none of them, except the
// current postmaster.
func (s *Server) leftovers() ([]process.Info, error) {
	all, err := process.In(s.dir)
	if err != nil {
		return nil, err
	}
	servers := map[int]bool{}
	for _, p := range all {
		// A process that is just ending has no name any more; it is waited for.
		if isServer(p) || p.Program == "" {
			servers[p.PID] = true
		}
	}
	file, err := readPidFile(s.dir)
	if err == nil && servers[file.pid] && isPostmaster(file, s.dir) {
		delete(servers, file.pid)
		for _, p := range all {
			if p.Parent == file.pid {
				delete(servers, p.PID)
			}
		}
	}
	var left []process.Info
	for _, p := range all {
		if servers[p.PID] && !servers[p.Parent] {
			left = append(left, p)
		}
	}
	return left, nil
}

// killBackends ends all backends in the list, at once, and waits for them.
func killBackends(left []process.Info, enough <-chan struct{}) error {
	var ending []*process.Handle
	defer func() {
		for _, h := range ending {
			h.Close() //nolint:errcheck // nothing can be lost
		}
	}()
	for _, p := range left {
		if !isBackend(p) {
			continue
		}
		h, err := kill(p)
		if err != nil {
			return err
		}
		if h != nil {
			ending = append(ending, h)
		}
	}
	for _, h := range ending {
		select {
		case <-h.Gone():
		case <-enough:
			return fmt.Errorf("kill what the server left behind: process %d does not end", h.PID())
		}
	}
	return nil
}

// send signals one process that nobody waits for.
func send(p process.Info, s unix.Signal, still func(process.Info) bool) error {
	h, err := reach(p, s, still)
	if h != nil {
		h.Close() //nolint:errcheck // nothing can be lost
	}
	return err
}

// kill signals one backend and returns a handle to wait for its end. The handle is nil when it has ended
// already, or its number is another process's by now; the caller looks again.
func kill(p process.Info) (*process.Handle, error) { return reach(p, unix.SIGKILL, isBackend) }

// reach signals a process if it is still what it was.
func reach(p process.Info, s unix.Signal, still func(process.Info) bool) (*process.Handle, error) {
	h, err := process.Open(p.PID)
	if errors.Is(err, process.ErrNone) {
		return nil, nil //nolint:nilnil // see above
	}
	if err != nil {
		return nil, err
	}
	now, err := process.Inspect(p.PID)
	if err == nil && now.Parent == p.Parent && still(now) {
		err = h.Signal(s)
		if err == nil {
			return h, nil
		}
	}
	h.Close() //nolint:errcheck // nothing can be lost
	if err != nil && !errors.Is(err, process.ErrNone) {
		return nil, fmt.Errorf("signal %s: %w", p.Title, err)
	}
	return nil, nil //nolint:nilnil // see above
}

// launch starts a postmaster that does not depend on the agent: in a session of its own, without the
// agent's files, writing to a file rather than to a pipe that would break with the agent.
func (s *Server) launch(args []string) (*postmaster, error) {
	out, err := s.openLog()
	if err != nil {
		return nil, err
	}
	defer out.Close()                                           //nolint:errcheck // the child has its own
	cmd := exec.Command(s.binaries().Path("postgres"), args...) //nolint:noctx // it outlives every context
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(append(cleanEnv(os.Environ()), s.serviceEnv()), s.reusedPID()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	handle, err := process.Open(cmd.Process.Pid)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := cmd.Process.Release(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.follow(handle, time.Now()), nil
}

// reusedPID tells PostgreSQL to disregard the process number in a stale postmaster.pid, which meanwhile
// is some other process's; otherwise it would refuse to start. Its check of the shared memory, which
// cannot be wrong, stays in force.
func (s *Server) reusedPID() []string {
	file, err := readPidFile(s.dir)
	if err != nil {
		return nil
	}
	return []string{"PG_GRANDPARENT_PID=" + strconv.Itoa(max(file.pid, -file.pid))}
}

// logLimit is the size in bytes at which the server's log is put aside before a start. A server that
// runs for long and says much has PostgreSQL's own log rotation for it.
const logLimit = 16 << 20

func (s *Server) logPath() string { return s.dir + ".log" }

func (s *Server) openLog() (*os.File, error) {
	path := s.logPath()
	if at, err := os.Stat(path); err == nil && at.Size() > logLimit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("put the server's log aside: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	return file, nil
}
