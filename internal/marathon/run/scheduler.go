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
	Switchover(ctx context.Context, apiURL, leader, candidate string) error
}

// Config is what may be different from one scheduler to another; its zero value is good.
type Config struct {
	// Dial is how health checks reach tasks, for a network of its own. Nil is the ordinary way.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Scheduler keeps apps running. New makes one and Run is its life; the other methods may be called from any goroutine,
// also before Run.
type Scheduler struct {
	cfg     Config
	store   *store.Store
	driver  driver.Driver
	members Members
	log     *slog.Logger

	hub     hub
	inbox   chan func(*loop)
	done    chan struct{} // closed when Run has returned
	picture atomic.Pointer[picture]
}

// New makes a scheduler. The store and the driver belong to it alone while it runs; whoever opened them closes them.
func New(cfg Config, store *store.Store, driver driver.Driver, members Members, log *slog.Logger) *Scheduler {
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	s := &Scheduler{
		cfg: cfg, store: store, driver: driver, members: members, log: log,
		inbox: make(chan func(*loop)), done: make(chan struct{}),
	}
	s.picture.Store(&picture{})
	return s
}

// errEnded is the cause with which everything in the background is cancelled when Run returns.
var errEnded = errors.New("the scheduler has ended")

// Run schedules until ctx ends, and returns nil then. Every task goes on running. An error means that the state cannot be
// trusted or the driver is gone: nothing was killed because of it, and a person has to look.
func (s *Scheduler) Run(ctx context.Context) error {
	defer close(s.done)
	defer s.hub.close()
	background, cancel := context.WithCancelCause(ctx)
	l := newLoop(background, s)
	defer l.work.Wait()
	defer cancel(errEnded)
	return l.run() //nolint:contextcheck // its context was made from this one
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
		events = l.s.driver.Events()
	}
	select {
	case <-l.ctx.Done():
		return false, nil
	case do := <-l.s.inbox:
		do(l)
	case e, open := <-events:
		if !open {
			return false, errors.New("the driver was closed while the scheduler ran")
		}
		l.hear(e)
	case <-wake:
	}
	return true, nil
}

// call runs a function in the loop and waits for it.
func (s *Scheduler) call(ctx context.Context, do func(*loop)) error {
	finished := make(chan struct{})
	message := func(l *loop) {
		defer close(finished)
		do(l)
	}
	select {
	case s.inbox <- message:
	case <-s.done:
		return fmt.Errorf("%w: it has ended", app.ErrUnavailable)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	<-finished // the loop is at it and takes no longer than its calls to the store
	return nil
}

// Watch delivers what happens from now on, until ctx ends or the scheduler does; then the channel is closed. It is closed
// too when its reader falls behind by more than a thousand events.
func (s *Scheduler) Watch(ctx context.Context) <-chan Event { return s.hub.watch(ctx) }
