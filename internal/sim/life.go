package sim

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// life is one run of an agent, from its start to its end: what package agent's Agent and dcs.Store hold.
type life struct {
	w    *world
	host *member
	loop *task
	job  jobSlot
	// born is the instant at which it began, thawed that at which it last went on after it was frozen.
	born, thawed int64

	mem      ha.Memory
	outcomes []ha.Outcome
	seen     picture
	asked    map[string]ha.Peer
	upstream ha.Upstream
	told     announcement
	last     lastServer
	requests []openRequest
	numbers  int
	leaving  bool
	snap     snapshot

	failsafe failsafe
	guarding guarding

	lease leaseState
	// statusKnown and so on are the versions of documents that are written only when they change.
	statusKnown, failsafeKnown cluster.Version
	ownKnown                   cluster.Member

	// sleeping is true while the loop waits for the next tick, woken once something happened.
	sleeping, woken bool
	// frozen counts what keeps the agent from running; held are the events it missed.
	frozen int
	held   []heldEvent
	// traps are actions before which the agent freezes.
	trap    string
	trapFor time.Duration
	// losing are faults of the next writes, by key.
	losing []writeFault
	// unread are keys whose last write had no answer and which were not read since.
	unread map[string]bool
	// dead is true once the life is over.
	dead bool
	why  string
}

type heldEvent struct {
	task  *task
	token uint32
}

// leaseState is the agent's own lease as it knows it.
type leaseState struct {
	id                int64
	ttl               time.Duration
	renewed, deadline time.Time
	// asleep is how long the machine had been suspended by then.
	asleep int64
}

// current is the lease as it stands: the store has counted the time that the machine was suspended since.
func (l *life) current() leaseState {
	lease := l.lease
	if gone := time.Duration(l.host.clock.stood - lease.asleep); gone > 0 {
		lease.renewed, lease.deadline = lease.renewed.Add(-gone), lease.deadline.Add(-gone)
	}
	return lease
}

// picture is the last shared picture that could be read.
type picture struct {
	cluster cluster.Cluster
	at      time.Time
	// blind is true while the last try to read it failed.
	blind bool
	// data is the last dynamic configuration that was one, settings what it says.
	data     map[string]any
	settings cluster.Settings
	version  cluster.Version
}

func newLife(m *member) *life {
	l := &life{w: m.w, host: m, born: m.w.now, asked: map[string]ha.Peer{}, unread: map[string]bool{}}
	l.seen.data = m.w.setup.dynamic()
	l.seen.settings = cluster.Config{Data: l.seen.data}.Settings()
	l.snap = snapshot{state: cluster.StateUnknown, role: cluster.RoleUninitialized}
	return l
}

// now is the member's own time.
func (l *life) now() time.Time { return l.host.clock.local(l.w.now) }

// end is the end of all tasks.
func (l *life) end() {
	l.dead = true
	if l.host.life == l {
		l.host.life = nil
	}
	if l.host.server.waiting != nil && l.host.server.waiting.life == l {
		l.host.server.waiting = nil
	}
	if l.job.task != nil {
		l.job.task.kill()
	}
	if !l.loop.running {
		l.loop.kill()
	}
}

// maxAgain bounds how often a tick may follow the last one at once, as in package agent.
const maxAgain = 20

// run is the loop.
func (l *life) run(t *task) {
	if l.w.bend.keepAlive {
		l.keepAlive()
	}
	t.sleep(time.Duration(20+l.w.rng.IntN(100)) * time.Millisecond) // a process takes a while to begin
	_ = l.call(t, "", dcsTimeout, func() error { return nil })      // and looks whether it is the only one of its name
	again := 0
	for {
		began := l.now()
		d := l.tick(t, began)
		if exits(d) {
			l.ended()
			return
		}
		if d.Again && again < maxAgain {
			again++
			continue
		}
		again = 0
		l.sleep(t, d, began)
	}
}

// ended is an end that the agent decided on itself; a supervisor starts it again.
func (l *life) ended() {
	l.w.note(l.host, "agent", "ends")
	m := l.host
	l.end()
	switch {
	case !l.leaving:
		m.restart(time.Second + time.Duration(l.w.rng.Int64N(int64(4*time.Second))))
	case m.respawn <= l.w.now:
		m.restart(100 * time.Millisecond)
	default:
		m.w.at(m.respawn, m.start)
	}
}

func exits(d ha.Decision) bool {
	for _, action := range d.Do {
		if _, ok := action.(ha.Exit); ok {
			return true
		}
	}
	return false
}

func (l *life) sleep(t *task, d ha.Decision, began time.Time) {
	if d.Again {
		d.Wake = time.Second
	}
	wait := l.seen.settings.LoopWait
	if l.renewalLost() {
		wait = min(wait, time.Second)
	}
	if d.Wake > 0 {
		wait = min(wait, d.Wake)
	}
	wait -= l.now().Sub(began)
	if !l.woken && wait > 0 {
		l.sleeping = true
		t.sleep(wait)
		l.sleeping = false
	}
	l.woken = false
}

// renewalLost reports whether the renewal of this tick had no answer.
func (l *life) renewalLost() bool {
	for _, o := range l.outcomes {
		if _, renewal := o.Action.(ha.RenewLease); renewal && o.Result == ha.Unknown {
			return true
		}
	}
	return false
}

// wakeAfter makes the loop turn soon.
func (l *life) wakeAfter(after int64) {
	l.w.at(l.w.now+after, l.wake)
}

func (l *life) wake() {
	if l.dead {
		return
	}
	if l.woken = true; l.sleeping && l.frozen == 0 {
		l.sleeping = false
		l.loop.resume(l.loop.token)
	} else if l.sleeping {
		l.held = append(l.held, heldEvent{l.loop, l.loop.token})
	}
}

func (l *life) tick(t *task, now time.Time) ha.Decision {
	v := l.observe(t, now)
	l.w.bend.bendView(l, &v)
	mem, d := ha.Next(l.mem, v)
	l.w.bend.bendDecision(l, &v, &mem, &d)
	l.w.decided(l, &v, &d)
	l.mem = mem
	l.springTrap(t, d)
	l.outcomes = l.act(t, &v, d)
	l.publish(t, &v, d)
	return d
}

// springTrap freezes the agent between a decision and what it decided.
func (l *life) springTrap(t *task, d ha.Decision) {
	if l.trap == "" {
		return
	}
	for _, action := range d.Do {
		if actionWord(action) == l.trap {
			l.w.note(l.host, "fault", "the agent freezes before it carries out: "+action.String())
			l.trap = ""
			l.host.needGuard()
			l.freeze()
			l.w.faultsEnd = max(l.w.faultsEnd, l.w.now+int64(l.trapFor))
			l.w.at(l.w.now+int64(l.trapFor), func() {
				if !l.dead {
					l.w.note(l.host, "fault", "the agent goes on")
					l.thaw()
				}
			})
			t.sleep(0)
			return
		}
	}
}

// keepAlive renews the lease beside the loop, which only a mutant does.
func (l *life) keepAlive() {
	if l.dead {
		return
	}
	w, node := l.w, l.host.node
	if w.net.open(node, storeNode) && w.store.down == 0 && l.lease.id != 0 && w.store.renew(l.lease.id) == nil {
		l.lease.renewed, l.lease.deadline, l.lease.asleep = l.now(), l.now().Add(l.lease.ttl), l.host.clock.stood
	}
	w.at(w.now+int64(time.Second), l.keepAlive)
}
