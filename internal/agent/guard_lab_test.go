package agent_test

import (
	"context"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/guard"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

// labGuard is the model of the guard of one life of an agent. It outlives that life, as the real one's process does, until
// its order is carried out, or the guard of the next life has one.
type labGuard struct {
	life *life
	// What follows is guarded by the lab's mutex.
	order *guard.Order
	// barred is true from the order's instant until there is another one.
	barred bool
	note   *guard.Note
}

// guardTime is how long the guard takes to confirm an order.
const guardTime = 100 * time.Microsecond

// Arm implements agent.Guard.
func (g *labGuard) Arm(ctx context.Context, o guard.Order) error { return g.give(ctx, &o) }

// Disarm implements agent.Guard.
func (g *labGuard) Disarm(ctx context.Context) error { return g.give(ctx, nil) }

// Note implements agent.Guard.
func (g *labGuard) Note() (guard.Note, bool) {
	g.life.host.lab.mu.Lock()
	defer g.life.host.lab.mu.Unlock()
	n := g.note
	g.note = nil
	if n == nil {
		return guard.Note{}, false
	}
	return *n, true
}

func (g *labGuard) give(ctx context.Context, o *guard.Order) error {
	if err := g.life.pause(ctx, guardTime); err != nil {
		return err
	}
	h := g.life.host
	h.lab.mu.Lock()
	defer h.lab.mu.Unlock()
	if g.life.dead() {
		return errKilled
	}
	if h.withoutGuard {
		return errBroken
	}
	h.guards, g.order, g.barred = []*labGuard{g}, o, false
	if o != nil {
		time.AfterFunc(time.Until(o.Act), func() { h.lab.change(func() { g.due(o) }) })
	}
	return nil
}

// due carries an order out, unless it is void by now: the server is shut down, and killed after half of the time. b.mu is
// held.
func (g *labGuard) due(o *guard.Order) {
	h := g.life.host
	if g.order != o || !slices.Contains(h.guards, g) {
		return
	}
	g.barred = true
	if h.server.process == postgres.ProcessNone {
		return
	}
	g.note = &guard.Note{At: time.Now(), Why: "the model says so", Signal: "SIGINT"}
	h.server.note("is stopped by the guard")
	h.server.shutDown()
	h.server.later(time.Until(o.Deadline)/2, h.server.crash)
}

// bars reports whether a server that is started now is stopped at once. b.mu is held.
func (h *host) bars() bool {
	for _, g := range h.guards {
		if g.barred && g.life.alive() {
			return true
		}
	}
	return false
}

// deadline is until when a server may accept writes: as long as its agent's lease, or the last order of a guard, allows.
// b.mu is held.
func (h *host) deadline() time.Time {
	var last time.Time
	if h.life.alive() {
		last = h.life.lease()
	}
	for _, g := range h.guards {
		if g.order != nil && g.order.Deadline.After(last) {
			last = g.order.Deadline
		}
	}
	return last
}

// stop keeps the agent from doing anything from now on, as SIGSTOP does; goOn ends that.
func (h *host) stop() {
	h.fault("the agent is frozen", func() {
		if h.frozen == nil {
			h.frozen = make(chan struct{})
		}
	})
}

func (h *host) goOn() {
	h.fault("the agent goes on", func() {
		if h.frozen != nil {
			close(h.frozen)
			h.frozen = nil
		}
	})
}

// freeze stops the agent for a while.
func (h *host) freeze(d time.Duration) {
	h.stop()
	time.Sleep(d)
	h.goOn()
}

// halt waits while the agent is frozen. Nobody who holds the lab's mutex may call it.
func (h *host) halt() {
	for {
		h.lab.mu.Lock()
		frozen := h.frozen
		h.lab.mu.Unlock()
		if frozen == nil {
			return
		}
		<-frozen
	}
}
