package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// Members reaches the agents of PostgreSQL members. apiURL is the root of an agent's REST API, "http://127.0.0.11:8008".
type Members interface {
	// Status asks one agent about its member. A member leads when it holds the leader key; whether its server accepts
	// writes is told apart and seen at the server, for the two differ while the lead passes. A lag nobody knows is negative.
	Status(ctx context.Context, apiURL string) (deploy.Member, error)
	// Switchover asks the agent to have the lead handed over and returns when it is done. Both names are member names.
	// The candidate may be empty: then the agents choose.
	Switchover(ctx context.Context, apiURL, leader, candidate string) error
	// Pause asks the agent to have its cluster left alone, or not any more.
	Pause(ctx context.Context, apiURL string, on bool) error
}

// Config is what may be different from one scheduler to another; its zero value is good.
type Config struct {
	// Dial is how health checks reach tasks, for a network of its own. Nil is the ordinary way.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Secrets is the folder in which the secrets of apps lie as files: a source names one of them. Empty: there are none.
	Secrets string
	// Hosts is how many hosts the platform has, where that is known for certain: only with fewer than members may members of
	// a database share one. Zero: they never do unless a constraint of theirs says so.
	Hosts int
	// Framework is the id that the scheduler had at the platform, by the word of a person. One whose store is empty goes on
	// under it. Where the platform has removed that framework, a scheduler that was it, or that remembers nothing, becomes
	// another one, which its volumes pass to. Empty: a scheduler whose framework was removed ends.
	Framework string
}

// Scheduler keeps apps running. New makes one and Run or Lead is its life; the other methods may be called from any
// goroutine, also before and after.
type Scheduler struct {
	cfg     Config
	store   *store.Store
	archive store.Archive
	members Members
	log     *slog.Logger

	hub     hub[Event]
	feed    hub[app.Event]
	inbox   chan func(*loop)
	life    atomic.Pointer[life]
	picture atomic.Pointer[picture]
	numbers numbers
}

// life is one run of the scheduler.
type life struct {
	driver driver.Driver
	done   chan struct{} // closed when it is over
}

// New makes a scheduler. The store and the driver belong to it alone while it runs; whoever opened them closes them. The
// driver may be nil for a scheduler that gets one with each Lead.
func New(cfg Config, kept *store.Store, d driver.Driver, members Members, log *slog.Logger) *Scheduler {
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	s := &Scheduler{
		cfg: cfg, store: kept, archive: kept.Archive(), members: members, log: log, inbox: make(chan func(*loop)),
	}
	s.life.Store(&life{driver: d, done: make(chan struct{})})
	s.picture.Store(&picture{})
	return s
}

// errEnded is the cause with which everything in the background is cancelled when Run returns.
var errEnded = errors.New("the scheduler has ended")

// Run schedules until ctx ends, and returns nil then. Every task goes on running. An error means that the state cannot be
// trusted or the driver is gone: nothing was killed because of it, and a person has to look.
func (s *Scheduler) Run(ctx context.Context) error {
	return s.Lead(ctx, forever{}, s.life.Load().driver)
}

// Lead is Run for one of several schedulers over one store: it stops acting when the term is over, and may be called
// again for the next one, with a driver opened for it. State is read anew each time.
func (s *Scheduler) Lead(ctx context.Context, term Term, d driver.Driver) error {
	now := &life{driver: d, done: make(chan struct{})}
	// Who called before the first run waits for it on the life that was there then.
	if first := s.life.Load(); first.driver == d {
		select {
		case <-first.done:
		default:
			now = first
		}
	}
	s.life.Store(now)
	defer close(now.done)
	s.hub.open()
	s.feed.open()
	defer s.hub.close()
	defer s.feed.close()
	background, cancel := context.WithCancelCause(ctx)
	s.store.Fence(term.Fence())
	l := newLoop(background, s, term, d)
	defer l.work.Wait()
	defer cancel(errEnded)
	return l.run() //nolint:contextcheck // its context was made from this one
}

// switchable is the driver of now, if its hosts have a power switch.
func (s *Scheduler) switchable() (driver.Switchable, bool) {
	power, ok := s.life.Load().driver.(driver.Switchable)
	return power, ok
}

// run is the loop. It ends with the context of the loop.
func (l *loop) run() error {
	for {
		if err := l.step(); err != nil {
			return err
		}
		timer := time.NewTimer(l.sleep())
		more, err := l.wait(timer.C)
		timer.Stop()
		if !more || err != nil {
			return err
		}
	}
}

// wait handles one event; false when the loop's context has ended.
func (l *loop) wait(wake <-chan time.Time) (bool, error) {
	var events <-chan driver.Event
	if l.loaded { // before, there is nothing to compare a report with
		events = l.driver.Events()
	}
	select {
	case <-l.ctx.Done():
		return false, nil
	case do := <-l.s.inbox:
		do(l)
	case e, open := <-events:
		if err := l.take(e, open); err != nil {
			return true, err
		}
	case <-wake:
		return true, nil
	}
	return true, l.takeWaiting(events)
}

// takeWaiting takes what has happened meanwhile, so that one plan is made for all of it.
func (l *loop) takeWaiting(events <-chan driver.Event) error {
	for range mostWaiting {
		select {
		case do := <-l.s.inbox:
			do(l)
		case e, open := <-events:
			if err := l.take(e, open); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// take takes an event of the driver.
func (l *loop) take(e driver.Event, open bool) error {
	if !open {
		l.emit(app.SchedulerEvent{Kind: "disconnected"})
		return errDriverClosed
	}
	l.hear(e)
	return nil
}

var errDriverClosed = errors.New("the driver was closed while the scheduler ran, or its platform listens to another one")

// call runs a function in the loop and waits for it.
func (s *Scheduler) call(ctx context.Context, do func(*loop)) error {
	finished := make(chan struct{})
	message := func(l *loop) {
		defer close(finished)
		do(l)
	}
	select {
	case s.inbox <- message:
	case <-s.life.Load().done:
		return fmt.Errorf("%w: it has ended", app.ErrUnavailable)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	<-finished // the loop is at it and takes no longer than its calls to the store
	return nil
}

// Feed delivers what Marathon's clients hear of, as Watch does what people want to know.
func (s *Scheduler) Feed(ctx context.Context) <-chan app.Event { return s.feed.watch(ctx) }

// Watch delivers what happens from now on, until ctx ends or the scheduler does; then the channel is closed. It is closed
// too when its reader falls behind by more than a thousand events.
func (s *Scheduler) Watch(ctx context.Context) <-chan Event { return s.hub.watch(ctx) }
