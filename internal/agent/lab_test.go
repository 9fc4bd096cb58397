package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/health"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	scope = "lab"
	base  = "/service/" + scope + "/"
	// moment is how exactly the tests look at virtual time.
	moment = 10 * time.Millisecond
)

// lab is a cluster in one bubble of virtual time: hosts with a model of a PostgreSQL server and a real agent each,
// real documents on a store in memory, and a network that can be cut. After every change of a server it checks that
// no two of them accept writes.
type lab struct {
	t     *testing.T
	began time.Time
	// dynamic is the dynamic configuration that the agents begin with.
	dynamic map[string]any
	// adjust, unless nil, changes what an agent is configured with before it starts.
	adjust func(l *life, cfg *agent.Config)
	// operator reads and writes the documents from a host of its own.
	store    *memory.Store
	operator *dcs.Store
	ended    chan struct{}
	ending   sync.WaitGroup

	mu sync.Mutex
	// changed is closed and replaced after a change.
	changed chan struct{}
	hosts   map[string]*host
	log     bytes.Buffer
	// writing is the server that accepts writes, since when.
	writing    map[string]time.Time
	spans      []span
	violations []string
	// twins excuses a standby that follows a timeline's twin: it streamed from a leader that was cut off or killed before
	// it could say which timeline it began, so that another member began one of that number. The one that began it finds
	// out, its standbys cannot.
	twins     bool
	systemIDs int

	counts counts
}

// counts are how often things happened.
type counts struct{ bootstraps, promotions, rewinds int }

// span is a time in which a server accepted writes.
type span struct {
	server   string
	from, to time.Time
}

// host is a machine with a server and, most of the time, an agent.
type host struct {
	lab    *lab
	name   string
	member string
	tags   cluster.Tags
	server *server
	life   *life
	// Faults of the network: withoutDCS hides the store, alone everything, off is a machine that is gone.
	withoutDCS, alone, off bool
	apiURL                 string
	// guards are those that have an order.
	guards []*labGuard
	// withoutGuard is true while no order is confirmed.
	withoutGuard bool
	// frozen is not nil while the agent does nothing; closing it ends that.
	frozen chan struct{}
}

// bubble runs a test with a lab in virtual time.
func bubble(t *testing.T, run func(t *testing.T, b *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		run(t, b)
	})
}

func newLab(t *testing.T) *lab {
	t.Helper()
	b := &lab{
		t: t, began: time.Now(), store: memory.New(), ended: make(chan struct{}), changed: make(chan struct{}),
		hosts: map[string]*host{}, writing: map[string]time.Time{},
		dynamic: map[string]any{"ttl": 30, "loop_wait": 10, "retry_timeout": 10},
	}
	operator, err := dcs.New(b.store, dcs.Config{Namespace: "service", Scope: scope})
	if err != nil {
		t.Fatal(err)
	}
	b.operator = operator
	b.ending.Go(b.watchLeases)
	return b
}

// close kills all agents, and fails the test with the log when a rule was broken.
func (b *lab) close() {
	close(b.ended)
	b.ending.Wait()
	for _, h := range b.all() {
		h.kill()
	}
	if err := b.store.Close(); err != nil {
		b.t.Error(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.violations {
		b.t.Error(v)
	}
	if b.t.Failed() {
		b.t.Log("\n" + b.log.String())
	}
}

// since is the virtual time since the lab began.
func (b *lab) since() time.Duration { return time.Since(b.began) }

// host adds a host with an empty data directory.
func (b *lab) host(name string) *host {
	h := &host{lab: b, name: name, member: name, apiURL: "http://" + name + ":8008/patroni"}
	h.server = &server{lab: b, name: name, data: postgres.DataEmpty}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hosts[name] = h
	return h
}

// all are the hosts by name.
func (b *lab) all() []*host {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sorted()
}

func (b *lab) sorted() []*host {
	var out []*host
	for _, name := range slices.Sorted(maps.Keys(b.hosts)) {
		out = append(out, b.hosts[name])
	}
	return out
}

func (b *lab) servers() []*server {
	var out []*server
	for _, h := range b.sorted() {
		out = append(out, h.server)
	}
	return out
}

func (b *lab) server(name string) *server {
	if h := b.hosts[name]; h != nil {
		return h.server
	}
	return nil
}

func upstreamAt(name string) postgres.Upstream {
	if name == "" {
		return postgres.Upstream{}
	}
	return postgres.Upstream{Host: name, Port: 5432}
}

func (b *lab) newSystemID() wal.SystemID {
	b.systemIDs++
	return wal.SystemID(fmt.Sprint(initialSystemID + uint(b.systemIDs)))
}

// change does something to the servers or the network, lets the WAL flow, and looks whether the rules hold.
func (b *lab) change(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	do()
	for _, s := range b.servers() {
		s.pull()
	}
	b.audit()
	close(b.changed)
	b.changed = make(chan struct{})
}

// unseen changes what no loop learns of before its next turn, nor the audit.
func (b *lab) unseen(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	do()
}

// audit notes who accepts writes, and that it is at most one.
func (b *lab) audit() {
	now := time.Now()
	var writers []string
	for _, s := range b.servers() {
		since, before := b.writing[s.name]
		switch {
		case s.writes() && !before:
			b.writing[s.name] = now
		case !s.writes() && before:
			b.spans = append(b.spans, span{s.name, since, now})
			delete(b.writing, s.name)
		}
		if s.writes() {
			writers = append(writers, s.name)
		}
	}
	if len(writers) > 1 {
		b.violate("S1: %s accept writes at once", strings.Join(writers, " and "))
	}
}

// violate notes that a rule was broken. b.mu is held.
func (b *lab) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if slices.ContainsFunc(b.violations, func(v string) bool { return strings.HasSuffix(v, ": "+text) }) {
		return
	}
	b.note("lab", "", "RULE BROKEN: "+text)
	b.violations = append(b.violations, fmt.Sprintf("%v: %s", b.since(), text))
}

// watchLeases looks every 100 ms whether each server that accepts writes does so under a lease that lasts (rule S1): that
// of its agent, or the one that the guard keeps in mind.
func (b *lab) watchLeases() {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-b.ended:
			return
		case <-again.C:
		}
		b.mu.Lock()
		for _, h := range b.sorted() {
			if h.server.writes() && !h.server.unstopping && time.Now().After(h.deadline()) {
				b.violate("S1: %s accepts writes although the lease of its agent has ended", h.name)
			}
		}
		b.mu.Unlock()
	}
}

// holder is who has the leader key, in truth.
func (b *lab) holder() string {
	pair, _, err := b.store.Get(context.Background(), base+"leader")
	if err != nil {
		b.violate("the store does not answer: %v", err)
	}
	return pair.Value
}

// apart reports whether the network hides two hosts from each other. b.mu is held.
func (b *lab) apart(one, other string) bool {
	if one == other {
		return false
	}
	for _, name := range []string{one, other} {
		if h := b.hosts[name]; h == nil || h.alone || h.off {
			return true
		}
	}
	return false
}

// exited tells the agent beside a server that it ended. b.mu is held.
func (b *lab) exited(s *server) {
	if l := b.hosts[s.name].life; l != nil {
		select {
		case l.exited <- struct{}{}:
		default:
		}
	}
}

// note writes a line to the log. b.mu is held.
func (b *lab) note(kind, name, what string) {
	fmt.Fprintf(&b.log, "%10.3fs %-8s %s: %s\n", b.since().Seconds(), name, kind, what)
}

// logTo is the log of one host's agent.
type logTo struct {
	host  *host
	attrs []slog.Attr
}

func (logTo) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l logTo) WithGroup(string) slog.Handler                  { return l }
func (l logTo) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logTo{l.host, append(slices.Clip(l.attrs), attrs...)}
}

func (l logTo) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	l.host.lab.mu.Lock()
	defer l.host.lab.mu.Unlock()
	l.host.lab.note("agent", l.host.name, text)
	return nil
}

// start begins a life of the host's agent.
func (h *host) start() *life {
	h.lab.t.Helper()
	l := &life{
		host: h, dcs: newClient(h), began: time.Now(),
		exited: make(chan struct{}, 1), killed: make(chan struct{}), done: make(chan struct{}),
	}
	documents, err := dcs.New(l.dcs, dcs.Config{Namespace: "service", Scope: scope, Name: h.member})
	if err != nil {
		h.lab.t.Fatal(err)
	}
	l.lease = func() time.Time { return documents.Lease().Deadline }
	cfg := agent.Config{
		Name: h.member, Scope: scope, Tags: h.tags, ConnURL: "postgres://" + h.name + ":5432/postgres", APIURL: h.apiURL,
		Dynamic: h.lab.dynamic, Options: everything, Guard: &labGuard{life: l},
		Postgres: func(map[string]any) postgres.Settings { return postgres.Settings{} },
	}
	if h.lab.adjust != nil {
		h.lab.adjust(l, &cfg)
	}
	l.agent = agent.New(cfg, documents, l, network{h}, slog.New(logTo{host: h}))
	ctx, leave := context.WithCancel(context.WithoutCancel(h.lab.t.Context()))
	l.leave = leave
	h.lab.mu.Lock()
	h.life, h.off = l, false
	h.lab.note("agent", h.name, "starts")
	h.lab.mu.Unlock()
	h.reconnect()
	go func() {
		defer close(l.done)
		l.err = l.agent.Run(ctx)
		_ = l.dcs.Close()
		h.lab.mu.Lock()
		defer h.lab.mu.Unlock()
		h.lab.note("agent", h.name, fmt.Sprintf("ends: %v", l.err))
	}()
	return l
}

// leave tells the agent to end, as SIGTERM does, and waits for it.
func (h *host) leave() error {
	h.life.leave()
	<-h.life.done
	return h.life.err
}

// kill ends the agent as SIGKILL does. The server goes on, and so does the guard (rule S3).
func (h *host) kill() {
	l := h.life
	if l == nil {
		return
	}
	if !l.dead() {
		h.lab.change(func() {
			h.lab.note("agent", h.name, "is killed")
			close(l.killed)
		})
	}
	h.goOn()
	_ = l.dcs.Close()
	l.leave()
	<-l.done
}

// lose is the end of a machine: nothing answers any more, nor tells that it does not.
func (h *host) lose() {
	h.lab.change(func() {
		h.lab.note("host", h.name, "is lost")
		h.off, h.guards = true, nil
		h.server.crash()
	})
	h.kill()
}

// crash ends the server as SIGKILL does.
func (h *host) crash() { h.lab.change(h.server.crash) }

// fault changes what is broken at a host.
func (h *host) fault(what string, do func()) {
	h.lab.change(func() {
		h.lab.note("fault", h.name, what)
		do()
	})
	h.reconnect()
}

// isolate hides the host from everything; cutDCS only from the store. heal ends both.
func (h *host) isolate() { h.fault("isolated", func() { h.alone = true }) }
func (h *host) cutDCS()  { h.fault("cut off from the DCS", func() { h.withoutDCS = true }) }
func (h *host) heal()    { h.fault("healed", func() { h.alone, h.withoutDCS = false, false }) }

// reconnect makes the connection to the store what the faults leave of it.
func (h *host) reconnect() {
	h.lab.mu.Lock()
	cut, l := h.alone || h.withoutDCS || h.off, h.life
	h.lab.mu.Unlock()
	if l == nil {
		return
	}
	if cut {
		l.dcs.cut()
		return
	}
	l.dcs.mend()
}

func (h *host) snapshot() *health.Snapshot { return h.life.agent.Snapshot() }

// start begins a cluster of empty members and waits until all stream.
func (b *lab) start(names ...string) *host {
	b.t.Helper()
	for _, name := range names {
		b.host(name).start()
	}
	b.await(10*time.Second, "one leader, all others streaming", b.healthy)
	return b.leader()
}

// await waits for a condition. It fails the test when that takes longer than the limit.
func (b *lab) await(limit time.Duration, what string, reached func() bool) time.Duration {
	b.t.Helper()
	began := time.Now()
	for !reached() {
		if time.Since(began) >= limit {
			b.t.Fatalf("%v: after %v still not: %s\n%s", b.since(), limit, what, b.describe())
		}
		time.Sleep(moment)
	}
	return time.Since(began)
}

// leader is the host whose server accepts writes and whose member has the leader key; nil when there is none.
func (b *lab) leader() *host {
	b.mu.Lock()
	defer b.mu.Unlock()
	holder := b.holder()
	for _, h := range b.sorted() {
		if h.server.writes() && h.member == holder {
			return h
		}
	}
	return nil
}

func (b *lab) led() bool { return b.leader() != nil }

// ledByAnother reports whether somebody else than the given host leads.
func (b *lab) ledByAnother(h *host) func() bool {
	return func() bool {
		leader := b.leader()
		return leader != nil && leader != h
	}
}

// healthy reports whether there is a leader, all others stream from it, and the documents say so.
func (b *lab) healthy() bool {
	leader := b.leader()
	if leader == nil {
		return false
	}
	c := b.picture()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.sorted() {
		m, known := c.Member(h.member)
		if !known || !m.Running() || h.life == nil || !h.life.alive() {
			return false
		}
		if h == leader && m.Role != cluster.RolePrimary {
			return false
		}
		if h != leader && (!h.server.streaming || h.server.upstream != leader.name || h.server.line != leader.server.line || !m.Streaming()) {
			return false
		}
	}
	return true
}

// see is the server as it is at this moment.
func (h *host) see() *server {
	h.lab.mu.Lock()
	defer h.lab.mu.Unlock()
	now := *h.server
	return &now
}

func (b *lab) count() counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts
}

// followers are the hosts except the leader.
func (b *lab) followers() []*host {
	leader := b.leader()
	var out []*host
	for _, h := range b.all() {
		if h != leader {
			out = append(out, h)
		}
	}
	return out
}

// picture is what the documents say.
func (b *lab) picture() cluster.Cluster {
	b.t.Helper()
	c, err := b.operator.Load(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// value is the text of a key.
func (b *lab) value(key string) (string, bool) {
	b.t.Helper()
	pair, ok, err := b.store.Get(context.Background(), base+key)
	if err != nil {
		b.t.Fatal(err)
	}
	return pair.Value, ok
}

// put writes a key as an operator with the store's own tool does.
func (b *lab) put(key, value string) {
	b.t.Helper()
	if _, err := b.store.Put(context.Background(), base+key, value, kv.Always(), 0); err != nil {
		b.t.Fatal(err)
	}
}

// remove deletes a key.
func (b *lab) remove(key string) {
	b.t.Helper()
	if err := b.store.Delete(context.Background(), base+key, kv.Always()); err != nil {
		b.t.Fatal(err)
	}
}

// write makes every server that accepts writes write one record, again and again.
func (b *lab) write(every time.Duration) {
	b.ending.Go(func() {
		again := time.NewTicker(every)
		defer again.Stop()
		for {
			select {
			case <-b.ended:
				return
			case <-again.C:
				b.change(func() {
					for _, s := range b.servers() {
						if s.writes() {
							s.end += recordSize
						}
					}
				})
			}
		}
	})
}

// outages are the times since then in which no server accepted writes, after the first had begun to.
func (b *lab) outages(since time.Time) []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	spans := slices.Clone(b.spans)
	for name, from := range b.writing {
		spans = append(spans, span{name, from, time.Now()})
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var out []time.Duration
	for i := 1; i < len(spans); i++ {
		if gap := spans[i].from.Sub(spans[i-1].to); gap > 0 && !spans[i-1].to.Before(since) {
			out = append(out, gap)
		}
	}
	return out
}

// outage is the one outage since then.
func (b *lab) outage(since time.Time) time.Duration {
	b.t.Helper()
	all := b.outages(since)
	if len(all) != 1 {
		b.t.Fatalf("writes were impossible %d times: %v, want once", len(all), all)
	}
	return all[0]
}

// describe is the state of the lab for people.
func (b *lab) describe() string {
	var out strings.Builder
	fmt.Fprintf(&out, "leader key: %q\n", b.holder())
	for _, h := range b.all() {
		s := h.server
		b.mu.Lock()
		line := wal.Timeline(0)
		if s.line != nil {
			line = s.line.number
		}
		fmt.Fprintf(&out, "%s: data %v, process %v, recovery %v, timeline %d, at %v, upstream %q, streaming %v, kept %d", h.name, s.data,
			s.process, s.recovery, line, s.end, s.upstream, s.streaming, len(s.kept))
		b.mu.Unlock()
		if h.life != nil {
			fmt.Fprintf(&out, ", agent: %s", h.snapshot().Reason)
		}
		out.WriteString("\n")
	}
	return out.String()
}

// wipe deletes all documents, as an operator does who takes them for those of another cluster.
func (b *lab) wipe() {
	b.t.Helper()
	b.mu.Lock()
	b.note("fault", "", "the documents are wiped")
	b.mu.Unlock()
	all, err := b.store.List(context.Background(), base)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, pair := range all.Pairs {
		b.remove(strings.TrimPrefix(pair.Key, base))
	}
}

// everything is allowed.
func everything(map[string]any) agent.Options {
	return agent.Options{UseRewind: true, CloneAfterRewindFailure: true, CloneDiverged: true}
}
