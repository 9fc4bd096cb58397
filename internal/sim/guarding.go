package sim

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
)

// guarding is what the guard was told (rule S3), as in package agent.
type guarding struct {
	told, armed bool
	deadline    time.Time
}

const guardTimeout = time.Second

// order is until when the guard is to let the server accept writes; the bool is false while this member has no right to
// a primary that would end by itself.
func (l *life) order() (time.Time, bool) {
	leader := &l.seen.cluster.Leader
	if l.seen.settings.Pause || l.lease.id == 0 || leader.Name != l.host.name || leader.Lease != l.lease.id {
		return time.Time{}, false
	}
	return l.writeDeadline(false), true
}

// writeDeadline is when somebody else may win.
func (l *life) writeDeadline(fresh bool) time.Time {
	deadline := l.current().deadline
	if until := l.consented(); !fresh && until.After(deadline) {
		deadline = until
	}
	return l.bounded(deadline)
}

// keepGuard tells the guard what the last look at the server means for it.
func (l *life) keepGuard(t *task, v *ha.View, st *seenServer, making bool) {
	switch {
	case v.Settings.Pause:
		l.disarm(t)
	case making || st.comesUpAsPrimary():
		l.prolong(t)
	case st.unreadable:
		// Nobody knows what runs there: what may, has a right to it no longer than the lease lasts.
		l.prolong(t)
	case !l.guarding.told && v.Cluster.Leader.Name == l.host.name && st.process != ha.Stopped:
		// The earlier life may have told this standby to promote. Its order stands until it is clear who leads.
	case v.Job.Kind == "" && (v.Ended == nil || st.process == ha.Stopped):
		l.disarm(t)
	}
}

// forestall has the guard go by the lease that the leader key is about to be moved to, if that ends earlier.
func (l *life) forestall(t *task) {
	if lease := l.current(); l.guarding.armed && lease.deadline.Before(l.guarding.deadline) {
		l.arm(t, lease.deadline)
	}
}

// renewed tells the guard at once that the deadline has moved.
func (l *life) renewed(t *task) {
	if l.guarding.armed {
		l.prolong(t)
	}
}

// prolong arms the guard by the deadline in force unless it goes by that already.
func (l *life) prolong(t *task) {
	deadline, ok := l.order()
	if ok && (!l.guarding.armed || !l.guarding.deadline.Equal(deadline)) {
		l.arm(t, deadline)
	}
}

// arm gives the guard an order, and reports whether that confirmed it.
func (l *life) arm(t *task, deadline time.Time) bool {
	l.guarding = guarding{told: true, armed: true}
	l.host.guard.arm(deadline, l.margin()/2)
	l.host.guard.consented = 0
	if deadline.After(l.current().deadline) {
		l.host.guard.consented = l.host.guard.ends
	}
	if !l.host.guard.confirms(t) {
		return false
	}
	l.guarding.deadline = deadline
	return true
}

// disarm takes the order back. It is said once in every life.
func (l *life) disarm(t *task) {
	if l.guarding.told && !l.guarding.armed {
		return
	}
	l.host.guard.disarm()
	if l.host.guard.confirms(t) {
		l.guarding = guarding{told: true}
	}
}

// comesUpAsPrimary reports whether the server accepts writes, or will once it is up.
func (st *seenServer) comesUpAsPrimary() bool {
	switch {
	case st.process == ha.Stopped:
		return false
	case st.answers:
		return !st.inRecovery
	}
	return !st.marked
}

func makesPrimary(j ha.Job) bool { return j.Kind == ha.JobPromote || j.Primary }

// guard is the model of the process that stops a server which may accept writes when its agent lets a deadline pass. Its
// clock does not stand while the machine is suspended.
type guard struct {
	host   *member
	dead   bool
	frozen int
	// act is the instant at which it acts, ends that of the deadline; zero when it is not armed.
	act, ends int64
	// barred: it has acted, and stops every server that comes up before a new order.
	barred bool
	// consented is until when the order in force counts on the word of all members instead of the lease.
	consented int64
	// planned is the instant of the next look; zero when none is planned.
	planned int64
}

// arm gives an order. One that is in the past makes it act at once.
func (g *guard) arm(deadline time.Time, before time.Duration) {
	g.ends = g.host.clock.instant(deadline)
	if g.host.w.bend.guardLate {
		before = 0
	}
	g.act = g.host.clock.instant(deadline.Add(-before))
	g.barred = false
	g.plan()
}

func (g *guard) disarm() { g.act, g.ends, g.barred = 0, 0, false }

// confirms waits until the guard has taken the order in. What a frozen one does not confirm it finds when it goes on.
func (g *guard) confirms(t *task) bool {
	if g.frozen > 0 {
		t.sleep(guardTimeout)
	}
	return g.frozen == 0
}

// plan makes sure that the guard looks when its time comes. A look that is planned already will do, unless it is too late.
func (g *guard) plan() {
	if g.planned == 0 || g.act < g.planned {
		g.planned = g.act
		g.host.w.at(g.act, g.look)
	}
}

// look acts, when it is time: softly at first, by force when half of the time until the deadline is over.
func (g *guard) look() {
	g.planned = 0
	w := g.host.w
	switch {
	case g.act == 0 || g.dead || g.frozen > 0 || w.bend.guardOff:
	case w.now < g.act:
		g.plan()
	default:
		g.stop()
	}
}

func (g *guard) stop() {
	w, s := g.host.w, &g.host.server
	half := (g.ends - g.act) / 2
	late := w.now > g.act+half
	g.act, g.barred = 0, true
	if s.process == ha.Stopped {
		return
	}
	w.note(g.host, "guard", "stops the server: the deadline passed without news from the agent")
	w.stats.Guarded++
	if late {
		s.crash()
		return
	}
	incarnation := s.incarnation
	s.shutDown()
	w.at(w.now+half, func() {
		if s.incarnation == incarnation {
			s.crash()
		}
	})
}

// bars stops a server that comes up although its time is over.
func (g *guard) bars(s *server) {
	if g.barred && !g.dead && g.frozen == 0 && !g.host.w.bend.guardOff {
		s.later(startTime/2, func() {
			if g.barred {
				g.host.w.note(g.host, "guard", "stops a server that comes up after the deadline")
				s.crash()
			}
		})
	}
}

// thaw lets a frozen guard look at once.
func (g *guard) thaw() {
	if g.frozen > 0 {
		g.frozen--
	}
	if g.act != 0 {
		g.look()
	}
}

// die is the end of the guard's process. The agent makes another one and gives it the order that was in force.
func (g *guard) die() {
	w, m := g.host.w, g.host
	// Against the end of both at once there is no defence but a watchdog.
	if l := m.life; g.dead || !w.setup.Watchdog && m.server.process != ha.Stopped && (l == nil || l.frozen > 0 || !l.guarding.armed) {
		return
	}
	g.dead = true
	w.at(w.now+int64(20*time.Millisecond), g.revive)
}

// revive is the next process, which an agent makes that runs.
func (g *guard) revive() {
	w, l := g.host.w, g.host.life
	if w.setup.Watchdog && (l == nil || l.frozen > 0) {
		w.at(w.now+int64(100*time.Millisecond), g.revive)
		return
	}
	if g.dead = false; g.act != 0 {
		g.plan()
	}
}
