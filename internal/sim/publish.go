package sim

import (
	"maps"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// snapshot is what the REST API of a life tells.
type snapshot struct {
	state  cluster.State
	role   cluster.Role
	reason string
	server ha.Server
}

// tell answers for a server that does not answer itself: its role from the snapshot, and no position, which would be taken
// for that of this moment.
func (s *snapshot) tell(p *ha.Peer, process ha.Process) {
	p.State, p.InRecovery = s.state, s.role != cluster.RolePrimary
	if p.State == cluster.StateRunning {
		p.State = map[ha.Process]cluster.State{
			ha.Stopped: cluster.StateStopped, ha.Starting: cluster.StateStarting, ha.Running: cluster.StateRunning, ha.Stopping: cluster.StateStopping,
		}[process]
	}
}

// announcement is the member document as it was last written.
type announcement struct {
	member cluster.Member
	lease  int64
	at     time.Time
}

// publish makes what is known now visible: to the REST API as a snapshot, to the other members as a document.
func (l *life) publish(t *task, v *ha.View, d ha.Decision) {
	l.snap = snapshot{state: l.state(v), role: l.role(v), reason: d.Why, server: v.Server}
	lease := l.lease.id
	if !v.Fresh || lease == 0 {
		return
	}
	m := l.document(v)
	if lease == l.told.lease && sameBut(&m, &l.told.member) && v.Now.Sub(l.told.at) < v.Settings.LoopWait*9/10 && l.listed(v) {
		return
	}
	if err := l.announce(t, &m); err == nil {
		l.told = announcement{m, lease, v.Now}
	}
}

// announce writes this member's document, bound to the lease, unless it stands there like that already.
func (l *life) announce(t *task, m *cluster.Member) error {
	lease := l.lease.id
	if old := &l.ownKnown; old.Version != 0 && old.Lease == lease && same(old, m) {
		return nil
	}
	if lease == 0 {
		return kv.ErrLost
	}
	doc := *m
	var version cluster.Version
	err := l.bind(t, "member", max(l.budget(l.now()), time.Millisecond), func(id int64) (err error) {
		version, err = l.w.store.putMember(l.host, doc, id)
		return err
	})
	switch resultOf(err) {
	case ha.Done:
		l.ownKnown = doc
		l.ownKnown.Lease, l.ownKnown.Version = lease, version
	case ha.Unknown:
		l.ownKnown = cluster.Member{}
	case ha.Refused:
	}
	return err
}

// leads reports whether the last picture shows the own lease on the leader key, and nothing done since gave it up.
func (l *life) leads() bool {
	for _, o := range l.outcomes {
		if _, released := o.Action.(ha.ReleaseLeader); released {
			return false
		}
	}
	return l.lease.id != 0 && l.seen.cluster.Leader.Name == l.host.name && l.seen.cluster.Leader.Lease == l.lease.id
}

// listed reports whether the picture still shows the own document under the own lease.
func (l *life) listed(v *ha.View) bool {
	m, ok := v.Cluster.Member(l.host.name)
	return l.told.at.Equal(v.Now) || ok && m.Lease == l.lease.id || l.told.at.After(l.seen.at)
}

// same compares two documents; sameBut does so without their positions. The model's documents have no more fields.
func same(a, b *cluster.Member) bool {
	return sameBut(a, b) && a.Location == b.Location && a.Received == b.Received && a.Replayed == b.Replayed
}

func sameBut(a, b *cluster.Member) bool {
	return a.State == b.State && a.Role == b.Role && a.ReplicationState == b.ReplicationState && a.Timeline == b.Timeline &&
		(a.CheckpointAfterPromote == nil) == (b.CheckpointAfterPromote == nil) && a.Pause == b.Pause && a.Tags.NoSync() == b.Tags.NoSync()
}

// document is what the member says of itself.
func (l *life) document(v *ha.View) cluster.Member {
	m := cluster.Member{
		Name: l.host.name, ConnURL: l.host.conn, APIURL: l.host.apiURL, State: l.snap.state, Role: l.snap.role, Tags: l.announcedTags(),
		Pause: v.Settings.Pause,
	}
	if !v.Server.Answers || v.Server.Process != ha.Running {
		return m
	}
	m.Timeline, m.Location = v.Server.Timeline, v.Server.Position
	if v.Server.InRecovery {
		m.Received, m.Replayed = v.Server.Position, v.Server.Position
		if v.Server.Streaming {
			m.ReplicationState = cluster.ReplicationStreaming
		}
		return m
	}
	if l.leads() && l.checkpointed() != v.Server.Timeline {
		m.CheckpointAfterPromote = new(bool)
	}
	return m
}

// announcedTags are the tags of the document: for a synchronous standby that waits to be released they say that it must be
// none.
func (l *life) announcedTags() cluster.Tags {
	if l.mem.ReleaseSince.IsZero() {
		return l.host.tags
	}
	tags := maps.Clone(l.host.tags)
	if tags == nil {
		tags = cluster.Tags{}
	}
	tags["nosync"], tags["sync_priority"] = true, 0
	return tags
}

func (l *life) checkpointed() wal.Timeline { return l.host.server.checkpointed }

// role is what the member's server is in its cluster.
func (l *life) role(v *ha.View) cluster.Role {
	kind, s := l.job.running().Kind, &v.Server
	switch {
	case s.Data != ha.DataCluster || kind == ha.JobClone || kind == ha.JobReinitialize || kind == ha.JobReplace:
		return cluster.RoleUninitialized
	case s.Primary():
		return cluster.RolePrimary
	case s.Process != ha.Stopped && s.InRecovery, s.Control.Standby, l.host.server.marked:
		return cluster.RoleReplica
	case l.leads():
		return cluster.RolePrimary // down or starting, and nobody else leads
	}
	return cluster.RoleDemoted
}

// state is the member's state as others see it.
func (l *life) state(v *ha.View) cluster.State {
	switch l.job.running().Kind {
	case ha.JobBootstrap:
		return cluster.StateInitializing
	case ha.JobClone, ha.JobReinitialize, ha.JobReplace:
		return cluster.StateCreatingReplica
	case ha.JobRestart, ha.JobCopySlots:
		return cluster.StateRestarting
	case ha.JobStop:
		return cluster.StateStopping
	case ha.JobStart, ha.JobPromote, ha.JobFollow, ha.JobRewind, ha.JobCheckpoint:
	}
	switch v.Server.Process {
	case ha.Running:
		return cluster.StateRunning
	case ha.Starting:
		return cluster.StateStarting
	case ha.Stopping:
		return cluster.StateStopping
	case ha.Stopped:
	}
	if l.last.crashed {
		return cluster.StateCrashed
	}
	return cluster.StateStopped
}
