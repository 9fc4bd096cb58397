package mesos

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

const (
	// revivePause is the least time between two REVIVE calls: each makes the master forget all filters.
	revivePause = 5 * time.Second
	// refuse is how long what is declined is not offered again unless it is asked for.
	refuse = 120 * time.Second
	// turn is how long others have to take what was held for too long.
	turn = 2 * time.Second
)

// demand is whether offers are wanted. Somebody has to want them, or other frameworks get them.
type demand struct {
	asked, revived time.Time
	suppressed     bool
	watched        bool // a timer looks whether they are still wanted
}

// want says that offers are wanted.
func (d *Driver) want() {
	now := time.Now()
	d.demand.asked = now
	if d.demand.suppressed && now.Sub(d.demand.revived) > revivePause {
		d.demand.suppressed, d.demand.revived = false, now
		d.suppress(nil)
		d.revive()
	}
	if !d.demand.watched {
		d.demand.watched = true
		time.AfterFunc(d.cfg.Idle, d.rest)
	}
}

// revive asks for offers again. It is repeated with each subscription, for it may have come between two.
func (d *Driver) revive() {
	if !d.demand.suppressed && !d.demand.revived.IsZero() {
		d.background(wire.Call{Type: wire.CallRevive, Revive: &wire.Roles{Roles: []string{d.cfg.Role}}})
	}
}

// rest gives all offers back when nobody has wanted any for a while.
func (d *Driver) rest() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.demand.watched = false
	if d.ctx.Err() != nil {
		return
	}
	if left := d.cfg.Idle - time.Since(d.demand.asked); left > 0 {
		d.demand.watched = true
		time.AfterFunc(left, d.rest)
		return
	}
	d.demand.suppressed = true
	d.suppress([]string{d.cfg.Role})
	d.background(wire.Call{Type: wire.CallSuppress, Suppress: &wire.Roles{Roles: []string{d.cfg.Role}}})
	for _, a := range d.agents {
		if len(a.pending) == 0 {
			d.decline(a, refuse)
		}
	}
}

// suppress has it said again with each subscription, for the master forgets it.
func (d *Driver) suppress(roles []string) {
	if d.session != nil {
		d.session.Suppress(roles)
	}
}

// watch gives what is held of an agent back after a while, for a moment, so that other frameworks get their turn: a task
// that waits for more than there is must not keep what there is from everybody.
func (d *Driver) watch(a *agent) {
	if a.held != nil {
		return
	}
	a.held = time.AfterFunc(d.cfg.Hold, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		a.held = nil
		if d.ctx.Err() == nil && len(a.pending) == 0 && len(a.parked) == 0 {
			d.decline(a, turn)
		}
	})
}

// decline gives what is held of an agent back.
func (d *Driver) decline(a *agent, refuse time.Duration) {
	if len(a.offers) == 0 {
		return
	}
	call := wire.Decline{OfferIDs: ids(a), Filters: &wire.Filters{RefuseSeconds: refuse.Seconds()}}
	clear(a.offers)
	d.background(wire.Call{Type: wire.CallDecline, Decline: &call})
}
