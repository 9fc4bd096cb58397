package ha

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// A standby cluster has a leader like any other, but that one is a standby itself: it follows the primary of another
// cluster, the remote, and the other members follow it. It becomes a cluster of its own when standby_cluster is taken out
// of the dynamic configuration, and a standby cluster again when it is put in.

// standbyLeader acts while this member leads a standby cluster and its server runs.
func standbyLeader(mem *Memory, v View) (Decision, bool) {
	if v.Server.Primary() {
		// The key stays here: nobody else may promote in a standby cluster, and the others follow whoever holds it.
		return job("this is a standby cluster now: stopping the primary, to follow the remote", Job{Kind: JobStop}), true
	}
	if d, ok := manual(mem, v); ok {
		return d, true
	}
	if !v.Server.FollowsRemote && !v.Now.Before(mem.RetryAt) {
		return job("leading the standby cluster: following the remote", Job{Kind: JobFollow, Remote: true}), true
	}
	d := withStatus(v, do("leading the standby cluster").with(upkeep(v)...))
	if v.Server.Streaming || v.Settings.Standby.Host == "" {
		return d, true
	}
	lost, ok := notStreaming(mem, v, source{remote: true})
	lost.Do = append(d.Do, lost.Do...)
	return lost, ok
}

// standbyLeaderDown brings the server of a standby cluster's leader up behind the remote.
func standbyLeaderDown(mem *Memory, v View) (Decision, bool) {
	if mem.StartFailures > 0 {
		return giveUp(mem, v, "the server could not be started")
	}
	start := Job{Kind: JobStart, Remote: true}
	if v.Settings.Standby.Host == "" {
		return job("starting behind the archive of the remote", start), true
	}
	remote := source{remote: true}
	if !upstreamAnswered(mem, v, remote) {
		return do("comparing the own WAL with the remote", remote.ask()).again(), true
	}
	switch relation := compare(mem, v, remote); {
	case relation == wal.Diverged:
		return diverged(mem, v, remote, false)
	case relation == wal.Ancestor || v.Server.Control.Standby:
		return job("starting as a standby of the remote", start), true
	case v.Server.Control.Clean:
		// In a planned switch of sites the remote is promoted after this; until then it accepts no writes and is not found.
		return job("starting as a standby; the remote cannot be compared with yet", start), true
	}
	return do("waiting for the remote to answer before starting a former primary").wake(time.Second), true
}

// rewindSource is whom a diverged follower goes back to: its leader, or in a standby cluster the remote, because a server
// in recovery is no source.
func rewindSource(v View, leader source) source {
	if v.Settings.Standby.Host != "" {
		return source{remote: true}
	}
	return leader
}

// source is whom a standby gets its WAL from: a member, the remote of a standby cluster, or nobody.
type source struct {
	member string
	remote bool
}

// name is the source in a sentence.
func (s source) name() string {
	if s.remote {
		return "the remote"
	}
	return s.member
}

func (s source) ask() Action { return AskUpstream{Member: s.member, Remote: s.remote} }

// job fills in whom a job takes its WAL from.
func (s source) job(j Job) Job {
	j.Member, j.Remote = s.member, s.remote
	return j
}

// is reports whether what an upstream said is of this source.
func (s source) is(u Upstream) bool { return u.Member == s.member && u.Remote == s.remote }

// feeder is whom this member follows while another one leads, and nobody with the tag nostream.
func feeder(v View) source {
	if v.Self.Tags.NoStream() {
		return source{}
	}
	return source{member: v.Cluster.Feeder(cluster.Member{Name: v.Self.Name, Tags: v.Self.Tags})}
}

// takesWrites reports whether a leader's server is what a leader's has to be: a primary, or the first standby of a
// standby cluster.
func takesWrites(v View, leader cluster.Member) bool {
	if !leader.Running() {
		return false
	}
	return leader.Role == cluster.RolePrimary || v.Settings.Standby.Active() && leader.Role == cluster.RoleStandbyLeader
}
