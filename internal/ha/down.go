package ha

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
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
	if behind(v, v.Server.Control.Timeline) {
		return giveUp(mem, v, "the data directory is on an older timeline than the cluster")
	}
	if mem.StartFailures > 0 {
		return giveUp(mem, v, "the server could not be started")
	}
	if v.Settings.PrimaryStartTimeout == 0 {
		if d, ok := preferAnother(mem, v); ok {
			return d, true
		}
	}
	if v.Server.Control.Standby {
		return job("starting as a standby, to be promoted", Job{Kind: JobStart}), true
	}
	return job("starting the primary", Job{Kind: JobStart, Primary: true}), true
}

func giveUp(mem *Memory, v View, why string) (Decision, bool) {
	mem.ReleasedAt = v.Now
	mem.NoRaceUntil = v.Now.Add(v.Settings.TTL)
	return do(why+": giving up the leader key", ReleaseLeader{Version: v.Cluster.Leader.Version}).again(), true
}

// preferAnother hands over after a crash instead of recovering in place, as primary_start_timeout: 0 asks.
func preferAnother(mem *Memory, v View) (Decision, bool) {
	names := candidates(v, "")
	if d, ok := ask(mem.StoppedSince, v, names, "the server crashed: asking whether a standby can take over"); ok {
		return d, true
	}
	ready, checks := readyPeers(v, names, v.Cluster.Status.Optime)
	if len(ready) == 0 {
		return Decision{}, false
	}
	mem.ReleasedAt = v.Now
	why := "the server crashed and primary_start_timeout is 0: " + list(ready) + " can take over"
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
	if leader.Role != cluster.RolePrimary || !leader.Running() {
		if !v.Server.Control.Standby {
			return do("waiting until leader " + leader.Name + " takes writes"), true
		}
	} else if !upstreamAnswered(mem.StoppedSince, v) {
		return do("comparing the own WAL with "+leader.Name, AskUpstream{Member: leader.Name}).again(), true
	}
	start := Job{Kind: JobStart, Member: leader.Name}
	switch relation := compare(v); {
	case relation == wal.Ancestor:
		return job("starting as a standby of "+leader.Name, start), true
	case relation == wal.Diverged:
		return diverged(mem, v, leader)
	case v.Server.Control.Standby:
		// A standby wrote nothing of its own; whether it can follow shows once the leader takes writes.
		return job("starting as a standby; "+leader.Name+" cannot be compared with yet", start), true
	}
	return do("waiting for " + leader.Name + " to answer before starting a former primary").wake(time.Second), true
}

// upstreamAnswered reports whether the current leader was asked after the given instant and not long ago, and either
// said who it is or was asked just now. The same member may have been promoted once more since an old answer.
func upstreamAnswered(since time.Time, v View) bool {
	u := v.Upstream
	if u.Member != v.Cluster.Leader.Name || u.At.Before(since) || v.Now.Sub(u.At) >= divergenceEvery {
		return false
	}
	return u.Reached && !u.InRecovery || v.Now.Sub(u.At) < time.Second
}

// compare relates the stopped server's WAL to the leader's.
func compare(v View) wal.Relation {
	up, own := v.Upstream, v.Server.Control
	if up.Member != v.Cluster.Leader.Name || !up.Reached || up.InRecovery || own.Timeline == 0 {
		return wal.Unknown
	}
	if own.End == 0 && !own.Standby && own.Timeline < up.Timeline {
		// A primary that crashed: it may hold WAL that nobody received. pg_rewind finds out.
		return wal.Diverged
	}
	return wal.Relate(wal.Point{Timeline: own.Timeline, LSN: own.End}, up.Timeline, up.History)
}

// diverged takes a member back to the leader's history: by pg_rewind, else by a new copy beside the old
// directory, which is kept (rule S6).
func diverged(mem *Memory, v View, leader cluster.Member) (Decision, bool) {
	switch {
	case v.Server.CanRewind && !mem.RewindFailed && leader.CheckpointAfterPromote != nil:
		return do("waiting for " + leader.Name + " to finish its checkpoint before rewinding").wake(time.Second), true
	case v.Server.CanRewind && !mem.RewindFailed:
		return job("the timelines diverged: rewinding to "+leader.Name, Job{Kind: JobRewind, Member: leader.Name}), true
	case v.Server.SetAside:
		return do("the timelines diverged, pg_rewind cannot help and a failed data directory is kept already: reinitialize this member").wake(time.Minute), true
	}
	return job("the timelines diverged and pg_rewind cannot help: keeping the data aside and cloning "+leader.Name,
		Job{Kind: JobReplace, Member: leader.Name}), true
}

// starting waits for a server that comes up without a job of this agent, as after an agent restart.
func starting(_ *Memory, v View) (Decision, bool) {
	if v.Server.Process == Running && (v.Server.Answers || v.Server.Timeline != 0) {
		return Decision{}, false
	}
	return do("waiting for the server to answer").wake(time.Second), true
}
