package sim

import (
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// processKinds are kills and freezes.
func processKinds() map[string]kind {
	return map[string]kind{
		"kill-agent": on(func(m *member, f *Fault) {
			m.needGuard()
			m.respawn = max(m.respawn, m.w.now+int64(f.For))
			m.kill()
		}, func(m *member, _ *Fault) { m.start() }),
		"stop-agent": on(func(m *member, f *Fault) {
			m.respawn = max(m.respawn, m.w.now+int64(f.For))
			m.tellToEnd()
		}, func(m *member, _ *Fault) { m.start() }),
		"freeze-agent": {args: 1, begin: freezeAgent},
		"trap-agent": {args: 2, begin: func(w *world, f *Fault) {
			if m := w.member(f.Args[0]); m != nil && m.life != nil {
				m.life.trap, m.life.trapFor = f.Args[1], f.For
			}
		}},
		"kill-server":   on(func(m *member, _ *Fault) { m.server.crash() }, nil),
		"freeze-server": {args: 1, begin: freezeServer},
		"freeze-guard":  {args: 1, begin: freezeGuard},
		"kill-guard":    on(func(m *member, _ *Fault) { m.guard.die() }, nil),
		"kill-host":     on(func(m *member, _ *Fault) { m.powerOff() }, func(m *member, _ *Fault) { m.powerOn() }),
		"freeze-host":   {args: 1, begin: func(w *world, f *Fault) { freezeHost(w, f, false) }},
		"suspend-host":  {args: 1, begin: func(w *world, f *Fault) { freezeHost(w, f, true) }},
		"lose-data":     on(loseData, nil),
		"foreign-data":  on(foreignData, nil),
	}
}

// needGuard lets a frozen guard go on: against the end of the agent and of its guard there is no defence but a watchdog.
func (m *member) needGuard() {
	if m.guard.frozen > 0 && !m.w.setup.Watchdog {
		m.guard.frozen = 1
		m.guard.thaw()
	}
}

func freezeAgent(w *world, f *Fault) {
	m := w.member(f.Args[0])
	if m == nil || m.life == nil {
		return
	}
	l := m.life
	m.needGuard()
	l.freeze()
	w.at(w.now+int64(f.For), func() {
		w.note(m, "fault", "the agent goes on")
		l.thaw()
	})
}

// freezeGuard spares the guard of an agent that does not run: against the end of both there is no defence but a watchdog.
func freezeGuard(w *world, f *Fault) {
	m := w.member(f.Args[0])
	if m == nil || !w.setup.Watchdog && (m.life == nil || m.life.frozen > 0 || m.server.process != ha.Stopped && !m.life.guarding.armed) {
		return
	}
	boots := m.boots
	m.guard.frozen++
	w.at(w.now+int64(f.For), func() {
		if m.boots == boots {
			m.guard.thaw()
		}
	})
}

func freezeServer(w *world, f *Fault) {
	m := w.member(f.Args[0])
	if m == nil || m.server.process == ha.Stopped {
		return
	}
	boots := m.boots
	m.server.freeze()
	w.at(w.now+int64(f.For), func() {
		if m.boots == boots {
			m.server.thaw()
		}
	})
}

// freezeHost stops everything on a machine. Afterwards the guard runs first: it has nothing else to do, and a server has
// to read a write from its socket. While a machine is suspended, the clock of its agent stands too.
func freezeHost(w *world, f *Fault, suspend bool) {
	m := w.member(f.Args[0])
	if m == nil || m.off {
		return
	}
	m.needGuard()
	l, lives := m.life, m.lives
	if l != nil {
		l.freeze()
	}
	m.server.freeze()
	m.guard.frozen++
	m.still++
	began, boots := w.now, m.boots
	w.at(w.now+int64(f.For), func() {
		if m.boots != boots {
			return // it was switched off meanwhile
		}
		w.note(m, "fault", "the host goes on")
		if suspend {
			m.clock.stood += w.now - began
		}
		if m.resumes != 0 {
			m.resumes += w.now - began
		}
		if m.guard.frozen > 0 {
			m.guard.thaw()
		}
		m.server.thaw()
		if l != nil && m.lives == lives {
			l.thaw()
		}
		if m.still > 0 {
			m.still--
		}
		m.start()
	})
}

// loseData takes a data directory away, unless it is the last one with what the cluster wrote: then only a backup helps.
func loseData(m *member, _ *Fault) {
	if m.spare() {
		m.server.crash()
		m.server.aside()
		m.emptied = m.w.now
	}
}

// foreignData puts the data of another database cluster in place of those of a server that does not run.
func foreignData(m *member, _ *Fault) {
	if s := &m.server; s.process == ha.Stopped && s.data == ha.DataCluster && m.spare() {
		s.id = m.w.newSystemID()
	}
}

// spare reports whether another member has what this one has.
func (m *member) spare() bool {
	if m.w.synchronous() && !m.spared() {
		return false
	}
	for _, o := range m.w.members {
		s := &o.server
		if o != m && !o.tags.NoFailover() && s.id == m.server.id && s.line != nil && s.line == m.server.line && s.end+300 > m.server.end {
			return true
		}
	}
	return false
}

// mayLead reports whether neither a tag nor what it lacks keeps a member from leading.
func (m *member) mayLead() bool {
	return !m.tags.NoFailover() && m.server.flushed.Behind(m.w.store.now.Status.Optime) <= uint64(m.w.setup.MaximumLag) //nolint:gosec // never negative
}

// spared reports whether by the promise others may win without this member. Where nobody may, only a person helps; and
// after the loss of two data directories there may be too few that know what was acknowledged.
func (m *member) spared() bool {
	p, left, able := &m.w.store.now.Sync, 0, false
	for _, o := range m.w.members {
		switch {
		case o == m:
		case o.server.data != ha.DataCluster || o.server.id != m.server.id:
			return false
		case p.Leader == o.name:
			return true
		case p.Votes(o.name):
			left++
			able = able || o.mayLead()
		}
	}
	if !p.Made() {
		return m.w.mode() == cluster.SyncOff // else the last one binds whoever saw it
	}
	return able && left > p.Quorum
}
