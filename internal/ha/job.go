package ha

import "time"

const (
	// retryAfter is the pause after a failed clone, start or rewind.
	retryAfter = 5 * time.Second
	// handoverStep is how often the candidates are asked during a switchover: their WAL arrives within
	// milliseconds and no event tells.
	handoverStep = 10 * time.Millisecond
	// handoverEase is the part of the time that passed by which the step grows.
	handoverEase = 20
)

// jobEnded settles what a job that just ended leaves: counters, and the few cases that need an action at once.
func jobEnded(mem *Memory, v View) (Decision, bool) {
	if v.Ended == nil || v.Job.Kind != "" {
		return Decision{}, false
	}
	if v.Ended.OK {
		return jobSucceeded(mem, v, *v.Ended)
	}
	return jobFailed(mem, v, *v.Ended)
}

func jobSucceeded(mem *Memory, v View, e EndedJob) (Decision, bool) {
	switch e.Kind {
	case JobBootstrap:
		mem.Bootstrapped = true
	case JobStop:
		mem.Ours = true
		if mem.Handover.active() {
			mem.Handover.Checkpoint = e.Checkpoint
		}
	case JobRewind, JobClone, JobReinitialize, JobReplace:
		mem.RewindFailed, mem.Led, mem.Twin, mem.Ours = false, 0, false, true
	case JobStart, JobRestart:
		mem.StartFailures = 0
	case JobCheckpoint:
		mem.Checkpointed = v.Server.Timeline
	case JobPromote, JobFollow, JobCopySlots:
	}
	mem.RetryAt = time.Time{}
	return Decision{}, false
}

func jobFailed(mem *Memory, v View, e EndedJob) (Decision, bool) {
	mem.RetryAt = v.Now.Add(retryAfter)
	switch e.Kind {
	case JobBootstrap:
		mem.Bootstrap = false
		return do("the bootstrap failed: "+e.Trouble, DeleteInitialize{Version: v.Cluster.Initialize.Version}, Exit{}), true
	case JobPromote:
		return promotionFailed(mem, v, e)
	case JobStart, JobRestart:
		mem.StartFailures++
	case JobRewind:
		mem.RewindFailed = !e.SourceLost
	case JobStop:
		mem.Handover = Handover{}
		return stopFailed(v)
	case JobClone, JobFollow, JobReinitialize, JobReplace, JobCheckpoint, JobCopySlots:
	}
	return Decision{}, false
}

// tooSlow gives up a leader's start, restart or crash recovery that takes longer than primary_start_timeout, where another
// member can take over. Otherwise it goes on: a slow primary is better than none.
func tooSlow(mem *Memory, v View) (Decision, bool) {
	limit := v.Settings.PrimaryStartTimeout
	switch {
	case v.Job.Timeout > 0:
		limit = v.Job.Timeout
	case v.Job.Kind == JobRestart && limit == 0:
		limit = restartTimeout // zero is about crashes; nothing crashed
	}
	if v.Settings.Pause || !v.Job.Primary || !v.Fresh || v.Server.Primary() || v.Now.Sub(v.Job.Began) <= limit {
		return Decision{}, false
	}
	names := candidates(v, "")
	if d, ok := ask(v.Now.Add(-tooSlowEvery), v, names, "the start takes longer than primary_start_timeout: asking whether a standby can take over"); ok {
		return d, true
	}
	ready, checks := readyPeers(v, names, v.Cluster.Status.Optime)
	if ready, checks = heirs(mem, v, ready, checks); len(ready) == 0 {
		return Decision{}, false
	}
	mem.StartFailures++ // the key is given up as after a start that failed
	return job("the start takes longer than primary_start_timeout: "+list(ready)+" can take over", immediately(v)).checked(checks), true
}

// restartTimeout is how long a restart that was asked for may take where primary_start_timeout says nothing about it.
const restartTimeout = 5 * time.Minute

// tooSlowEvery is how often the others are asked while a start takes too long.
const tooSlowEvery = 5 * time.Second

// stopFailed waits before a server that could not be stopped is stopped again, whatever for.
func stopFailed(v View) (Decision, bool) {
	if v.Ended == nil || v.Ended.OK || v.Ended.Kind != JobStop {
		return Decision{}, false
	}
	return do("the server could not be stopped, trying again soon: " + v.Ended.Trouble).wake(time.Second), true
}

// promotionFailed gives the key back and stays out of the race for a ttl, so that a healthier member gets
// its chance.
func promotionFailed(mem *Memory, v View, e EndedJob) (Decision, bool) {
	mem.NoRaceUntil = v.Now.Add(v.Settings.TTL)
	if !v.leading() || v.Server.Primary() {
		return Decision{}, false
	}
	mem.ReleasedAt = v.Now
	d := do("the promotion failed: "+e.Trouble, ReleaseLeader{Version: v.Cluster.Leader.Version}).again()
	if f := v.Cluster.Failover; f.Candidate == v.Self.Name {
		d = d.with(ClearFailover{Version: f.Version}) // nobody is to wait for this candidate any more
	}
	return d, true
}

// jobRunning lets the job go on, unless the lock it relies on is gone.
func jobRunning(mem *Memory, v View) (Decision, bool) {
	if v.Job.Kind == "" {
		return Decision{}, false
	}
	if len(v.Requests) > 0 && v.Requests[0].Kind == RequestReinitialize && v.Job.Kind != JobReinitialize {
		return requested(mem, v) // asked for with force: what runs is cancelled
	}
	needsLock := v.Job.Kind == JobPromote || v.Job.Primary
	if needsLock && !v.mayWrite() {
		return job("the leader key was lost: cancelling "+v.Job.String(), immediately(v)), true
	}
	if d, ok := tooSlow(mem, v); ok {
		return d, true
	}
	if v.Job.Kind == JobStop && mem.Handover.active() && v.leading() && v.Job.Checkpoint != 0 {
		mem.Handover.Checkpoint = v.Job.Checkpoint
		return handOver(mem, v)
	}
	d := withStatus(v, do(v.Job.String()+" in progress"))
	if v.Job.Kind == JobCheckpoint && v.leading() {
		d = synchronous(mem, v, d) // a checkpoint takes as long as it takes, and is in nobody's way
	}
	return d, true
}
