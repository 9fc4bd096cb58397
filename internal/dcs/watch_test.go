package dcs_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
)

// watched is a watch in a bubble, on a client that can be disconnected, and another client that writes.
func watched(t *testing.T, test func(t *testing.T, store, other *memory.Store, changes <-chan dcs.Change)) {
	synctest.Test(t, func(t *testing.T) {
		store := closing(t, memory.New())
		other := closing(t, store.Client())
		put(t, other, "leader", "n2")
		put(t, other, "members/n2", `{"state":"running","xlog_location":1}`)
		s := open(t, store, "n1", time.Hour)
		c, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		changes := s.Watch(ctx, c.Revision)
		synctest.Wait()
		test(t, store, other, changes)
		cancel()
		for range changes { // ends, or the bubble says so
		}
	})
}

func put(t *testing.T, store *memory.Store, key, value string) {
	t.Helper()
	if _, err := store.Put(t.Context(), "/service/batman/"+key, value, kv.Always(), 0); err != nil {
		t.Fatal(err)
	}
}

// drain receives what is reported now.
func drain(changes <-chan dcs.Change) []dcs.Change {
	var got []dcs.Change
	for {
		synctest.Wait()
		select {
		case change := <-changes:
			got = append(got, change)
		default:
			return got
		}
	}
}

func want(t *testing.T, changes <-chan dcs.Change, want ...dcs.Change) {
	t.Helper()
	if diff := cmp.Diff(want, drain(changes)); diff != "" {
		t.Fatalf("changes (-want +got):\n%s", diff)
	}
}

func TestWatchFromALoadReportsOnlyWhatFollows(t *testing.T) {
	watched(t, func(t *testing.T, _, other *memory.Store, changes <-chan dcs.Change) {
		want(t, changes)
		put(t, other, "members/n2", `{"state":"running","xlog_location":2}`)
		want(t, changes)
		put(t, other, "members/n2", `{"state":"stopping","xlog_location":2}`)
		want(t, changes, dcs.Change{Key: "members/n2"})
	})
}

func TestSlowReceiverGetsEachChangeOnce(t *testing.T) {
	watched(t, func(t *testing.T, _, other *memory.Store, changes <-chan dcs.Change) {
		for i := range 100 {
			put(t, other, "leader", strconv.Itoa(i))
			put(t, other, "failover", strconv.Itoa(i))
		}
		want(t, changes, dcs.Change{Key: "leader"}, dcs.Change{Key: "failover"})
	})
}

func TestBrokenWatchCatchesUp(t *testing.T) {
	watched(t, func(t *testing.T, store, other *memory.Store, changes <-chan dcs.Change) {
		time.Sleep(time.Minute)
		store.Disconnect()
		store.Reconnect()
		put(t, other, "leader", "n3")
		if err := other.Delete(t.Context(), "/service/batman/members/n2", kv.Always()); err != nil {
			t.Fatal(err)
		}
		put(t, other, "status", `{"optime":1}`)
		time.Sleep(time.Second)
		got := map[dcs.Change]bool{}
		for _, change := range drain(changes) {
			got[change] = true
		}
		missed := map[dcs.Change]bool{{Key: "leader"}: true, {Key: "members/n2"}: true}
		if diff := cmp.Diff(missed, got); diff != "" {
			t.Fatalf("changes (-want +got):\n%s", diff)
		}
	})
}

func TestBlindWatchSaysSoOnceAndGoesOn(t *testing.T) {
	watched(t, func(t *testing.T, store, other *memory.Store, changes <-chan dcs.Change) {
		var got []dcs.Change
		go func() {
			for change := range changes {
				got = append(got, change)
			}
		}()
		wantGot := func(want ...dcs.Change) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("changes (-want +got):\n%s", diff)
			}
			got = nil
		}
		store.Disconnect()
		time.Sleep(10 * time.Second)
		wantGot(dcs.Change{Lost: true})
		time.Sleep(time.Minute)
		wantGot()
		put(t, other, "leader", "n3")
		put(t, other, "config", `{}`)
		store.Reconnect()
		time.Sleep(10 * time.Second)
		wantGot(dcs.Change{Key: "config"}, dcs.Change{Key: "leader"})
		put(t, other, "leader", "n4")
		wantGot(dcs.Change{Key: "leader"})
	})
}

// fragile is a store whose watches break at once.
type fragile struct {
	kv.Store

	looks int
}

func (f *fragile) List(ctx context.Context, prefix string) (kv.Snapshot, error) {
	f.looks++
	return f.Store.List(ctx, prefix)
}

func (f *fragile) Watch(context.Context, string, kv.Version) <-chan kv.Event {
	events := make(chan kv.Event)
	close(events)
	return events
}

func TestStoreThatBreaksEveryWatchIsNotFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fragile{Store: closing(t, memory.New())}
		s, err := dcs.New(store, dcs.Config{Scope: "batman", Name: "n1"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range s.Watch(ctx, 0) {
		}
		if store.looks > 61 {
			t.Fatalf("looked %d times in a minute", store.looks)
		}
	})
}
