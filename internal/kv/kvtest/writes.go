package kvtest

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/kv"
)

func absentKeyIsNotAnError(t *testing.T, c client) {
	c.wantAbsent(t, "nothing")
	if got := c.mustList(t).Pairs; len(got) != 0 {
		t.Fatalf("got pairs %v in an empty folder", got)
	}
}

func putIsReadBack(t *testing.T, c client) {
	version := c.mustPut(t, "k", "value äöü \x00\xff", kv.Always(), 0)
	c.wantPair(t, kv.Pair{Key: "k", Value: "value äöü \x00\xff", Version: version})
	version = c.mustPut(t, "k", "other", kv.Always(), 0)
	c.another(t).wantPair(t, kv.Pair{Key: "k", Value: "other", Version: version})
}

func emptyValueIsAValue(t *testing.T, c client) {
	version := c.mustPut(t, "k", "", kv.IfAbsent(), 0)
	c.wantPair(t, kv.Pair{Key: "k", Version: version})
	_, err := c.Put(limit(t), c.base+"k", "", kv.IfAbsent(), 0)
	wantError(t, err, kv.ErrHeld)
}

func versionsGrow(t *testing.T, c client) {
	var last kv.Version
	for i := range 5 {
		version := c.mustPut(t, strconv.Itoa(i%2), "same", kv.Always(), 0)
		if version <= last {
			t.Fatalf("version %d came after %d", version, last)
		}
		last = version
	}
}

func ifAbsentCreatesOnce(t *testing.T, c client) {
	version := c.mustPut(t, "k", "first", kv.IfAbsent(), 0)
	_, err := c.Put(limit(t), c.base+"k", "second", kv.IfAbsent(), 0)
	wantError(t, err, kv.ErrHeld)
	c.wantPair(t, kv.Pair{Key: "k", Value: "first", Version: version})
}

func ifVersionSwapsOnce(t *testing.T, c client) {
	first := c.mustPut(t, "k", "first", kv.Always(), 0)
	second := c.mustPut(t, "k", "second", kv.IfVersion(first), 0)
	_, err := c.Put(limit(t), c.base+"k", "third", kv.IfVersion(first), 0)
	wantError(t, err, kv.ErrConflict)
	c.wantPair(t, kv.Pair{Key: "k", Value: "second", Version: second})

	_, err = c.Put(limit(t), c.base+"absent", "v", kv.IfVersion(second), 0)
	wantError(t, err, kv.ErrConflict)
	c.wantAbsent(t, "absent")
}

func recreatedKeyHasAnotherVersion(t *testing.T, c client) {
	old := c.mustPut(t, "k", "same", kv.Always(), 0)
	c.mustDelete(t, kv.Always())
	version := c.mustPut(t, "k", "same", kv.IfAbsent(), 0)
	_, err := c.Put(limit(t), c.base+"k", "swapped", kv.IfVersion(old), 0)
	wantError(t, err, kv.ErrConflict)
	c.wantPair(t, kv.Pair{Key: "k", Value: "same", Version: version})
}

func forgottenConditionMatchesNothing(t *testing.T, c client) {
	version := c.mustPut(t, "k", "kept", kv.Always(), 0)
	for _, cond := range []kv.Condition{{}, kv.IfVersion(0), kv.IfVersion(-1)} {
		for _, key := range []string{"k", "absent"} {
			_, err := c.Put(limit(t), c.base+key, "overwritten", cond, 0)
			wantError(t, err, kv.ErrConflict)
			wantError(t, c.Delete(limit(t), c.base+key, cond), kv.ErrConflict)
		}
	}
	c.wantPair(t, kv.Pair{Key: "k", Value: "kept", Version: version})
	c.wantAbsent(t, "absent")
}

func deleteRemoves(t *testing.T, c client) {
	c.mustPut(t, "k", "v", kv.Always(), 0)
	c.mustPut(t, "k2", "v", kv.Always(), 0)
	c.mustDelete(t, kv.Always())
	c.wantAbsent(t, "k")
	c.mustDelete(t, kv.Always())
	if got := len(c.mustList(t).Pairs); got != 1 {
		t.Fatalf("got %d keys, want the one beside the deleted one", got)
	}
}

func deleteIfVersion(t *testing.T, c client) {
	first := c.mustPut(t, "k", "first", kv.Always(), 0)
	second := c.mustPut(t, "k", "second", kv.Always(), 0)
	wantError(t, c.Delete(limit(t), c.base+"k", kv.IfVersion(first)), kv.ErrConflict)
	wantError(t, c.Delete(limit(t), c.base+"k", kv.IfAbsent()), kv.ErrConflict)
	c.wantPair(t, kv.Pair{Key: "k", Value: "second", Version: second})

	c.mustDelete(t, kv.IfVersion(second))
	c.wantAbsent(t, "k")
	wantError(t, c.Delete(limit(t), c.base+"k", kv.IfVersion(second)), kv.ErrConflict)
	wantError(t, c.Delete(limit(t), c.base+"k", kv.IfAbsent()), kv.ErrConflict)
}

// guardedWritesEndWithTheGuard is what keeps a former leader from writing: each write says which leader key it was made under.
func guardedWritesEndWithTheGuard(t *testing.T, c client) {
	guard := kv.Guard{Key: c.base + "leader", Version: c.mustPut(t, "leader", "a", kv.IfAbsent(), 0)}
	version := c.mustPut(t, "k", "first", kv.IfAbsent().While(guard), 0)
	version = c.mustPut(t, "k", "second", kv.IfVersion(version).While(guard), 0)
	c.mustPut(t, "other", "v", kv.Always().While(guard), 0)
	for _, cond := range []kv.Condition{kv.IfAbsent(), kv.IfVersion(version + 1)} {
		want := kv.ErrConflict
		if cond.Absent() {
			want = kv.ErrHeld
		}
		_, err := c.Put(limit(t), c.base+"k", "refused", cond.While(guard), 0)
		wantError(t, err, want)
	}

	c.mustPut(t, "leader", "b", kv.Always(), 0)
	c.wantFenced(t, version, guard)
	c.wantFenced(t, version, kv.Guard{Key: guard.Key})
	c.wantFenced(t, version, kv.Guard{Key: c.base + "nobody", Version: guard.Version})
	c.wantPair(t, kv.Pair{Key: "k", Value: "second", Version: version})
	c.wantAbsent(t, "new")
}

// wantFenced tries all writes under a guard that does not hold; k is there with the version, new is not.
func (c client) wantFenced(t *testing.T, version kv.Version, guard kv.Guard) {
	t.Helper()
	for _, cond := range []kv.Condition{kv.IfVersion(version), kv.IfVersion(version + 1), kv.IfAbsent(), kv.Always()} {
		_, err := c.Put(limit(t), c.base+"k", "late", cond.While(guard), 0)
		wantError(t, err, kv.ErrFenced)
		if !cond.Absent() {
			wantError(t, c.Delete(limit(t), c.base+"k", cond.While(guard)), kv.ErrFenced)
		}
	}
	_, err := c.Put(limit(t), c.base+"new", "late", kv.IfAbsent().While(guard), 0)
	wantError(t, err, kv.ErrFenced)
}

func guardEndsWithItsLease(t *testing.T, c client) {
	lease, err := c.Grant(limit(t), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	guard := kv.Guard{Key: c.base + "leader", Version: c.mustPut(t, "leader", "a", kv.IfAbsent(), lease)}
	version := c.mustPut(t, "k", "v", kv.IfAbsent().While(guard), 0)
	if err := c.Revoke(limit(t), lease); err != nil {
		t.Fatal(err)
	}
	c.wantFenced(t, version, guard)
	c.mustPut(t, "leader", "a", kv.IfAbsent(), 0)
	c.wantFenced(t, version, guard)
	c.wantPair(t, kv.Pair{Key: "k", Value: "v", Version: version})
}

func concurrentCreateHasOneWinner(t *testing.T, c client) {
	race(t, c, kv.IfAbsent(), kv.ErrHeld)
}

func concurrentSwapHasOneWinner(t *testing.T, c client) {
	race(t, c, kv.IfVersion(c.mustPut(t, "k", "old", kv.Always(), 0)), kv.ErrConflict)
}

// race lets several clients write the same key under the same condition.
func race(t *testing.T, c client, cond kv.Condition, loss error) {
	t.Helper()
	const runners = 8
	var (
		wg       sync.WaitGroup
		versions [runners]kv.Version
		errs     [runners]error
	)
	for i := range runners {
		runner := c.another(t)
		wg.Go(func() {
			versions[i], errs[i] = runner.Put(limit(t), c.base+"k", strconv.Itoa(i), cond, 0)
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Fatalf("both %d and %d won", winner, i)
		case !errors.Is(err, loss):
			t.Fatalf("got error %v, want %v", err, loss)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	c.wantPair(t, kv.Pair{Key: "k", Value: strconv.Itoa(winner), Version: versions[winner]})
}

func listIsSortedAndStaysBelowThePrefix(t *testing.T, c client) {
	for _, key := range []string{"a/2", "b/1", "a/10", "a/1", "a", "ab"} {
		c.mustPut(t, key, key, kv.Always(), 0)
	}
	snapshot, err := c.List(limit(t), c.base+"a/")
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	var got []string
	for _, pair := range snapshot.Pairs {
		got = append(got, pair.Value)
		if pair.Key != c.base+pair.Value || pair.Version == 0 || pair.Version > snapshot.Revision {
			t.Errorf("got pair %+v at revision %d", pair, snapshot.Revision)
		}
	}
	if diff := cmp.Diff([]string{"a/1", "a/10", "a/2"}, got); diff != "" {
		t.Fatalf("keys (-want +got):\n%s", diff)
	}
}

// listIsOneRevision writes a, then b, again and again: whoever sees both as they stood together sees
// them equal, or a one ahead.
func listIsOneRevision(t *testing.T, c client) {
	c.mustPut(t, "a", "0", kv.Always(), 0)
	c.mustPut(t, "b", "0", kv.Always(), 0)
	var wg sync.WaitGroup
	defer wg.Wait()
	writer := c.another(t)
	wg.Go(func() {
		for i := range 100 {
			for _, key := range []string{"a", "b"} {
				if _, err := writer.Put(limit(t), c.base+key, strconv.Itoa(i+1), kv.Always(), 0); err != nil {
					t.Errorf("put: %v", err)
					return
				}
			}
		}
	})
	for last := kv.Version(0); ; {
		snapshot := c.mustList(t)
		a, _ := strconv.Atoi(snapshot.Pairs[0].Value)
		b, _ := strconv.Atoi(snapshot.Pairs[1].Value)
		if a != b && a != b+1 {
			t.Fatalf("got a=%d and b=%d, which never stood together", a, b)
		}
		if snapshot.Revision < last {
			t.Fatalf("revision %d came after %d", snapshot.Revision, last)
		}
		last = snapshot.Revision
		if b == 100 || t.Failed() {
			return
		}
	}
}
