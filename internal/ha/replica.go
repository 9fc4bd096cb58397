package ha

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// divergenceEvery is how often a standby that cannot stream asks the leader why.
const divergenceEvery = 5 * time.Second

// replica acts while another member leads and the own server runs as a standby.
func replica(mem *Memory, v View) (Decision, bool) {
	leader, ok := v.Cluster.LeaderMember()
	if !ok || leader.ConnURL == "" {
		return do("waiting until leader " + v.Cluster.Leader.Name + " says where its server is").wake(time.Second), true
	}
	if twin(mem, v) && !v.Settings.Pause {
		return job("another member began the timeline that this one was the primary of: stopping", immediately(v)), true
	}
	from := feeder(v)
	if (v.Server.Follows != from.member || v.Server.FollowsRemote) && !v.Now.Before(mem.RetryAt) {
		return job("following "+from.describe(leader), from.job(Job{Kind: JobFollow})), true
	}
	if v.Server.ReplayPaused && v.Server.PendingRestart && !v.Settings.Pause {
		return job("replay waits for settings that the primary raised: restarting with them", Job{Kind: JobRestart}), true
	}
	if missing := v.Server.MissingSlots; len(missing) > 0 && v.Server.Streaming && !v.Settings.Pause && !v.Now.Before(mem.RetryAt) {
		why := "logical slots are to be copied from " + leader.Name + ": " + list(missing)
		if d, wait := release(mem, v, why); wait {
			return d, true
		}
		return job(why, Job{Kind: JobCopySlots, Member: leader.Name}), true
	}
	if v.Server.Streaming || from.member == "" || !leader.Running() {
		return do("following " + from.describe(leader)), true
	}
	return notStreaming(mem, v, source{member: leader.Name})
}

// describe is whom a replica follows, in a sentence.
func (s source) describe(leader cluster.Member) string {
	switch s.member {
	case "":
		return "the archive alone"
	case leader.Name:
		return "leader " + s.member
	}
	return s.member + ", as replicatefrom says"
}

// answered reports whether the upstream was asked not long ago, and since that says something. See Memory.UpstreamSince.
func answered(mem *Memory, v View, from source) bool {
	u := v.Upstream
	return from.is(u) && !u.At.Before(mem.UpstreamSince) && v.Now.Sub(u.At) < divergenceEvery
}

// notStreaming finds out whether a standby that does not stream ever can.
func notStreaming(mem *Memory, v View, from source) (Decision, bool) {
	if !answered(mem, v, from) {
		return do("not streaming from "+from.name()+": comparing timelines", from.ask()).again(), true
	}
	up := v.Upstream
	own := wal.Point{Timeline: v.Server.Timeline, LSN: v.Server.Position}
	if up.Reached && (!up.InRecovery || v.Settings.Standby.Active()) && wal.Relate(own, up.Timeline, up.History) == wal.Diverged {
		if v.Settings.Pause {
			return do("paused, and the timelines diverged: nothing is rewound in pause").wake(time.Second), true
		}
		return job("the timelines diverged: stopping, to be rewound", Job{Kind: JobStop}), true
	}
	return do("waiting to stream from " + from.name()).wake(time.Second), true
}
