package sim

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// failsafe keeps apart what this member agrees to and what it does itself, as in package agent.
type failsafe struct {
	leader       string
	heard        time.Time
	calls, seen  int
	racing       bool
	asked, until time.Time
	// asleep is how long the machine had been suspended when all agreed.
	asleep int64
}

var errAgreed = errors.New("this member agreed to another one that goes on as the primary without the store")

const (
	consentTimeout = 2 * time.Second
	leastConsent   = 100 * time.Millisecond
)

// look is what the next decision is to know.
func (f *failsafe) look() ha.Failsafe {
	f.seen = f.calls
	return ha.Failsafe{Until: f.until, Asked: f.asked, Leader: f.leader, Heard: f.heard}
}

// consented is until when all others agreed. The time that the machine was suspended since is taken off.
func (l *life) consented() time.Time {
	if l.failsafe.until.IsZero() {
		return time.Time{}
	}
	return l.failsafe.until.Add(-time.Duration(l.host.clock.stood - l.failsafe.asleep))
}

// race begins what can make this member lead.
func (f *failsafe) race() bool {
	if f.calls != f.seen {
		return false
	}
	f.racing = true
	return true
}

// settle ends the race once nothing here leads or is about to.
func (f *failsafe) settle(v *ha.View) {
	if v.Fresh && v.Cluster.Leader.Name != v.Self.Name && !v.Server.Primary() && !makesPrimary(v.Job.Job) {
		f.racing = false
	}
}

// canLead reports whether an action can make this member the leader, or its server a primary.
func canLead(action ha.Action) bool {
	switch action := action.(type) {
	case ha.AcquireLeader, ha.AdoptLeader:
		return true
	case ha.StartJob:
		return makesPrimary(action.Job)
	case ha.RenewLease, ha.WriteStatus, ha.ReleaseLeader, ha.CreateInitialize, ha.WriteInitialize, ha.DeleteInitialize, ha.WriteConfig,
		ha.WriteHistory, ha.ClearFailover, ha.PromiseFailsafe, ha.AskFailsafe, ha.ActivateWatchdog, ha.DisableWatchdog,
		ha.WriteSync, ha.DeleteSync, ha.SetSyncNames, ha.EmitWAL, ha.AdmitClients, ha.AskPeers, ha.AskUpstream, ha.Refuse, ha.Exit:
	}
	return false
}

// agree answers a member that wants to go on as the primary without the store.
func (l *life) agree(leader string) bool {
	st := l.host.server.look()
	if l.w.bend.agreeAlways {
		return true
	}
	if leader == l.host.name || l.leads() || st.comesUpAsPrimary() || l.failsafe.racing {
		return false
	}
	l.failsafe.leader, l.failsafe.heard = leader, l.now()
	l.failsafe.calls++
	l.wakeAfter(0)
	return true
}

// askFailsafe asks all members at once whether this one may go on as the primary without the store.
func (l *life) askFailsafe(t *task, v *ha.View, members map[string]string) error {
	sent, asleep := l.now(), l.host.clock.stood
	l.failsafe.asked = sent
	patience := max(l.writeDeadline(v.Fresh).Add(-l.margin()).Sub(sent), leastConsent)
	q := &question{t: t, token: t.token, answers: map[string]ha.Peer{}, limit: l.w.now + l.host.clock.global(min(patience, consentTimeout))}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		q.open++
		if m := l.w.member(name); m != nil {
			l.askConsent(q, m)
		} else {
			q.silence()
		}
	}
	if q.open > 0 {
		t.park()
	}
	refused, agreed := false, 0
	for _, p := range q.answers {
		refused = refused || !p.Reached
		if p.Reached {
			agreed++
		}
	}
	switch {
	case agreed == len(members):
		l.failsafe.until, l.failsafe.asleep = sent.Add(v.Settings.TTL), asleep
		return nil
	case refused:
		l.failsafe.until = time.Time{}
		return errAgreed
	}
	return kv.ErrUnavailable
}

// askConsent asks one member; Reached of its answer says that it agreed.
func (l *life) askConsent(q *question, m *member) {
	w := l.w
	if !w.net.passes(l.host.node, m.node) {
		q.silence()
		return
	}
	w.at(w.now+w.net.latency(l.host.node, m.node), func() {
		if m.life == nil || m.life.frozen > 0 || m.life.snap.reason == "" {
			q.silence()
			return
		}
		yes := m.life.agree(l.host.name)
		if !w.net.passes(m.node, l.host.node) {
			q.silence()
			return
		}
		w.at(w.now+w.net.latency(m.node, l.host.node), func() { q.answer(m.name, ha.Peer{Reached: yes}) })
	})
}
