package sim

import (
	"errors"
	"maps"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// Faults of the next write of a key.
type callFault int

const (
	loseRequest callFault = iota + 1
	loseAnswer
	lateRequest
)

type writeFault struct {
	key  string
	kind callFault
}

// nextFault takes the fault that the next call about a key suffers.
func (l *life) nextFault(key string) callFault {
	for i, f := range l.losing {
		if f.key == key {
			l.losing = append(l.losing[:i:i], l.losing[i+1:]...)
			return f.kind
		}
	}
	return 0
}

// act carries the actions out in their order and returns what came of them.
func (l *life) act(t *task, v *ha.View, d ha.Decision) []ha.Outcome {
	if len(d.Do) == 0 {
		return nil
	}
	outcomes := make([]ha.Outcome, 0, len(d.Do))
	for _, action := range d.Do {
		err := l.do(t, v, action)
		if err != nil && l.w.tracing {
			l.w.note(l.host, "agent", "not done: "+action.String()+": "+err.Error())
		}
		if err == nil && movesDeadline(action) {
			l.w.checkLease(l)
			l.feedWatchdog(v, action)
			l.renewed(t)
		}
		outcomes = append(outcomes, ha.Outcome{Action: action, Result: resultOf(err)})
	}
	return outcomes
}

// movesDeadline reports whether an action, when it is done, gives a primary more time.
func movesDeadline(action ha.Action) bool {
	_, renewal := action.(ha.RenewLease)
	_, consent := action.(ha.AskFailsafe)
	return renewal || consent
}

// resultOf tells a definite no from an answer that never came (rules S7, S8).
func resultOf(err error) ha.Result {
	switch {
	case err == nil:
		return ha.Done
	case errors.Is(err, kv.ErrHeld), errors.Is(err, kv.ErrConflict), errors.Is(err, kv.ErrLost), errors.Is(err, errAgreed):
		return ha.Refused
	}
	return ha.Unknown
}

// do carries out one action. Calls to the store get the time that the lease leaves at this moment.
func (l *life) do(t *task, v *ha.View, action ha.Action) error {
	if canLead(action) && !l.failsafe.race() {
		return errAgreed
	}
	switch action := action.(type) {
	case ha.StartJob:
		l.startJob(v, action.Job)
		return nil
	case ha.AskPeers:
		l.askPeers(t, action.Names)
		return nil
	case ha.AskUpstream:
		l.askUpstream(t, action.Member)
		return nil
	case ha.Refuse:
		l.finish(action.Request)
		return nil
	case ha.AskFailsafe:
		return l.askFailsafe(t, v, action.Members)
	case ha.ActivateWatchdog:
		l.host.watchdog.activate(l)
		return nil
	case ha.DisableWatchdog:
		l.host.watchdog.disable()
		return nil
	case ha.SetSyncNames, ha.EmitWAL, ha.AdmitClients:
		return l.tellServer(t, action)
	case ha.Exit:
		return nil
	case ha.AcquireLeader, ha.AdoptLeader, ha.RenewLease, ha.WriteStatus, ha.ReleaseLeader, ha.CreateInitialize, ha.WriteInitialize,
		ha.DeleteInitialize, ha.WriteConfig, ha.WriteHistory, ha.ClearFailover, ha.PromiseFailsafe,
		ha.WriteSync, ha.DeleteSync:
		return l.write(t, v, action, max(l.budget(l.now()), time.Millisecond))
	}
	return errBroken
}

// actionWord is the action in one word, as scenarios name it; for a write it is the key.
func actionWord(action ha.Action) string {
	switch action := action.(type) {
	case ha.StartJob:
		return string(action.Job.Kind)
	case ha.AskPeers, ha.AskUpstream:
		return "ask"
	case ha.AcquireLeader:
		return "acquire"
	case ha.AdoptLeader:
		return "adopt"
	case ha.RenewLease:
		return "renew"
	case ha.WriteStatus:
		return "status"
	case ha.ReleaseLeader:
		return "release"
	case ha.CreateInitialize, ha.WriteInitialize, ha.DeleteInitialize:
		return "initialize"
	case ha.WriteConfig:
		return "config"
	case ha.WriteHistory:
		return "history"
	case ha.ClearFailover:
		return "failover"
	case ha.PromiseFailsafe, ha.AskFailsafe:
		return "failsafe"
	case ha.WriteSync, ha.DeleteSync:
		return "sync"
	case ha.SetSyncNames:
		return "names"
	case ha.EmitWAL:
		return "wal"
	case ha.AdmitClients:
		return "admit"
	case ha.Refuse, ha.Exit, ha.ActivateWatchdog, ha.DisableWatchdog:
	}
	return ""
}

// write carries out an action on the store.
func (l *life) write(t *task, v *ha.View, action ha.Action, budget time.Duration) error {
	st, m := &l.w.store, l.host
	switch action := action.(type) {
	case ha.AcquireLeader:
		l.w.checkRepeated(l)
		acquire := func(lease int64) error { return st.putLeader(m, lease, 0, !l.w.bend.acquireBlindly) }
		err := l.bind(t, "leader", budget, acquire)
		if l.w.bend.repeatAcquire && resultOf(err) == ha.Unknown {
			l.w.checkRepeated(l)
			err = l.bind(t, "leader", budget, acquire)
		}
		return err
	case ha.AdoptLeader:
		l.w.checkRepeated(l)
		l.forestall(t)
		return l.bind(t, "leader", budget, func(lease int64) error {
			return st.putLeader(m, lease, action.Version, !l.w.bend.adoptBlindly)
		})
	case ha.RenewLease:
		return l.renew(t, budget)
	case ha.WriteStatus:
		s := v.Cluster.Status
		s.Optime = action.Optime
		return l.writeStatus(t, s, budget)
	case ha.ReleaseLeader:
		return l.release(t, v, action, budget)
	case ha.CreateInitialize:
		return l.bind(t, "initialize", budget, st.createInitialize)
	case ha.WriteInitialize:
		return l.call(t, "initialize", budget, func() error { return st.putInitialize(action.SystemID, action.Version) })
	case ha.DeleteInitialize:
		return l.call(t, "initialize", budget, func() error { return st.deleteInitialize(action.Version) })
	case ha.WriteConfig:
		data := l.seen.data
		return l.call(t, "config", budget, func() error { return st.putConfig(data, action.Version) })
	case ha.WriteHistory:
		return l.writeHistory(t, v, budget)
	case ha.ClearFailover:
		return l.call(t, "failover", budget, func() error { return st.putFailover(cluster.Failover{}, action.Version) })
	case ha.PromiseFailsafe:
		return l.promise(t, action.Members, budget)
	case ha.WriteSync:
		return l.call(t, "sync", budget, func() error { return st.putSync(action.Promise) })
	case ha.DeleteSync:
		l.w.checkWithdrawal(l)
		return l.call(t, "sync", budget, func() error { return st.deleteSync(action.Version) })
	case ha.StartJob, ha.AskPeers, ha.AskUpstream, ha.AskFailsafe, ha.ActivateWatchdog, ha.DisableWatchdog, ha.SetSyncNames, ha.EmitWAL,
		ha.AdmitClients, ha.Refuse, ha.Exit:
	}
	return errBroken
}

// renew restarts the lease, once, and moves its deadline (rule S2).
func (l *life) renew(t *task, budget time.Duration) error {
	lease := l.lease
	if lease.id == 0 {
		return kv.ErrLost
	}
	sent, asleep := l.now(), l.host.clock.stood
	err := l.call(t, "lease", budget, func() error { return l.w.store.renew(lease.id) })
	if l.w.bend.deadlineAfter {
		sent = l.now()
	}
	if err != nil {
		if l.w.bend.loseLease {
			l.lease = leaseState{}
		}
		return l.leaseFailed(lease.id, err)
	}
	if l.lease.id == lease.id {
		l.lease.renewed, l.lease.deadline, l.lease.asleep = sent, sent.Add(lease.ttl), asleep
	}
	return nil
}

// bind writes a key with the lease.
func (l *life) bind(t *task, key string, budget time.Duration, op func(lease int64) error) error {
	id := l.lease.id
	if id == 0 {
		return kv.ErrLost
	}
	return l.leaseFailed(id, l.call(t, key, budget, func() error { return op(id) }))
}

// leaseFailed forgets the lease when the error says that it is gone, and returns the error.
func (l *life) leaseFailed(id int64, err error) error {
	if errors.Is(err, kv.ErrLost) && l.lease.id == id {
		l.lease = leaseState{}
	}
	return err
}

// writeStatus writes over the last status that was seen, when it differs.
func (l *life) writeStatus(t *task, s cluster.Status, budget time.Duration) error {
	old := l.statusKnown
	if old != 0 && l.seen.cluster.Status.Version == old && l.seen.cluster.Status.Optime == s.Optime {
		return nil
	}
	var version cluster.Version
	err := l.call(t, "status", budget, func() (err error) {
		version, err = l.w.store.putStatus(s, old)
		return err
	})
	switch resultOf(err) {
	case ha.Done:
		l.statusKnown = version
	case ha.Unknown:
		l.statusKnown = 0
	case ha.Refused:
	}
	return err
}

// release gives the leader key up. From the moment it is sent nobody here may rely on the picture that still shows the
// key as ours. When nobody knows whether it was deleted, the lease is given up too.
func (l *life) release(t *task, v *ha.View, action ha.ReleaseLeader, budget time.Duration) error {
	l.w.checkRepeated(l)
	s := v.Cluster.Status
	s.Optime = max(s.Optime, action.Optime)
	if l.seen.cluster.Leader.Version == action.Version {
		l.seen.cluster.Leader = cluster.Leader{}
	}
	if l.w.bend.neverRelease {
		return nil
	}
	began := l.w.now
	if s.Optime != 0 {
		_ = l.writeStatus(t, s, budget/3) // an older position only makes others wait for less
	}
	budget -= time.Duration(l.w.now - began)
	id := l.lease.id
	safe := l.w.handedOver(l, action)
	err := l.call(t, "leader", budget, func() error {
		err := l.w.store.deleteLeader(action.Version)
		if err == nil && !safe {
			l.w.violate("S5", "%s hands over although nobody has received everything", l.host.name)
		}
		return err
	})
	if err != nil && !errors.Is(err, kv.ErrConflict) && l.lease.id == id {
		l.lease = leaseState{}
	}
	return err
}

func (l *life) writeHistory(t *task, v *ha.View, budget time.Duration) error {
	s := &l.host.server
	if s.line == nil || s.line.number != v.Server.Timeline {
		return errBroken
	}
	h := cluster.HistoryFrom(s.line.past, v.Cluster.History, v.Now, l.host.name).Last(v.Settings.MaxTimelinesHistory)
	return l.call(t, "history", budget, func() error { return l.w.store.putHistory(h) })
}

// promise names the members to ask when the store is gone, over what the key said when it was last read. From now on the
// picture has those that are named and those that were.
func (l *life) promise(t *task, members map[string]string, budget time.Duration) error {
	old := l.failsafeKnown
	both := maps.Clone(members)
	maps.Copy(both, l.seen.cluster.Failsafe)
	l.seen.cluster.Failsafe = both
	return l.call(t, "failsafe", budget, func() error { return l.w.store.putFailsafe(members, old) })
}
