package agent

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/health"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

func (a *Agent) now() time.Time { return time.Now() }

// publish makes what is known now visible: to the REST API as a snapshot, to the other members as a document.
func (a *Agent) publish(ctx context.Context, v ha.View, d ha.Decision) {
	st := a.server.status
	kind, progress := a.job.describe()
	if what, since := a.pg.Activity(); kind != "" && what != "" {
		progress += fmt.Sprintf(" (%s for %s)", what, v.Now.Sub(since).Round(time.Second))
	}
	s := &health.Snapshot{
		Began: v.Now, Next: v.Now.Add(a.pause(d)),
		Name: a.cfg.Name, Scope: a.cfg.Scope, AgentVersion: Version, Tags: a.cfg.Tags,
		State: stateOf(st, kind, a.server.crashed), Role: a.role(v, st, kind), Reason: d.Why, Progress: progress,
		Server:  serverSnapshot(v.Server, st),
		Leading: a.leads(v), LeaseEnds: a.writeDeadline(v.Fresh),
		FailsafeActive: a.failsafeActive(v, v.Now), WatchdogFailed: v.Watchdog.Required && !v.Watchdog.Usable, Restart: a.announcedRestart(),
		DeclinesUntil: a.mem.NoRaceUntil,
		Settings:      v.Settings, Cluster: a.seen.cluster, Seen: a.seen.at,
	}
	if a.cfg.Logged != nil {
		s.LogQueued, s.LogLost = a.cfg.Logged()
	}
	a.snapshot.Store(s)
	a.turnMu.Lock()
	close(a.turn)
	a.turn = make(chan struct{})
	a.turnMu.Unlock()
	a.announce(ctx, v, s)
}

// leads reports whether the last picture shows the own lease on the leader key, and nothing done since gave it up.
func (a *Agent) leads(v ha.View) bool {
	for _, o := range a.outcomes {
		if _, released := o.Action.(ha.ReleaseLeader); released {
			return false
		}
	}
	lease := a.dcs.Lease()
	return lease.ID != 0 && v.Cluster.Leader.Name == a.cfg.Name && v.Cluster.Leader.Lease == lease.ID
}

// role is what the member's server is in its cluster.
func (a *Agent) role(v ha.View, st postgres.Status, job ha.JobKind) cluster.Role {
	switch {
	case v.Server.Data != ha.DataCluster || job == ha.JobClone || job == ha.JobReinitialize || job == ha.JobReplace:
		return cluster.RoleUninitialized
	case v.Server.Primary():
		return cluster.RolePrimary
	case v.Server.Process == ha.Running && v.Server.InRecovery && v.Settings.Standby.Active() && a.leads(v):
		return cluster.RoleStandbyLeader
	case st.Process != postgres.ProcessNone && v.Server.InRecovery, v.Server.Control.Standby, st.Standby:
		return cluster.RoleReplica
	case a.leads(v):
		return cluster.RolePrimary // down or starting, and nobody else leads
	}
	return cluster.RoleDemoted
}

// Observed is the last snapshot with the server observed anew. Of a server that does not answer it tells no position: others
// take what it says for that of this moment, and may decide by it that they lack nothing.
func (a *Agent) Observed(ctx context.Context) *health.Snapshot {
	s := *a.Snapshot()
	st := a.pg.Status(ctx)
	if !st.Answers {
		s.Server = serverSnapshot(ha.Server{InRecovery: s.Server.InRecovery}, st)
		if s.State == cluster.StateRunning {
			s.State = stateOf(st, "", false)
		}
		return &s
	}
	facts := ha.Server{InRecovery: st.InRecovery, Timeline: st.Timeline}
	s.Server = serverSnapshot(facts, st)
	s.State = stateOf(st, "", false)
	switch {
	case !st.InRecovery:
		s.Role = cluster.RolePrimary
	case s.Role != cluster.RoleStandbyLeader:
		s.Role = cluster.RoleReplica
	}
	return &s
}

func serverSnapshot(facts ha.Server, st postgres.Status) health.Server {
	s := health.Server{
		SystemID: st.SystemID, Version: st.ServerVersion, Started: st.PostmasterStarted, Running: st.Process == postgres.ProcessRunning,
		InRecovery: facts.InRecovery, Known: st.Answers, Timeline: facts.Timeline, Written: st.Written, Received: st.Received,
		Replayed: st.Replayed, LatestEnd: st.UpstreamEnd, ReplayedAt: st.ReplayedAt, ReplayPaused: st.ReplayPaused,
		ReplicationState: st.ReplicationState,
	}
	for name, p := range st.PendingRestart {
		if s.Pending == nil {
			s.Pending = map[string]cluster.Pending{}
		}
		s.Pending[name] = cluster.Pending{Old: p.Running, New: p.Wanted}
	}
	for _, r := range st.Replication {
		s.Standbys = append(s.Standbys, health.Standby{
			Username: r.Username, ApplicationName: r.Application, ClientAddr: r.ClientAddr, State: r.State, SyncState: r.SyncState, SyncPriority: r.SyncPriority,
		})
	}
	return s
}

// announcement is the member document as it was last written.
type announcement struct {
	member cluster.Member
	lease  int64
	at     time.Time
}

// announce writes the member document: at once when anything but a position changed, and the positions once per
// loop_wait, so that they wake nobody all the time.
func (a *Agent) announce(ctx context.Context, v ha.View, s *health.Snapshot) {
	lease := a.dcs.Lease().ID
	if !v.Fresh || lease == 0 {
		return
	}
	m := a.document(s)
	if lease == a.told.lease && sameBut(m, a.told.member) && v.Now.Sub(a.told.at) < v.Settings.LoopWait*9/10 && a.listed(v) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, max(a.budget(a.now()), time.Millisecond))
	defer cancel()
	if err := a.dcs.Announce(ctx, m); err != nil {
		a.log.WarnContext(ctx, "member document not written", slog.Any("err", err))
		return
	}
	a.told = announcement{m, lease, v.Now}
}

// listed reports whether the picture still shows the own document under the own lease.
func (a *Agent) listed(v ha.View) bool {
	m, ok := v.Cluster.Member(a.cfg.Name)
	return a.told.at.Equal(v.Now) || ok && m.Lease == a.dcs.Lease().ID || a.told.at.After(a.seen.at)
}

// sameBut compares two documents without their positions and how far a job is.
func sameBut(a, b cluster.Member) bool {
	for _, m := range []*cluster.Member{&a, &b} {
		m.Location, m.Received, m.Replayed, m.Progress = 0, 0, 0, ""
	}
	return reflect.DeepEqual(a, b)
}

// document is what the member says of itself.
func (a *Agent) document(s *health.Snapshot) cluster.Member {
	m := cluster.Member{
		Name: a.cfg.Name, ConnURL: a.cfg.ConnURL, APIURL: a.cfg.APIURL, State: s.State, Role: s.Role, AgentVersion: Version, ProxyURL: a.cfg.ProxyURL,
		Tags: a.announcedTags(), PendingRestart: len(s.Server.Pending) > 0, Pending: s.Server.Pending,
		Restart: s.Restart, Pause: s.Settings.Pause,
	}
	if s.State == cluster.StateCreatingReplica || s.State == cluster.StateInitializing {
		m.Progress = s.Progress
	}
	if !s.Server.Known || !s.Server.Running {
		return m
	}
	m.Timeline = s.Server.Timeline
	m.Location = max(s.Server.Written, s.Server.Received, s.Server.Replayed)
	if s.Server.InRecovery {
		m.Received, m.Replayed, m.ReplicationState = max(s.Server.Received, s.Server.Replayed), s.Server.Replayed, s.Server.ReplicationState
		return m
	}
	if s.Leading && a.server.status.CheckpointTimeline != s.Server.Timeline {
		m.CheckpointAfterPromote = new(bool)
	}
	return m
}
