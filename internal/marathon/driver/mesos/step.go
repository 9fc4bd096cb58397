package mesos

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// gather is how long what is asked of one agent is gathered for one ACCEPT: whatever is left of the offers comes back only
// with the next round of the master.
const gather = 10 * time.Millisecond

// step is something to be done with the offers of an agent.
type step struct {
	ops   []wire.Operation
	takes []wire.Resource // of what is offered
	// done hears that the master has taken it, fail that nothing was done, for certain, and doubt that nobody knows. They run
	// under the lock.
	done  func()
	fail  func(why string)
	doubt func()
}

// ids are the offers held of an agent.
func ids(a *agent) []wire.ID {
	var list []wire.ID
	for _, id := range slices.Sorted(maps.Keys(a.offers)) {
		list = append(list, wire.ID{Value: id})
	}
	return list
}

// pool is what is offered of an agent and not spoken for.
func pool(a *agent) []wire.Resource {
	var all []wire.Resource
	for _, id := range ids(a) {
		all = wire.Add(all, wire.Allocated(a.offers[id.Value].Resources, "")...)
	}
	for _, s := range a.pending {
		if left, ok := wire.Subtract(all, s.takes...); ok {
			all = left
		}
	}
	return all
}

// do adds a step to those of its agent, and sends them together.
func (d *Driver) do(a *agent, s step) {
	d.used = true
	a.pending = append(a.pending, s)
	if a.flush == nil {
		a.flush = time.AfterFunc(gather, func() { d.send(a) })
	}
}

// send makes one ACCEPT of what was gathered.
func (d *Driver) send(a *agent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a.flush = nil
	if len(a.pending) == 0 || d.ctx.Err() != nil {
		return
	}
	steps := a.pending
	accept := wire.Accept{OfferIDs: ids(a), Filters: &wire.Filters{}}
	for _, s := range steps {
		accept.Operations = append(accept.Operations, s.ops...)
	}
	a.pending = nil
	clear(a.offers)
	a.letGo()
	d.work.Go(func() { d.accept(accept, steps) })
}

// accept makes the call. Where nobody answers the subscription is renewed: the master refuses a call that is still on its
// way then, so that what it says afterwards stays true (rule S8).
func (d *Driver) accept(accept wire.Accept, steps []step) {
	err := d.call(d.ctx, wire.Call{Type: wire.CallAccept, Accept: &accept})
	if d.ctx.Err() != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range steps {
		switch {
		case err == nil:
			s.done()
		case errors.Is(err, driver.ErrRefused):
			s.fail(err.Error())
		default:
			s.doubt()
		}
	}
	if err == nil || errors.Is(err, driver.ErrRefused) {
		return
	}
	d.log.Warn("nobody knows whether Mesos took what was asked of an agent", slog.Any("err", err))
	if d.session != nil {
		d.session.Renew()
	}
}

// drop forgets what is held of an agent. Steps that were not sent come to nothing.
func (d *Driver) drop(a *agent, why string) {
	steps := a.pending
	a.pending = nil
	clear(a.offers)
	if a.flush != nil {
		a.flush.Stop()
		a.flush = nil
	}
	a.letGo()
	for _, s := range steps {
		s.fail(why)
	}
}

// letGo begins the time anew for which the offers to come are held.
func (a *agent) letGo() {
	if a.held != nil {
		a.held.Stop()
		a.held = nil
	}
}

// rescinded takes an offer out of those held, with everything that was to be done on its agent.
func (d *Driver) rescinded(id string) {
	for _, a := range d.agents {
		if _, held := a.offers[id]; !held {
			continue
		}
		delete(a.offers, id)
		rest := maps.Clone(a.offers)
		d.drop(a, "the offer was taken back")
		maps.Copy(a.offers, rest)
	}
}
