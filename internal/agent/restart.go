package agent

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// schedule takes up a request that is due later. The bool is false when there is one already: nobody can tell two apart
// in a member document.
func (r *requests) schedule(q ha.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.open, waits) || r.closed {
		return false
	}
	r.push(q)
	return true
}

// waits reports whether a request is scheduled and no decision has taken it up.
func waits(o openRequest) bool { return !o.At.IsZero() && !o.begun }

// scheduled is the request that waits for its time.
func (r *requests) scheduled() (ha.Request, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.open, waits)
	if i < 0 {
		return ha.Request{}, false
	}
	return r.open[i].Request, true
}

// unschedule drops the request that waits for its time. The bool is false when none does.
func (r *requests) unschedule() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.open)
	r.open = slices.DeleteFunc(r.open, waits)
	return len(r.open) < before
}

// Schedule keeps a restart until its time has come. The bool is false when another one is kept already.
func (a *Agent) Schedule(q ha.Request) bool {
	q.StartedAt = a.Snapshot().Server.Started
	kept := a.requests.schedule(q)
	a.Wake()
	return kept
}

// Unschedule drops the restart that is kept. The bool is false when there is none.
func (a *Agent) Unschedule() bool {
	dropped := a.requests.unschedule()
	a.Wake()
	return dropped
}

// dropOutdated drops the scheduled restart once the server it was meant for is gone: what it was to bring about has
// happened.
func (a *Agent) dropOutdated(ctx context.Context, started time.Time) {
	q, ok := a.requests.scheduled()
	if !ok || q.StartedAt.IsZero() || started.IsZero() || started.Equal(q.StartedAt) {
		return
	}
	a.requests.unschedule()
	a.log.InfoContext(ctx, "the server was restarted meanwhile: forgetting the scheduled restart", slog.Time("at", q.At))
}

// announcedRestart is the scheduled restart as others see it; nil when there is none.
func (a *Agent) announcedRestart() *cluster.ScheduledRestart {
	q, ok := a.requests.scheduled()
	if !ok {
		return nil
	}
	s := &cluster.ScheduledRestart{
		Schedule: q.At.Format("2006-01-02T15:04:05.999999-07:00"), Role: q.Role, Timeout: int(q.Timeout.Seconds()), RestartPending: q.Pending,
	}
	if !q.StartedAt.IsZero() {
		s.Started = q.StartedAt.Format(cluster.TimeForm)
	}
	if q.Below != 0 {
		s.Version = cluster.ServerVersionText(q.Below)
	}
	return s
}
