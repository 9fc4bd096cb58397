package dcs_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
)

const ttl = 30 * time.Second

// slow is a store whose answers take their time.
type slow struct {
	kv.Store

	takes time.Duration
}

func (s slow) Grant(ctx context.Context, ttl time.Duration) (kv.LeaseID, error) {
	defer time.Sleep(s.takes)
	return s.Store.Grant(ctx, ttl)
}

func (s slow) Renew(ctx context.Context, lease kv.LeaseID) (kv.Version, error) {
	time.Sleep(s.takes)
	return s.Store.Renew(ctx, lease)
}

func TestDeadlineCountsFromBeforeTheRenewalWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := closing(t, memory.New())
		s, err := dcs.New(slow{store, 3 * time.Second}, dcs.Config{Scope: "batman", Name: "n1"})
		if err != nil {
			t.Fatal(err)
		}
		want := func(sent time.Time) {
			t.Helper()
			lease := s.Lease()
			want := dcs.Lease{ID: lease.ID, TTL: ttl, Renewed: sent, Deadline: sent.Add(ttl)}
			if diff := cmp.Diff(want, lease); diff != "" {
				t.Fatalf("lease (-want +got):\n%s", diff)
			}
		}
		sent := time.Now()
		if err := s.Grant(t.Context(), ttl); err != nil {
			t.Fatal(err)
		}
		want(sent)
		time.Sleep(10 * time.Second)
		sent = time.Now()
		if err := s.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(sent)
	})
}

func TestUnansweredRenewalMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := closing(t, memory.New())
		s := open(t, store, "n1", ttl)
		before := s.Lease()
		store.Disconnect()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := s.Renew(ctx); !errors.Is(err, kv.ErrUnavailable) {
			t.Fatalf("got %v, want %v", err, kv.ErrUnavailable)
		}
		if diff := cmp.Diff(before, s.Lease()); diff != "" {
			t.Fatalf("lease (-want +got):\n%s", diff)
		}
		if err := s.Grant(ctx, ttl); !errors.Is(err, kv.ErrUnavailable) || s.Lease() != before {
			t.Fatalf("got %v and lease %+v, want %v and the old lease", err, s.Lease(), kv.ErrUnavailable)
		}
	})
}

// Nobody may win before the deadline, and whoever had the lease learns for sure that it is gone.
func TestAnotherMemberWinsOnlyAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := closing(t, memory.New())
		other := closing(t, store.Client())
		n1, n2 := open(t, store, "n1", ttl), open(t, other, "n2", time.Hour)
		if err := n1.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := n1.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		store.Disconnect()
		for {
			err := n2.Acquire(t.Context())
			if err == nil {
				break
			}
			if !errors.Is(err, kv.ErrHeld) {
				t.Fatalf("got %v, want %v", err, kv.ErrHeld)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if now := time.Now(); now.Before(n1.Lease().Deadline) {
			t.Fatalf("n2 leads %v before the deadline of n1", n1.Lease().Deadline.Sub(now))
		}
		store.Reconnect()
		if err := n1.Renew(t.Context()); !errors.Is(err, kv.ErrLost) || n1.Lease() != (dcs.Lease{}) {
			t.Fatalf("got %v and lease %+v, want %v and none", err, n1.Lease(), kv.ErrLost)
		}
	})
}

// The cases of rule S8: the write was applied, its answer was lost.
func TestLostAnswers(t *testing.T) {
	const key = "/service/batman/leader"
	store := closing(t, memory.New())
	s := open(t, store, "n1", ttl)
	load := func() cluster.Cluster {
		t.Helper()
		c, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	unknown := func(err error) {
		t.Helper()
		if !errors.Is(err, kv.ErrUnavailable) {
			t.Fatalf("got %v, want %v", err, kv.ErrUnavailable)
		}
	}

	store.LoseNextAnswer(key)
	unknown(s.Acquire(t.Context()))
	held := load().Leader
	if held.Name != "n1" || held.Lease != s.Lease().ID {
		t.Fatalf("got leader %+v, want the load to show that we lead", held)
	}

	if err := s.Grant(t.Context(), ttl); err != nil {
		t.Fatal(err)
	}
	store.LoseNextAnswer(key)
	unknown(s.Adopt(t.Context(), held.Version))
	adopted := load().Leader
	if adopted.Lease != s.Lease().ID || adopted.Version == held.Version {
		t.Fatalf("got leader %+v after %+v, want it on the new lease", adopted, held)
	}

	store.LoseNextAnswer(key)
	unknown(s.Release(t.Context(), adopted.Version, cluster.Status{}))
	if s.Lease().ID != 0 {
		t.Fatal("the lease is still there: its leader key may be deleted at any time")
	}
	if load().Locked() {
		t.Fatal("the key was not deleted")
	}
}

func TestMemberIsWrittenAgainAfterALostAnswer(t *testing.T) {
	store := closing(t, memory.New())
	s := open(t, store, "n1", ttl)
	member := cluster.Member{State: cluster.StateRunning}
	store.LoseNextAnswer("/service/batman/members/n1")
	if err := s.Announce(t.Context(), member); !errors.Is(err, kv.ErrUnavailable) {
		t.Fatalf("got %v, want %v", err, kv.ErrUnavailable)
	}
	first, _, _ := store.Get(t.Context(), "/service/batman/members/n1")
	if err := s.Announce(t.Context(), member); err != nil {
		t.Fatal(err)
	}
	second, _, _ := store.Get(t.Context(), "/service/batman/members/n1")
	if first.Version == second.Version {
		t.Fatal("the document was taken for written although nobody knew")
	}
}

// A picture taken before a write of our own does not make us forget that write.
func TestLateLoadDoesNotUndoWhatWasWritten(t *testing.T) {
	store := closing(t, memory.New())
	late := &gate{Store: store}
	s, err := dcs.New(late, dcs.Config{Scope: "batman", Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	late.then = func() {
		if err := s.WriteStatus(t.Context(), cluster.Status{Optime: 100}); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteStatus(t.Context(), cluster.Status{Optime: 101}); err != nil {
		t.Fatalf("write status after a late load: %v", err)
	}
}

// gate lets something happen between the reading of a list and its delivery.
type gate struct {
	kv.Store

	then func()
}

func (g *gate) List(ctx context.Context, prefix string) (kv.Snapshot, error) {
	snapshot, err := g.Store.List(ctx, prefix)
	g.then()
	return snapshot, err
}

// S2: while the machine is suspended its clocks stand still, and the store's does not.
func TestASuspendedMachineLosesTheTimeOfItsLease(t *testing.T) {
	asleep := time.Hour
	store := closing(t, memory.New())
	s, err := dcs.New(store, dcs.Config{Scope: "batman", Name: "n1", Suspended: func() time.Duration { return asleep }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Grant(t.Context(), ttl); err != nil {
		t.Fatal(err)
	}
	before := s.Lease()
	asleep += 12 * time.Second
	after := s.Lease()
	if got := before.Deadline.Sub(after.Deadline); got != 12*time.Second {
		t.Errorf("the deadline moved by %s", got)
	}
	if err := s.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(s.Lease().Deadline); left < ttl-5*time.Second {
		t.Errorf("%s are left after a renewal", left)
	}
}

// A picture that a renewal proved is not read again, until anything changes or the proof is old.
func TestARenewalProvesThePicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: closing(t, memory.New())}
		s, err := dcs.New(store, dcs.Config{Namespace: "/service/", Scope: "batman", Name: "n1"})
		if err != nil {
			t.Fatal(err)
		}
		other := open(t, closing(t, store.Client()), "n2", ttl)
		if err := s.Grant(t.Context(), ttl); err != nil {
			t.Fatal(err)
		}
		loads := func(want int, what string) {
			t.Helper()
			before := store.lists
			if _, err := s.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := store.lists - before; got != want {
				t.Errorf("%s: %d reads, want %d", what, got, want)
			}
		}
		renew := func() {
			t.Helper()
			if err := s.Renew(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		loads(1, "the first time")
		renew()
		loads(1, "nobody leads")
		if err := other.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		loads(1, "without a proof")
		renew()
		loads(0, "proved")
		if err := other.WriteFailover(t.Context(), cluster.Failover{Candidate: "n1"}, 0); err != nil {
			t.Fatal(err)
		}
		renew()
		loads(1, "somebody wrote")
		renew()
		if err := s.WriteStatus(t.Context(), cluster.Status{Optime: 5}); err != nil {
			t.Fatal(err)
		}
		loads(1, "this member wrote")
		renew()
		time.Sleep(ttl / 3)
		loads(1, "the proof is old")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		changes := s.Watch(ctx, 0)
		<-changes
		loads(1, "after the watch began")
		renew()
		loads(0, "proved once more")
		if err := other.WriteInitialize(t.Context(), "7000000000000000001", 0); err != nil {
			t.Fatal(err)
		}
		<-changes
		loads(1, "a watch saw a change")
	})
}

// counting counts the reads.
type counting struct {
	*memory.Store
	lists int
}

func (c *counting) List(ctx context.Context, prefix string) (kv.Snapshot, error) {
	c.lists++
	return c.Store.List(ctx, prefix)
}
