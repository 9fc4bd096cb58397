package dcstest

import (
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/kv"
)

const longTTL = time.Minute

// shortTTL is the shortest that etcd grants.
const shortTTL = 2 * time.Second

func doc(state cluster.State) cluster.Member {
	return cluster.Member{
		ConnURL: "postgres://10.0.0.1:5432/postgres", APIURL: "http://10.0.0.1:8008/patroni",
		State: state, Role: cluster.RoleReplica, AgentVersion: "4.1.0",
	}
}

func memberIsAnnouncedWithTheLease(t *testing.T, s scope) {
	n1 := s.leased(t, "n1", longTTL)
	noError(t, n1.Announce(limit(t), doc(cluster.StateRunning)))
	got, ok := n1.load(t).Member("n1")
	if !ok || got.Version == 0 {
		t.Fatalf("got member %+v, exists %v", got, ok)
	}
	want := doc(cluster.StateRunning)
	want.Name, want.Lease, want.Version = "n1", n1.Lease().ID, got.Version
	wantEqual(t, "member", want, got)
}

func unchangedMemberIsNotWritten(t *testing.T, s scope) {
	n1 := s.leased(t, "n1", longTTL)
	version := func() cluster.Version {
		t.Helper()
		m, _ := n1.load(t).Member("n1")
		return m.Version
	}
	announce := func(state cluster.State) cluster.Version {
		t.Helper()
		noError(t, n1.Announce(limit(t), doc(state)))
		return version()
	}
	first := announce(cluster.StateRunning)
	if again := announce(cluster.StateRunning); again != first {
		t.Fatalf("an unchanged member was written: version %d after %d", again, first)
	}
	changed := announce(cluster.StateStopping)
	if changed == first {
		t.Fatal("a changed member was not written")
	}

	s.put(t, "members/n1", "{}") // somebody else's, and without our lease
	version()
	if announce(cluster.StateStopping) == changed {
		t.Fatal("a member that was overwritten was not written again")
	}
	noError(t, s.raw.Delete(limit(t), s.key("members/n1"), kv.Always()))
	version()
	before := announce(cluster.StateStopping)
	noError(t, n1.Grant(limit(t), longTTL))
	if announce(cluster.StateStopping) == before {
		t.Fatal("a member was left on the old lease")
	}
	if m, _ := n1.load(t).Member("n1"); m.Lease != n1.Lease().ID {
		t.Fatalf("the member is on lease %x, want %x", m.Lease, n1.Lease().ID)
	}
}

func nobodyWritesWithoutALease(t *testing.T, s scope) {
	n1 := s.member(t, "n1")
	wantEqual(t, "lease", dcs.Lease{}, n1.Lease())
	for what, err := range map[string]error{
		"renew":      n1.Renew(limit(t)),
		"acquire":    n1.Acquire(limit(t)),
		"adopt":      n1.Adopt(limit(t), 1),
		"announce":   n1.Announce(limit(t), doc(cluster.StateRunning)),
		"initialize": n1.CreateInitialize(limit(t)),
	} {
		t.Run(what, func(t *testing.T) { wantError(t, err, kv.ErrLost) })
	}
	operator := s.leased(t, "", longTTL)
	if err := operator.Acquire(limit(t)); err == nil {
		t.Fatal("somebody without a name became leader")
	}
	if c := n1.load(t); c.Locked() || len(c.Members) > 0 || c.Initialize.Present {
		t.Fatalf("something was written: %+v", c)
	}
}

func leaderKeyIsAcquiredOnce(t *testing.T, s scope) {
	n1, n2 := s.leased(t, "n1", longTTL), s.leased(t, "n2", longTTL)
	leader := n1.mustAcquire(t)
	wantEqual(t, "leader", cluster.Leader{Name: "n1", Lease: n1.Lease().ID, Version: leader.Version}, leader)
	s.wantRaw(t, "leader", "n1")
	wantError(t, n2.Acquire(limit(t)), kv.ErrHeld)
	wantError(t, n1.Acquire(limit(t)), kv.ErrHeld)
	wantEqual(t, "leader", leader, n2.load(t).Leader)
}

func leaderKeyIsReleasedByVersion(t *testing.T, s scope) {
	n1, n2 := s.leased(t, "n1", longTTL), s.leased(t, "n2", longTTL)
	leader := n1.mustAcquire(t)
	noError(t, n1.Announce(limit(t), doc(cluster.StateRunning)))
	wantError(t, n1.Release(limit(t), leader.Version+1, cluster.Status{}), kv.ErrConflict)
	wantError(t, n1.Release(limit(t), 0, cluster.Status{}), kv.ErrConflict)
	s.wantRaw(t, "leader", "n1")

	noError(t, n1.Release(limit(t), leader.Version, cluster.Status{Optime: 4711}))
	c := n1.load(t)
	if c.Locked() || c.Status.Optime != 4711 {
		t.Fatalf("got leader %+v and status %+v", c.Leader, c.Status)
	}
	if m, _ := c.Member("n1"); m.Lease != n1.Lease().ID || m.Lease == 0 {
		t.Fatalf("got member %+v, want it and its lease to stay", m)
	}
	n2.mustAcquire(t)
	wantError(t, n1.Release(limit(t), leader.Version, cluster.Status{}), kv.ErrConflict)
	s.wantRaw(t, "leader", "n2")
}

func leaderKeyOfAnEarlierLifeIsAdopted(t *testing.T, s scope) {
	first := s.leased(t, "n1", longTTL)
	old := first.mustAcquire(t)
	second := s.leased(t, "n1", longTTL)
	if leader := second.load(t).Leader; leader.Name != "n1" || leader.Lease == second.Lease().ID {
		t.Fatalf("got leader %+v, want our name on another lease", leader)
	}
	wantError(t, second.Adopt(limit(t), old.Version+1), kv.ErrConflict)
	noError(t, second.Adopt(limit(t), old.Version))
	adopted := second.load(t).Leader
	wantEqual(t, "leader", cluster.Leader{Name: "n1", Lease: second.Lease().ID, Version: adopted.Version}, adopted)
	wantError(t, first.Release(limit(t), old.Version, cluster.Status{}), kv.ErrConflict)
	noError(t, s.raw.Revoke(limit(t), kv.LeaseID(first.Lease().ID)))
	wantEqual(t, "leader", adopted, second.load(t).Leader)
}

func leaseEndTakesLeaderAndMember(t *testing.T, s scope) {
	n1, n2 := s.leased(t, "n1", shortTTL), s.leased(t, "n2", longTTL)
	n1.mustAcquire(t)
	noError(t, n1.Announce(limit(t), doc(cluster.StateRunning)))
	deadline := n1.Lease().Deadline

	changes := n2.Watch(t.Context(), n2.load(t).Revision)
	seen := map[string]bool{}
	for !seen["leader"] || !seen["members/n1"] {
		change := next(t, changes)
		seen[change.Key] = true
	}
	if now := time.Now(); now.Before(deadline) {
		t.Fatalf("the keys went %v before the deadline", deadline.Sub(now))
	}
	if c := n2.load(t); c.Locked() || len(c.Members) > 0 {
		t.Fatalf("got leader %+v and members %+v", c.Leader, c.Members)
	}
	wantError(t, n1.Renew(limit(t)), kv.ErrLost)
	wantEqual(t, "lease", dcs.Lease{}, n1.Lease())
}

func newTTLIsANewLease(t *testing.T, s scope) {
	n1 := s.leased(t, "n1", shortTTL)
	n1.mustAcquire(t)
	old := n1.Lease()
	noError(t, n1.Grant(limit(t), longTTL))
	if lease := n1.Lease(); lease.ID == old.ID || lease.TTL != longTTL || lease.Deadline.Sub(lease.Renewed) != longTTL {
		t.Fatalf("got lease %+v after %+v", lease, old)
	}
	leader := n1.load(t).Leader
	wantEqual(t, "leader", cluster.Leader{Name: "n1", Lease: old.ID, Version: leader.Version}, leader)
	noError(t, n1.Adopt(limit(t), leader.Version))
	noError(t, s.raw.Revoke(limit(t), kv.LeaseID(old.ID)))
	if leader := n1.load(t).Leader; leader.Lease != n1.Lease().ID {
		t.Fatalf("got leader %+v, want it on the new lease", leader)
	}
}

func bootstrapEndsWithItsLease(t *testing.T, s scope) {
	n1, n2 := s.leased(t, "n1", longTTL), s.leased(t, "n2", longTTL)
	noError(t, n1.CreateInitialize(limit(t)))
	wantError(t, n2.CreateInitialize(limit(t)), kv.ErrHeld)
	s.wantRaw(t, "initialize", "")
	got := n2.load(t).Initialize
	want := cluster.Initialize{Present: true, Lease: n1.Lease().ID, Version: got.Version}
	wantEqual(t, "initialize", want, got)

	noError(t, s.raw.Revoke(limit(t), kv.LeaseID(n1.Lease().ID))) // the process died
	if n2.load(t).Initialize.Present {
		t.Fatal("a dead member holds the right to bootstrap")
	}
	noError(t, n2.CreateInitialize(limit(t)))
	noError(t, n2.DeleteInitialize(limit(t), n2.load(t).Initialize.Version))
	noError(t, n2.CreateInitialize(limit(t)))
	noError(t, n2.WriteInitialize(limit(t), "7012345678901234567", n2.load(t).Initialize.Version))
	noError(t, s.raw.Revoke(limit(t), kv.LeaseID(n2.Lease().ID)))
	s.wantRaw(t, "initialize", "7012345678901234567")
	if got := n1.load(t).Initialize; !got.Known() || got.Lease != 0 {
		t.Fatalf("got initialize %+v", got)
	}
}
