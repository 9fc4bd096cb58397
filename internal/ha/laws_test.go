package ha

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/quorum"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// world draws any view, sensible or not: the laws hold for all of them.
func world(t *rapid.T) (Memory, View) {
	s := newScenario()
	v := s.view
	v.Now = at("100").Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "now")) * time.Second)
	v.Fresh = rapid.Bool().Draw(t, "fresh")
	v.Self.Tags = cluster.Tags{"nofailover": rapid.Bool().Draw(t, "nofailover")}
	v.Lease.ID = rapid.SampledFrom([]int64{0, ownLease}).Draw(t, "lease")
	holder := rapid.SampledFrom([]string{"", "n1", "n2"}).Draw(t, "holder")
	if holder != "" {
		v.Cluster.Leader = cluster.Leader{Name: holder, Lease: rapid.SampledFrom([]int64{ownLease, otherLease}).Draw(t, "leader lease"), Version: 5}
	}
	if rapid.Bool().Draw(t, "uninitialized") {
		v.Cluster.Initialize = cluster.Initialize{}
	}
	v.Cluster.History = historyKey(rapid.SampledFrom([]string{"none", "1", "3"}).Draw(t, "history"))
	v.Cluster.Members = []cluster.Member{
		{Name: "n2", APIURL: "http://n2:8008/patroni", ConnURL: "postgres://n2:5432/postgres", State: cluster.StateRunning, Role: cluster.RolePrimary},
	}
	if rapid.Bool().Draw(t, "asked") {
		v.Cluster.Failover = cluster.Failover{Leader: "n1", Candidate: "n2", Version: 1}
	}
	v.Server = anyServer(t)
	v.Server.SyncNames, v.Server.Senders = anyNames(t)
	v.Settings.Pause = rapid.SampledFrom([]bool{false, false, true}).Draw(t, "pause")
	if rapid.SampledFrom([]bool{false, false, true}).Draw(t, "standby cluster") {
		v.Settings.Standby = cluster.StandbyCluster{Host: "far"}
	}
	anyFailsafe(t, &v)
	anySync(t, &v)
	v.Watchdog = Watchdog{
		Wanted: rapid.Bool().Draw(t, "watchdog"), Required: rapid.Bool().Draw(t, "required"),
		Usable: rapid.Bool().Draw(t, "usable"), Active: rapid.Bool().Draw(t, "active"),
	}
	v.Peers["n2"] = Peer{
		At: v.Now, Reached: rapid.Bool().Draw(t, "reached"), InRecovery: rapid.Bool().Draw(t, "peer standby"), State: cluster.StateRunning,
		Timeline: wal.Timeline(rapid.Uint32Range(0, 3).Draw(t, "peer tl")), Position: wal.LSN(rapid.Uint64Range(0, 9).Draw(t, "peer at")),
	}
	v.Upstream = Upstream{Member: "n2", At: v.Now, Reached: rapid.Bool().Draw(t, "upstream"), Timeline: 2, History: wal.History{{Timeline: 1, End: 5}}}
	kinds := []JobKind{"", "", "", JobBootstrap, JobClone, JobStart, JobStop, JobPromote, JobRestart, JobFollow, JobRewind, JobCheckpoint}
	v.Job.Kind = rapid.SampledFrom(kinds).Draw(t, "job")
	mem := Memory{
		Bootstrapped:  rapid.Bool().Draw(t, "bootstrapped"),
		StartFailures: rapid.IntRange(0, 1).Draw(t, "failures"),
		RewindFailed:  rapid.Bool().Draw(t, "rewind failed"),
	}
	if rapid.Bool().Draw(t, "handing over") {
		mem.Handover = Handover{Kind: "switchover", Candidate: "n2", Until: v.Now.Add(5 * time.Second), Checkpoint: 3}
	}
	return mem, v
}

func anyFailsafe(t *rapid.T, v *View) {
	v.Settings.FailsafeMode = rapid.Bool().Draw(t, "failsafe mode")
	if !v.Settings.FailsafeMode {
		return
	}
	v.Cluster.Failsafe = rapid.SampledFrom([]map[string]string{nil, {"n1": "x", "n2": "x"}, {"n2": "x"}}).Draw(t, "failsafe key")
	if rapid.Bool().Draw(t, "consent") {
		v.Failsafe.Asked = v.Now.Add(-time.Duration(rapid.IntRange(0, 40).Draw(t, "asked")) * time.Second)
		v.Failsafe.Until = v.Failsafe.Asked.Add(v.Settings.TTL)
	}
	if rapid.Bool().Draw(t, "heard") {
		v.Failsafe.Leader, v.Failsafe.Heard = "n2", v.Now.Add(-time.Duration(rapid.IntRange(0, 40).Draw(t, "when"))*time.Second)
	}
}

func anySync(t *rapid.T, v *View) {
	v.Settings.Synchronous = rapid.SampledFrom([]cluster.SyncMode{cluster.SyncOff, cluster.SyncOff, cluster.SyncOn, cluster.SyncQuorum}).Draw(t, "synchronous_mode")
	v.Settings.SynchronousStrict = rapid.Bool().Draw(t, "strict")
	if !rapid.Bool().Draw(t, "promise") {
		return
	}
	v.Cluster.Sync = cluster.Sync{
		Leader: rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "promise of"), Quorum: rapid.IntRange(0, 1).Draw(t, "quorum"),
		Voters: rapid.SampledFrom([][]string{nil, {"n1"}, {"n2"}, {"n1", "n2"}, {"n2", "n3"}}).Draw(t, "voters"), Version: 7,
	}
}

// anyNames are whom the server's commits wait for, and who streams from it.
func anyNames(t *rapid.T) (guc.SyncNames, []Sender) {
	names := rapid.SampledFrom([]string{"", "n2", "ANY 1 (n2,n3)", "2 (n2,n3)", guc.NobodySync, "*"}).Draw(t, "names")
	n, err := guc.ParseSyncNames(names)
	if err != nil {
		t.Fatal(err)
	}
	flushed := wal.LSN(rapid.Uint64Range(0, 9).Draw(t, "flushed"))
	return n, []Sender{{Name: "n2", Slot: "n2", Sent: flushed, Flushed: flushed}}
}

func anyServer(t *rapid.T) Server {
	return Server{
		Data:       rapid.SampledFrom([]Data{DataUnknown, DataEmpty, DataIncomplete, DataCluster, DataCluster}).Draw(t, "data"),
		SystemID:   rapid.SampledFrom([]wal.SystemID{testIdentity, testIdentity, "7999999999999999999"}).Draw(t, "identity"),
		Process:    rapid.SampledFrom([]Process{Stopped, Starting, Running, Stopping}).Draw(t, "process"),
		Answers:    rapid.Bool().Draw(t, "answers"),
		InRecovery: rapid.Bool().Draw(t, "standby"),
		Timeline:   wal.Timeline(rapid.Uint32Range(0, 3).Draw(t, "tl")),
		Position:   wal.LSN(rapid.Uint64Range(0, 9).Draw(t, "at")),
		CanRewind:  rapid.Bool().Draw(t, "can rewind"),
		Control: Control{
			Standby: rapid.Bool().Draw(t, "was standby"), Timeline: wal.Timeline(rapid.Uint32Range(0, 3).Draw(t, "control tl")),
			End: wal.LSN(rapid.Uint64Range(0, 9).Draw(t, "control end")),
		},
	}
}

func jobs(d Decision) []Job {
	var out []Job
	for _, a := range d.Do {
		if s, ok := a.(StartJob); ok {
			out = append(out, s.Job)
		}
	}
	return out
}

func TestNextIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		before := v
		before.Peers = map[string]Peer{"n2": v.Peers["n2"]}
		m1, d1 := Next(mem, v)
		m2, d2 := Next(mem, v)
		if diff := cmp.Diff(before, v, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the view was changed: %s", diff)
		}
		if diff := cmp.Diff(m1, m2); diff != "" {
			t.Fatalf("equal arguments, other memory: %s", diff)
		}
		if diff := cmp.Diff(d1, d2); diff != "" {
			t.Fatalf("equal arguments, other decision: %s", diff)
		}
	})
}

func TestEveryDecisionNamesItsReason(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, d := Next(world(t))
		if d.Why == "" || d.Why == "nothing to do" {
			t.Fatalf("no rule applies: %+v", d)
		}
	})
}

// S1: whoever accepts writes without the right to either stops, or takes the key that is free or his, or
// makes his one last try to renew while his deadline lies ahead.
func TestNoWritesWithoutTheRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		if !v.Server.Primary() || v.mayWrite() || v.Job.Kind == JobStop || v.Job.Kind == JobBootstrap {
			return // has the right, or is on its way down
		}
		_, d := Next(mem, v)
		if stopped := len(jobs(d)) == 1 && jobs(d)[0].Kind == JobStop; stopped {
			return
		}
		free := v.Fresh && !v.Cluster.Locked() || v.Fresh && v.stale()
		if free || v.leading() && v.Now.Before(v.Lease.Deadline) && contains[RenewLease](d) {
			return
		}
		t.Fatalf("%s: %v", d.Why, d.Do)
	})
}

// S4: a server is made to accept writes only under the leader key and not from an older timeline.
func TestPromotionNeedsTheKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		_, d := Next(mem, v)
		for _, j := range jobs(d) {
			if j.Kind != JobPromote && !j.Primary {
				continue
			}
			if !v.leading() {
				t.Fatalf("%s without the leader key: %s", j, d.Why)
			}
			if v.Settings.Standby.Active() {
				t.Fatalf("%s in a standby cluster: %s", j, d.Why)
			}
			if j.Kind == JobPromote && watchdogMissing(v) && v.Watchdog.Required {
				t.Fatalf("%s without the watchdog: %s", j, d.Why)
			}
			if j.Kind == JobPromote && (behind(v, v.Server.Timeline) || v.Server.SystemID != v.Cluster.Initialize.SystemID && v.Cluster.Initialize.Known()) {
				t.Fatalf("%s on timeline %d of %s: %s", j, v.Server.Timeline, v.Server.SystemID, d.Why)
			}
		}
	})
}

// The key is only ever taken when the last picture showed it free.
func TestTheKeyIsTakenOnlyWhenFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		_, d := Next(mem, v)
		if contains[AcquireLeader](d) && (v.Cluster.Locked() || !v.Fresh) {
			t.Fatalf("acquires a key that is held: %s", d.Why)
		}
		if contains[AcquireLeader](d) && v.Self.Tags.NoFailover() && !v.Server.Primary() && !mem.Bootstrapped {
			t.Fatalf("acquires although tagged nofailover: %s", d.Why)
		}
	})
}

// S6: nothing removes or replaces data unless asked, except where the data were found useless here.
func TestDataAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		_, d := Next(mem, v)
		for _, j := range jobs(d) {
			if j.Kind == JobReinitialize {
				t.Fatalf("reinitializes without a request: %s", d.Why)
			}
			if (j.Kind == JobClone || j.Kind == JobBootstrap) && v.Server.Data != DataEmpty {
				t.Fatalf("%s into a data directory that is not empty: %s", j, d.Why)
			}
			if j.Kind == JobReplace && v.Server.Process == Running {
				t.Fatalf("replaces a running server: %s", d.Why)
			}
		}
	})
}

// One thing at a time: while a job runs only a stop may begin.
func TestOneJobAtATime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		if v.Job.Kind == "" {
			return // no job
		}
		_, d := Next(mem, v)
		for _, j := range jobs(d) {
			if j.Kind != JobStop {
				t.Fatalf("%s while %s runs: %s", j, v.Job.Kind, d.Why)
			}
		}
	})
}

// In pause nothing begins that nobody asked for: what a leader or a follower does for those who read, a promotion of who
// was chosen, and the way back of a server that this agent took down itself.
func TestHandsOffInPause(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		mem.Ours = false
		born := mem.Bootstrapped || mem.Handover.active() || v.Job.Kind != "" || v.Server.Data == DataEmpty && !v.Cluster.Initialize.Present
		if !v.Settings.Pause || born || v.Cluster.Failover.Requested() {
			return // something else is under way
		}
		_, d := Next(mem, v)
		for _, j := range jobs(d) {
			if j.Kind != JobFollow && j.Kind != JobCheckpoint {
				t.Fatalf("%s in pause: %s", j, d.Why)
			}
		}
	})
}

// Whoever agreed that another one goes on as the primary without the DCS does not race until a ttl has passed, and nobody
// races whom a primary without the DCS does not ask.
func TestFailsafeKeepsItsWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		agreed := v.Failsafe.Leader != "" && v.Now.Sub(v.Failsafe.Heard) < v.Settings.TTL
		unnamed := len(v.Cluster.Failsafe) > 0 && v.Cluster.Failsafe["n1"] == ""
		if !v.Settings.FailsafeMode || v.Settings.Pause || v.Server.Primary() || mem.Bootstrapped || !agreed && !unnamed {
			return
		}
		if _, d := Next(mem, v); contains[AcquireLeader](d) {
			t.Fatalf("races: %s", d.Why)
		}
	})
}

// Rule S5: nobody takes a vacant key whom the promise leaves out, unless an operator says so; nobody is promoted on another
// member's promise; and what a leader promises is covered by what its commits wait for.
func TestThePromiseBinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		_, d := Next(mem, v)
		p, on := v.Cluster.Sync, !v.Settings.Standby.Active()
		f := v.Cluster.Failover
		founds := mem.Bootstrapped // a new cluster, to which nothing was ever promised
		if contains[AcquireLeader](d) && on && !founds && p.Made() && !p.Votes("n1") && !v.Settings.Pause && f.Candidate != "n1" {
			t.Fatalf("takes the key although the promise is %+v", p)
		}
		for _, a := range every[StartJob](d) {
			if a.Job.Kind == JobPromote && v.Settings.Sync() != cluster.SyncOff && p.Leader != "n1" {
				t.Fatalf("is promoted on the promise %+v", p)
			}
		}
		for _, a := range every[WriteSync](d) {
			alone, handsOver := len(a.Promise.Voters) == 0, contains[ReleaseLeader](d)
			if a.Promise.Leader != "n1" || !handsOver && !alone && v.Server.Primary() && !quorum.Covers(a.Promise, v.Server.SyncNames, "n1") {
				t.Fatalf("promises %+v while commits wait for %q", a.Promise, v.Server.SyncNames)
			}
		}
	})
}

// every are the actions of one type.
func every[A Action](d Decision) []A {
	var out []A
	for _, a := range d.Do {
		if a, ok := a.(A); ok {
			out = append(out, a)
		}
	}
	return out
}
