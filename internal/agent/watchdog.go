package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/watchdog"
)

var errNoWatchdog = errors.New("there is no watchdog")

// terms are what the timeout of the device is made of.
func (a *Agent) terms() watchdog.Terms {
	s := a.settings()
	return watchdog.Terms{TTL: s.TTL, LoopWait: s.LoopWait}
}

// lookAtWatchdog is what the next decision is to know of the device. Why it cannot be used is logged when that changes.
func (a *Agent) lookAtWatchdog(ctx context.Context) ha.Watchdog {
	if a.cfg.Watchdog == nil {
		return ha.Watchdog{}
	}
	s := a.cfg.Watchdog.State(a.terms())
	if s.Trouble != a.watchdogTrouble && s.Trouble != "" {
		level := slog.LevelInfo
		if s.Required {
			level = slog.LevelWarn
		}
		a.log.Log(ctx, level, "no watchdog guards this host", slog.String("why", s.Trouble), slog.Bool("required", s.Required))
	}
	a.watchdogTrouble = s.Trouble
	return ha.Watchdog{Wanted: s.Wanted, Required: s.Required, Usable: s.Usable, Active: s.Active}
}

func (a *Agent) activateWatchdog() error {
	if a.cfg.Watchdog == nil {
		return errNoWatchdog
	}
	return a.cfg.Watchdog.Activate(a.terms())
}

func (a *Agent) disableWatchdog() error {
	if a.cfg.Watchdog == nil {
		return nil
	}
	return a.cfg.Watchdog.Disable()
}

// standDown ends the timer as soon as a stop has left no server to guard: the next decision may come too late, because it
// waits for a DCS that does not answer. It may be called beside the loop.
func (a *Agent) standDown(ctx context.Context) {
	if err := a.disableWatchdog(); err != nil {
		a.log.WarnContext(ctx, "the host may be reset although no server runs", slog.Any("err", err))
	}
}

// bounded is a deadline of this member's primary, or the earlier one that an active device sets: a host whose agent is well
// and only cannot renew must not be reset, so the server has to be stopped before. Whoever goes by a deadline begins a
// margin of it early (see ha.View). A device that leaves less than that margin between a renewal in time and the reset
// gets half of what it leaves.
func (a *Agent) bounded(deadline time.Time) time.Time {
	if a.cfg.Watchdog == nil {
		return deadline
	}
	ends, timeout := a.cfg.Watchdog.Timer()
	if ends.IsZero() {
		return deadline
	}
	t := a.terms()
	margin := t.TTL / 6
	slack := max(timeout-min(t.LoopWait, t.TTL/3), 0)
	if end := ends.Add(margin - min(margin, slack/2)); end.Before(deadline) {
		return end
	}
	return deadline
}

// feedWatchdog tells the device of an action that moved the deadline: a renewal of the lease while it carries the leader
// key, or the consent of all members. A member that has lost the key lets the timer run until its server is harmless.
func (a *Agent) feedWatchdog(ctx context.Context, v ha.View, action ha.Action) {
	if a.cfg.Watchdog == nil || !v.Watchdog.Active {
		return
	}
	_, renewed := action.(ha.RenewLease)
	_, agreed := action.(ha.AskFailsafe)
	var sent time.Time
	switch {
	case renewed && a.leads(v):
		sent = a.dcs.Lease().Renewed
	case agreed:
		sent = a.failsafe.asked
	default:
		return
	}
	if err := a.cfg.Watchdog.Keepalive(a.terms(), sent); err != nil {
		a.log.WarnContext(ctx, "the host will be reset unless this ends", slog.Any("err", err))
	}
}
