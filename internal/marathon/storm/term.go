package storm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
)

// leaseTTL is how long a scheduler leads for certain after it was heard last.
const leaseTTL = 6 * time.Second

// life is one scheduler, from its start to its end. It leads as long as it is not frozen; one that is, like a process that
// got SIGSTOP, gets no call through and hears no answer until it is woken, and its lease runs out.
type life struct {
	db     *memory.Store
	conn   port
	sched  *run.Scheduler
	cancel context.CancelFunc
	ended  chan error
	fence  kv.Guard // the leader's key as it wrote it

	mu   sync.Mutex
	fuse int           // it freezes after so many beginnings and ends of calls, 0 for not
	thaw chan struct{} // closed when it is woken, nil while it is not frozen
	end  time.Time     // of its term, zero while it renews it
}

// Left implements run.Term.
func (l *life) Left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end.IsZero() {
		return leaseTTL
	}
	return time.Until(l.end)
}

// Fence implements run.Term.
func (l *life) Fence() kv.Guard { return l.fence }

// arm lets it freeze in the middle of something, after n beginnings and ends of calls.
func (l *life) arm(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fuse = n
}

func (l *life) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen()
}

func (l *life) frozen() {
	if l.thaw == nil {
		l.thaw, l.end = make(chan struct{}), time.Now().Add(leaseTTL)
	}
}

// wake lets it go on. That its term is over it has to find out.
func (l *life) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.thaw != nil {
		close(l.thaw)
	}
	l.thaw, l.fuse = nil, 0
}

// pass is the beginning or the end of a call. One of a frozen scheduler goes on when it is woken.
func (l *life) pass() {
	l.mu.Lock()
	if l.fuse--; l.fuse == 0 {
		l.frozen()
	}
	thaw := l.thaw
	l.mu.Unlock()
	if thaw != nil {
		<-thaw
	}
}

// supplant lets another scheduler take over from one that freezes.
func (w *world) supplant(e Event) {
	former := w.life
	former.arm(e.number(0))
	w.pass(2 * time.Second)
	former.freeze()
	w.pass(leaseTTL)
	w.noteStops()
	w.former = append(w.former, former)
	w.start()
}

// wakeAll lets the schedulers that were frozen go on, until they find out that another one leads.
func (w *world) wakeAll() {
	for _, l := range w.former {
		l.wake()
		w.pass(100 * time.Millisecond)
		w.bury(l)
	}
	w.former = nil
}

// lawful holds it against a scheduler that does anything when its term is over.
func (w *world) lawful(l *life, format string, args ...any) {
	w.mu.Lock()
	leads := l == w.leads
	w.mu.Unlock()
	if !leads {
		w.violate("a scheduler that does not lead does nothing", "one that was woken asked to "+format, args...)
	}
}

// ownStore is the store as one scheduler has it. Where a write has no answer, what was decided by then is asked for when it
// is known that it was stored.
type ownStore struct {
	kv.Store

	world *world
	life  *life
}

// Put implements kv.Store.
func (s ownStore) Put(ctx context.Context, key, value string, c kv.Condition, lease kv.LeaseID) (kv.Version, error) {
	s.life.pass()
	version, err := s.Store.Put(ctx, key, value, c, lease)
	if err != nil {
		s.world.noteStops() //nolint:contextcheck // whoever looks needs no leave of who is looked at
	} else {
		s.world.lawful(s.life, "store %s", key)
	}
	s.life.pass()
	return version, err
}

// Delete implements kv.Store.
func (s ownStore) Delete(ctx context.Context, key string, c kv.Condition) error {
	s.life.pass()
	err := s.Store.Delete(ctx, key, c)
	if err == nil {
		s.world.lawful(s.life, "remove %s", key)
	}
	s.life.pass()
	return err
}

// ownPort is a driver as one scheduler has it.
type ownPort struct {
	port

	world *world
	life  *life
}

// asks is a call that changes something.
func (d ownPort) asks(what string, call func() error) error {
	d.life.pass()
	err := call()
	if err == nil {
		d.world.lawful(d.life, "%s", what)
	}
	d.life.pass()
	return err
}

// Offers implements driver.Driver.
func (d ownPort) Offers(ctx context.Context) ([]place.Offer, error) {
	d.life.pass()
	defer d.life.pass()
	return d.port.Offers(ctx)
}

// Launch implements driver.Driver.
func (d ownPort) Launch(ctx context.Context, s driver.Spec) error {
	return d.asks("launch "+string(s.Task), func() error { return d.port.Launch(ctx, s) })
}

// Kill implements driver.Driver.
func (d ownPort) Kill(ctx context.Context, task app.TaskID, grace time.Duration) error {
	return d.asks("end "+string(task), func() error { return d.port.Kill(ctx, task, grace) })
}

// Reserve implements driver.Driver.
func (d ownPort) Reserve(ctx context.Context, r driver.Reservation) error {
	return d.asks("reserve "+r.Volume, func() error { return d.port.Reserve(ctx, r) })
}

// Destroy implements driver.Driver.
func (d ownPort) Destroy(ctx context.Context, v driver.Volume) error {
	return d.asks("destroy "+v.ID, func() error { return d.port.Destroy(ctx, v) })
}

// Ack implements driver.Driver.
func (d ownPort) Ack(ctx context.Context, s driver.Status) error {
	return d.asks(fmt.Sprintf("acknowledge %s of %s", s.State, s.Task), func() error { return d.port.Ack(ctx, s) })
}

// ownMembers are the agents as one scheduler reaches them.
type ownMembers struct {
	run.Members

	world *world
	life  *life
}

// Status implements run.Members.
func (m ownMembers) Status(ctx context.Context, apiURL string) (deploy.Member, error) {
	m.life.pass()
	defer m.life.pass()
	return m.Members.Status(ctx, apiURL)
}

// Switchover implements run.Members.
func (m ownMembers) Switchover(ctx context.Context, apiURL, leader, candidate string) error {
	m.life.pass()
	defer m.life.pass()
	err := m.Members.Switchover(ctx, apiURL, leader, candidate)
	if err == nil {
		m.world.lawful(m.life, "hand over from %s", leader)
	}
	return err
}
