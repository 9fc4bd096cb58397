package sim

import (
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// Violation is a rule that was broken.
type Violation struct {
	// Rule is its name in the design: S1 to S9, or "liveness".
	Rule string
	At   time.Duration
	Text string
}

// String is the rule, when it was broken, and how.
func (v *Violation) String() string { return fmt.Sprintf("%s at %v: %s", v.Rule, v.At, v.Text) }

// truth is what nobody inside the world knows as a whole.
type truth struct {
	// writers is how many servers accept writes.
	writers int
	// twins: a promotion was cut off before it could say so, so another timeline of its number may exist.
	twins bool
	// first is who led when the faults began.
	first *member
	// asked is whom an operator last named as the next leader.
	asked string
	// led is the last member that had the leader key.
	led *member
	// mode is the last synchronous_mode that was known, of the configuration of that version. forced is who took the lead
	// because an operator chose it and not by the promise.
	mode   cluster.SyncMode
	modeOf cluster.Version
	forced *member
	// changes counts how often another member than before took the leader key.
	changes int
}

func (w *world) violate(rule, format string, args ...any) {
	if w.broken != nil {
		return
	}
	w.broken = &Violation{Rule: rule, At: time.Duration(w.now), Text: fmt.Sprintf(format, args...)}
	w.note(nil, "rule", w.broken.String())
}

// audit looks at what holds at this instant: no two servers accept writes (S1).
func (w *world) audit() {
	var writer *member
	w.truth.writers = 0
	for _, m := range w.members {
		if !m.server.writes() || m.paused() {
			continue
		}
		w.truth.writers++
		if writer != nil {
			w.violate("S1", "%s and %s accept writes at once", writer.name, m.name)
		}
		writer = m
	}
	if f := w.truth.first; f != nil && w.setup.Mild && f.server.process != ha.Running {
		w.violate("S2", "%s is stopped, though no fault lasted as long as a lease", f.name)
	}
	if w.tracing {
		w.trace.sample(w)
	}
}

// pass lets time go by. Whatever held until then held all the way: a server that accepts writes needs a deadline beyond
// it (S1), and a deadline may not lie beyond what the store keeps (S2).
func (w *world) pass(to int64) {
	w.now = to
	if w.truth.writers == 0 {
		return
	}
	for _, m := range w.members {
		if !m.server.writes() || m.paused() {
			continue
		}
		if w.authority(m) < to {
			w.violate("S1", "%s accepts writes although the lease of its agent has ended", m.name)
		}
		if holder := w.store.now.Leader.Name; holder != m.name && !w.excused(m) {
			w.violate("S1", "%s accepts writes while the leader key is %q's", m.name, holder)
		}
	}
}

// excused reports whether a member may have a primary without the leader key: the documents were deleted, or all others
// left it to this one while the store is silent.
func (w *world) excused(m *member) bool {
	return w.store.recent() || m.life != nil && m.clock.instant(m.life.consented()) >= w.now || m.guard.consented >= w.now
}

// authority is the instant until which a member's server may accept writes: the end of its agent's lease, on the agent's
// clock, the one that its guard keeps in mind, or when its watchdog resets the host.
func (w *world) authority(m *member) int64 {
	until := m.guard.ends
	if l := m.life; l != nil && l.leads() {
		until = max(until, m.clock.instant(l.writeDeadline(false)))
	}
	if m.watchdog.active {
		until = max(until, m.watchdog.ends)
	}
	return until
}

// afterPause is how long a member may take from the moment it sees the end of a pause until it has either its server
// under a lease again or begun to stop it.
const afterPause = int64(10 * time.Second)

// seesPause notes what a member read.
func (m *member) seesPause(pause bool) {
	switch {
	case pause:
		m.inPause, m.resumes = true, 0
	case m.inPause && m.resumes == 0:
		m.resumes = m.w.now + afterPause
	}
}

// paused reports whether a member goes by a picture in which the cluster is in pause: then its server runs as it is.
func (m *member) paused() bool {
	if m.inPause && m.resumes != 0 && m.w.now > m.resumes {
		m.inPause = false
	}
	return m.inPause
}

// checkLease holds that an agent never believes in its lease for longer than the store keeps it (S2). Drift is what the
// margin is for.
func (w *world) checkLease(l *life) {
	kept := w.store.leases[l.lease.id]
	if kept == nil || l.lease.id == 0 {
		return
	}
	drift := int64(l.lease.ttl) * int64(w.setup.Drift+100) / 1_000_000
	if w.now < kept.ends && l.host.clock.instant(l.current().deadline) > kept.ends+drift {
		w.violate("S2", "%s believes in its lease until %v, the store keeps it until %v", l.host.name,
			time.Duration(l.host.clock.instant(l.current().deadline)), time.Duration(kept.ends))
	}
}

// checkPause holds that in pause no server is stopped or promoted that nobody asked for.
func (w *world) checkPause(l *life, v *ha.View, job ha.Job) {
	harms := job.Kind == ha.JobStop || job.Kind == ha.JobPromote
	if harms && l.seen.settings.Pause && !l.seen.cluster.Failover.Requested() && job.Request == 0 && !v.Leaving {
		w.violate("pause", "%s begins a job in pause that nobody asked for: %s", l.host.name, job)
	}
}

// checkLead holds that a server begins to accept writes only while its member has the leader key, or the word of all
// others that they leave it to this one (S4).
func (w *world) checkLead(s *server, what string) {
	if w.store.now.Leader.Name != s.host.name && !w.store.recent() && !s.host.paused() && w.authority(s.host) < w.now {
		w.violate("S4", "%s %s while the leader key is %q's", s.host.name, what, w.store.now.Leader.Name)
	}
}

// checkPromotion holds the rest of rule S4: the right database cluster, and no older timeline.
func (w *world) checkPromotion(s *server, before *line) {
	if id := w.store.now.Initialize; id.Known() && id.SystemID != s.id && !w.store.recent() {
		w.violate("S4", "%s is promoted with the system identifier %s of another cluster", s.host.name, s.id)
	}
	if tl := w.store.now.Timeline(); before.number < tl && !s.host.paused() {
		w.violate("S4", "%s is promoted from timeline %d, the cluster is on %d", s.host.name, before.number, tl)
	}
}

// checkLaunch holds that a directory has one postmaster, and of the right cluster (S6).
func (w *world) checkLaunch(s *server) {
	if s.process != ha.Stopped {
		w.violate("S6", "%s gets a second postmaster on its data directory", s.host.name)
	}
	if s.data != ha.DataCluster {
		w.violate("S6", "%s is started on what is no database cluster", s.host.name)
	}
	// An agent that never read which database cluster this is may start its server as a standby all the same.
	known := s.host.life != nil && s.host.life.seen.cluster.Initialize.Known()
	if id := w.store.now.Initialize; id.Known() && id.SystemID != s.id && known && !w.store.recent() {
		w.violate("S6", "%s is started on the data of database cluster %s, this is %s", s.host.name, s.id, id.SystemID)
	}
}

// removed deletes a data directory, which somebody must have asked for (S6).
func (w *world) removed(s *server, job ha.Job) {
	if s.data == ha.DataCluster && job.Request == 0 {
		w.violate("S6", "the data directory of %s is deleted although nobody asked for it", s.host.name)
	}
	s.aside()
	w.note(s.host, "server", "has its data removed")
}

// checkTwin finds a standby that follows a timeline which has only the number of its own (see package ha, twin.go). One
// that streamed from a leader which was cut off before it could say which timeline it began cannot know.
func (w *world) checkTwin(s, u *server) {
	point := wal.Point{Timeline: s.line.number, LSN: s.end}
	looks := s.end <= u.end && wal.Relate(point, u.line.number, u.line.past) == wal.Ancestor
	if looks && s.line.twin(u.line) && (s.line.by == s.host || !w.truth.twins) {
		w.violate("S4", "%s streams from %s, whose timeline %d is only of the same number", s.host.name, u.host.name, s.line.number)
	}
}

// checkLeaderWrite holds that the leader key is never written without a compare, nor over another member's name (S8).
func (w *world) checkLeaderWrite(m *member, old cluster.Version, compare bool) {
	holder := w.store.now.Leader
	switch {
	case !compare:
		w.violate("S8", "%s writes the leader key without a compare", m.name)
	case old != 0 && holder.Version == old && holder.Name != m.name:
		w.violate("S8", "%s takes the leader key from %s", m.name, holder.Name)
	}
}

// checkRepeated holds that after a write of the leader key whose answer was lost, the key is read before it is written (S8).
func (w *world) checkRepeated(l *life) {
	if l.unread["leader"] {
		w.violate("S8", "%s writes the leader key again without reading what became of its last write", l.host.name)
	}
}

// acquired is called when a member gets the leader key.
func (w *world) acquired(m *member, vacant bool) {
	if w.truth.led != m {
		w.truth.changes++
		if w.setup.Mild && w.truth.led != nil {
			w.violate("liveness", "%s takes the lead from %s, though no fault lasted as long as a lease", m.name, w.truth.led.name)
		}
	}
	if vacant {
		w.forces(m)
	}
	if vacant && m.server.recovery {
		w.checkRace(m)
	}
	if m.tags.NoFailover() && vacant {
		w.violate("S4", "%s takes the lead although it is tagged nofailover", m.name)
	}
	w.truth.led = m
}

// checkRace holds what asynchronous replication promises of a failover (S5): the winner is within the lag limit of the
// last position that the leader made known, and nobody whom it could have asked has more.
func (w *world) checkRace(m *member) {
	c, s := &w.store.now, &m.server
	if c.Failover.Candidate == m.name || !c.Initialize.Known() {
		return
	}
	if lag := s.end.Behind(c.Status.Optime); lag > uint64(w.setup.MaximumLag) { //nolint:gosec // never negative
		w.violate("S5", "%s takes the lead %d bytes behind the last leader, the limit is %d", m.name, lag, w.setup.MaximumLag)
	}
	for _, o := range w.members {
		if p := &c.Sync; p.Made() && !p.Votes(o.name) {
			continue // it may have more than what was acknowledged, and must not lead
		}
		if o != m && w.askable(m, o) && o.server.line == s.line && o.server.end > s.end {
			w.violate("S5", "%s takes the lead with %d bytes less than %s, whom it could have asked", m.name, o.server.end-s.end, o.name)
		}
	}
}

// askable reports whether a member could have told another one for a while that it is a standby in good health.
func (w *world) askable(m, o *member) bool {
	const while = int64(3 * time.Second)
	s := &o.server
	if _, listed := w.store.now.Member(o.name); !listed {
		return false
	}
	return w.net.open(m.node, o.node) && w.now-m.linked[o.node] > while && w.net.delay[m.node]+w.net.delay[o.node] == 0 &&
		o.life != nil && o.life.frozen == 0 && w.now-max(o.life.born, o.life.thawed) > while && s.answers() && s.unreadable == 0 && s.recovery && !o.tags.NoFailover() &&
		w.now-s.since > while && w.now-s.ends > while
}

// handedOver reports whether somebody has received everything when a leader decides to give up its key, where that is a
// planned handover (S5).
func (w *world) handedOver(l *life, a ha.ReleaseLeader) bool {
	s := &l.host.server
	if a.Optime == 0 || l.leaving || s.line == nil || s.writes() {
		return true
	}
	w.stats.Switchovers++
	for _, m := range w.members {
		if m.emptied != 0 && w.now-m.emptied < int64(10*time.Second) {
			return true // it may have said so before it lost its data
		}
		o := &m.server
		if o != s && o.line == s.line && o.line.beyond(o.end) == 0 {
			return true
		}
		if o.line != nil && o.line.number == s.line.number && o.line.twin(s.line) {
			return true // on the same timeline and with more, as far as anybody can tell
		}
	}
	return false
}

// promoted is called when a server accepts writes on a new timeline.
func (w *world) promoted(s *server, before *line) {
	w.lines = append(w.lines, s.line)
	w.note(s.host, "server", fmt.Sprintf("accepts writes on timeline %d", s.line.number))
	w.checkLead(s, "is promoted")
	w.checkPromotion(s, before)
	w.checkBound(s, "is promoted")
	for _, l := range w.lines {
		if len(l.acked) == 0 {
			continue
		}
		if gone := l.beyond(s.line.shared(s.end, l)); gone > l.lost {
			w.stats.Lost += gone - l.lost
			if w.setup.Planned {
				w.violate("S5", "%d acknowledged writes are lost in a switchover", gone-l.lost)
			}
			w.note(nil, "clients", fmt.Sprintf("lost %d acknowledged writes", gone-l.lost))
			l.lost = gone
		}
	}
	for _, l := range w.lines {
		if l != s.line && l.number == s.line.number {
			w.truth.twins = true
		}
	}
}
