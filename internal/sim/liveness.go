package sim

import (
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
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
	// strongWithin is what the promise of S5 may take then to be what the configuration asks for.
	strongWithin = 30 * time.Second
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
	led := w.leads()
	for last := int64(0); !led && w.faultsEnd > max(last, w.now-int64(w.ttl())); led = w.leads() {
		last = w.faultsEnd // a watchdog has reset a host meanwhile
	}
	if w.broken == nil && !led {
		w.violate("liveness", "nobody leads %v after the last fault; %s", time.Duration(w.now-w.faultsEnd), w.describe())
	}
	well := w.await(streamingWithin, w.well)
	if w.broken == nil && !well {
		w.violate("liveness", "not all stream %v after the last fault; %s", time.Duration(w.now-w.faultsEnd), w.describe())
	}
	w.settleSync()
}

// settleSync holds that after all that synchronous standbys are what the configuration asks for, and writes are taken.
func (w *world) settleSync() {
	if w.broken != nil || !w.synchronous() {
		return
	}
	began := w.now
	if strong := w.await(strongWithin, w.strong); !strong && w.broken == nil {
		leader := w.leader()
		w.violate("liveness", "synchronous standbys are not as they shall be: %s, commits wait for '%s'; %s", w.promise(), leader.server.names, w.describe())
	}
	taken := func() bool { return w.clients.unanswered > began }
	if !w.await(strongWithin, taken) && w.broken == nil && !w.unwritable() {
		w.violate("liveness", "no write is taken for %v; %s; %s", time.Duration(w.now-w.clients.unanswered), w.promise(), w.describe())
	}
}

// unwritable reports whether commits wait for standbys because there is none, as synchronous_mode_strict asks for.
func (w *world) unwritable() bool {
	leader := w.leader()
	if leader == nil || !w.store.now.Config.Settings().SynchronousStrict {
		return false
	}
	able, others := w.eligible(leader)
	return able+others == 0
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

// leads waits until somebody leads, for as long as that may take.
func (w *world) leads() bool {
	return w.await(comingBack+w.ttl()+leaderWithin, func() bool {
		w.choose()
		return w.leader() != nil
	})
}

// choose is what an operator does where nobody is left who may win, by the promise and by maximum_lag_on_failover, because
// data are lost: a failover to a member that may lack some writes.
func (w *world) choose() {
	p, f, left, able := &w.store.now.Sync, w.store.now.Failover, 0, false
	if !p.Made() || w.store.now.Leader.Name != "" {
		return
	}
	var chosen *member
	for _, m := range w.members {
		id := w.store.now.Initialize
		switch with := m.server.data == ha.DataCluster && (!id.Known() || m.server.id == id.SystemID); {
		case with && p.Leader == m.name:
			return
		case !with:
		case p.Votes(m.name):
			left++
			able = able || m.mayLead()
		}
		if m.server.answers() && !m.tags.NoFailover() && m.server.line.number >= w.store.now.Timeline() {
			chosen = m
		}
	}
	if able && left > p.Quorum || chosen == nil || f.Candidate == chosen.name && f.Leader == "" {
		return
	}
	_ = w.store.putFailover(cluster.Failover{Candidate: chosen.name}, f.Version)
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
