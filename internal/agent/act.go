package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// act carries the actions out in their order and returns what came of them.
func (a *Agent) act(ctx context.Context, v ha.View, d ha.Decision) []ha.Outcome {
	var outcomes []ha.Outcome
	for _, action := range d.Do {
		err := a.do(ctx, v, action)
		if err != nil {
			a.log.WarnContext(ctx, "action not done", slog.String("action", action.String()), slog.Any("err", err))
		} else {
			a.feedWatchdog(ctx, v, action)
			a.renewed(ctx, action)
		}
		outcomes = append(outcomes, ha.Outcome{Action: action, Result: resultOf(err)})
	}
	return outcomes
}

// renewalLost reports whether a renewal of this tick got no answer.
func (a *Agent) renewalLost() bool {
	return slices.ContainsFunc(a.outcomes, func(o ha.Outcome) bool {
		_, renewal := o.Action.(ha.RenewLease)
		return renewal && o.Result == ha.Unknown
	})
}

// resultOf tells a definite no from an answer that never came (rules S7, S8).
func resultOf(err error) ha.Result {
	switch {
	case err == nil:
		return ha.Done
	case errors.Is(err, kv.ErrHeld), errors.Is(err, kv.ErrConflict), errors.Is(err, kv.ErrLost), errors.Is(err, errRefused):
		return ha.Refused
	}
	return ha.Unknown
}

// do carries out one action. Calls to the DCS get the time that the lease leaves at this moment.
func (a *Agent) do(ctx context.Context, v ha.View, action ha.Action) error {
	if canLead(action) && !a.failsafe.race() {
		return errAgreed
	}
	switch action := action.(type) {
	case ha.StartJob:
		a.startJob(ctx, v, action.Job)
		return nil
	case ha.AskPeers:
		a.askPeers(ctx, action.Names)
		return nil
	case ha.AskUpstream:
		a.askUpstream(ctx, action)
		return nil
	case ha.Refuse:
		a.requests.finish(action.Request, &ha.RefusalError{Text: action.Why})
		return nil
	case ha.AskFailsafe:
		return a.askFailsafe(ctx, v, action.Members)
	case ha.ActivateWatchdog:
		return a.activateWatchdog()
	case ha.DisableWatchdog:
		return a.disableWatchdog()
	case ha.SetSyncNames, ha.EmitWAL, ha.AdmitClients:
		return a.toldServer(ctx, action)
	case ha.Exit:
		return nil
	case ha.AcquireLeader, ha.AdoptLeader, ha.RenewLease, ha.WriteStatus, ha.ReleaseLeader, ha.CreateInitialize, ha.WriteInitialize,
		ha.DeleteInitialize, ha.WriteConfig, ha.WriteHistory, ha.ClearFailover, ha.PromiseFailsafe,
		ha.WriteSync, ha.DeleteSync:
		limit := max(a.budget(time.Now()), time.Millisecond)
		ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s: %w", action, kv.ErrUnavailable))
		defer cancel()
		return a.write(ctx, v, action)
	}
	return fmt.Errorf("unknown action %s", action)
}

// write carries out an action on the DCS.
func (a *Agent) write(ctx context.Context, v ha.View, action ha.Action) error {
	switch action := action.(type) {
	case ha.AcquireLeader:
		return a.dcs.Acquire(ctx)
	case ha.AdoptLeader:
		if err := a.forestall(ctx); err != nil {
			return err
		}
		return a.dcs.Adopt(ctx, action.Version)
	case ha.RenewLease:
		return a.dcs.Renew(ctx)
	case ha.WriteStatus:
		s := v.Cluster.Status
		s.Optime, s.Slots, s.RetainSlots = action.Optime, v.Published.Positions, v.Published.Retain
		return a.dcs.WriteStatus(ctx, s)
	case ha.ReleaseLeader:
		return a.release(ctx, v, action)
	case ha.CreateInitialize:
		return a.dcs.CreateInitialize(ctx)
	case ha.WriteInitialize:
		return a.dcs.WriteInitialize(ctx, action.SystemID, action.Version)
	case ha.DeleteInitialize:
		return a.dcs.DeleteInitialize(ctx, action.Version)
	case ha.WriteConfig:
		return a.dcs.WriteConfig(ctx, a.seen.data, action.Version)
	case ha.WriteHistory:
		return a.writeHistory(ctx, v)
	case ha.ClearFailover:
		return a.dcs.WriteFailover(ctx, cluster.Failover{}, action.Version)
	case ha.WriteSync:
		_, err := a.dcs.WriteSync(ctx, action.Promise)
		return err
	case ha.DeleteSync:
		return a.dcs.DeleteSync(ctx, action.Version)
	case ha.PromiseFailsafe:
		return a.promise(ctx, action.Members)
	case ha.StartJob, ha.AskPeers, ha.AskUpstream, ha.AskFailsafe, ha.ActivateWatchdog, ha.DisableWatchdog, ha.SetSyncNames, ha.EmitWAL,
		ha.AdmitClients, ha.Refuse, ha.Exit:
	}
	return fmt.Errorf("%s is not for the DCS", action)
}

// release gives the leader key up. From the moment it is sent nobody here may rely on the picture that still shows the
// key as ours: the next look may get no answer.
func (a *Agent) release(ctx context.Context, v ha.View, action ha.ReleaseLeader) error {
	s := v.Cluster.Status
	s.Optime = max(s.Optime, action.Optime)
	if a.seen.cluster.Leader.Version == action.Version {
		a.seen.cluster.Leader = cluster.Leader{}
	}
	return a.dcs.Release(ctx, action.Version, s)
}

// promise names the members to ask without the DCS. From the moment it is sent those that are named may count on it, and
// those that were before may too if it is lost: until the next look the picture has them all.
func (a *Agent) promise(ctx context.Context, members map[string]string) error {
	both := maps.Clone(a.seen.cluster.Failsafe)
	if both == nil {
		both = map[string]string{}
	}
	maps.Copy(both, members)
	a.seen.cluster.Failsafe = both
	return a.dcs.WriteFailsafe(ctx, members)
}

func (a *Agent) writeHistory(ctx context.Context, v ha.View) error {
	file, err := a.pg.LocalHistory(v.Server.Timeline)
	if err != nil {
		return err
	}
	h := cluster.HistoryFrom(file, v.Cluster.History, v.Now, a.cfg.Name)
	return a.dcs.WriteHistory(ctx, h.Last(v.Settings.MaxTimelinesHistory))
}
