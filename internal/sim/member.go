package sim

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// member is a machine with a server, a guard and, most of the time, an agent.
type member struct {
	w        *world
	node     int
	name     string
	apiURL   string
	conn     string
	tags     cluster.Tags
	clock    clock
	server   server
	guard    guard
	watchdog watchdog
	life     *life
	// off is a machine without power, away one that was scaled down.
	off, away bool
	// still counts what keeps the whole machine from running.
	still int
	// respawn keeps whoever supervises the agent from starting it before that instant.
	respawn int64
	// inPause is whether the last agent believed in a pause.
	inPause bool
	resumes int64
	// emptied is the instant at which a fault last took its data away.
	emptied int64
	// boots counts how often the machine came up.
	boots int
	// lives counts agents.
	lives int
	// linked is the instant at which each other node was last cut off or joined.
	linked [nodes]int64
}

// start begins a life of the agent, unless one goes on or the machine is off.
func (m *member) start() {
	if m.life != nil || m.off || m.away || m.still > 0 || m.w.now < m.respawn {
		return
	}
	m.lives++
	l := newLife(m)
	m.life = l
	m.w.note(m, "agent", "starts")
	l.loop = m.w.spawn(l, l.run)
}

// restart begins a life after a while, as a supervisor does.
func (m *member) restart(after time.Duration) {
	m.respawn = m.w.now + int64(after)
	m.w.at(m.respawn, m.start)
}

// kill ends the agent as SIGKILL does. The server goes on.
func (m *member) kill() {
	if m.life == nil {
		return
	}
	m.w.note(m, "agent", "is killed")
	m.life.end()
}

// exited tells the agent that its server ended.
func (m *member) exited() {
	if m.life != nil {
		m.life.wakeAfter(int64(100 * time.Microsecond))
	}
}

// powerOff is the end of everything on the machine.
func (m *member) powerOff() {
	if m.off {
		return
	}
	m.w.note(m, "host", "is lost")
	m.off = true
	if m.life != nil {
		m.life.end()
	}
	m.server.frozen, m.guard.frozen = 0, 0
	m.server.crash()
	m.server.tear()
	m.guard.disarm()
	m.guard.dead = false
	m.watchdog.disable()
	m.still = 0
	m.boots++
	m.server.since = m.w.now
	m.w.isolate(m, 1)
}

func (m *member) powerOn() {
	if !m.off {
		return
	}
	m.off = false
	m.w.isolate(m, -1)
	m.w.note(m, "host", "is back")
	m.start()
}

// lookAgain makes the agent's watch look at the store after it could not for a while.
func (m *member) lookAgain() {
	if m.life != nil {
		m.life.wakeAfter(m.w.rng.Int64N(int64(time.Second)))
	}
}

// freeze stops the agent where it is, or lets it go on.
func (l *life) freeze() { l.frozen++ }

func (l *life) thaw() {
	if l.frozen--; l.frozen > 0 {
		return
	}
	l.thawed = l.w.now
	for _, h := range l.held {
		if h.task.token == h.token {
			l.w.queue.push(event{at: l.w.now, task: h.task, token: h.token})
		}
	}
	l.held = l.held[:0]
}

// freeze stops all processes of the server, or lets them go on.
func (s *server) freeze() {
	s.frozen++
	s.changed()
}

func (s *server) thaw() {
	if s.frozen == 0 {
		return
	}
	if s.frozen--; s.frozen > 0 {
		return
	}
	stuck := s.stuck
	s.stuck = nil
	for _, do := range stuck {
		s.w.at(s.w.now, do)
	}
	s.changed()
}
