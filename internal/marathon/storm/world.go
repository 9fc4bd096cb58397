package storm

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/simulated"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// prefix is where the scheduler keeps its state.
const prefix = "/storm/"

// Violation is a rule that was broken.
type Violation struct {
	Rule string
	Text string
	At   time.Duration // since the history began
}

// String is one sentence.
func (v *Violation) String() string {
	return fmt.Sprintf("%s (after %v): %s", v.Rule, v.At.Round(time.Millisecond), v.Text)
}

// Outcome is what came of a history.
type Outcome struct {
	Broken   *Violation // the first rule that was broken, nil when all held
	Took     time.Duration
	Launches int
	Kills    int
}

// Run runs a history with a deliberate mistake, or none for "". What happens is written to trace, if that is not nil.
func Run(t *testing.T, h History, mistake string, trace io.Writer) Outcome {
	t.Helper()
	var out Outcome
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, h.Seed) // instances have the same ids each time
		w := newWorld(t, h, findMutant(mistake), trace)
		defer w.close()
		w.history(h)
		out = Outcome{Broken: w.broken, Took: time.Since(w.began)}
		for _, e := range w.fleet.Journal() {
			switch e.Verb {
			case simulated.Launched:
				out.Launches++
			case simulated.Killed:
				out.Kills++
			case simulated.Reserved, simulated.Destroyed:
			}
		}
	})
	return out
}

// world is a scheduler with everything around it.
type world struct {
	t       *testing.T
	began   time.Time
	trace   io.Writer
	mutant  mutant
	hosts   int
	root    *memory.Store
	seen    simulated.Store // what the scheduler has stored
	fleet   *simulated.Fleet
	below   below
	weather simulated.Weather
	life    *life   // the scheduler that leads, or is to
	former  []*life // those that were frozen when others took over
	between func()  // called whenever time has passed, nil for nothing

	mu     sync.Mutex
	leads  *life // same as life, for those who hold the lock
	broken *Violation
	chance *rand.Rand // how long tasks take

	confirmed map[app.ID]app.App  // what changes have made of the definitions, as far as they were confirmed
	unsure    bool                // a change had no answer: the definitions have to be looked at
	asked     map[app.TaskID]bool // tasks that somebody or something has asked to end
	abandoned map[app.ID]bool     // apps whose replacement was given up half-way
	draining  map[string]time.Time
	sight     sight
}

func newWorld(t *testing.T, h History, m mutant, trace io.Writer) *world {
	t.Helper()
	w := &world{
		t: t, began: time.Now(), trace: trace, mutant: m, hosts: h.Hosts, root: memory.New(),
		chance: rand.New(rand.NewPCG(h.Seed, 3)), confirmed: map[app.ID]app.App{}, asked: map[app.TaskID]bool{}, abandoned: map[app.ID]bool{}, draining: map[string]time.Time{},
		sight: sight{sick: map[app.TaskID]bool{}},
	}
	w.seen = simulated.StoreIn(w.root, prefix)
	cfg := simulated.Config{
		Hosts: simulated.Hosts(h.Hosts), Seed: h.Seed, Store: w.seen, Behaviour: w.behaviour,
		Broken: func(rule simulated.Rule, text string) { w.violate(string(rule), "%s", text) },
		Postgres: simulated.Pace{
			Bootstrap: 2 * time.Second, Clone: 5 * time.Second, Recover: time.Second, Lease: 3 * time.Second,
			Switchover: 300 * time.Millisecond, Picture: time.Second, Answer: 100 * time.Millisecond,
		},
	}
	if m.below == nil {
		m.below = plain
	}
	w.below = m.below(w, cfg)
	w.fleet = w.below.fleet
	w.start()
	return w
}

// below is what a scheduler stands on.
type below struct {
	fleet *simulated.Fleet
	open  func() port // connects a driver
	end   func()
}

// plain are the machines with their own driver.
func plain(_ *world, cfg simulated.Config) below {
	fleet := simulated.New(cfg)
	return below{fleet: fleet, open: func() port { return fleet.Open() }, end: func() {}}
}

func (w *world) close() {
	defer w.below.end()
	w.wakeAll()
	w.crash()
	_ = w.root.Close()
}

// behaviour is how a task goes.
func (w *world) behaviour(driver.Spec, simulated.Files) simulated.Behaviour {
	w.mu.Lock()
	defer w.mu.Unlock()
	return simulated.Behaviour{
		Starts: time.Duration(100+w.chance.IntN(1500)) * time.Millisecond,
		Stops:  time.Duration(100+w.chance.IntN(4000)) * time.Millisecond,
	}
}

// start begins the life of a scheduler.
func (w *world) start() {
	l := &life{db: w.root.Client(), conn: w.below.open(), ended: make(chan error, 1), fence: w.elected()}
	look := &watched{port: ownPort{l.conn, w, l}, world: w}
	var d driver.Driver = look
	var db kv.Store = ownStore{l.db, w, l}
	var members run.Members = ownMembers{w.fleet.Members(), w, l}
	if w.mutant.driver != nil {
		d = w.mutant.driver(w, look)
	}
	if w.mutant.store != nil {
		db = w.mutant.store(w, db)
	}
	if w.mutant.members != nil {
		members = w.mutant.members(w, members)
	}
	var term run.Term = l
	if w.mutant.term != nil {
		term = w.mutant.term(term)
	}
	l.sched = run.New(run.Config{Dial: w.dial}, store.New(db, prefix), d, members, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(w.t.Context())
	l.cancel = cancel
	w.mu.Lock()
	w.life, w.leads = l, l
	w.mu.Unlock()
	w.tellEvents(ctx, l.sched)
	go func() { l.ended <- l.sched.Lead(ctx, term, d) }()
	w.pass(0)
}

// leaderKey is written by each scheduler that begins to lead.
const leaderKey = "/storm.leader"

// elected is what the next scheduler's writes depend on.
func (w *world) elected() kv.Guard {
	version, err := w.root.Put(w.t.Context(), leaderKey, "", kv.Always(), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return kv.Guard{Key: leaderKey, Version: version}
}

// crash ends the life of the scheduler that leads as kill -9 does: nothing it was about to do happens any more.
func (w *world) crash() {
	w.life.db.Disconnect()
	_ = w.life.conn.Close()
	w.bury(w.life)
}

// bury waits for the end of a life.
func (w *world) bury(l *life) {
	l.cancel()
	<-l.ended //nolint:errcheck // how it dies does not matter
	_ = l.conn.Close()
	_ = l.db.Close()
	synctest.Wait()
}

func (w *world) restart() {
	w.crash()
	w.noteStops()
	w.start()
}

// pass lets time pass and everything happen.
func (w *world) pass(d time.Duration) {
	for ; w.between != nil && d > glance; d -= glance {
		time.Sleep(glance)
		synctest.Wait()
		w.between()
	}
	time.Sleep(d)
	synctest.Wait()
	if w.between != nil {
		w.between()
	}
}

// glance is how often somebody looks whether the scheduler still lives.
const glance = 500 * time.Millisecond

func (w *world) violate(rule, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := &Violation{Rule: rule, Text: fmt.Sprintf(format, args...), At: time.Since(w.began)}
	if w.broken == nil {
		w.broken = v
	}
	w.say("BROKEN %v", v)
}

func (w *world) isBroken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken != nil
}

// say writes a line to the trace, if there is one.
func (w *world) say(format string, args ...any) {
	if w.trace != nil {
		_, _ = fmt.Fprintf(w.trace, "%10.3fs  %s\n", time.Since(w.began).Seconds(), fmt.Sprintf(format, args...))
	}
}

// tell is say for whoever does not hold the lock.
func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.say(format, args...)
}

// tellEvents writes what the scheduler says of itself to the trace.
func (w *world) tellEvents(ctx context.Context, s *run.Scheduler) {
	if w.trace == nil {
		return
	}
	events := s.Watch(ctx)
	go func() {
		for e := range events {
			w.mu.Lock()
			w.say("  %s %s%s %s %s %s", e.Kind, e.App, e.Deployment, e.Task, e.Host, e.Text)
			w.mu.Unlock()
		}
	}()
}

// history lets everything happen, and then everything end well.
func (w *world) history(h History) {
	for _, e := range h.Events {
		w.pass(e.After)
		w.say("%s", e)
		verbs()[e.Verb](w, e)
		w.pass(0)
		w.check()
		if w.isBroken() {
			return
		}
	}
	w.settle()
}
