package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// mutant is a deliberate mistake. The zero mutant is the product as it is.
type mutant struct {
	// name is how it is switched on, about what it gets wrong.
	name, about string
	// synchronous says that it is about synchronous standbys.
	synchronous bool

	// view bends what a decision sees, decision what it decided.
	view     func(l *life, v *ha.View)
	decision func(l *life, v *ha.View, mem *ha.Memory, d *ha.Decision)

	// Mistakes of the executor, the store's client and the guard.
	deadlineAfter, guardOff, guardLate, acquireBlindly, adoptBlindly, neverRelease, skipIdentity, deleteFirst bool
	noOrder, keepAlive, loseLease, repeatAcquire, agreeAlways, forgetNames, syncBlindly                       bool
}

func (b *mutant) bendView(l *life, v *ha.View) {
	if b.view != nil {
		b.view(l, v)
	}
}

func (b *mutant) bendDecision(l *life, v *ha.View, mem *ha.Memory, d *ha.Decision) {
	if b.decision != nil {
		b.decision(l, v, mem, d)
	}
}

// Mutants are the names of all deliberate mistakes, with what each gets wrong.
func Mutants() map[string]string {
	all := map[string]string{}
	for _, m := range mutants() {
		all[m.name] = m.about
	}
	return all
}

// findMutant returns the mistake of that name.
func findMutant(name string) (mutant, bool) {
	for _, m := range mutants() {
		if m.name == name {
			return m, true
		}
	}
	return mutant{}, name == ""
}

// mutants are all deliberate mistakes.
func mutants() []mutant {
	return slices.Concat(leaseMutants(), keyMutants(), raceMutants(), dataMutants(), handoverMutants(), syncMutants())
}

// leaseMutants are mistakes about the lease, its deadline and the guard (S1, S2, S3).
func leaseMutants() []mutant {
	return []mutant{
		{name: "deadline-after", about: "the deadline counts from the answer to a renewal, not from before it was sent", deadlineAfter: true},
		{name: "guard-off", about: "nothing stops a primary whose agent is dead or frozen", guardOff: true},
		{name: "keep-alive", about: "the lease is renewed beside the loop, whatever that does", keepAlive: true},
		{name: "no-fence", about: "a primary goes on after its deadline, and the guard is off", guardOff: true, view: func(_ *life, v *ha.View) {
			if v.Lease.ID != 0 {
				v.Lease.Deadline = v.Lease.Deadline.Add(time.Hour)
			}
		}},
		{name: "no-margin", about: "a primary begins to stop at the deadline, and the guard with it", guardLate: true, view: func(_ *life, v *ha.View) {
			v.Lease.Deadline = v.Lease.Deadline.Add(v.Settings.TTL / 6)
		}},
		{name: "hasty", about: "a primary is stopped at the first error of the store", decision: func(_ *life, v *ha.View, _ *ha.Memory, d *ha.Decision) {
			if !v.Fresh && v.Server.Primary() && v.Job.Kind == "" {
				d.Do = []ha.Action{ha.StartJob{Job: ha.Job{Kind: ha.JobStop}}}
			}
		}},
		{name: "unknown-is-lost", about: "a renewal without an answer counts as a lost lease", loseLease: true},
		{
			name: "unguarded-start", about: "a job makes a primary before the guard is armed, and does not look at the key again", noOrder: true,
			decision: func(_ *life, v *ha.View, _ *ha.Memory, d *ha.Decision) {
				if v.Server.Process == ha.Stopped && v.Server.Control.Primary && v.Job.Kind == "" {
					replaceStart(d, ha.Job{Kind: ha.JobStart, Primary: true})
				}
			},
		},
	}
}

// keyMutants are mistakes about the leader key and other documents (S4, S8).
func keyMutants() []mutant {
	return []mutant{
		{name: "acquire-blindly", about: "the leader key is written without a compare", acquireBlindly: true},
		{name: "adopt-blindly", about: "the leader key of an earlier life is taken over without a compare", adoptBlindly: true},
		{name: "takeover", about: "a standby that cannot reach the leader writes its own name over the leader's", decision: func(_ *life, v *ha.View, _ *ha.Memory, d *ha.Decision) {
			if v.Server.InRecovery && v.Fresh && v.Upstream.Member == v.Cluster.Leader.Name && !v.Upstream.Reached && v.Cluster.Locked() {
				d.Do = []ha.Action{ha.AdoptLeader{Version: v.Cluster.Leader.Version}}
			}
		}},
		{name: "repeat", about: "an acquisition without an answer is repeated without reading", repeatAcquire: true},
		{name: "promote-first", about: "a standby promotes before it has the leader key", noOrder: true, decision: func(_ *life, v *ha.View, _ *ha.Memory, d *ha.Decision) {
			for i, a := range d.Do {
				if _, ok := a.(ha.AcquireLeader); ok && v.Server.InRecovery {
					d.Do = slices.Insert(slices.Clone(d.Do), i, ha.Action(ha.StartJob{Job: ha.Job{Kind: ha.JobPromote}}))
					return
				}
			}
		}},
		{name: "stale-view", about: "the last picture counts as fresh while the store is silent", view: func(_ *life, v *ha.View) { v.Fresh = true }},
		{name: "silent-is-vacant", about: "a store that does not answer counts as one without a leader", view: func(_ *life, v *ha.View) {
			if !v.Fresh {
				v.Fresh, v.Cluster.Leader = true, cluster.Leader{}
			}
		}},
		{name: "wiped-is-new", about: "after the documents are gone nobody waits for a running primary", view: func(l *life, v *ha.View) {
			if id := v.Cluster.Initialize; !id.Known() && l.host.server.id != "" && !v.Cluster.Locked() && v.Server.InRecovery {
				v.Cluster.Initialize = cluster.Initialize{Present: true, SystemID: l.host.server.id, Version: id.Version}
			}
		}},
		{name: "bootstrap-first", about: "an empty member bootstraps without the initialize key", decision: func(_ *life, _ *ha.View, mem *ha.Memory, d *ha.Decision) {
			for i, a := range d.Do {
				if _, ok := a.(ha.CreateInitialize); ok {
					d.Do = slices.Clone(d.Do)
					d.Do[i], mem.Bootstrap = ha.StartJob{Job: ha.Job{Kind: ha.JobBootstrap}}, true
				}
			}
		}},
		{name: "forgetful-consent", about: "a member that races for the key agrees to another primary all the same", agreeAlways: true},
	}
}

// raceMutants are mistakes about who may win (S4, S5).
func raceMutants() []mutant {
	return []mutant{
		{name: "no-timeline", about: "a member with an older timeline than the cluster's may lead", view: func(_ *life, v *ha.View) {
			if !v.Server.Primary() {
				v.Cluster.History = cluster.History{}
			}
		}},
		{name: "no-lag-limit", about: "the race ignores maximum_lag_on_failover", view: func(_ *life, v *ha.View) { v.Settings.MaximumLagOnFailover = 1 << 60 }},
		{name: "no-questions", about: "the race asks nobody", view: func(_ *life, v *ha.View) {
			if !v.Cluster.Locked() {
				v.Peers = map[string]ha.Peer{}
				for _, m := range v.Cluster.Others(v.Self.Name) {
					v.Peers[m.Name] = ha.Peer{At: v.Now}
				}
			}
		}},
		{name: "no-comparison", about: "the race does not mind that others have more WAL", view: func(_ *life, v *ha.View) {
			if v.Cluster.Locked() {
				return
			}
			v.Peers = maps.Clone(v.Peers)
			for name, p := range v.Peers {
				p.Position = min(p.Position, v.Server.Position)
				v.Peers[name] = p
			}
		}},
		{name: "no-tag", about: "the tag nofailover is ignored", view: func(_ *life, v *ha.View) {
			v.Self.Tags = nil
			v.Peers = maps.Clone(v.Peers)
			for name, p := range v.Peers {
				p.NoFailover = false
				v.Peers[name] = p
			}
		}},
		{name: "no-pause", about: "a pause is ignored", view: func(_ *life, v *ha.View) { v.Settings.Pause = false }},
		{name: "twins", about: "timelines of one number count as one", view: func(_ *life, v *ha.View) {
			v.Cluster.History.Lines = slices.Clone(v.Cluster.History.Lines)
			for i := range v.Cluster.History.Lines {
				v.Cluster.History.Lines[i].Leader = ""
			}
		}},
	}
}

// dataMutants are mistakes about data directories (S6).
func dataMutants() []mutant {
	return []mutant{
		{name: "no-identity", about: "the system identifier is not compared", skipIdentity: true, view: func(_ *life, v *ha.View) {
			if v.Cluster.Initialize.Known() && v.Server.SystemID != "" {
				v.Cluster.Initialize.SystemID = v.Server.SystemID
			}
		}},
		{name: "delete-first", about: "a data directory that cannot be used is deleted before it is cloned anew", deleteFirst: true},
		{name: "no-rewind", about: "a diverged former primary starts without being rewound", decision: func(_ *life, _ *ha.View, _ *ha.Memory, d *ha.Decision) {
			for _, a := range d.Do {
				if j, ok := a.(ha.StartJob); ok && (j.Job.Kind == ha.JobRewind || j.Job.Kind == ha.JobReplace) {
					d.Do = []ha.Action{ha.StartJob{Job: ha.Job{Kind: ha.JobStart, Member: j.Job.Member}}}
					return
				}
			}
		}},
		{name: "no-follow", about: "a standby stays with the leader of before", decision: func(_ *life, _ *ha.View, _ *ha.Memory, d *ha.Decision) {
			d.Do = slices.DeleteFunc(slices.Clone(d.Do), func(a ha.Action) bool {
				j, ok := a.(ha.StartJob)
				return ok && j.Job.Kind == ha.JobFollow
			})
		}},
	}
}

// handoverMutants are mistakes about giving up the lead (S5, liveness).
func handoverMutants() []mutant {
	return []mutant{
		{name: "never-release", about: "the leader key is not given up in a switchover", neverRelease: true},
		{name: "release-early", about: "the leader key is given up before anybody has the shutdown checkpoint", view: func(_ *life, v *ha.View) {
			v.Peers = maps.Clone(v.Peers)
			for name, p := range v.Peers {
				if p.Reached && v.Cluster.Leader.Name == v.Self.Name {
					p.InRecovery, p.Position = true, wal.LSN(1<<62)
					v.Peers[name] = p
				}
			}
		}},
		{name: "run-away", about: "an agent that is told to end leaves its server behind and gives the key up", decision: func(_ *life, v *ha.View, _ *ha.Memory, d *ha.Decision) {
			if v.Leaving && v.Cluster.Leader.Name == v.Self.Name && v.Server.Process == ha.Running {
				d.Do = []ha.Action{ha.ReleaseLeader{Version: v.Cluster.Leader.Version}, ha.Exit{}}
			}
		}},
	}
}

// replaceStart puts another job in place of a start.
func replaceStart(d *ha.Decision, job ha.Job) {
	for i, a := range d.Do {
		if j, ok := a.(ha.StartJob); ok && j.Job.Kind == ha.JobStart && !j.Job.Primary {
			d.Do = slices.Clone(d.Do)
			d.Do[i] = ha.StartJob{Job: job}
		}
	}
}
