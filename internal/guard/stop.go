package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// killPatience bounds how long killed processes may take to disappear: one that waits for a disk ends when the disk
// answers, and does nothing before.
const killPatience = time.Second

// means are a signal and when it is due.
type means struct {
	at     instant
	signal unix.Signal
}

// meansOf are how a server is stopped from the one instant to the other: SIGINT and SIGQUIT to the postmaster, in the end
// SIGKILL to all.
func meansOf(act, deadline instant) []means {
	total := max(deadline.sub(act), 0)
	return []means{
		{act, unix.SIGINT},
		{act.add(total / 2), unix.SIGQUIT},
		{act.add(total / 4 * 3), unix.SIGKILL},
	}
}

// stopping is the stop of one server.
type stopping struct {
	dir string
	// all are the processes that were ever found, live are those of them that may not have ended.
	all, live []held
	// signal is the hardest one that was sent, zero for none.
	signal unix.Signal
	errs   []error
}

// stop ends the server on a data directory by the order's deadline; see the package comment. The order's own process is
// taken for the postmaster whatever it looks like. The note tells what happened; nil says that there was nothing to stop.
func stop(dir string, order message) *Note {
	s := stopping{dir: dir}
	defer func() { release(s.all) }()
	if order.PID != 0 {
		if h, alive := takeNamed(int(order.PID), order.Ticks); alive {
			s.add([]held{h})
		}
	}
	s.look()
	if len(s.live) == 0 {
		return nil
	}
	n := &Note{PID: s.postmaster()}
	if n.PID != 0 {
		s.ask(meansOf(order.Act, order.Deadline))
		s.look() // it may have made more processes since
	}
	if len(s.live) > 0 {
		s.kill()
	}
	n.Signal = unix.SignalName(s.signal)
	if err := errors.Join(s.errs...); err != nil {
		n.Trouble = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return n
}

// look adds the processes that are found now.
func (s *stopping) look() {
	found, err := look(s.dir)
	if err != nil {
		s.errs = append(s.errs, err)
	}
	s.add(found)
}

// add takes over processes. One that is known already is the same one: its number cannot have become another's while it
// was held and lived.
func (s *stopping) add(found []held) {
	for _, h := range found {
		if slices.ContainsFunc(s.live, func(known held) bool { return known.pid == h.pid }) {
			h.release()
			continue
		}
		s.all, s.live = append(s.all, h), append(s.live, h)
	}
}

// postmaster is the process number of the one that lives, zero for none.
func (s *stopping) postmaster() int {
	for _, h := range s.live {
		if h.postmaster {
			return h.pid
		}
	}
	return 0
}

// ask signals the postmaster, harder as time goes by, until all of its processes have ended or only killing is left.
func (s *stopping) ask(by []means) {
	for i, m := range by[:len(by)-1] {
		next := by[i+1].at
		if now() >= next {
			continue
		}
		s.send(m.signal, func(h held) bool { return h.postmaster })
		if s.await(next); len(s.live) == 0 {
			return
		}
	}
}

// kill kills the processes and all that a look around still finds, until it finds none. Once the postmaster has ended
// nobody makes new ones.
func (s *stopping) kill() {
	until := now().add(killPatience)
	for len(s.live) > 0 {
		s.send(unix.SIGKILL, func(held) bool { return true })
		s.await(until)
		if s.look(); now() >= until {
			break
		}
	}
	if len(s.live) > 0 {
		s.errs = append(s.errs, fmt.Errorf("killed and not gone: %s", list(s.live)))
	}
}

func (s *stopping) send(signal unix.Signal, to func(held) bool) {
	s.signal = signal
	for _, h := range s.live {
		if !to(h) {
			continue
		}
		if err := h.signal(signal); err != nil {
			s.errs = append(s.errs, err)
		}
	}
}

// await waits until all have ended, until then at most.
func (s *stopping) await(until instant) { s.live = waitFor(s.live, until) }

// waitFor waits until the processes have ended, until then at most, and returns those that have not.
func waitFor(processes []held, until instant) []held {
	left := processes
	for len(left) > 0 {
		var polled []unix.PollFd
		for _, h := range left {
			polled = append(polled, unix.PollFd{Fd: int32(h.fd), Events: unix.POLLIN}) //nolint:gosec // descriptors are small
		}
		rest := max(until.sub(now()), 0)
		timeout := unix.NsecToTimespec(int64(rest))
		if _, err := unix.Ppoll(polled, &timeout, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return left
		}
		var still []held
		for i, h := range left {
			if polled[i].Revents == 0 {
				still = append(still, h)
			}
		}
		if left = still; rest == 0 {
			break
		}
	}
	return left
}

func release(processes []held) {
	for _, h := range processes {
		h.release()
	}
}

// list names processes for people.
func list(processes []held) string {
	var names []string
	for _, h := range processes {
		names = append(names, fmt.Sprintf("process %d", h.pid))
	}
	return strings.Join(names, ", ")
}
