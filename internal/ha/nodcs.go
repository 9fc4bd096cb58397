package ha

import "time"

// noDCS acts while the shared picture cannot be read. Unreachable is not dead (rule S7): a primary stays
// primary as long as its lease lasts (rule S2; the fence rule ends it), a standby goes on.
func noDCS(mem *Memory, v View) (Decision, bool) {
	if v.Fresh {
		return Decision{}, false
	}
	if v.Settings.Pause {
		return do("paused, and the DCS does not answer").wake(time.Second), true
	}
	if v.Server.Data == DataUnknown && v.leading() && !v.mayWrite() && !mem.Ours {
		return job("the DCS does not answer, the lease ends, and whether a server runs cannot be seen: making sure that none does", immediately(v)), true
	}
	if v.Server.Data != DataCluster {
		return do("the DCS does not answer: waiting before touching the data directory").wake(time.Second), true
	}
	if v.Server.Primary() || v.Server.Process == Stopped && v.mayWrite() && !vouched(mem, v) {
		if d, ok := failsafe(mem, v); ok {
			return d, true
		}
	}
	switch {
	case v.Server.Primary():
		left := v.Lease.Deadline.Add(-v.margin()).Sub(v.Now)
		why := "the DCS does not answer: staying primary while the lease lasts"
		return do(why).wake(min(left, time.Second)), true
	case v.Server.Process == Stopped && mem.Handover.active() && v.mayWrite():
		return do("the DCS does not answer: the " + mem.Handover.Kind + " waits").wake(time.Second), true
	case v.Server.Process == Stopped && v.leading() && v.Settings.Standby.Active() && v.Server.Control.Standby && !v.Now.Before(mem.RetryAt):
		return job("the DCS does not answer: starting behind the remote", Job{Kind: JobStart, Remote: true}), true
	case v.Server.Process == Stopped && v.mayWrite() && vouched(mem, v) && mem.StartFailures == 0 && !v.Server.Control.Standby && !v.Settings.Standby.Active():
		// The lease still proves that nobody else leads; a crashed server may come back under it.
		return job("the DCS does not answer: starting again while the lease lasts", Job{Kind: JobStart, Primary: true, Hold: strict(v)}), true
	case v.Server.Process == Stopped && (unrecorded(v) || twin(mem, v)):
		return do("the DCS does not answer: waiting for the history of this server's timeline").wake(time.Second), true
	case v.Server.Process == Stopped && !v.Now.Before(mem.RetryAt):
		return job("the DCS does not answer: starting read-only", Job{Kind: JobStart, Member: otherLeader(mem, v)}), true
	}
	return do("the DCS does not answer").wake(time.Second), true
}

// otherLeader is the last known leader, unless that was this member itself.
func otherLeader(mem *Memory, v View) string {
	if mem.LastLeader == v.Self.Name {
		return ""
	}
	return mem.LastLeader
}
