package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/guard"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

// guarding is what the guard was told (rule S3). The loop tells it, and so does a job that makes a primary.
//
//	a job that makes a primary begins      armed first; without that the job fails
//	the lease was renewed, or all agreed   armed by the new deadline, at once
//	a server that may accept writes        armed, as long as this member has the leader key on its own lease; without it
//	                                       the order in force stands, since only a lease proves that nobody else leads
//	no such server, or pause               disarmed
//	a job that changes the server runs     the order in force stands: nobody knows how far it is
type guarding struct {
	// turn has a token while somebody speaks to the guard: what it was told last and what is kept here must not differ.
	turn chan struct{}

	mu sync.Mutex // guards what follows; held for moments only
	// told is true once it was told anything, armed from the first try to arm it until it was disarmed.
	told, armed bool
	// deadline is that of the order that it confirmed; zero when nobody knows what it goes by.
	deadline time.Time
}

// speak waits for the turn to speak to the guard; the returned function ends it.
func (g *guarding) speak(ctx context.Context) (end func(), err error) {
	select {
	case g.turn <- struct{}{}:
		return func() { <-g.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the guard: %w", context.Cause(ctx))
	}
}

// look returns what the guard was told.
func (g *guarding) look() (told, armed bool, deadline time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.told, g.armed, g.deadline
}

func (g *guarding) note(armed bool, deadline time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told, g.armed, g.deadline = true, armed, deadline
}

// guardTimeout bounds how long the loop waits for the guard, which takes a fraction of a millisecond unless it has to be
// started anew. Less than any margin, so that it cannot cost the lease.
const guardTimeout = time.Second

// order is what the guard is to do for a server with that process number, zero for one that is not known yet. It is nil
// while this member has no right to a primary that would end by itself.
//
// A living agent begins to stop its server a margin before the deadline. The guard begins at half of it, so that it does
// not come in between, and still has time to use force.
func (a *Agent) order(pid int) *guard.Order {
	lease, leader := a.dcs.Lease(), a.seen.cluster.Leader
	if a.cfg.Guard == nil || a.settings().Pause || lease.ID == 0 || leader.Name != a.cfg.Name || leader.Lease != lease.ID {
		return nil
	}
	// What the members agreed to holds whether the DCS is back or not.
	deadline := a.writeDeadline(false)
	return &guard.Order{PID: pid, Act: deadline.Add(-a.margin() / 2), Deadline: deadline}
}

// keepGuard tells the guard what the last look at the server means for it. making says whether a job that makes a primary
// was running before that look.
func (a *Agent) keepGuard(ctx context.Context, v ha.View, st postgres.Status, making bool) {
	if a.cfg.Guard == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, guardTimeout)
	defer cancel()
	switch {
	case v.Settings.Pause:
		a.disarm(ctx)
	case making || comesUpAsPrimary(st):
		a.prolong(ctx, st.PID)
	case st.Data == postgres.DataUnreadable:
		// Nobody knows what runs there: what may, has a right to it no longer than the lease lasts.
		a.prolong(ctx, 0)
	case a.inherits(v) && st.Process != postgres.ProcessNone:
		// The earlier life may have told this standby to promote. Its order stands until it is clear who leads.
	case v.Job.Kind == "" && (v.Ended == nil || st.Process == postgres.ProcessNone):
		a.disarm(ctx)
	}
}

// guardFirst arms the guard of a primary that has none, as after a pause, before anything else takes time: a look at a
// server that does not answer takes seconds, in which this agent may stop running.
func (a *Agent) guardFirst(ctx context.Context) {
	if _, armed, _ := a.guarding.look(); armed || a.cfg.Guard == nil || !a.server.primary {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, guardTimeout)
	defer cancel()
	a.prolong(ctx, a.server.status.PID)
}

// inherits reports whether this life has told the guard nothing yet, while the leader key is still an earlier life's.
func (a *Agent) inherits(v ha.View) bool {
	told, _, _ := a.guarding.look()
	return !told && v.Cluster.Leader.Name == a.cfg.Name && !v.Settings.Standby.Active()
}

// forestall has the guard go by the lease that the leader key is about to be moved to, if that ends earlier: the write may
// be applied and its answer lost (rule S8).
func (a *Agent) forestall(ctx context.Context) error {
	lease := a.dcs.Lease()
	_, armed, deadline := a.guarding.look()
	if !armed || !lease.Deadline.Before(deadline) {
		return nil
	}
	o := guard.Order{PID: a.server.status.PID, Act: lease.Deadline.Add(-lease.TTL / 12), Deadline: lease.Deadline}
	if err := a.arm(ctx, o); err != nil {
		return fmt.Errorf("tell the guard of the shorter lease first: %w", err)
	}
	return nil
}

// renewed tells the guard at once that the deadline has moved: what else the tick does may take long.
func (a *Agent) renewed(ctx context.Context, action ha.Action) {
	_, renewed := action.(ha.RenewLease)
	_, agreed := action.(ha.AskFailsafe)
	_, armed, _ := a.guarding.look()
	if !armed || !renewed && !agreed {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, guardTimeout)
	defer cancel()
	a.prolong(ctx, a.server.status.PID)
}

// prolong arms the guard by the deadline in force unless it goes by that already. While a job makes a primary the order
// names no process: the one that is there may be on its way out.
func (a *Agent) prolong(ctx context.Context, pid int) {
	if a.job.makesPrimary() {
		pid = 0
	}
	o := a.order(pid)
	if o == nil {
		return
	}
	if _, armed, deadline := a.guarding.look(); armed && deadline.Equal(o.Deadline) {
		return
	}
	if err := a.arm(ctx, *o); err != nil {
		a.log.ErrorContext(ctx, "there is no guard: nothing stops the server if this agent does not run", slog.Any("err", err))
	}
}

// arm gives the guard an order.
func (a *Agent) arm(ctx context.Context, o guard.Order) error {
	end, err := a.guarding.speak(ctx)
	if err != nil {
		return err
	}
	defer end()
	a.guarding.note(true, time.Time{})
	if err := a.cfg.Guard.Arm(ctx, o); err != nil {
		return err
	}
	a.guarding.note(true, o.Deadline)
	return nil
}

// armFor arms the guard before a job makes a primary. In pause, and where there is none, nothing is guarded.
func (a *Agent) armFor(ctx context.Context, job ha.Job, o *guard.Order, paused bool) error {
	if a.cfg.Guard == nil || paused || !makesPrimary(job) {
		return nil
	}
	if o == nil {
		return fmt.Errorf("%s: there is no leader key on an own lease that the guard could go by", job)
	}
	if !time.Now().Before(o.Act) {
		return fmt.Errorf("%s: this agent did not run for so long that its right to a primary has ended since this was decided", job)
	}
	if err := a.arm(ctx, *o); err != nil {
		return fmt.Errorf("%s: not without a guard, which would stop the server if this agent did not run: %w", job, err)
	}
	return nil
}

// disarm takes the order back. It ends the guard of an earlier agent, too, so it is said once in every life.
func (a *Agent) disarm(ctx context.Context) {
	if told, armed, _ := a.guarding.look(); told && !armed {
		return
	}
	end, err := a.guarding.speak(ctx)
	if err == nil {
		defer end()
		err = a.cfg.Guard.Disarm(ctx)
	}
	if err != nil {
		a.log.WarnContext(ctx, "the guard was not disarmed", slog.Any("err", err))
		return
	}
	a.guarding.note(false, time.Time{})
	// It answers after it is through with what it did, so its note is there.
	if n, found := a.cfg.Guard.Note(); found {
		a.log.WarnContext(ctx, "the guard stopped the server", slog.Time("at", n.At), slog.Int("pid", n.PID), slog.String("why", n.Why),
			slog.String("signal", n.Signal), slog.Any("err", troubleOf(n)))
	}
}

func troubleOf(n guard.Note) error {
	if n.Trouble == "" {
		return nil
	}
	return errors.New(n.Trouble)
}
