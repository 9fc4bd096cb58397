package kvtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// Run runs the suite. Every call of open returns another client of one and the same store, to be closed
// by a cleanup of its t. The store may hold other keys: the suite stays below /kvtest/.
func Run(t *testing.T, open func(t *testing.T) kv.Store) {
	t.Helper()
	tests := []struct {
		name string
		test func(t *testing.T, c client)
	}{
		{"AbsentKeyIsNotAnError", absentKeyIsNotAnError},
		{"PutIsReadBack", putIsReadBack},
		{"EmptyValueIsAValue", emptyValueIsAValue},
		{"VersionsGrow", versionsGrow},
		{"IfAbsentCreatesOnce", ifAbsentCreatesOnce},
		{"IfVersionSwapsOnce", ifVersionSwapsOnce},
		{"RecreatedKeyHasAnotherVersion", recreatedKeyHasAnotherVersion},
		{"ForgottenConditionMatchesNothing", forgottenConditionMatchesNothing},
		{"DeleteRemoves", deleteRemoves},
		{"DeleteIfVersion", deleteIfVersion},
		{"GuardedWritesEndWithTheGuard", guardedWritesEndWithTheGuard},
		{"GuardEndsWithItsLease", guardEndsWithItsLease},
		{"ConcurrentCreateHasOneWinner", concurrentCreateHasOneWinner},
		{"ConcurrentSwapHasOneWinner", concurrentSwapHasOneWinner},
		{"ListIsSortedAndStaysBelowThePrefix", listIsSortedAndStaysBelowThePrefix},
		{"ListIsOneRevision", listIsOneRevision},
		{"LeaseEndsAndTakesItsKeys", leaseEndsAndTakesItsKeys},
		{"RenewedLeaseLives", renewedLeaseLives},
		{"RevokeDeletesAtOnce", revokeDeletesAtOnce},
		{"PutRebindsTheKey", putRebindsTheKey},
		{"LostLeaseWritesNothing", lostLeaseWritesNothing},
		{"LeaseOutlivesItsClient", leaseOutlivesItsClient},
		{"WatchMissesNothingAfterList", watchMissesNothingAfterList},
		{"WatchDeliversInOrder", watchDeliversInOrder},
		{"WatchStaysBelowThePrefix", watchStaysBelowThePrefix},
		{"WatchEndsWithItsContext", watchEndsWithItsContext},
		{"PassedDeadlineIsUnavailable", passedDeadlineIsUnavailable},
		{"ClosedClientIsUnavailable", closedClientIsUnavailable},
	}
	in := func(t *testing.T, name string) client {
		return client{Store: open(t), base: "/kvtest/" + name + "/", open: open}
	}
	// A revision is the whole store's: nobody else may write meanwhile, and the others begin when this one has ended.
	t.Run("RenewalTellsTheRevision", func(t *testing.T) { renewalTellsTheRevision(t, in(t, "RenewalTellsTheRevision")) })
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, in(t, tt.name))
		})
	}
}

// client is a store with the folder of one test and checks that end the test.
type client struct {
	kv.Store

	base string
	open func(t *testing.T) kv.Store
}

// another returns a second client of the same store in the same folder.
func (c client) another(t *testing.T) client {
	t.Helper()
	c.Store = c.open(t)
	return c
}

func (c client) mustPut(t *testing.T, key, value string, cond kv.Condition, lease kv.LeaseID) kv.Version {
	t.Helper()
	version, err := c.Put(limit(t), c.base+key, value, cond, lease)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return version
}

// mustDelete deletes the key k.
func (c client) mustDelete(t *testing.T, cond kv.Condition) {
	t.Helper()
	if err := c.Delete(limit(t), c.base+"k", cond); err != nil {
		t.Fatalf("delete: %v", err)
	}
}

func (c client) mustList(t *testing.T) kv.Snapshot {
	t.Helper()
	snapshot, err := c.List(limit(t), c.base)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	return snapshot
}

func (c client) mustGrant(t *testing.T, ttl time.Duration) kv.LeaseID {
	t.Helper()
	lease, err := c.Grant(limit(t), ttl)
	if err != nil {
		t.Fatalf("grant: %v", err)
	}
	if lease == 0 {
		t.Fatal("grant returned the lease zero, which is no lease")
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		_ = c.Revoke(ctx, lease) // the store goes on without this test
	})
	return lease
}

// wantPair reads the key and compares all of it.
func (c client) wantPair(t *testing.T, want kv.Pair) {
	t.Helper()
	got, ok, err := c.Get(limit(t), c.base+want.Key)
	if err != nil || !ok {
		t.Fatalf("get %s: exists %v, error %v", want.Key, ok, err)
	}
	want.Key = c.base + want.Key
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("pair (-want +got):\n%s", diff)
	}
}

func (c client) wantAbsent(t *testing.T, key string) {
	t.Helper()
	pair, ok, err := c.Get(limit(t), c.base+key)
	if err != nil || ok {
		t.Fatalf("get %s: got %+v, exists %v, error %v; want no key", key, pair, ok, err)
	}
}

// watch starts a watch of the test's folder that ends with the test.
func (c client) watch(t *testing.T, after kv.Version) <-chan kv.Event {
	t.Helper()
	return c.Watch(t.Context(), c.base, after)
}

// next returns the next event, its key without the folder.
func (c client) next(t *testing.T, events <-chan kv.Event) kv.Event {
	t.Helper()
	select {
	case event, ok := <-events:
		if !ok {
			t.Fatal("the watch broke")
		}
		event.Key = strings.TrimPrefix(event.Key, c.base)
		return event
	case <-limit(t).Done():
		t.Fatal("no event came")
	}
	panic("not reached")
}

// wantClosed waits for the end of a watch and lets events pass.
func wantClosed(t *testing.T, events <-chan kv.Event) {
	t.Helper()
	ctx := limit(t)
	for {
		select {
		case _, ok := <-events:
			if !ok {
				return
			}
		case <-ctx.Done():
			t.Fatal("the watch goes on")
		}
	}
}

// wantError demands exactly one of the port's errors: the four must not be mixed up by wrapping two.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	for _, sentinel := range []error{kv.ErrHeld, kv.ErrConflict, kv.ErrLost, kv.ErrUnavailable} {
		if is := errors.Is(err, sentinel); is != errors.Is(want, sentinel) {
			t.Fatalf("got error %v, want %v", err, want)
		}
	}
}

// limit is a context for something that must happen soon.
func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
