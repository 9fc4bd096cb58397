package sim

import (
	"maps"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// askPeers asks the named members at once and keeps their answers.
func (l *life) askPeers(t *task, names []string) {
	q := &question{t: t, token: t.token, answers: map[string]ha.Peer{}, limit: l.w.now + l.host.clock.global(askTimeout)}
	for _, name := range names {
		if _, known := l.seen.cluster.Member(name); !known {
			continue
		}
		if m := l.w.member(name); m != nil {
			q.open++
			l.askPeer(q, m)
		}
	}
	if q.open > 0 {
		t.park()
	}
	now := l.now()
	for _, name := range names {
		if _, known := l.seen.cluster.Member(name); !known {
			continue
		}
		if _, answered := q.answers[name]; !answered {
			q.answers[name] = ha.Peer{At: now}
		}
	}
	// The view holds the old map; it must not change under it.
	asked := maps.Clone(l.asked)
	maps.Copy(asked, q.answers)
	l.asked = asked
}

// question is one to several members.
type question struct {
	t       *task
	token   uint32
	open    int
	limit   int64
	timed   bool
	answers map[string]ha.Peer
}

// silence ends the question when the time is over, unless all have answered.
func (q *question) silence() {
	if !q.timed {
		q.timed = true
		q.t.w.queue.push(event{at: max(q.limit, q.t.w.now), task: q.t, token: q.token})
	}
}

func (q *question) answer(name string, p ha.Peer) {
	if q.t.token != q.token || q.t.done {
		return
	}
	q.answers[name] = p
	if q.open--; q.open == 0 {
		q.t.resume(q.token)
	}
}

// askPeer sends the question to one member.
func (l *life) askPeer(q *question, m *member) {
	w := l.w
	if !w.net.passes(l.host.node, m.node) {
		q.silence()
		return
	}
	w.at(w.now+w.net.latency(l.host.node, m.node), func() {
		switch {
		case m.life == nil && !w.net.passes(m.node, l.host.node), m.life != nil && m.life.frozen > 0:
			q.silence()
		case m.life == nil: // nobody listens there
			w.at(w.now+w.net.latency(m.node, l.host.node), func() { q.answer(m.name, ha.Peer{At: l.now()}) })
		default:
			w.at(w.now+int64(lookTime), func() { m.reply(l, q) })
		}
	})
}

// reply is the answer of a member's REST API about its server at this moment.
func (m *member) reply(to *life, q *question) {
	w := m.w
	s := &m.server
	if m.life == nil || m.life.frozen > 0 || s.process == ha.Running && !s.answers() || !w.net.passes(m.node, to.host.node) {
		q.silence() // a server that does not answer takes longer than the question lasts
		return
	}
	p := ha.Peer{Reached: true, NoFailover: m.tags.NoFailover(), Priority: m.tags.FailoverPriority(), Declines: m.life.now().Before(m.life.mem.NoRaceUntil)}
	if st := s.look(); st.answers {
		p.InRecovery, p.State, p.Timeline, p.Position = st.inRecovery, cluster.StateRunning, st.timeline, st.position
	} else {
		m.life.snap.tell(&p, s.process)
	}
	w.at(w.now+w.net.latency(m.node, to.host.node), func() {
		p.At = to.now()
		q.answer(m.name, p)
	})
}

// askUpstream asks a member's server for its timeline and where that came from.
func (l *life) askUpstream(t *task, name string) {
	u := ha.Upstream{Member: name}
	if s := l.reach(t, name, upstreamTimeout); s != nil {
		u.Reached, u.SystemID, u.InRecovery, u.Timeline, u.History = true, s.id, s.recovery, s.line.number, s.line.past
	}
	u.At = l.now()
	l.upstream = u
}

// reach waits until another server answers, at most for a while; nil when it does not.
func (l *life) reach(t *task, name string, within time.Duration) *server {
	m := l.w.member(name)
	if m == nil {
		return nil
	}
	if _, known := l.seen.cluster.Member(name); !known {
		return nil
	}
	if !l.w.net.open(l.host.node, m.node) || m.server.frozen > 0 || m.server.silent > 0 {
		t.sleep(within)
		return nil
	}
	t.sleep(time.Duration(l.w.net.latency(l.host.node, m.node) + l.w.net.latency(m.node, l.host.node)))
	if s := &m.server; s.answers() && l.w.net.open(l.host.node, m.node) {
		return s
	}
	return nil
}
