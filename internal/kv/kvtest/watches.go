package kvtest

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/kv"
)

func watchMissesNothingAfterList(t *testing.T, c client) {
	c.mustPut(t, "before", "seen by the list", kv.Always(), 0)
	snapshot := c.mustList(t)
	v1 := c.mustPut(t, "k", "1", kv.Always(), 0)
	v2 := c.mustPut(t, "k", "2", kv.IfVersion(v1), 0)
	c.mustDelete(t, kv.Always())

	events := c.watch(t, snapshot.Revision) // begins after all of it
	v4 := c.mustPut(t, "after", "4", kv.Always(), 0)
	want := []kv.Event{
		{Key: "k", Value: "1", Version: v1},
		{Key: "k", Value: "2", Version: v2},
		{Key: "k", Version: v2 + 1, Deleted: true},
		{Key: "after", Value: "4", Version: v4},
	}
	for i := range want {
		got := c.next(t, events)
		if got.Deleted && got.Version > v2 && got.Version < v4 {
			want[i].Version = got.Version // other tests write to the store too
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Fatalf("event %d (-want +got):\n%s", i, diff)
		}
	}
}

func watchDeliversInOrder(t *testing.T, c client) {
	events := c.watch(t, c.mustList(t).Revision)
	const writes = 200
	writer := c.another(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range writes {
			if _, err := writer.Put(limit(t), c.base+strconv.Itoa(i%3), strconv.Itoa(i), kv.Always(), 0); err != nil {
				t.Errorf("put: %v", err)
				return
			}
		}
	}()
	defer func() { <-done }()
	var last kv.Version
	for i := range writes {
		event := c.next(t, events)
		if event.Key != strconv.Itoa(i%3) || event.Value != strconv.Itoa(i) || event.Version <= last {
			t.Fatalf("got event %+v after version %d, want write %d", event, last, i)
		}
		last = event.Version
	}
}

func watchStaysBelowThePrefix(t *testing.T, c client) {
	after := c.mustList(t).Revision
	c.mustPut(t, "other", "v", kv.Always(), 0)
	c.mustPut(t, "mine", "v", kv.Always(), 0)
	c.mustPut(t, "mine/1", "v", kv.Always(), 0)
	events := c.Watch(t.Context(), c.base+"mine/", after)
	if event := c.next(t, events); event.Key != "mine/1" {
		t.Fatalf("got event %+v, want only what lies below the prefix", event)
	}
}

func watchEndsWithItsContext(t *testing.T, c client) {
	ctx, cancel := context.WithCancel(t.Context())
	events := c.Watch(ctx, c.base, c.mustList(t).Revision)
	c.mustPut(t, "k", "v", kv.Always(), 0)
	c.next(t, events)
	c.mustPut(t, "k", "nobody receives this", kv.Always(), 0)
	cancel()
	wantClosed(t, events)
	wantClosed(t, c.Watch(ctx, c.base, 0))
}

func passedDeadlineIsUnavailable(t *testing.T, c client) {
	lease := c.mustGrant(t, time.Minute)
	passed, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	canceled, cancel2 := context.WithCancel(t.Context())
	cancel2()
	for state, ctx := range map[string]context.Context{"passed": passed, "canceled": canceled} {
		for name, err := range callAll(ctx, c, lease) {
			t.Run(state+" "+name, func(t *testing.T) { wantError(t, err, kv.ErrUnavailable) })
		}
	}
	if _, err := c.Renew(limit(t), lease); err != nil {
		t.Fatalf("renew after calls that were too late: %v", err)
	}
}

func closedClientIsUnavailable(t *testing.T, c client) {
	lease := c.mustGrant(t, time.Minute)
	closed := c.another(t)
	events := closed.watch(t, c.mustPut(t, "k", "v", kv.Always(), 0))
	c.mustPut(t, "k", "v2", kv.Always(), 0)
	c.next(t, events)
	if err := closed.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	wantClosed(t, events)
	wantClosed(t, closed.watch(t, 0))
	for name, err := range callAll(limit(t), closed, lease) {
		t.Run(name, func(t *testing.T) { wantError(t, err, kv.ErrUnavailable) })
	}
}

// callAll calls every method that returns an error.
func callAll(ctx context.Context, c client, lease kv.LeaseID) map[string]error {
	errs := map[string]error{}
	_, _, errs["Get"] = c.Get(ctx, c.base+"k")
	_, errs["List"] = c.List(ctx, c.base)
	_, errs["Put"] = c.Put(ctx, c.base+"k", "v", kv.Always(), 0)
	_, errs["PutIfAbsent"] = c.Put(ctx, c.base+"k", "v", kv.IfAbsent(), lease)
	errs["Delete"] = c.Delete(ctx, c.base+"k", kv.Always())
	_, errs["Grant"] = c.Grant(ctx, time.Minute)
	_, errs["Renew"] = c.Renew(ctx, lease)
	errs["Revoke"] = c.Revoke(ctx, lease)
	return errs
}
