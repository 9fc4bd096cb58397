package memory_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/kvtest"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
)

func TestContract(t *testing.T) {
	store := memory.New()
	kvtest.Run(t, func(t *testing.T) kv.Store { return closing(t, store.Client()) })
}

func newStore(t *testing.T) *memory.Store {
	t.Helper()
	return closing(t, memory.New())
}

// closing closes the client when the test ends.
func closing(t *testing.T, store *memory.Store) *memory.Store {
	t.Helper()
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestLeaseEndsExactlyAtItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		lease, _ := store.Grant(t.Context(), 30*time.Second)
		version, _ := store.Put(t.Context(), "/leader", "n1", kv.IfAbsent(), lease)
		events := store.Watch(t.Context(), "/", version)

		time.Sleep(20 * time.Second)
		if _, err := store.Renew(t.Context(), lease); err != nil {
			t.Fatalf("renew: %v", err)
		}
		time.Sleep(30*time.Second - time.Nanosecond)
		if _, ok, _ := store.Get(t.Context(), "/leader"); !ok {
			t.Fatal("the key is gone before its time")
		}
		time.Sleep(time.Nanosecond)
		if _, ok, _ := store.Get(t.Context(), "/leader"); ok {
			t.Fatal("the key outlived its lease")
		}
		want := kv.Event{Key: "/leader", Version: version + 1, Deleted: true}
		if diff := cmp.Diff(want, <-events); diff != "" {
			t.Fatalf("event (-want +got):\n%s", diff)
		}
		if _, err := store.Renew(t.Context(), lease); !errors.Is(err, kv.ErrLost) {
			t.Fatalf("got %v, want %v", err, kv.ErrLost)
		}
	})
}

func TestLeaseEndWakesAWatchByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		lease, _ := store.Grant(t.Context(), 1500*time.Millisecond)
		version, _ := store.Put(t.Context(), "/leader", "n1", kv.IfAbsent(), lease)
		start := time.Now()
		<-store.Watch(t.Context(), "/", version)
		if lived := time.Since(start); lived != 2*time.Second {
			t.Fatalf("the lease lived %v, want its ttl rounded up to 2s", lived)
		}
	})
}

func TestDisconnectedClientWaitsForItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		other := closing(t, store.Client())
		lease, _ := store.Grant(t.Context(), 10*time.Second)
		events := store.Watch(t.Context(), "/", 0)

		store.Disconnect()
		if event, ok := <-events; ok {
			t.Fatalf("got event %+v, want a broken watch", event)
		}
		if _, ok := <-store.Watch(t.Context(), "/", 0); ok {
			t.Fatal("a watch began without a network")
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := store.Put(ctx, "/k", "v", kv.Always(), 0)
		if !errors.Is(err, kv.ErrUnavailable) || time.Since(start) != 3*time.Second {
			t.Fatalf("got %v after %v, want %v after 3s", err, time.Since(start), kv.ErrUnavailable)
		}
		if _, ok, err := other.Get(t.Context(), "/k"); ok || err != nil {
			t.Fatalf("other client: exists %v, error %v; want nothing written", ok, err)
		}
		if _, err := store.Renew(context.WithoutCancel(ctx), lease); !errors.Is(err, kv.ErrUnavailable) {
			t.Fatalf("got %v, want %v", err, kv.ErrUnavailable)
		}

		store.Reconnect()
		if _, err := store.Renew(t.Context(), lease); err != nil {
			t.Fatalf("renew after reconnect: %v", err)
		}
	})
}

func TestLostAnswerWasApplied(t *testing.T) {
	store := newStore(t)
	store.LoseNextAnswer("/leader")
	if _, err := store.Put(t.Context(), "/other", "v", kv.Always(), 0); err != nil {
		t.Fatalf("put another key: %v", err)
	}
	if _, err := store.Put(t.Context(), "/leader", "n1", kv.IfAbsent(), 0); !errors.Is(err, kv.ErrUnavailable) {
		t.Fatalf("got %v, want %v", err, kv.ErrUnavailable)
	}
	pair, ok, err := store.Get(t.Context(), "/leader")
	if !ok || err != nil || pair.Value != "n1" {
		t.Fatalf("got %+v, exists %v, error %v; want the write applied", pair, ok, err)
	}
	if _, err := store.Put(t.Context(), "/leader", "n2", kv.IfVersion(pair.Version), 0); err != nil {
		t.Fatalf("second put: %v", err)
	}
	store.LoseNextAnswer("/leader")
	if err := store.Delete(t.Context(), "/leader", kv.IfVersion(pair.Version)); !errors.Is(err, kv.ErrUnavailable) ||
		errors.Is(err, kv.ErrConflict) {
		t.Fatalf("got %v, want only %v", err, kv.ErrUnavailable)
	}
}

func TestWatchOfForgottenEventsBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		slow := store.Watch(t.Context(), "/", 0)
		var last kv.Version
		for i := range 1<<14 + 1 {
			last, _ = store.Put(t.Context(), "/k", strconv.Itoa(i), kv.Always(), 0)
			if i == 0 {
				synctest.Wait() // slow holds the first event and waits for its reader
			}
		}
		if event, ok := <-store.Watch(t.Context(), "/", 0); ok {
			t.Fatalf("got event %+v of a watch that must break", event)
		}
		for event := range slow {
			if event.Value != "0" {
				t.Fatalf("a watch that was too slow went on with %+v as if nothing was missing", event)
			}
		}
		if event, ok := <-store.Watch(t.Context(), "/", last-1); !ok || event.Version != last {
			t.Fatalf("got event %+v, %v; want version %d", event, ok, last)
		}
	})
}
