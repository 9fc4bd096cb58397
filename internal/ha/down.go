package ha

import (
	"slices"
	"strconv"
	"time"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// handoverWait is how long a former leader waits for its successor before it acts on its own.
const handoverWait = 2 * time.Second

// down acts on a server that does not run.
func down(mem *Memory, v View) (Decision, bool) {
	if v.Server.Process != Stopped {
		return Decision{}, false
	}
	if v.leading() {
		return leaderDown(mem, v)
	}
	mem.Handover = Handover{}
	if v.Now.Before(mem.RetryAt) {
		return do("the last attempt failed: trying again soon").wake(mem.RetryAt.Sub(v.Now)), true
	}
	if v.Cluster.Locked() {
		return followerDown(mem, v)
	}
	if twin(mem, v) {
		return do("another member began the timeline that this one was the primary of: waiting for a leader to clone"), true
	}
	if left := handoverWait - v.Now.Sub(mem.ReleasedAt); left > 0 {
		return do("waiting for the next leader").wake(left), true
	}
	return job("starting as a standby: nobody leads", Job{Kind: JobStart}), true
}

// leaderDown brings a leader's server up again, or gives up the key where another member serves better.
func leaderDown(mem *Memory, v View) (Decision, bool) {
	if mem.Handover.active() {
		return handOver(mem, v)
	}
	if v.Settings.Standby.Active() {
		return standbyLeaderDown(mem, v)
	}
	if behind(v, v.Server.Control.Timeline) {
		return giveUp(mem, v, "the data directory is on an older timeline than the cluster")
	}
	switch {
	case mem.StartFailures > 0:
		return giveUp(mem, v, "the server could not be started")
	case watchdogMissing(v) && v.Watchdog.Required && !v.Watchdog.Usable:
		return giveUp(mem, v, "the watchdog is required and cannot be used")
	}
	if why := handsOver(mem, v); why != "" {
		if d, ok := preferAnother(mem, v, why); ok {
			return d, true
		}
	}
	if v.Server.Control.Standby {
		return job("starting as a standby, to be promoted", Job{Kind: JobStart}), true
	}
	if watchdogMissing(v) && v.Watchdog.Usable && outcome[ActivateWatchdog](v) == 0 {
		return activation(v, "holding the leader key: the watchdog before the start"), true
	}
	return startPrimary(mem, v, "starting the primary"), true
}

func giveUp(mem *Memory, v View, why string) (Decision, bool) {
	mem.ReleasedAt = v.Now
	mem.NoRaceUntil = v.Now.Add(v.Settings.TTL)
	return do(why+": giving up the leader key", ReleaseLeader{Version: v.Cluster.Leader.Version}).again(), true
}

// A server that crashes again and again serves nobody: after crashBudget crashes within crashWindow another member takes
// over, if one can.
const (
	crashBudget = 3
	crashWindow = time.Minute
)

// crashed notes a crash of the server while this member led.
func crashed(mem *Memory, now time.Time) {
	mem.Crashes = slices.DeleteFunc(slices.Clone(mem.Crashes), func(at time.Time) bool { return now.Sub(at) >= crashWindow })
	mem.Crashes = append(mem.Crashes, now)
}

// handsOver says why another member is preferred to a recovery in place after a crash; empty when it is not.
func handsOver(mem *Memory, v View) string {
	switch {
	case v.Settings.PrimaryStartTimeout == 0:
		return "the server crashed and primary_start_timeout is 0"
	case len(mem.Crashes) >= crashBudget && v.Now.Sub(mem.Crashes[0]) < crashWindow:
		return "the server crashed " + strconv.Itoa(len(mem.Crashes)) + " times within a minute"
	}
	return ""
}

// preferAnother hands over after a crash instead of recovering in place.
func preferAnother(mem *Memory, v View, crash string) (Decision, bool) {
	names := candidates(v, "")
	if d, ok := ask(mem.StoppedSince, v, names, "the server crashed: asking whether a standby can take over"); ok {
		return d, true
	}
	ready, checks := readyPeers(v, names, v.Cluster.Status.Optime)
	if ready, checks = heirs(mem, v, ready, checks); len(ready) == 0 {
		return Decision{}, false
	}
	mem.ReleasedAt = v.Now
	mem.Crashes = nil
	why := crash + ": " + list(ready) + " can take over"
	return do(why, ReleaseLeader{Version: v.Cluster.Leader.Version}).again().checked(checks), true
}

// followerDown starts a standby behind the leader, after taking back what the leader never had.
func followerDown(mem *Memory, v View) (Decision, bool) {
	leader, ok := v.Cluster.LeaderMember()
	if !ok || leader.ConnURL == "" {
		return do("waiting until leader " + v.Cluster.Leader.Name + " says where its server is"), true
	}
	if twin(mem, v) {
		return twinDown(v, leader)
	}
	from := source{member: leader.Name}
	if !takesWrites(v, leader) {
		if !v.Server.Control.Standby {
			return do("waiting until leader " + leader.Name + " takes writes"), true
		}
	} else if !upstreamAnswered(mem, v, from) {
		return do("comparing the own WAL with "+leader.Name, from.ask()).again(), true
	}
	start := feeder(v).job(Job{Kind: JobStart})
	switch relation := compare(mem, v, from); {
	case relation == wal.Ancestor:
		return job("starting as a standby of "+leader.Name, start), true
	case relation == wal.Diverged:
		return diverged(mem, v, rewindSource(v, from), leader.CheckpointAfterPromote != nil)
	case v.Server.Control.Standby:
		// A standby wrote nothing of its own; whether it can follow shows once the leader takes writes.
		return job("starting as a standby; "+leader.Name+" cannot be compared with yet", start), true
	}
	return do("waiting for " + leader.Name + " to answer before starting a former primary").wake(time.Second), true
}

// upstreamAnswered reports whether the current leader was asked since the own server is stopped, and either said who it is or
// was asked just now.
func upstreamAnswered(mem *Memory, v View, from source) bool {
	u := v.Upstream
	if !answered(mem, v, from) || u.At.Before(mem.StoppedSince) {
		return false
	}
	return u.Reached && (!u.InRecovery || v.Settings.Standby.Active()) || v.Now.Sub(u.At) < time.Second
}

// compare relates the stopped server's WAL to the leader's.
func compare(mem *Memory, v View, from source) wal.Relation {
	up, own := v.Upstream, v.Server.Control
	if !answered(mem, v, from) || !up.Reached || up.InRecovery && !v.Settings.Standby.Active() || own.Timeline == 0 {
		return wal.Unknown
	}
	if own.End == 0 && !own.Standby && own.Timeline < up.Timeline {
		// A primary that crashed: it may hold WAL that nobody received. pg_rewind finds out.
		return wal.Diverged
	}
	return wal.Relate(wal.Point{Timeline: own.Timeline, LSN: own.End}, up.Timeline, up.History)
}

// diverged takes a member back to its source's history: by pg_rewind, else, where the configuration allows it, by a new
// copy beside the old directory, which is kept (rule S6). checkpointing says that the source has not finished the
// checkpoint that makes its control file safe to rewind from.
func diverged(mem *Memory, v View, from source, checkpointing bool) (Decision, bool) {
	allowed, option := v.Self.CloneDiverged, "remove_data_directory_on_diverged_timelines"
	why := "the timelines diverged and pg_rewind cannot help"
	switch {
	case v.Server.CanRewind && !mem.RewindFailed && checkpointing:
		return do("waiting for " + from.name() + " to finish its checkpoint before rewinding").wake(time.Second), true
	case v.Server.CanRewind && !mem.RewindFailed:
		return job("the timelines diverged: rewinding to "+from.name(), from.job(Job{Kind: JobRewind})), true
	case mem.RewindFailed:
		allowed, option = v.Self.CloneAfterRewindFailure || allowed, "remove_data_directory_on_rewind_failure"
		why = "the timelines diverged and pg_rewind failed"
	}
	if !allowed {
		return do(why + ": reinitialize this member, or set " + option).wake(time.Minute), true
	}
	return replace(v, why, from, true)
}

// replace gives the data up for a new copy; they are kept aside, in place of older ones if discard says so. In pause they
// stay.
func replace(v View, why string, from source, discard bool) (Decision, bool) {
	if v.Settings.Pause {
		return do("paused: " + why + ", and nothing is cloned in pause"), true
	}
	return job(why+": keeping the data aside and cloning "+from.name(), from.job(Job{Kind: JobReplace, Discard: discard})), true
}

// starting waits for a server that comes up without a job of this agent, as after an agent restart.
func starting(_ *Memory, v View) (Decision, bool) {
	if v.Server.Process == Running && (v.Server.Answers || v.Server.Timeline != 0) {
		return Decision{}, false
	}
	if v.Server.Primary() && !v.mayWrite() && !v.stale() {
		// The race would keep it, but cannot while its timeline is unknown (rules S1, S4).
		return job("the server comes up as a primary, and the leader key is gone: stopping it", immediately(v)), true
	}
	return do("waiting for the server to answer").wake(time.Second), true
}
