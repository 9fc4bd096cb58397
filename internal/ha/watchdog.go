package ha

import "time"

// The watchdog resets the host of a primary whose agent fell silent, which even a host that hangs cannot prevent. It is
// active before a server becomes a primary and fed by every renewal of the lease; it is disabled only when no server here
// accepts writes any more, or in pause.

// watchdogMissing reports whether a primary is to be guarded by a watchdog that is not active.
func watchdogMissing(v View) bool {
	return v.Watchdog.Wanted && !v.Watchdog.Active && !v.Settings.Pause
}

// activateWatchdog tries to have a running primary guarded. The bool is false when it goes on as it is: nothing more can
// be done, and the configuration does not insist.
func activateWatchdog(v View) (Decision, bool) {
	switch {
	case !watchdogMissing(v):
		return Decision{}, false
	case v.Watchdog.Usable && outcome[ActivateWatchdog](v) == 0:
		return activation(v, "leading: activating the watchdog"), true
	case v.Watchdog.Required:
		return job("the watchdog is required and could not be activated: this server may not accept writes", immediately(v)), true
	}
	return Decision{}, false
}

// activation sets the watchdog off right after a renewal of the lease, never long after one: the device counts from now,
// and has to be through before the lease is.
func activation(v View, why string) Decision {
	if v.Now.Sub(v.Lease.Renewed) > time.Second {
		return do(why+": renewing the lease first", RenewLease{}).again()
	}
	return do(why, ActivateWatchdog{}).again()
}

// keepWatchdog adds the end of the watchdog to a decision when there is nothing left to guard.
func keepWatchdog(v View, d Decision) Decision {
	if !v.Watchdog.Active {
		return d
	}
	over := contains[Exit](d) || !v.leading() || !v.Fresh || v.Settings.Standby.Active()
	if v.Settings.Pause || over && harmless(v) {
		d.Do = append([]Action{DisableWatchdog{}}, d.Do...)
	}
	return d
}

// harmless reports whether the server accepts no writes, and is not about to.
func harmless(v View) bool {
	if v.Job.Kind == JobPromote || v.Job.Primary {
		return false
	}
	return v.Server.Process == Stopped || v.Server.Process == Running && v.Server.InRecovery
}

// contains reports whether a decision holds an action of type A.
func contains[A Action](d Decision) bool {
	for _, a := range d.Do {
		if _, ok := a.(A); ok {
			return true
		}
	}
	return false
}
