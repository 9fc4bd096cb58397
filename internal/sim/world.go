package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// world is everything of one run.
type world struct {
	now     int64
	queue   queue
	rng     *rand.Rand
	setup   Setup
	bend    mutant
	net     network
	store   store
	members []*member
	clients clients
	truth   truth
	stats   Stats
	broken  *Violation
	// touched is true when something changed that the rules are about.
	touched    bool
	bootstraps int
	systemIDs  int
	lines      []*line
	// faultsEnd is the instant at which the last fault was over.
	faultsEnd int64

	tracing bool
	trace   recorder
}

// Setup is what a run begins with.
type Setup struct {
	// Members is their number, 1 to 5.
	Members                     int
	TTL, LoopWait, RetryTimeout int
	PrimaryStartTimeout         int
	MaximumLag                  int
	// Drift is how much the members' clocks may go too fast or too slow, in millionths.
	Drift int
	// Write is the time between two writes of a client.
	Write time.Duration
	// Rewind says that pg_rewind can be used.
	Rewind bool
	// Clone says that data which cannot be rewound are given up for a new copy; else an operator is asked.
	Clone bool
	// LateStore says that the store ends leases up to half a second late, as etcd does.
	LateStore bool
	// Watchdog says that each host has a watchdog, without which nobody leads. Then the guard may end with its agent.
	Watchdog bool
	// Failsafe turns failsafe_mode on.
	Failsafe bool
	// Sync is the synchronous_mode to begin with: "off", "on" or "quorum". Empty is a cluster in which nobody ever asks for
	// one; then standbys make safe what they receive at once.
	Sync string
	// Strict, SyncNodes and SyncLag are synchronous_mode_strict, synchronous_node_count and maximum_lag_on_syncnode.
	Strict             bool
	SyncNodes, SyncLag int
	// Tags are those of single members, as "n2.nofailover=true".
	Tags []string
	// Mild says that all faults are shorter than a lease lasts, so nobody may lose the lead.
	Mild bool
	// Planned says that nothing fails: operators ask, and no write may be lost.
	Planned bool
	// Length is how long the run goes on without faults; schedules set it themselves.
	Length time.Duration
}

// dynamic is the dynamic configuration to begin with.
func (s Setup) dynamic() map[string]any {
	doc := map[string]any{
		"ttl": s.TTL, "loop_wait": s.LoopWait, "retry_timeout": s.RetryTimeout,
		"primary_start_timeout": s.PrimaryStartTimeout, "maximum_lag_on_failover": s.MaximumLag,
		"failsafe_mode": s.Failsafe,
	}
	if s.Sync != "" {
		doc["synchronous_mode"], doc["synchronous_mode_strict"] = s.Sync, s.Strict
		doc["synchronous_node_count"], doc["maximum_lag_on_syncnode"] = s.SyncNodes, s.SyncLag
	}
	return doc
}

// synchronous reports whether commits may ever wait for standbys.
func (w *world) synchronous() bool { return w.setup.Sync != "" }

// ttl is the longest that a lease lasts without a change of the configuration.
func (s Setup) ttl() time.Duration { return time.Duration(s.TTL) * time.Second }

// Stats are figures of one run.
type Stats struct {
	// Events is the number of events, Ticks that of decisions.
	Events, Ticks int
	// Promotions, Rewinds and so on are how often something happened.
	Promotions, Switchovers, Guarded, Resets int
	// Acked is the number of writes that clients were told are done, Lost how many of these a later leader never had.
	Acked, Lost int
	// Synced is how many were acknowledged after standbys had them.
	Synced int
}

func newWorld(seed uint64, setup Setup, bend mutant) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), setup: setup, bend: bend} //nolint:gosec // a seed is what makes it repeatable
	w.net.w, w.clients.w = w, w
	w.store = store{w: w, leases: map[int64]*lease{}}
	for i := range setup.Members {
		w.members = append(w.members, w.newMember(i))
	}
	for _, m := range w.members {
		w.at(w.rng.Int64N(int64(200*time.Millisecond)), m.start)
	}
	w.clients.begin()
	return w
}

func (w *world) newMember(i int) *member {
	name := fmt.Sprintf("n%d", i+1)
	m := &member{w: w, node: i, name: name, apiURL: "http://" + name + ":8008/patroni", conn: "postgres://" + name + ":5432/postgres"}
	m.server = server{w: w, host: m, data: ha.DataEmpty}
	m.guard.host, m.watchdog.host = m, m
	drift := 0.0
	if w.setup.Drift > 0 {
		drift = float64(w.rng.IntN(2*w.setup.Drift+1) - w.setup.Drift)
	}
	m.clock = clock{rate: 1 + drift/1e6, began: time.Duration(w.rng.Int64N(int64(1000 * time.Hour)))}
	for _, tag := range w.setup.Tags {
		if own, mine := strings.CutPrefix(tag, m.name+"."); mine {
			name, value, _ := strings.Cut(own, "=")
			if m.tags == nil {
				m.tags = cluster.Tags{}
			}
			m.tags[name] = value
		}
	}
	return m
}

// at plans something for an instant.
func (w *world) at(at int64, do func()) { w.queue.push(event{at: max(at, w.now), do: do}) }

// run turns events until the instant, or until a rule is broken.
func (w *world) run(until int64) {
	for len(w.queue.events) > 0 && w.queue.events[0].at <= until && w.broken == nil {
		e := w.queue.pop()
		if e.task != nil && (e.task.done || e.task.token != e.token) {
			continue
		}
		if e.at > w.now {
			w.pass(e.at)
		}
		w.stats.Events++
		if e.task != nil {
			e.task.resume(e.token)
		} else {
			e.do()
		}
		if w.touched {
			w.touched = false
			w.audit()
		}
	}
	if w.broken == nil && until > w.now {
		w.pass(until)
	}
}

// close ends what still runs.
func (w *world) close() {
	for _, m := range w.members {
		if m.life != nil {
			m.life.end()
		}
	}
}

func (w *world) member(name string) *member {
	for _, m := range w.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// wall is what a wall clock shows that nobody has set wrong.
func (w *world) wall() time.Time { return time.Unix(1_800_000_000, w.now).UTC() }

func (w *world) newSystemID() wal.SystemID {
	w.systemIDs++
	return wal.SystemID(fmt.Sprint(initialSystemID + w.systemIDs))
}

// newLine is the first timeline of a new database cluster.
func (w *world) newLine(by *member) *line {
	l := &line{number: 1, by: by}
	w.lines = append(w.lines, l)
	return l
}

// flow keeps all standbys up with whom they follow.
func (w *world) flow() {
	for _, m := range w.members {
		m.server.pull()
	}
	w.listen()
}

// listen ends the senders of standbys that are gone.
func (w *world) listen() {
	for _, m := range w.members {
		m.server.listen()
	}
}

// isolate cuts a member off from everything, or with by -1 no longer.
func (w *world) isolate(m *member, by int) {
	for n := range nodes {
		if n != m.node {
			w.cut(m.node, n, by)
			w.cut(n, m.node, by)
		}
	}
}

// cut loses the messages of one direction, or with by -1 no longer.
func (w *world) cut(from, to, by int) {
	w.net.cut(from, to, by)
	for _, m := range w.members {
		if m.node == from {
			m.linked[to] = w.now
		}
		if m.node == to {
			m.linked[from] = w.now
		}
		if by < 0 && (m.node == from && to == storeNode || m.node == to && from == storeNode) {
			m.lookAgain()
		}
	}
	if from == clientNode || to == clientNode || from == storeNode {
		w.routes()
	}
	w.flow()
}

// leader is the member whose server accepts writes and who has the leader key; nil when there is none.
func (w *world) leader() *member {
	m := w.member(w.store.now.Leader.Name)
	if m == nil || !m.server.writes() {
		return nil
	}
	return m
}

// note writes a line of the trace.
func (w *world) note(m *member, kind, what string) {
	if w.tracing {
		w.trace.line(w.now, m, kind, what)
	}
}

// decided notes a decision that differs from the last one.
func (w *world) decided(l *life, v *ha.View, d *ha.Decision) {
	w.stats.Ticks++
	if !w.tracing || d.Why == l.why && len(d.Do) == 0 {
		return
	}
	l.why = d.Why
	var actions []string
	for _, action := range d.Do {
		if _, renewal := action.(ha.RenewLease); !renewal {
			actions = append(actions, action.String())
		}
	}
	text := d.Why
	if len(actions) > 0 {
		text += " → " + strings.Join(actions, "; ")
	}
	if !v.Fresh {
		text = "(the store is silent) " + text
	}
	w.note(l.host, "why", text)
}
