package simulated

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// Driver is one scheduler's connection to a fleet.
type Driver struct {
	fleet      *Fleet
	events     *queue
	subscribed bool
	closed     bool
}

var (
	_ driver.Driver     = (*Driver)(nil)
	_ driver.Switchable = (*Driver)(nil)
)

// Open connects a driver. What another one was still to be told is told to this one after it has subscribed. Close ends
// it.
func (f *Fleet) Open() *Driver {
	d := &Driver{fleet: f, events: newQueue()}
	go d.events.run()
	return d
}

// Close implements driver.Driver.
func (d *Driver) Close() error {
	d.fleet.mu.Lock()
	defer d.fleet.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if d.fleet.conn == d {
		d.fleet.conn = nil
	}
	close(d.events.stop)
	return nil
}

// Events implements driver.Driver.
func (d *Driver) Events() <-chan driver.Event { return d.events.out }

// reach locks the fleet for a call of the scheduler; an error means that the call does not get through.
func (d *Driver) reach(ctx context.Context) error {
	d.fleet.mu.Lock()
	switch {
	case ctx.Err() != nil:
		d.fleet.mu.Unlock()
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, context.Cause(ctx))
	case d.closed:
		d.fleet.mu.Unlock()
		return fmt.Errorf("%w: the driver is closed", driver.ErrUnavailable)
	case d.fleet.weather.Silent:
		d.fleet.mu.Unlock()
		return driver.ErrUnavailable
	}
	return nil
}

// Subscribe implements driver.Driver. A framework other than the first is turned away as long as anything is there that
// was made for that.
func (d *Driver) Subscribe(ctx context.Context, framework string) (string, error) {
	if err := d.reach(ctx); err != nil {
		return "", err
	}
	f := d.fleet
	defer f.mu.Unlock()
	if f.framework != framework && (len(f.tasks) > 0 || len(f.volumes()) > 0) {
		return "", fmt.Errorf("%w: %q has them, %q asks", driver.ErrForeign, f.framework, framework)
	}
	if framework == "" {
		framework = fmt.Sprintf("framework-%d", 1+len(f.seen))
	}
	f.framework = framework
	if !d.subscribed {
		d.subscribed, f.conn = true, d
		f.repeat()
	}
	return framework, nil
}

// Offers implements driver.Driver.
func (d *Driver) Offers(ctx context.Context) ([]place.Offer, error) {
	if err := d.reach(ctx); err != nil {
		return nil, err
	}
	f := d.fleet
	defer f.mu.Unlock()
	offers := make([]place.Offer, 0, len(f.names))
	for _, name := range f.names {
		if h := f.hosts[name]; !h.lost() {
			offers = append(offers, h.offer())
		}
	}
	return offers, nil
}

// offer is what the living tasks of a host leave over.
func (h *host) offer() place.Offer {
	o := place.Offer{
		ID: "offer-" + h.Name, Host: h.Name, Address: h.Address, AgentID: "agent-" + h.Name, Free: h.Resources, Ports: h.Ports,
		Attributes: h.Attributes, Volumes: make([]string, 0, len(h.volumes)), Reserved: h.Reserved,
	}
	for _, t := range h.tasks {
		if t.live() {
			o.Take(t.spec.Resources, t.spec.App.AcceptedResourceRoles)
			o.Ports = o.Ports.Without(t.spec.HostPorts()...)
		}
	}
	for id := range h.volumes {
		o.Volumes = append(o.Volumes, id)
	}
	slices.Sort(o.Volumes)
	return o
}

// covers reports whether the host has so much left for an app.
func (h *host) covers(a app.App, want place.Resources) bool {
	o := h.offer()
	return o.Usable(a.AcceptedResourceRoles).Covers(want)
}

// Reconcile implements driver.Driver. It answers for every task the fleet holds, asked about or not.
func (d *Driver) Reconcile(ctx context.Context, known []driver.Known) error {
	if err := d.reach(ctx); err != nil {
		return err
	}
	f := d.fleet
	defer f.mu.Unlock()
	last := time.Now()
	for _, k := range known {
		if f.tasks[k.Task] == nil {
			last = later(last, f.tell(f.missing(k), last))
		}
	}
	for _, t := range f.sorted() {
		last = later(last, f.send(t, t.answer()))
	}
	f.at(last, func() { f.deliver(d, driver.Reconciled{}) })
	return nil
}

// missing is the answer for a task the fleet does not hold.
func (f *Fleet) missing(k driver.Known) driver.Status {
	s := driver.Status{Task: k.Task, Host: k.Host, Time: time.Now()}
	h, known := f.hosts[k.Host]
	switch {
	case !known:
		s.State, s.Message = app.TaskLost, "nobody knows host "+k.Host
	case h.lost():
		s.State, s.Message = app.TaskUnreachable, "host "+k.Host+" is out of reach"
	default:
		s.State, s.Message = app.TaskGone, "host "+k.Host+" does not have this task"
	}
	return s
}

// Ack implements driver.Driver. A task whose end is acknowledged is forgotten.
func (d *Driver) Ack(ctx context.Context, s driver.Status) error {
	if err := d.reach(ctx); err != nil {
		return err
	}
	f := d.fleet
	defer f.mu.Unlock()
	t := f.tasks[s.Task]
	if t == nil {
		return nil
	}
	n := slices.IndexFunc(t.unacked, func(u driver.Status) bool { return u.ID == s.ID })
	if n < 0 {
		return nil
	}
	f.checkAck(t.unacked[n])
	t.unacked = slices.Delete(t.unacked, n, n+1)
	if s.State.Terminal() {
		delete(f.tasks, s.Task)
		delete(t.host.tasks, s.Task)
	}
	return nil
}
