package guard

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// socketFD is where the guard's process finds its end of the connection.
const socketFD = 3

// Serve is the whole life of the guard's process: it ends when it was told to, or when nothing is left to guard. A line
// for people goes to complaints when a server was stopped.
//
// Signals that end or stop programs are ignored: whoever ends a group of processes in good order ends the agent, which
// ends its guard when the server is down, and not before.
func Serve(dir string, complaints io.Writer) (err error) {
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s, err := begin(dir, complaints)
	if err != nil {
		return errors.Join(err, reply(socketFD, confirmation(0, err)))
	}
	defer s.end()
	_ = reply(socketFD, confirmation(0, nil)) // an agent that has ended shows when it is listened to
	process.Slim()
	return s.serve()
}

// state is what the guard is about to do.
type state int

const (
	idle state = iota
	// armed: stop the server at the order's instant.
	armed
	// barred: the instant has passed, stop every server that comes up.
	barred
)

// sentry is the guard's process.
type sentry struct {
	dir        string
	complaints io.Writer
	lock       *os.File

	state state
	order message
	// socket leads to the agent; -1 once the agent has ended.
	socket int
	// timer is due at the instant of the order.
	timer int
	// server is the process that the order named, while it lives.
	server *held
	// files tells of changes in the data directory, while barred.
	files int
	watch int
}

const none = -1

func begin(dir string, complaints io.Writer) (*sentry, error) {
	s := &sentry{dir: dir, complaints: complaints, socket: socketFD, timer: none, files: none, watch: none}
	var err error
	if err := shed(); err != nil {
		return nil, err
	}
	if s.lock, err = hold(dir); err != nil {
		return nil, err
	}
	if s.timer, err = unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return nil, errors.Join(fmt.Errorf("make the guard's timer: %w", err), s.lock.Close())
	}
	if s.files, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		return nil, errors.Join(fmt.Errorf("watch the data directory: %w", err), s.lock.Close())
	}
	return s, nil
}

// shed closes what the agent itself had inherited, and so handed on unknowingly: whoever waits for the end of a pipe
// must not wait for the guard. The descriptors that this process made itself are known by their mark.
func shed() error {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list the own files: %w", err)
	}
	for _, file := range all {
		fd, err := strconv.Atoi(file.Name())
		if err != nil || fd <= socketFD {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0) //nolint:gosec // not negative
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd) // nothing was written
		}
	}
	return nil
}

// end closes everything; the end of the process does it as well.
func (s *sentry) end() {
	s.forget()
	for _, fd := range []int{s.socket, s.timer, s.files} {
		if fd != none {
			_ = unix.Close(fd) // nothing was written
		}
	}
	_ = s.lock.Close() // has no content
}

// serve turns until the process is to end: what happened is looked at in the order that the package comment gives.
func (s *sentry) serve() error {
	for {
		if told := s.hear(); told {
			return nil
		}
		switch {
		case s.state == armed && now() >= s.order.Act:
			s.bar()
			s.strike()
		case s.state == barred && s.changed():
			s.strike()
		}
		if s.server != nil && s.server.ended() {
			s.forget()
		}
		if s.socket == none && (s.state != armed || s.serverIsGone()) {
			return nil
		}
		if err := s.wait(); err != nil {
			return err
		}
	}
}

// wait sleeps until something happens.
func (s *sentry) wait() error {
	polled := []unix.PollFd{s.poll(s.socket), s.poll(s.timer), s.poll(s.files), s.poll(none)}
	if s.server != nil {
		polled[3] = s.poll(s.server.fd)
	}
	if _, err := unix.Ppoll(polled, nil, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for news: %w", err)
	}
	return nil
}

// poll is a descriptor to wait for; the kernel disregards negative ones.
func (s *sentry) poll(fd int) unix.PollFd {
	return unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} //nolint:gosec // descriptors are small
}

// hear takes in all that the agent has said. It returns true after the farewell.
func (s *sentry) hear() bool {
	buffer := make([]byte, longest)
	for s.socket != none {
		n, _, err := unix.Recvfrom(s.socket, buffer, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNRESET):
			// A reset says that the agent ended with confirmations unread; what it said before is still to come.
			continue
		case err != nil, n == 0:
			_ = unix.Close(s.socket) // nothing was written
			s.socket = none
			return false
		}
		if s.heard(buffer[:n]) {
			return true
		}
	}
	return false
}

// heard does what one message says. It returns true for the farewell.
func (s *sentry) heard(datagram []byte) bool {
	m, err := decode(datagram)
	if err == nil && m.Kind == farewell {
		return true
	}
	if err == nil {
		err = s.obey(m)
	}
	// An agent that does not listen is frozen or gone: it gives another order when it is back.
	_ = reply(s.socket, confirmation(m.Seq, err))
	return false
}

// obey makes a message the order in force.
func (s *sentry) obey(m message) error {
	s.forget()
	s.unbar()
	s.state, s.order = idle, m
	if m.Kind == disarm {
		return s.alarm(0)
	}
	if m.PID != 0 {
		if h, alive := takeNamed(int(m.PID), m.Ticks); alive {
			s.server = &h
		}
	}
	s.state = armed
	return s.alarm(max(m.Act, 1)) // zero would stop the timer
}

// alarm sets the timer; zero stops it.
func (s *sentry) alarm(at instant) error {
	value := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(at))}
	if err := unix.TimerfdSettime(s.timer, unix.TFD_TIMER_ABSTIME, &value, nil); err != nil {
		return fmt.Errorf("set the guard's timer: %w", err)
	}
	return nil
}

// forget lets go of the server that the last order named.
func (s *sentry) forget() {
	if s.server != nil {
		s.server.release()
		s.server = nil
	}
}

// serverIsGone reports whether nothing is left to guard after the agent's death: the server that the order named has
// ended, and no other one works on the directory. Where the order named none, one may just be coming up.
func (s *sentry) serverIsGone() bool {
	if s.order.PID == 0 || s.server != nil {
		return false
	}
	left, err := look(s.dir)
	release(left)
	return err == nil && len(left) == 0
}

// bar watches the data directory, so that a server that comes up later is noticed: it writes postmaster.pid before it
// takes connections. A directory that is not there has no server.
func (s *sentry) bar() {
	s.state = barred
	_ = s.alarm(0) // a timer that has run out wakes for ever
	watch, err := unix.InotifyAddWatch(s.files, s.dir, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_CLOSE_WRITE)
	if err != nil {
		return
	}
	s.watch = watch
}

func (s *sentry) unbar() {
	if s.watch == none {
		return
	}
	_, _ = unix.InotifyRmWatch(s.files, uint32(s.watch)) //nolint:gosec // not negative; fails when the directory is gone
	s.watch = none
	s.changed()
}

// changed reports whether anything happened in the data directory since the last time.
func (s *sentry) changed() bool {
	buffer := make([]byte, longest)
	happened := false
	for {
		n, err := unix.Read(s.files, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return happened
		}
		happened = true
	}
}

// strike stops the server, if there is one, and says so.
func (s *sentry) strike() {
	s.forget()
	n := stop(s.dir, s.order)
	if n == nil {
		return
	}
	n.At = time.Now()
	n.Why = "the lease was not renewed in time, the agent did not run for too long"
	if s.socket == none {
		n.Why = "the lease was not renewed in time, the agent is dead"
	}
	err := n.leave(s.dir)
	fmt.Fprintf(s.complaints, "pgbaton guard: stopped the server on %s (process %d, %s): %s\n", s.dir, n.PID, n.Signal, n.Why)
	if n.Trouble != "" {
		fmt.Fprintf(s.complaints, "pgbaton guard: %s\n", n.Trouble)
	}
	if err != nil {
		fmt.Fprintf(s.complaints, "pgbaton guard: %v\n", err)
	}
}

// reply sends a datagram to the agent and never waits for it.
func reply(socket int, datagram []byte) error {
	return unix.Sendto(socket, datagram, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
}
