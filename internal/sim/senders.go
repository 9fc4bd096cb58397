package sim

import (
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// flushTime is about how long a standby's disk takes to make safe what was received.
const flushTime = 4 * time.Millisecond

// sender is the process of a server that streams WAL to one standby, with what it last heard from there.
type sender struct {
	to *member
	// incarnation is that of the standby's server whose connection this is.
	incarnation   int
	sent, flushed wal.LSN
	// names is whom commits wait for, as this process goes by it; reload counts the values that it has read.
	names  guc.SyncNames
	reload int
	// lost is the instant from which nothing was heard, because the standby or the network stands still; zero while
	// all is well.
	lost int64
}

// stream notes that a standby received what its upstream had, and makes it safe a moment later.
func (s *server) stream(u *server, before wal.LSN) {
	if !s.w.synchronous() {
		return
	}
	s.flushed = min(before, s.end)
	x := u.sender(s.host)
	if x == nil || x.incarnation != s.incarnation {
		u.hangUp(s.host)
		x = &sender{to: s.host, incarnation: s.incarnation, names: u.names, reload: u.reload}
		u.senders = append(u.senders, x)
		s.reply()
	}
	x.sent = u.end
	s.flush()
}

// flush makes what was received safe, one write after the other.
func (s *server) flush() {
	if s.flushing || s.flushed == s.end {
		return
	}
	to := s.end
	s.flushing = true
	s.later(s.takes(flushTime), func() {
		s.flushing = false
		s.flushed = max(s.flushed, min(to, s.end))
		s.reply()
		s.flush()
	})
}

// reply tells the upstream how far the WAL is safe here.
func (s *server) reply() {
	m := s.upstream
	if m == nil || !s.w.net.passes(s.host.node, m.node) {
		return
	}
	u, from, at := &m.server, s.incarnation, s.flushed
	u.later(time.Duration(s.w.net.latency(s.host.node, m.node)), func() {
		x := u.sender(s.host)
		if x == nil || x.incarnation != from || !s.w.net.passes(s.host.node, m.node) {
			return
		}
		x.flushed = max(x.flushed, at)
		u.release(x)
	})
}

// sender is the process that streams to a member; nil when there is none.
func (s *server) sender(to *member) *sender {
	for _, x := range s.senders {
		if x.to == to {
			return x
		}
	}
	return nil
}

func (s *server) hangUp(to *member) {
	s.senders = slices.DeleteFunc(s.senders, func(x *sender) bool { return x.to == to })
}

// listen ends the senders whose standby is known to be gone. One that nobody can hear stays until wal_sender_timeout.
func (s *server) listen() {
	if len(s.senders) == 0 {
		return
	}
	s.senders = slices.DeleteFunc(s.senders, func(x *sender) bool {
		o := &x.to.server
		hidden := x.to.off || o.frozen > 0 || !s.w.net.open(x.to.node, s.host.node)
		connected := o.process == ha.Running && o.streaming && o.upstream == s.host && o.incarnation == x.incarnation
		switch {
		case !hidden && connected:
			if x.lost != 0 {
				x.lost = 0
				o.reply()
			}
		case !hidden:
			return true
		case x.lost == 0:
			x.lost = s.w.now
		default:
			return s.w.now-x.lost >= int64(senderTimeout)
		}
		return false
	})
}

// tear is the loss of what was received and not yet safe, with the power.
func (s *server) tear() {
	if s.data != ha.DataCluster || s.flushed >= s.end {
		return
	}
	l := s.line
	for l.parent != nil && s.flushed <= l.fork {
		l = l.parent
	}
	s.moved(l, s.flushed)
}

// senderFacts are the senders as pg_stat_replication shows them.
func (s *server) senderFacts() []ha.Sender {
	if len(s.senders) == 0 {
		return nil
	}
	s.listen()
	var out []ha.Sender
	for _, x := range s.senders {
		out = append(out, ha.Sender{Name: x.to.name, Slot: cluster.SlotName(x.to.name), SyncState: s.syncState(x), Sent: x.sent, Flushed: x.flushed})
	}
	return out
}

// syncState is PostgreSQL's word for a standby.
func (s *server) syncState(x *sender) string {
	switch considered := s.considered(s.names); {
	case s.recovery || !s.names.Has(x.to.name):
		return "async"
	case s.names.Any:
		return "quorum"
	case slices.Contains(considered, x):
		return "sync"
	}
	return "potential"
}

// considered are the senders that commits wait for: with ANY all that are named and connected, else the first ones of them.
func (s *server) considered(names guc.SyncNames) []*sender {
	var out []*sender
	for _, name := range names.Names {
		i := slices.IndexFunc(s.senders, func(x *sender) bool { return x.to.name == name })
		if i >= 0 && (names.Any || len(out) < names.Num) {
			out = append(out, s.senders[i])
		}
	}
	return out
}

// confirmed is up to where a commit is done, as one sender works it out when it heard from its standby.
func (s *server) confirmed(by *sender) (wal.LSN, bool) {
	considered := s.considered(by.names)
	if by.names.Empty() || len(considered) < by.names.Num || !slices.Contains(considered, by) {
		return 0, false
	}
	var safe []wal.LSN
	for _, x := range considered {
		safe = append(safe, x.flushed)
	}
	slices.Sort(safe)
	return safe[len(safe)-by.names.Num], true
}
