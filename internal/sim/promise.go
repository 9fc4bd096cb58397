package sim

import (
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// The check of S5 in synchronous modes. A write that a client was told is done, while a promise stood in the sync key, is
// bound: every later primary has it. What ends that is narrow, and forgive is called with it.

// mode is the synchronous_mode of the dynamic configuration, the last one where that was deleted.
func (w *world) mode() cluster.SyncMode {
	if c := &w.store.now.Config; c.Data != nil && c.Version != w.truth.modeOf {
		w.truth.mode, w.truth.modeOf = c.Settings().Sync(), c.Version
	}
	return w.truth.mode
}

// acknowledged is called when a client learns that its write is done, which these standbys were to have first.
func (w *world) acknowledged(s *server, at wal.LSN, names guc.SyncNames) {
	if !w.synchronous() {
		return
	}
	if !names.Empty() {
		w.stats.Synced++
	}
	// In pause a primary goes on without the leader key, and what it takes then is its own.
	if p := &w.store.now.Sync; !p.Made() || w.mode() == cluster.SyncOff || s.host.paused() && w.store.now.Leader.Name != s.host.name {
		return
	}
	if l := s.host.life; l != nil && l.seen.settings.Sync() == cluster.SyncOff {
		return // its leader has not heard yet that the mode is on
	}
	s.line.bound = at
	w.checkGroups(s.line, "a write was acknowledged")
}

// shows is called when clients can see what a crash left behind, acknowledged or not. With synchronous_mode_strict nobody
// may see what can be lost.
func (w *world) shows(s *server) {
	l := s.host.life
	if s.held || s.recovered == 0 || l == nil || !l.strict() || w.mode() == cluster.SyncOff || w.store.now.Sync.Leader != s.host.name {
		return
	}
	s.line.bound = max(s.line.bound, s.recovered)
	w.checkGroups(s.line, "clients see what a crash left")
}

// strict reports whether the agent believes that no commit may be acknowledged without a standby.
func (l *life) strict() bool {
	return l.seen.settings.Sync() != cluster.SyncOff && l.seen.settings.SynchronousStrict
}

// checkGroups holds that by the promise in the sync key no group of members that is large enough for one of them to win
// lacks a bound write: that the promise says no more than is enforced.
func (w *world) checkGroups(l *line, when string) {
	p := &w.store.now.Sync
	if !p.Made() || l.bound <= l.forgiven {
		return
	}
	var lacking []string
	for _, m := range w.members {
		if s := &m.server; !p.Votes(m.name) || s.line == nil || s.line.shared(s.flushed, l) >= l.bound {
			continue
		}
		if m.name == p.Leader {
			w.violate("S5", "%s: the promise lets its leader %s win, which lacks acknowledged writes (%s)", when, m.name, w.promise())
			return
		}
		lacking = append(lacking, m.name)
	}
	if len(lacking) > p.Quorum {
		w.violate("S5", "%s: by the promise %s may win, and lack acknowledged writes (%s)", when, strings.Join(lacking, " and "), w.promise())
	}
}

// promised is called when the sync key was written.
func (w *world) promised() {
	if w.mode() == cluster.SyncOff {
		w.forgive("synchronous_mode is off")
	}
	if f := w.truth.forced; f != nil && w.store.now.Sync.Leader == f.name {
		w.forgive("an operator chose " + f.name + " all the same")
	}
	for _, l := range w.lines {
		w.checkGroups(l, "the promise was written")
	}
}

// checkBound holds that a primary has every bound write.
func (w *world) checkBound(s *server, what string) {
	switch {
	case !w.synchronous():
		return
	case w.mode() == cluster.SyncOff:
		w.forgive("synchronous_mode is off")
	case w.truth.forced == s.host:
		w.forgive("an operator chose " + s.host.name + " all the same")
	}
	for _, l := range w.lines {
		if l.bound > l.forgiven && s.line.shared(s.end, l) < l.bound {
			w.violate("S5", "%s %s without writes that were acknowledged in synchronous mode (%s)", s.host.name, what, w.promise())
		}
	}
}

// checkWithdrawal holds that only where synchronous mode is off the promise is withdrawn.
func (w *world) checkWithdrawal(l *life) {
	if l.seen.settings.Sync() != cluster.SyncOff {
		w.violate("S5", "%s withdraws the promise in synchronous mode", l.host.name)
	}
}

// forces notes that an operator chose a member by a failover where the promise alone does not let it win: it has no part in
// the promise, or it would have had to ask others.
func (w *world) forces(m *member) {
	f, p := &w.store.now.Failover, &w.store.now.Sync
	allowed := p.Leader == m.name || p.Votes(m.name) && p.Quorum == 0
	if w.truth.forced = nil; f.Leader == "" && f.Candidate == m.name && p.Made() && !allowed {
		w.truth.forced = m
	}
}

// forgive lets go of what is bound by now.
func (w *world) forgive(why string) {
	for _, l := range w.lines {
		if l.bound > l.forgiven {
			w.note(nil, "clients", "acknowledged writes may be lost: "+why)
		}
		l.forgiven = l.bound
	}
}

// promise is the sync key in a few words.
func (w *world) promise() string {
	p := &w.store.now.Sync
	if !p.Made() {
		return "there is no promise"
	}
	return "leader " + p.Leader + ", " + count(p.Quorum, "vote") + " of " + strings.Join(p.Voters, ", ")
}

// strong reports whether the promise and whom commits wait for are what the configuration asks for, as far as the members
// allow it.
func (w *world) strong() bool {
	leader := w.leader()
	if leader == nil || w.store.now.Config.Data == nil {
		return false
	}
	p, names, settings := &w.store.now.Sync, leader.server.names, w.store.now.Config.Settings()
	able, others := w.eligible(leader)
	eligible := able + others
	n := min(settings.SynchronousNodes, eligible)
	wanted, votes := n, 0
	switch settings.Sync() {
	case cluster.SyncOff:
		return !p.Made() && names.Empty()
	case cluster.SyncQuorum:
		// Who never leads is only to make up the number.
		wanted = max(able, n)
		votes = wanted - n
	case cluster.SyncOn:
	}
	if wanted == 0 && settings.SynchronousStrict {
		return p.Leader == leader.name && !names.Empty() // for whoever it was
	}
	if p.Leader != leader.name || len(p.Voters) != wanted || p.Quorum != votes {
		return false
	}
	if wanted == 0 {
		return names.Empty()
	}
	return len(names.Names) == wanted && names.Num == n && names.Any == (settings.Sync() == cluster.SyncQuorum)
}

// eligible is how many members can be synchronous standbys of a leader, and how many more that could never lead.
func (w *world) eligible(leader *member) (able, others int) {
	for _, m := range w.members {
		s := &m.server
		switch {
		case m == leader || !s.streaming || s.upstream != leader || m.tags.NoSync():
		case m.tags.NoFailover():
			others++
		default:
			able++
		}
	}
	return able, others
}
