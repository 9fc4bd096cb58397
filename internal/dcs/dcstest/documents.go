package dcstest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/wal"
)

func emptyScopeIsAnEmptyPicture(t *testing.T, s scope) {
	got := s.member(t, "n1").load(t)
	if got.Revision == 0 {
		t.Fatal("the picture has no revision")
	}
	wantEqual(t, "cluster", cluster.Cluster{Revision: got.Revision}, got)
}

func scopesDoNotSeeEachOther(t *testing.T, s scope) {
	other := s
	other.name += "-2"
	n1, n2 := s.leased(t, "n1", longTTL), other.leased(t, "n2", longTTL)
	n1.mustAcquire(t)
	n2.mustAcquire(t)
	noError(t, n2.Announce(limit(t), doc(cluster.StateRunning)))
	if c := n1.load(t); c.Leader.Name != "n1" || len(c.Members) != 0 {
		t.Fatalf("got leader %+v and members %+v", c.Leader, c.Members)
	}
}

func foreignKeysAreLeftAlone(t *testing.T, s scope) {
	for _, key := range []string{
		"0/leader", "1/members/w1", "12/config", // Citus groups
		"members/", "members/n1/more", "optime/other", "unheard-of", "leader/", "configuration",
	} {
		s.put(t, key, `{"role":"primary"}`)
	}
	s.put(t, "members/patroni-2", "no JSON at all")
	s.put(t, "members/patroni-1", `{"role":"master","version":"3.0.2","new":{"field":1}}`)
	s.put(t, "config", "garbage")
	c := s.member(t, "n1").load(t)
	if c.Config.Data != nil || c.Config.Version == 0 {
		t.Fatalf("got config %+v, want none but its version", c.Config)
	}
	if len(c.Members) != 2 {
		t.Fatalf("got members %+v", c.Members)
	}
	want := []cluster.Member{
		{Name: "patroni-1", Role: cluster.RolePrimary, State: cluster.StateUnknown, AgentVersion: "3.0.2"},
		{Name: "patroni-2", State: cluster.StateUnknown},
	}
	for i := range want {
		want[i].Version = c.Members[i].Version
	}
	wantEqual(t, "members", want, c.Members)
	c.Members, c.Config, c.Revision = nil, cluster.Config{}, 0
	wantEqual(t, "the rest", cluster.Cluster{}, c)
}

// documentsAreSwapped goes through the documents that are written over the version that was read.
func documentsAreSwapped(t *testing.T, s scope) {
	n1 := s.member(t, "n1")
	line := cluster.HistoryLine{Switch: wal.Switch{Timeline: 1, End: 100, Reason: "no recovery target specified"}}
	tests := []struct {
		key     string
		write   func(old cluster.Version) error
		version func(c cluster.Cluster) cluster.Version
	}{
		{
			"config",
			func(old cluster.Version) error { return n1.WriteConfig(limit(t), map[string]any{"ttl": 20}, old) },
			func(c cluster.Cluster) cluster.Version { return c.Config.Version },
		},
		{
			"failover",
			func(old cluster.Version) error {
				return n1.WriteFailover(limit(t), cluster.Failover{Leader: "n1", Candidate: "n2"}, old)
			},
			func(c cluster.Cluster) cluster.Version { return c.Failover.Version },
		},
		{
			"initialize",
			func(old cluster.Version) error { return n1.WriteInitialize(limit(t), "7012345678901234567", old) },
			func(c cluster.Cluster) cluster.Version { return c.Initialize.Version },
		},
		{
			"history",
			func(old cluster.Version) error {
				return n1.WriteHistory(limit(t), cluster.History{Present: true, Lines: []cluster.HistoryLine{line}, Version: old})
			},
			func(c cluster.Cluster) cluster.Version { return c.History.Version },
		},
		{
			"sync",
			func(old cluster.Version) error {
				version, err := n1.WriteSync(limit(t), cluster.Sync{Leader: "n1", Voters: []string{"n2"}, Version: old})
				if err == nil && version != n1.load(t).Sync.Version {
					t.Errorf("got version %d, want %d", version, n1.load(t).Sync.Version)
				}
				return err
			},
			func(c cluster.Cluster) cluster.Version { return c.Sync.Version },
		},
	}
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			wantError(t, tt.write(999_999_999), kv.ErrConflict)
			noError(t, tt.write(0))
			wantError(t, tt.write(0), kv.ErrHeld)
			first := tt.version(n1.load(t))
			noError(t, tt.write(first))
			wantError(t, tt.write(first), kv.ErrConflict)
			if second := tt.version(n1.load(t)); second <= first {
				t.Fatalf("got version %d after %d", second, first)
			}
		})
	}
	c := n1.load(t)
	wantError(t, n1.DeleteSync(limit(t), c.Sync.Version+1), kv.ErrConflict)
	noError(t, n1.DeleteSync(limit(t), c.Sync.Version))
	if got := n1.load(t).Sync; !cmp.Equal(got, cluster.Sync{}) {
		t.Fatalf("got sync %+v after it was deleted", got)
	}
	wantError(t, n1.DeleteInitialize(limit(t), 0), kv.ErrConflict)
}

func failoverIsClearedNotDeleted(t *testing.T, s scope) {
	n1 := s.member(t, "n1")
	noError(t, n1.WriteFailover(limit(t), cluster.Failover{Candidate: "n2"}, 0))
	asked := n1.load(t).Failover
	wantEqual(t, "failover", cluster.Failover{Candidate: "n2", Version: asked.Version}, asked)
	noError(t, n1.WriteFailover(limit(t), cluster.Failover{}, asked.Version))
	s.wantRaw(t, "failover", "{}")
	if cleared := n1.load(t).Failover; cleared.Requested() || cleared.Version <= asked.Version {
		t.Fatalf("got failover %+v", cleared)
	}
}

func statusCarriesSlotsOver(t *testing.T, s scope) {
	n1 := s.member(t, "n1")
	slots := map[string]wal.LSN{"n2": 90}
	noError(t, n1.WriteStatus(limit(t), cluster.Status{Optime: 100, Slots: slots, RetainSlots: []string{"n2"}}))
	noError(t, n1.WriteStatus(limit(t), cluster.Status{Optime: 110}))
	got := n1.load(t).Status
	want := cluster.Status{Optime: 110, Slots: slots, RetainSlots: []string{"n2"}, Version: got.Version}
	wantEqual(t, "status", want, got)
	noError(t, n1.WriteStatus(limit(t), cluster.Status{Optime: 110}))
	wantEqual(t, "status written again", want, n1.load(t).Status)

	n2 := s.member(t, "n2")
	wantError(t, n2.WriteStatus(limit(t), cluster.Status{Optime: 1}), kv.ErrHeld) // it has never looked
	n2.load(t)
	noError(t, n2.WriteStatus(limit(t), cluster.Status{Optime: 120}))
	wantError(t, n1.WriteStatus(limit(t), cluster.Status{Optime: 111}), kv.ErrConflict) // it led before
	if got := n1.load(t).Status; got.Optime != 120 || got.Slots["n2"] != 90 {
		t.Fatalf("got status %+v", got)
	}

	failsafe := map[string]string{"n1": "http://10.0.0.1:8008/patroni"}
	noError(t, n1.WriteFailsafe(limit(t), failsafe))
	noError(t, n1.WriteFailsafe(limit(t), failsafe))
	wantEqual(t, "failsafe", failsafe, n1.load(t).Failsafe)
}

func oldPositionIsReadWithoutStatus(t *testing.T, s scope) {
	n1 := s.member(t, "n1")
	s.put(t, "optime/leader", "67108864")
	wantEqual(t, "status", cluster.Status{Optime: 67108864}, n1.load(t).Status)
	s.put(t, "status", `{"optime":67108865}`)
	if got := n1.load(t).Status.Optime; got != 67108865 {
		t.Fatalf("got position %d, want that of the status key", got)
	}
}
