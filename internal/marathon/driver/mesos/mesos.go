package mesos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/session"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// Driver runs tasks on Mesos. New makes one, Subscribe begins its work.
type Driver struct {
	cfg    Config
	log    *slog.Logger
	events *driver.Queue
	ctx    context.Context //nolint:containedctx // of everything in the background, which nobody calls
	stop   context.CancelFunc
	work   sync.WaitGroup
	// agentsClient asks agents for logs.
	agentsClient *http.Client

	mu        sync.Mutex
	session   *session.Session // nil while there is none that could come to something
	framework string           // who we are, empty before the first subscription
	former    []string         // whom else the volumes belong to that are ours
	used      bool             // something was launched or reserved: it is too late to be somebody else
	failed    error            // why the last session ended for good
	changed   chan struct{}    // closed and renewed when framework or failed change
	settled   chan struct{}    // closed when the tasks of this subscription were told
	feedback  bool             // operations may have ids

	agents  map[string]*agent
	tasks   map[app.TaskID]*task
	endings []app.TaskID // of the tasks that have ended, the oldest first
	volumes map[driver.Volume]*volume
	// destroyed are volumes of which nothing is left.
	destroyed map[driver.Volume]bool
	old       bool // the framework is older than this driver
	// watched are volumes that were not shown yet, each with the agent it lay on.
	watched map[driver.Volume]string
	fences  map[string]func(state string) // questions that mark the end of a reconciliation, or are about an agent
	inquiry inquiry
	demand  demand
	outbox  []wire.Call // to be made in the background
	sending bool        // somebody does
}

var (
	_ driver.Driver = (*Driver)(nil)
	_ driver.Heir   = (*Driver)(nil)

	_ driver.Watcher = (*Driver)(nil)
)

// New makes a driver. It talks to nobody before Subscribe.
func New(cfg Config, log *slog.Logger) (*Driver, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	d := &Driver{
		cfg: cfg, log: log, events: driver.NewQueue(), changed: make(chan struct{}), settled: make(chan struct{}),
		agents: map[string]*agent{}, tasks: map[app.TaskID]*task{}, volumes: map[driver.Volume]*volume{},
		destroyed: map[driver.Volume]bool{}, fences: map[string]func(string){}, watched: map[driver.Volume]string{},
	}
	d.agentsClient = &http.Client{Transport: &http.Transport{TLSClientConfig: cfg.TLS, DisableKeepAlives: true}}
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.work.Go(d.events.Run)
	return d, nil
}

// Inherit implements driver.Heir.
func (d *Driver) Inherit(former []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.former = slices.Clone(former)
}

// ours reports whether a resource is reserved by this framework, or was by one that it is the heir of.
func (d *Driver) ours(r wire.Resource) bool {
	by := labelOf(r, labelFramework)
	return by == d.framework || slices.Contains(d.former, by)
}

// Subscribe implements driver.Driver. The masters are tried until ctx ends, and further in the background.
func (d *Driver) Subscribe(ctx context.Context, framework string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.framework != "" && (framework != d.framework && framework != "" || framework == "" && d.used) {
		return "", fmt.Errorf("%w: this scheduler is framework %s", driver.ErrForeign, d.framework)
	}
	if d.session == nil {
		d.begin(framework)
	}
	for d.framework == "" && d.failed == nil {
		changed := d.changed
		d.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = fmt.Errorf("%w: %w", driver.ErrUnavailable, context.Cause(ctx))
		}
		d.mu.Lock()
		if err != nil {
			return "", err
		}
	}
	if d.failed != nil {
		return "", subscribeError(d.failed)
	}
	return d.framework, nil
}

func subscribeError(err error) error {
	if errors.Is(err, session.ErrRemoved) {
		return fmt.Errorf("%w: %w; its volumes are still reserved: a scheduler started with --mesos-framework and that id goes on as another framework and takes them over", driver.ErrForeign, err)
	}
	return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
}

// begin starts a session in the background.
func (d *Driver) begin(framework string) {
	s := session.New(d.cfg.session(framework), d.log)
	d.session, d.failed, d.old = s, nil, framework != "" || len(d.former) > 0
	d.work.Go(func() {
		err := s.Run(d.ctx, session.Handler{Subscribed: d.subscribed, Event: d.hear, Lost: d.lost})
		if err == nil {
			return // closed
		}
		d.log.Error("the subscription to Mesos has ended for good", slog.Any("err", err))
		d.mu.Lock()
		defer d.mu.Unlock()
		d.session, d.failed = nil, err
		d.announce()
		if errors.Is(err, session.ErrFailedOver) || d.framework != "" {
			d.events.Close() // another scheduler acts, or nobody can any more
		}
	})
}

// announce wakes whoever waits for a subscription.
func (d *Driver) announce() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// Events implements driver.Driver.
func (d *Driver) Events() <-chan driver.Event { return d.events.Out() }

// Close implements driver.Driver. Mesos keeps the tasks for the failover timeout.
func (d *Driver) Close() error {
	d.stop()
	d.mu.Lock()
	d.session = nil
	d.inquiry.halt()
	for _, a := range d.agents {
		d.drop(a, "the scheduler ends")
		for _, p := range slices.Clone(a.parked) {
			a.unpark(p.t)
		}
	}
	d.mu.Unlock()
	d.events.Close()
	d.work.Wait()
	return nil
}

// call makes a call, in the words of the port.
func (d *Driver) call(ctx context.Context, c wire.Call) error {
	d.mu.Lock()
	s := d.session
	d.mu.Unlock()
	if s == nil {
		return fmt.Errorf("%w: not subscribed", driver.ErrUnavailable)
	}
	err := s.Call(ctx, c)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, session.ErrRejected):
		return fmt.Errorf("%w: %w", driver.ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
}

// subscribed begins a subscription: what was offered on the one before is void, and what happened meanwhile is asked for.
func (d *Driver) subscribed(e wire.Subscribed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.framework, d.failed = e.FrameworkID.Value, nil
	d.feedback = e.MasterInfo != nil && wire.AnswersForOperations(e.MasterInfo.Version)
	d.void("the subscription it was offered on has ended")
	d.revive()
	d.askOperations()
	d.inquire()
	d.announce()
}

// lost drops what is void because its subscription has ended.
func (d *Driver) lost(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.void("the subscription has ended: " + err.Error())
}

// void drops all offers, and what was going to be said about them.
func (d *Driver) void(why string) {
	d.outbox = nil
	for _, a := range d.agents {
		d.drop(a, why)
	}
}

// hear takes an event.
func (d *Driver) hear(e wire.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case e.Offers != nil:
		d.hold(e.Offers.Offers)
	case e.Rescind != nil:
		d.rescinded(e.Rescind.OfferID.Value)
	case e.Update != nil:
		d.update(e.Update.Status)
	case e.UpdateOperationStatus != nil:
		d.operated(e.UpdateOperationStatus.Status)
	case e.Failure != nil && e.Failure.AgentID != nil && e.Failure.ExecutorID == nil:
		d.askIfGone(e.Failure.AgentID.Value)
	case e.InverseOffers != nil:
		d.leave(e.InverseOffers.InverseOffers)
	}
}
