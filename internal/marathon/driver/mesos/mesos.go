package mesos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

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

	mu         sync.Mutex
	session    *session.Session
	stop       context.CancelFunc // of the session
	ended      chan struct{}      // closed when the session has
	offers     map[string]wire.Offer
	agents     map[string]string // host name → id of the agent, the newest
	hosts      map[string]string // id of an agent → host name
	tasks      map[app.TaskID]string
	volumes    map[string]string // volumes that were seen → host name
	destroying map[string]string // volumes that are being destroyed → host name
	operations map[string]reservation
	leaving    map[string]bool // agents that are to be maintained
	fences     map[string]bool // questions that mark the end of a reconciliation
	asked      time.Time       // for offers
	revived    time.Time
	suppressed bool
	feedback   bool // operations may have ids
}

// reservation is a volume that was asked for.
type reservation struct {
	volume, host string
}

var _ driver.Driver = (*Driver)(nil)

// New makes a driver. It talks to nobody before Subscribe.
func New(cfg Config, log *slog.Logger) (*Driver, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	d := &Driver{
		cfg: cfg, log: log, events: driver.NewQueue(), offers: map[string]wire.Offer{}, agents: map[string]string{}, hosts: map[string]string{},
		tasks: map[app.TaskID]string{}, volumes: map[string]string{}, operations: map[string]reservation{}, destroying: map[string]string{}, leaving: map[string]bool{}, fences: map[string]bool{},
	}
	go d.events.Run()
	return d, nil
}

// Subscribe implements driver.Driver.
func (d *Driver) Subscribe(ctx context.Context, framework string) (string, error) {
	first := make(chan string, 1)
	failed := make(chan error, 1)
	d.mu.Lock()
	if d.session == nil {
		d.begin(framework, first, failed)
	} else if known := d.session.Framework(); known != "" {
		first <- known
	}
	d.mu.Unlock()
	select {
	case id := <-first:
		return id, nil
	case err := <-failed:
		return "", subscribeError(err)
	case <-ctx.Done():
		d.halt()
		return "", fmt.Errorf("%w: %w", driver.ErrUnavailable, context.Cause(ctx))
	}
}

func subscribeError(err error) error {
	if errors.Is(err, session.ErrRemoved) {
		return fmt.Errorf("%w: %w; its volumes are still reserved, and only a person can say that they are not needed", driver.ErrForeign, err)
	}
	return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
}

// begin starts a session in the background.
func (d *Driver) begin(framework string, first chan<- string, failed chan<- error) {
	ctx, stop := context.WithCancel(context.Background())
	s := session.New(d.cfg.session(framework), d.log)
	ended := make(chan struct{})
	d.session, d.stop, d.ended = s, stop, ended
	go func() {
		defer close(ended)
		err := s.Run(ctx, session.Handler{
			Subscribed: func(e wire.Subscribed) {
				d.subscribed(e)
				select {
				case first <- e.FrameworkID.Value:
				default:
				}
			},
			Event: d.hear,
			Lost:  func(error) { d.forgetOffers() },
		})
		if err == nil {
			return
		}
		d.log.Error("the subscription to Mesos has ended for good", slog.Any("err", err))
		select {
		case failed <- err:
		default:
		}
		if errors.Is(err, session.ErrFailedOver) {
			d.events.Close() // another scheduler acts
		}
	}()
}

// halt ends the session, so that the next Subscribe begins another one.
func (d *Driver) halt() {
	d.mu.Lock()
	stop, ended := d.stop, d.ended
	d.session = nil
	d.mu.Unlock()
	if stop != nil {
		stop()
		<-ended
	}
}

// Events implements driver.Driver.
func (d *Driver) Events() <-chan driver.Event { return d.events.Out() }

// Close implements driver.Driver. Mesos keeps the tasks for the failover timeout.
func (d *Driver) Close() error {
	d.halt()
	d.events.Close()
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

// background makes a call whose failure the next one of its kind makes up for.
func (d *Driver) background(c wire.Call) {
	go func() {
		if err := d.call(context.Background(), c); err != nil {
			d.log.Debug("a call to Mesos came to nothing", slog.String("call", string(c.Type)), slog.Any("err", err))
		}
	}()
}

// subscribed begins a subscription: what was offered on the one before is void.
func (d *Driver) subscribed(e wire.Subscribed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.offers)
	d.suppressed = false
	d.feedback = e.MasterInfo != nil && feedback(e.MasterInfo.Version)
}

// feedback reports whether masters of that version, and so their agents, answer for operations (since 1.8).
func feedback(version string) bool {
	var major, minor int
	if n, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || n != 2 {
		return false
	}
	return major > 1 || minor >= 8
}

// hear takes an event.
func (d *Driver) hear(e wire.Event) {
	switch {
	case e.Offers != nil:
		d.hold(e.Offers.Offers)
	case e.Rescind != nil:
		d.mu.Lock()
		delete(d.offers, e.Rescind.OfferID.Value)
		d.mu.Unlock()
	case e.Update != nil:
		d.report(e.Update.Status)
	case e.UpdateOperationStatus != nil:
		d.operated(e.UpdateOperationStatus.Status)
	case e.InverseOffers != nil:
		d.leave(e.InverseOffers.InverseOffers)
	}
}

// host is the name of an agent, its id while nobody has said it.
func (d *Driver) host(agent string) string {
	if name := d.hosts[agent]; name != "" {
		return name
	}
	return agent
}
