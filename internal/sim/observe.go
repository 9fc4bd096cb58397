package sim

import (
	"errors"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// The limits of package agent.
const (
	dcsTimeout      = 3 * time.Second
	statusTimeout   = 5 * time.Second
	leastLook       = 100 * time.Millisecond
	askTimeout      = time.Second
	upstreamTimeout = 2 * time.Second
)

// observe makes the view of this instant.
func (l *life) observe(t *task, now time.Time) ha.View {
	fresh := l.look(t, now)
	making := l.job.makesPrimary()
	st := l.status(t, l.patience(l.now()))
	running, ended := l.job.observe()
	lease := l.current()
	v := ha.View{
		Now: now, Self: l.self(), Settings: l.seen.settings,
		Cluster: l.seen.cluster, Fresh: fresh,
		Lease:    ha.Lease{ID: lease.id, Deadline: l.bounded(lease.deadline), Renewed: lease.renewed, TTL: lease.ttl},
		Server:   l.serverFacts(&st),
		Job:      running,
		Ended:    ended,
		Peers:    l.asked,
		Upstream: l.upstream,
		Requests: l.pending(),
		Failsafe: l.failsafe.look(),
		Watchdog: l.watchdog(),
		Leaving:  l.leaving,
		Outcomes: l.outcomes,
	}
	v.Failsafe.Until = l.bounded(l.consented())
	l.failsafe.settle(&v)
	if v.Cluster.Failover.ScheduledAt != "" {
		v.Cluster.Failover.ScheduledAt = l.ownTime(v.Cluster.Failover.ScheduledAt)
	}
	l.last.crashed, l.last.process = l.last.fell(&st, running.Kind, ended), st.process
	l.keepGuard(t, &v, &st, making)
	if ended != nil && ended.Request != 0 {
		l.finish(ended.Request)
	}
	return v
}

// self is what the member knows of itself without looking.
func (l *life) self() ha.Self {
	clone := l.w.setup.Clone
	return ha.Self{Name: l.host.name, Tags: l.host.tags, CloneAfterRewindFailure: clone, CloneDiverged: clone}
}

// look reads the shared picture and makes sure there is a lease, in the time the own lease leaves.
func (l *life) look(t *task, now time.Time) bool {
	budget := l.budget(now)
	if budget <= 0 {
		return false
	}
	st := &l.w.store
	var read cluster.Cluster
	var failsafeVersion cluster.Version
	began := l.w.now
	err := l.call(t, "", budget, func() error {
		read, failsafeVersion = st.now, st.failsafe
		return nil
	})
	if err != nil {
		l.seen.blind = true
		return false
	}
	l.seen.cluster, l.seen.at, l.seen.blind = read, now, false
	clear(l.unread)
	l.statusKnown, l.failsafeKnown = read.Status.Version, failsafeVersion
	l.ownKnown, _ = read.Member(l.host.name)
	if c := &read.Config; c.Data != nil && c.Version != l.seen.version {
		l.seen.data, l.seen.version, l.seen.settings = c.Data, c.Version, c.Settings()
	}
	l.host.seesPause(l.seen.settings.Pause)
	if ttl := l.seen.settings.TTL; l.lease.id == 0 || l.lease.ttl != ttl {
		left := budget - time.Duration(l.w.now-began)
		sent, asleep := l.now(), l.host.clock.stood
		var id int64
		if err := l.call(t, "lease", left, func() error { id = st.grant(l.host, ttl); return nil }); err == nil {
			l.lease = leaseState{id: id, ttl: ttl, renewed: sent, deadline: sent.Add(ttl), asleep: asleep}
		}
	}
	return true
}

// budget is how long a call to the store may take; see package agent.
func (l *life) budget(now time.Time) time.Duration {
	limit := min(dcsTimeout, l.seen.settings.RetryTimeout)
	left, bound := l.left(now)
	if !bound {
		return limit
	}
	if late := left + l.margin(); left <= 0 && late > 0 && !l.seen.blind {
		left = late / 4
	}
	return min(limit, left)
}

// patience is how long a look at the server may take.
func (l *life) patience(now time.Time) time.Duration {
	left, bound := l.left(now)
	switch leader := &l.seen.cluster.Leader; {
	case l.last.primary && (leader.Name != l.host.name || leader.Lease != l.lease.id):
		return leastLook
	case bound:
		return min(statusTimeout, max(left, leastLook))
	}
	return statusTimeout
}

// left is the time until a server that accepts writes, or may at any moment, has to be stopped.
func (l *life) left(now time.Time) (time.Duration, bool) {
	if l.lease.id == 0 || l.seen.settings.Pause || !l.last.primary && !l.job.makesPrimary() {
		return 0, false
	}
	return l.writeDeadline(!l.seen.blind).Add(-l.margin()).Sub(now), true
}

// margin is how long before its lease ends a primary begins to stop.
func (l *life) margin() time.Duration {
	return ha.Lease{TTL: l.lease.ttl}.Shortest(l.seen.settings.TTL) / 6
}

// ownTime translates a time of the wall clock, as an operator gave it, to the clock that decisions see: the two go
// apart when the wall clock is set, and decisions compare only what one of them shows.
func (l *life) ownTime(at string) string {
	wanted, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return at
	}
	shown := l.w.wall().Add(l.host.clock.step)
	return l.now().Add(wanted.Sub(shown)).Format(time.RFC3339Nano)
}

// seenServer is one look at the server.
type seenServer struct {
	data       ha.Data
	process    ha.Process
	answers    bool
	inRecovery bool
	marked     bool
	timeline   wal.Timeline
	position   wal.LSN
	streaming  bool
	upstream   *member
	id         wal.SystemID
	control    ha.Control
	checkpoint wal.Timeline
	led        wal.Timeline
	names      guc.SyncNames
	senders    []ha.Sender
	managed    bool
	held       bool
	kept       int
	unreadable bool
}

// status looks at the server, for as long as it takes to answer or at most the patience.
func (l *life) status(t *task, patience time.Duration) seenServer {
	s := &l.host.server
	if s.process == ha.Running && !s.answers() {
		t.sleep(min(answerTimeout, patience))
	} else {
		t.sleep(lookTime)
	}
	return s.look()
}

// look is what the adapter would see at this moment.
func (s *server) look() seenServer {
	if s.unreadable > 0 {
		return seenServer{data: ha.DataUnknown, unreadable: true, kept: s.kept}
	}
	st := seenServer{data: s.data, kept: s.kept}
	if s.data != ha.DataCluster {
		return st
	}
	st.process, st.marked, st.id, st.control, st.checkpoint = s.process, s.marked, s.id, s.controlFile(), s.checkpointed
	st.led, st.held, st.managed = s.led, s.held, s.managed
	if s.process == ha.Stopped {
		st.names = s.file
	}
	if s.answers() {
		// A standby says how far its WAL is safe, as pg_last_wal_receive_lsn does.
		st.answers, st.inRecovery, st.timeline, st.position = true, s.recovery, s.line.number, s.flushed
		st.names, st.senders = s.names, s.senderFacts()
		if s.streaming {
			st.streaming, st.upstream = true, s.upstream
		}
	}
	return st
}

// lastServer is what the agent remembers of the server between observations.
type lastServer struct {
	process  ha.Process
	primary  bool
	standby  bool
	timeline wal.Timeline
	position wal.LSN
	names    guc.SyncNames
	senders  []ha.Sender
	// follows is whom the server was last told to follow.
	follows *member
	// crashed is true while the server is down without having been told to stop.
	crashed bool
}

// fell reports whether the server, as it is seen now, is down without having been told to.
func (s *lastServer) fell(now *seenServer, running ha.JobKind, ended *ha.EndedJob) bool {
	if now.process != ha.Stopped || takesDown(running) {
		return false
	}
	if ended != nil && takesDown(ended.Kind) {
		return ended.Kind == ha.JobRestart && !ended.OK
	}
	return s.crashed || s.process != ha.Stopped || ended != nil && ended.Kind == ha.JobStart && !ended.OK
}

func takesDown(job ha.JobKind) bool {
	switch job {
	case ha.JobStop, ha.JobRestart, ha.JobRewind, ha.JobReinitialize, ha.JobReplace, ha.JobCopySlots:
		return true
	case ha.JobBootstrap, ha.JobClone, ha.JobStart, ha.JobPromote, ha.JobFollow, ha.JobCheckpoint:
	}
	return false
}

// serverFacts translates what the adapter saw.
func (l *life) serverFacts(st *seenServer) ha.Server {
	s := ha.Server{
		Data: st.data, SystemID: st.id, Process: st.process, Answers: st.answers, Streaming: st.streaming, Control: st.control, Led: st.led,
		CanRewind: l.w.setup.Rewind, SetAside: st.kept > 0, Held: st.held,
	}
	if st.unreadable {
		s.Trouble = "input/output error"
	}
	if st.answers {
		l.last.standby, l.last.timeline, l.last.position = st.inRecovery, st.timeline, st.position
		l.last.names, l.last.senders = st.names, st.senders
	}
	switch {
	case st.process == ha.Stopped:
		l.last.timeline, l.last.position = 0, 0
		l.last.names, l.last.senders = st.names, nil
	case !st.answers:
		l.last.standby = st.marked
	}
	s.InRecovery, s.Timeline, s.Position = l.last.standby, l.last.timeline, l.last.position
	s.SyncNames, s.NamesManaged, s.Senders = l.last.names, st.managed, l.last.senders
	if s.Data != ha.DataUnknown {
		l.last.primary = s.Primary()
	}
	s.Follows = l.follows(st)
	return s
}

// follows is the name of the member the server follows: whoever it really receives from, else whom it was told to.
func (l *life) follows(st *seenServer) string {
	from := st.upstream
	if from == nil {
		from = l.last.follows
	}
	if from == nil {
		return ""
	}
	if _, known := l.seen.cluster.Member(from.name); !known {
		return ""
	}
	return from.name
}

// call asks the store to do something, within a budget. The error is kv.ErrUnavailable when no answer came, whether it
// was done or not.
func (l *life) call(t *task, key string, budget time.Duration, op func() error) error {
	w, node := l.w, l.host.node
	if budget <= 0 {
		return kv.ErrUnavailable // a context that has ended sends nothing
	}
	token, limit := t.token, w.now+l.host.clock.global(budget)
	fault, replaced := l.nextFault(key), w.store.replaced
	t.answer = kv.ErrUnavailable
	arrives := w.now + w.net.latency(node, storeNode)
	silence := func() { w.queue.push(event{at: max(limit, w.now), task: t, token: token}) }
	switch {
	case fault == loseRequest || !w.net.passes(node, storeNode):
		silence()
		t.park()
		return l.answered(t, key)
	case fault == lateRequest:
		arrives = limit + w.rng.Int64N(int64(8*time.Second))
		silence()
	case arrives >= limit:
		silence()
	}
	w.at(arrives, func() {
		answer := func() {
			err := op()
			if t.token != token || t.done {
				return // nobody waits any more: it happened all the same
			}
			if fault == loseAnswer || !w.net.passes(storeNode, node) {
				silence()
				return
			}
			back := w.now + w.net.latency(storeNode, node)
			if back >= limit {
				silence()
				return
			}
			t.answer = err
			w.queue.push(event{at: back, task: t, token: token})
		}
		if w.store.replaced != replaced {
			if t.token == token {
				silence()
			}
			return
		}
		if w.store.down > 0 {
			if key != "" && len(w.store.limbo) < 16 {
				w.store.limbo = append(w.store.limbo, func() { _ = op() })
			}
			if t.token == token {
				silence()
			}
			return
		}
		answer()
	})
	t.park()
	return l.answered(t, key)
}

// answered is what a call brought. A write without an answer is to be read before anything else is written there.
func (l *life) answered(t *task, key string) error {
	if key != "" && errors.Is(t.answer, kv.ErrUnavailable) {
		l.unread[key] = true
	}
	return t.answer
}
