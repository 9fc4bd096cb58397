package sim

import (
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
)

// What has to hold when all faults are over (design, section 4).
const (
	// leaderWithin is what a leader may take beyond ttl.
	leaderWithin = 2 * time.Second
	// comingBack is what the model's agents need before they can begin: a call that was under way when the last fault ended
	// has to time out (3 s), or whoever supervises agents starts one again (5 s).
	comingBack = 5 * time.Second
	// streamingWithin is what all standbys may take after that.
	streamingWithin = 30 * time.Second
	// look is how exactly that is measured.
	look = 50 * time.Millisecond
)

// settle waits until the cluster is well again, and holds the times in which it has to be.
func (w *world) settle() {
	if c := w.store.now.Config; c.Data == nil || c.Settings().Pause {
		// Members keep the last configuration they read, a pause included, and write it where there is none. An operator who
		// ended the pause does so again.
		_ = w.store.putConfig(w.setup.dynamic(), w.store.now.Config.Version)
	}
	for _, m := range w.members {
		if m.life != nil {
			m.life.trap, m.life.losing = "", nil
		}
	}
	led := w.await(comingBack+w.ttl()+leaderWithin, func() bool { return w.leader() != nil })
	if w.broken == nil && !led {
		w.violate("liveness", "nobody leads %v after the last fault; %s", time.Duration(w.now-w.faultsEnd), w.describe())
	}
	well := w.await(streamingWithin, w.well)
	if w.broken == nil && !well {
		w.violate("liveness", "not all stream %v after the last fault; %s", time.Duration(w.now-w.faultsEnd), w.describe())
	}
}

// await turns events until a condition holds, at most for a while.
func (w *world) await(limit time.Duration, reached func() bool) bool {
	for until := w.now + int64(limit); w.now < until && w.broken == nil; {
		if reached() {
			return true
		}
		w.run(w.now + int64(look))
	}
	return reached()
}

// ttl is the longest lease that anybody has or had.
func (w *world) ttl() time.Duration {
	ttl := w.setup.ttl()
	for _, l := range w.store.leases {
		ttl = max(ttl, time.Duration(l.ttl))
	}
	return ttl
}

// well reports whether there is a leader and all others stream from it. Whoever says that a person has to help is helped
// at once.
func (w *world) well() bool {
	leader := w.leader()
	if leader == nil {
		return false
	}
	all := true
	for _, m := range w.members {
		s := &m.server
		if m == leader || m.away {
			continue
		}
		from := s.upstream == leader || s.upstream != nil && s.upstream.name == m.tags.ReplicateFrom()
		if !s.streaming || !from || s.line != leader.server.line {
			all = false
			w.help(m, leader)
		}
	}
	return all
}

// help does what agents ask people for, and what they cannot find out: that a standby followed a leader on a timeline
// whose twin the cluster went on with.
func (w *world) help(m, leader *member) {
	l, s := m.life, &m.server
	if s.data == ha.DataCluster && s.id != leader.server.id && l == nil {
		s.crash() // the data of another database cluster: their owner takes them away
		s.aside()
		return
	}
	if l == nil || len(l.requests) > 0 || l.job.current.Kind == ha.JobReinitialize {
		return
	}
	stuck := s.line != nil && s.line.by != m && s.line.twin(leader.server.line)
	if stuck || strings.Contains(l.snap.reason, "reinitialize this member") {
		l.ask(ha.RequestReinitialize)
	}
}

// describe is the state of the cluster in one sentence.
func (w *world) describe() string {
	var out strings.Builder
	out.WriteString("leader key " + orNobody(w.store.now.Leader.Name))
	for _, m := range w.members {
		out.WriteString("; " + m.name + " ")
		switch {
		case m.off:
			out.WriteString("off")
		case m.life == nil:
			out.WriteString("without agent")
		default:
			out.WriteString(m.life.snap.reason)
		}
	}
	return out.String()
}

func orNobody(name string) string {
	if name == "" {
		return "vacant"
	}
	return name
}
