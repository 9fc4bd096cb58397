package ha

import (
	"time"

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
	if twin(mem, v) {
		return job("another member began the timeline that this one was the primary of: stopping", immediately(v)), true
	}
	if v.Server.Follows != leader.Name && !v.Now.Before(mem.RetryAt) {
		return job("following leader "+leader.Name, Job{Kind: JobFollow, Member: leader.Name}), true
	}
	if v.Server.Streaming || !leader.Running() {
		return do("following leader " + leader.Name), true
	}
	return notStreaming(v, leader.Name)
}

// notStreaming finds out whether a standby that does not stream ever can.
func notStreaming(v View, leader string) (Decision, bool) {
	if v.Upstream.Member != leader || v.Now.Sub(v.Upstream.At) >= divergenceEvery {
		return do("not streaming from "+leader+": comparing timelines", AskUpstream{Member: leader}).again(), true
	}
	up := v.Upstream
	own := wal.Point{Timeline: v.Server.Timeline, LSN: v.Server.Position}
	if up.Reached && !up.InRecovery && wal.Relate(own, up.Timeline, up.History) == wal.Diverged {
		return job("the timelines diverged: stopping, to be rewound", Job{Kind: JobStop}), true
	}
	return do("waiting to stream from " + leader).wake(time.Second), true
}
