package kvtest

import (
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// shortTTL is not whole seconds on purpose; the stores round it up.
const (
	shortTTL = 1100 * time.Millisecond
	rounded  = 2 * time.Second
)

func leaseEndsAndTakesItsKeys(t *testing.T, c client) {
	events := c.watch(t, c.mustList(t).Revision)
	before := time.Now()
	lease := c.mustGrant(t, shortTTL)
	v1 := c.mustPut(t, "bound1", "1", kv.Always(), lease)
	c.wantPair(t, kv.Pair{Key: "bound1", Value: "1", Version: v1, Lease: lease})
	c.mustPut(t, "bound2", "2", kv.IfAbsent(), lease)
	v3 := c.mustPut(t, "free", "3", kv.Always(), 0)
	for range 3 {
		c.next(t, events)
	}

	for _, key := range []string{"bound1", "bound2"} {
		event := c.next(t, events)
		if event.Key != key || !event.Deleted || event.Value != "" || event.Version <= v3 {
			t.Fatalf("got event %+v, want the end of %s", event, key)
		}
	}
	if lived := time.Since(before); lived < rounded {
		t.Fatalf("the lease ended after %v, before its %v", lived, rounded)
	}
	c.wantAbsent(t, "bound1")
	c.wantPair(t, kv.Pair{Key: "free", Value: "3", Version: v3})
	wantError(t, renew(t, c, lease), kv.ErrLost)
}

func renewedLeaseLives(t *testing.T, c client) {
	lease := c.mustGrant(t, shortTTL)
	version := c.mustPut(t, "bound", "v", kv.Always(), lease)
	renew := time.NewTicker(rounded / 5)
	defer renew.Stop()
	enough := time.After(rounded * 7 / 4)
	for alive := true; alive; {
		select {
		case <-renew.C:
			if _, err := c.Renew(limit(t), lease); err != nil {
				t.Fatalf("renew: %v", err)
			}
		case <-enough:
			alive = false
		}
	}
	c.wantPair(t, kv.Pair{Key: "bound", Value: "v", Version: version, Lease: lease})
}

func revokeDeletesAtOnce(t *testing.T, c client) {
	lease := c.mustGrant(t, time.Minute)
	events := c.watch(t, c.mustPut(t, "bound", "v", kv.Always(), lease))
	if err := c.Revoke(limit(t), lease); err != nil {
		t.Fatalf("revoke: %v", err)
	}
	c.wantAbsent(t, "bound")
	if event := c.next(t, events); event.Key != "bound" || !event.Deleted {
		t.Fatalf("got event %+v, want the end of bound", event)
	}
	if err := c.Revoke(limit(t), lease); err != nil {
		t.Fatalf("revoke a lease that is gone: %v", err)
	}
	wantError(t, renew(t, c, lease), kv.ErrLost)
}

func putRebindsTheKey(t *testing.T, c client) {
	first, second := c.mustGrant(t, time.Minute), c.mustGrant(t, time.Minute)
	c.mustPut(t, "moved", "v", kv.Always(), first)
	moved := c.mustPut(t, "moved", "v", kv.Always(), second)
	c.mustPut(t, "freed", "v", kv.Always(), first)
	freed := c.mustPut(t, "freed", "v", kv.Always(), 0)
	if err := c.Revoke(limit(t), first); err != nil {
		t.Fatalf("revoke: %v", err)
	}
	c.wantPair(t, kv.Pair{Key: "moved", Value: "v", Version: moved, Lease: second})
	c.wantPair(t, kv.Pair{Key: "freed", Value: "v", Version: freed})
}

// renewalTellsTheRevision: it is that of the last change, whoever made it, and a renewal makes none.
func renewalTellsTheRevision(t *testing.T, c client) {
	lease := c.mustGrant(t, time.Minute)
	at := func(want kv.Version) {
		t.Helper()
		got, err := c.Renew(limit(t), lease)
		if err != nil || got != want {
			t.Fatalf("renewed at revision %d, %v, want %d", got, err, want)
		}
	}
	version := c.mustPut(t, "k", "1", kv.Always(), 0)
	at(version)
	at(version)
	at(c.another(t).mustPut(t, "k", "2", kv.Always(), 0))
}

func lostLeaseWritesNothing(t *testing.T, c client) {
	lease := c.mustGrant(t, time.Minute)
	if err := c.Revoke(limit(t), lease); err != nil {
		t.Fatalf("revoke: %v", err)
	}
	version := c.mustPut(t, "k", "kept", kv.Always(), 0)
	for _, cond := range []kv.Condition{kv.Always(), kv.IfVersion(version)} {
		_, err := c.Put(limit(t), c.base+"k", "lost", cond, lease)
		wantError(t, err, kv.ErrLost)
	}
	_, err := c.Put(limit(t), c.base+"absent", "lost", kv.IfAbsent(), lease)
	wantError(t, err, kv.ErrLost)
	c.wantPair(t, kv.Pair{Key: "k", Value: "kept", Version: version})
	c.wantAbsent(t, "absent")
	wantError(t, renew(t, c, 0), kv.ErrLost)
}

func leaseOutlivesItsClient(t *testing.T, c client) {
	owner := c.another(t)
	lease := c.mustGrant(t, time.Minute)
	version := owner.mustPut(t, "bound", "v", kv.Always(), lease)
	if err := owner.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	c.wantPair(t, kv.Pair{Key: "bound", Value: "v", Version: version, Lease: lease})
	if _, err := c.Renew(limit(t), lease); err != nil {
		t.Fatalf("renew by another client: %v", err)
	}
}

func renew(t *testing.T, c kv.Store, lease kv.LeaseID) error {
	t.Helper()
	_, err := c.Renew(limit(t), lease)
	return err
}
