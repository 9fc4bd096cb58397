package dcstest

import (
	"context"
	"testing"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// next returns the next change.
func next(t *testing.T, changes <-chan dcs.Change) dcs.Change {
	t.Helper()
	select {
	case change, ok := <-changes:
		if !ok {
			t.Fatal("the watch ended")
		}
		return change
	case <-limit(t).Done():
		t.Fatal("no change came")
	}
	panic("not reached")
}

func watchReportsWhatWakes(t *testing.T, s scope) {
	n1, n2 := s.leased(t, "n1", longTTL), s.leased(t, "n2", longTTL)
	ctx, cancel := context.WithCancel(t.Context())
	changes := n2.Watch(ctx, n2.load(t).Revision)
	wantNext := func(key string) {
		t.Helper()
		wantEqual(t, "change", dcs.Change{Key: key}, next(t, changes))
	}
	ready(t, s, changes)

	leader := n1.mustAcquire(t)
	wantNext("leader")
	noError(t, n1.Announce(limit(t), doc(cluster.StateStarting)))
	wantNext("members/n1")
	noError(t, n1.Announce(limit(t), doc(cluster.StateRunning)))
	wantNext("members/n1")
	noError(t, n1.WriteConfig(limit(t), map[string]any{"ttl": 20}, 0))
	wantNext("config")
	noError(t, n1.WriteFailover(limit(t), cluster.Failover{Candidate: "n2"}, 0))
	wantNext("failover")
	_, err := n1.WriteSync(limit(t), cluster.Sync{Leader: "n1"})
	noError(t, err)
	wantNext("sync")
	noError(t, n1.CreateInitialize(limit(t)))
	wantNext("initialize")
	noError(t, n1.Release(limit(t), leader.Version, cluster.Status{Optime: 1}))
	wantNext("leader")
	noError(t, s.raw.Delete(limit(t), s.key("members/n1"), kv.Always()))
	wantNext("members/n1")

	cancel()
	for range changes { // ends
	}
}

// ready returns when the watch has begun and everything it reports from now on happens from now on.
func ready(t *testing.T, s scope, changes <-chan dcs.Change) {
	t.Helper()
	s.put(t, "members/first", "{}")
	change := next(t, changes)
	for change.Key != "members/first" && !change.Lost {
		change = next(t, changes)
	}
	s.put(t, "members/second", "{}")
	for change.Key != "members/second" {
		change = next(t, changes)
	}
}

func watchIsSilentAboutPositions(t *testing.T, s scope) {
	n1, n2 := s.leased(t, "n1", longTTL), s.leased(t, "n2", longTTL)
	member := doc(cluster.StateRunning)
	noError(t, n1.Announce(limit(t), member))
	s.put(t, "failover", `{"member":"n9"}`)
	changes := n2.Watch(t.Context(), n2.load(t).Revision)
	ready(t, s, changes)

	member.Location, member.Received, member.Replayed = 100, 100, 90
	noError(t, n1.Announce(limit(t), member))
	noError(t, n1.WriteStatus(limit(t), cluster.Status{Optime: 100}))
	noError(t, n1.WriteFailsafe(limit(t), map[string]string{"n1": "http://10.0.0.1:8008/patroni"}))
	noError(t, n1.WriteHistory(limit(t), cluster.History{Present: true}))
	noError(t, n2.Announce(limit(t), doc(cluster.StateRunning))) // its own document
	s.put(t, "failover", `{"member":"n9"}`)                      // the same again
	s.put(t, "unheard-of", "x")
	s.put(t, "leader", "n1")
	wantEqual(t, "change", dcs.Change{Key: "leader"}, next(t, changes))
	noError(t, s.raw.Delete(limit(t), s.key("members/n2"), kv.Always()))
	wantEqual(t, "change", dcs.Change{Key: "members/n2"}, next(t, changes))
}

func watchBeginsWithALook(t *testing.T, s scope) {
	n1 := s.member(t, "n1")
	before := n1.load(t).Revision
	s.put(t, "leader", "n2")
	wantEqual(t, "change", dcs.Change{Lost: true}, next(t, n1.Watch(t.Context(), before)))
}
