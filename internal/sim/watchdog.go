package sim

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
)

// watchdog is the model of the device that resets the host unless it is fed. Nothing on the host holds it up.
type watchdog struct {
	host   *member
	active bool
	// opened is the agent that has the device at hand; its timer goes on after that has ended.
	opened *life
	// set is its timeout, fed when it was fed last, on the agent's clock.
	set time.Duration
	fed time.Time
	// ends is the instant at which it resets the host.
	ends    int64
	planned int64
}

const (
	// watchdogMargin is how long before the end of the lease the host is reset, and how old news may be that feeds.
	watchdogMargin = 5 * time.Second
	// bootTime is how long a host takes to come back.
	bootTime = 20 * time.Second
)

// feed starts the timer anew, for what a renewal at that time says.
func (d *watchdog) feed(l *life, sent time.Time) {
	if now := l.now(); now.Sub(sent) < watchdogMargin {
		d.fed = now
		d.ends = d.host.w.now + d.host.clock.global(d.set)
		d.plan()
	}
}

// activate sets it off for a lease of that length.
func (d *watchdog) activate(l *life) {
	d.active, d.opened, d.set = true, l, l.seen.settings.TTL-watchdogMargin
	d.feed(l, l.now())
}

func (d *watchdog) disable() { d.active = false }

// held reports whether this agent has set it off.
func (d *watchdog) held(l *life) bool { return d.active && d.opened == l }

func (d *watchdog) plan() {
	if d.planned == 0 || d.ends < d.planned {
		d.planned = d.ends
		d.host.w.at(d.ends, d.look)
	}
}

func (d *watchdog) look() {
	d.planned = 0
	m := d.host
	switch {
	case !d.active:
	case m.w.now < d.ends:
		d.plan()
	default:
		d.active = false
		m.w.note(m, "watchdog", "resets the host")
		m.w.stats.Resets++
		m.powerOff()
		m.w.faultsEnd = max(m.w.faultsEnd, m.w.now+int64(bootTime))
		m.w.at(m.w.now+int64(bootTime), m.powerOn)
	}
}

// watchdog is what the next decision is to know of the device.
func (l *life) watchdog() ha.Watchdog {
	if !l.w.setup.Watchdog {
		return ha.Watchdog{}
	}
	return ha.Watchdog{Wanted: true, Required: true, Usable: true, Active: l.host.watchdog.held(l)}
}

// bounded is a deadline, or the earlier one that an active device sets, as in package agent.
func (l *life) bounded(deadline time.Time) time.Time {
	d := &l.host.watchdog
	if !d.held(l) {
		return deadline
	}
	s := l.seen.settings
	margin, slack := s.TTL/6, max(d.set-min(s.LoopWait, s.TTL/3), 0)
	if end := d.fed.Add(d.set).Add(margin - min(margin, slack/2)); end.Before(deadline) {
		return end
	}
	return deadline
}

// feedWatchdog tells the device of an action that moved the deadline.
func (l *life) feedWatchdog(v *ha.View, action ha.Action) {
	d := &l.host.watchdog
	if !d.held(l) || !v.Watchdog.Active {
		return
	}
	if _, renewed := action.(ha.RenewLease); renewed {
		if l.leads() {
			d.feed(l, l.lease.renewed)
		}
		return
	}
	d.feed(l, l.failsafe.asked)
}
