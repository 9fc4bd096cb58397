package sim

import (
	"slices"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/quorum"
)

// syncMutants are mistakes about synchronous standbys and the promise (S5).
func syncMutants() []mutant {
	all := slices.Concat(promiseMutants(), winnerMutants(), successorMutants())
	for i := range all {
		all[i].synchronous = true
	}
	return all
}

// promiseMutants are mistakes of a leader that changes whom its commits wait for.
func promiseMutants() []mutant {
	return []mutant{
		{name: "promise-first", about: "the promise is made before commits wait for whom it names", decision: func(_ *life, v *ha.View, _ *ha.Memory, d *ha.Decision) {
			for i, a := range d.Do {
				if n, ok := a.(ha.SetSyncNames); ok && !n.Release && v.Server.Primary() && !n.Names.Empty() {
					early := cluster.Sync{Leader: v.Self.Name, Quorum: len(n.Names.Names) - n.Names.Num, Voters: slices.Sorted(slices.Values(n.Names.Names)), Version: v.Cluster.Sync.Version}
					d.Do = slices.Insert(slices.Clone(d.Do), i, ha.Action(ha.WriteSync{Promise: early}))
					return
				}
			}
		}},
		{name: "no-confirmation", about: "the promise is widened before the new standbys hold what was acknowledged earlier", view: func(l *life, _ *ha.View) {
			l.mem.Quorum.Owed, l.mem.Quorum.Unsure = nil, false
		}},
		{name: "received-counts", about: "what was sent to a standby counts as safe there", view: func(_ *life, v *ha.View) {
			v.Server.Senders = slices.Clone(v.Server.Senders)
			for i := range v.Server.Senders {
				v.Server.Senders[i].Flushed = v.Server.Senders[i].Sent
			}
		}},
		{name: "vanished-counts", about: "a standby that is gone counts as one that confirmed", view: func(_ *life, v *ha.View) {
			v.Server.Senders = slices.Clone(v.Server.Senders)
			for _, name := range v.Server.SyncNames.Names {
				if !slices.ContainsFunc(v.Server.Senders, func(s ha.Sender) bool { return s.Name == name }) {
					v.Server.Senders = append(v.Server.Senders, ha.Sender{Name: name, Slot: cluster.SlotName(name), Sent: v.Server.Position, Flushed: v.Server.Position})
				}
			}
		}},
		{name: "too-few-votes", about: "the promise asks for one vote less than it takes", decision: func(_ *life, _ *ha.View, _ *ha.Memory, d *ha.Decision) {
			bendPromise(d, func(p *cluster.Sync) { p.Quorum = max(p.Quorum-1, 0) })
		}},
		{name: "unknown-names", about: "names without an answer count as in force", view: func(_ *life, v *ha.View) {
			v.Outcomes = slices.Clone(v.Outcomes)
			for i, o := range v.Outcomes {
				if n, ok := o.Action.(ha.SetSyncNames); ok && o.Result == ha.Unknown {
					v.Outcomes[i].Result, v.Server.SyncNames = ha.Done, n.Names
				}
			}
		}},
		{name: "unknown-promise", about: "a promise without an answer counts as not made, and can come into force later", view: func(l *life, _ *ha.View) {
			l.mem.PromiseSure = true
		}},
		{name: "forget-names", about: "a primary that starts again waits for nobody", forgetNames: true},
		{name: "no-hold", about: "clients see what a crash left behind before the synchronous standbys have it", decision: func(_ *life, _ *ha.View, _ *ha.Memory, d *ha.Decision) {
			for i, a := range d.Do {
				if j, ok := a.(ha.StartJob); ok && j.Job.Hold {
					j.Job.Hold = false
					d.Do = slices.Clone(d.Do)
					d.Do[i] = j
				}
			}
		}},
		{name: "early-admission", about: "clients are let in as soon as a server is up after a crash", decision: func(_ *life, v *ha.View, _ *ha.Memory, d *ha.Decision) {
			if v.Server.Held && v.Server.Primary() {
				d.Do = append(slices.Clip(d.Do), ha.AdmitClients{})
			}
		}},
	}
}

// winnerMutants are mistakes about who may take the lead, and what it does before its promotion.
func winnerMutants() []mutant {
	return []mutant{
		{name: "no-promise", about: "the race ignores the promise", view: vacantly(func(l *life, v *ha.View) {
			v.Cluster.Sync, l.mem.Promise = cluster.Sync{}, cluster.Sync{}
		})},
		{name: "no-votes", about: "the race does not count the votes that the promise asks for", view: vacantly(func(l *life, v *ha.View) {
			v.Cluster.Sync.Quorum, l.mem.Promise.Quorum = 0, 0
		})},
		{name: "once-exempt", about: "a former leader may win alone although another one made the promise its own", view: vacantly(func(l *life, v *ha.View) {
			if l.mem.Led != 0 && v.Cluster.Sync.Made() {
				v.Cluster.Sync.Leader, v.Cluster.Sync.Quorum = v.Self.Name, 0
			}
		})},
		{name: "no-inheritance", about: "the winner is promoted before the promise is its own", view: beforePromotion(func(l *life, v *ha.View) {
			v.Cluster.Sync, _ = quorum.Inherit(v.Cluster.Sync, v.Self.Name, v.Settings.Sync(), v.Settings.SynchronousStrict)
			l.mem.PromiseSure = true
		})},
		namesLate(),
		{name: "sync-blindly", about: "the promise is written without a compare", syncBlindly: true},
	}
}

// successorMutants are mistakes about planned changes of the leader.
func successorMutants() []mutant {
	return []mutant{
		{name: "any-successor", about: "in a switchover the promise is not asked", view: vacantly(func(l *life, v *ha.View) {
			if v.Cluster.Failover.Requested() {
				v.Cluster.Sync, l.mem.Promise = cluster.Sync{}, cluster.Sync{}
			}
		})},
		{name: "hand-over-to-all", about: "a leader that gives up promises that everybody has everything", decision: func(l *life, _ *ha.View, _ *ha.Memory, d *ha.Decision) {
			if !slices.ContainsFunc(d.Do, func(a ha.Action) bool { _, ok := a.(ha.ReleaseLeader); return ok }) {
				return
			}
			bendPromise(d, func(p *cluster.Sync) {
				p.Voters = nil
				for _, m := range l.w.members {
					if m != l.host {
						p.Voters = append(p.Voters, m.name)
					}
				}
			})
		}},
	}
}

// vacantly bends a view while nobody leads.
func vacantly(bend func(l *life, v *ha.View)) func(*life, *ha.View) {
	return func(l *life, v *ha.View) {
		if v.Fresh && !v.Cluster.Locked() {
			bend(l, v)
		}
	}
}

// beforePromotion bends the view of a standby that has the leader key.
func beforePromotion(bend func(l *life, v *ha.View)) func(*life, *ha.View) {
	return func(l *life, v *ha.View) {
		if v.Cluster.Leader.Name == v.Self.Name && v.Server.InRecovery && v.Settings.Sync() != cluster.SyncOff {
			bend(l, v)
		}
	}
}

// namesLate is a winner that only believes to have told its server.
func namesLate() mutant {
	told := map[*life]guc.SyncNames{}
	return mutant{
		name: "names-late", about: "the winner is promoted before its commits wait for anybody",
		view: beforePromotion(func(l *life, v *ha.View) {
			if names, ok := told[l]; ok {
				v.Server.SyncNames, l.mem.NamesSure = names, true
			}
		}),
		decision: func(l *life, v *ha.View, _ *ha.Memory, d *ha.Decision) {
			d.Do = slices.DeleteFunc(slices.Clone(d.Do), func(a ha.Action) bool {
				n, ok := a.(ha.SetSyncNames)
				if ok && v.Server.InRecovery {
					told[l] = n.Names
				}
				return ok && v.Server.InRecovery
			})
		},
	}
}

// bendPromise changes the promise that a decision writes.
func bendPromise(d *ha.Decision, bend func(*cluster.Sync)) {
	for i, a := range d.Do {
		if s, ok := a.(ha.WriteSync); ok {
			bend(&s.Promise)
			d.Do = slices.Clone(d.Do)
			d.Do[i] = s
		}
	}
}
