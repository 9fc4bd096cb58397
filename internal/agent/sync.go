package agent

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

// tellTimeout bounds an action on the server; the lease may leave less.
const tellTimeout = 2 * time.Second

// toldServer carries out an action on the running server that is no job, in the time that the lease leaves.
func (a *Agent) toldServer(ctx context.Context, action ha.Action) error {
	limit := tellTimeout
	if left, bound := a.left(time.Now()); bound {
		limit = min(limit, max(left, leastLook))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s: the server did not answer", action))
	defer cancel()
	switch action := action.(type) {
	case ha.SetSyncNames:
		return a.pg.SetSyncNames(ctx, postgres.SyncNames{Text: action.Names.String(), Managed: !action.Release})
	case ha.EmitWAL:
		return a.pg.EmitWAL(ctx)
	case ha.AdmitClients:
		return a.pg.AdmitClients(ctx)
	case ha.AcquireLeader, ha.AdoptLeader, ha.RenewLease, ha.WriteStatus, ha.ReleaseLeader, ha.CreateInitialize, ha.WriteInitialize,
		ha.DeleteInitialize, ha.WriteConfig, ha.WriteHistory, ha.ClearFailover, ha.PromiseFailsafe, ha.WriteSync, ha.DeleteSync, ha.StartJob,
		ha.AskPeers, ha.AskUpstream, ha.AskFailsafe, ha.ActivateWatchdog, ha.DisableWatchdog, ha.Refuse, ha.Exit:
	}
	return fmt.Errorf("%s is not for the server", action)
}

// sync adds whom commits wait for, as the server last said.
func (s *lastServer) sync(facts *ha.Server, st postgres.Status) {
	if st.Answers || st.Process == postgres.ProcessNone {
		s.senders = nil
		for _, r := range st.Replication {
			if r.State == "streaming" {
				s.senders = append(s.senders, ha.Sender{Name: r.Application, Slot: r.Slot, SyncState: r.SyncState, Sent: r.Sent, Flushed: r.Flushed})
			}
		}
		// A value that cannot be read is none of ours, and is replaced as any other.
		s.syncNames, _ = guc.ParseSyncNames(st.SyncNames)
	}
	facts.SyncNames, facts.NamesManaged, facts.Senders = s.syncNames, st.SyncManaged, s.senders
}

// announcedTags are the tags of the member document: the configured ones, and for a synchronous standby that waits to be
// released that it must be none.
func (a *Agent) announcedTags() cluster.Tags {
	if a.mem.ReleaseSince.IsZero() {
		return a.cfg.Tags
	}
	tags := maps.Clone(a.cfg.Tags)
	if tags == nil {
		tags = cluster.Tags{}
	}
	tags["nosync"], tags["sync_priority"] = true, 0
	return tags
}
