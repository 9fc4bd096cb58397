package memory

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// historyLimit is the number of events kept for watches that start in the past. A watch that asks for
// older ones breaks, as it does when etcd has compacted them.
const historyLimit = 1 << 14

// world is the state that all clients share. Every method is one atomic step.
type world struct {
	mu       sync.Mutex
	revision kv.Version
	pairs    map[string]kv.Pair

	leases    map[kv.LeaseID]*lease
	lastLease kv.LeaseID

	// history[i] is event number dropped+i since the store was made.
	history []kv.Event
	dropped int
	// compacted is the revision of the newest dropped event.
	compacted kv.Version
	// changed is closed and replaced whenever history grows.
	changed chan struct{}
}

// lease is a set of keys that go when deadline is reached.
type lease struct {
	ttl      time.Duration
	deadline time.Time
	timer    *time.Timer
}

func newWorld() *world {
	return &world{
		revision: 1,
		pairs:    map[string]kv.Pair{},
		leases:   map[kv.LeaseID]*lease{},
		changed:  make(chan struct{}),
	}
}

// enter locks the world as it is now: leases whose time has come are gone even if their timer was not
// scheduled yet, so that no call ever sees a key of a dead lease.
func (w *world) enter() {
	w.mu.Lock()
	now := time.Now()
	for _, id := range slices.Sorted(maps.Keys(w.leases)) {
		if !now.Before(w.leases[id].deadline) {
			w.endLease(id)
		}
	}
}

func (w *world) get(key string) (kv.Pair, bool) {
	w.enter()
	defer w.mu.Unlock()
	pair, ok := w.pairs[key]
	return pair, ok
}

func (w *world) list(prefix string) kv.Snapshot {
	w.enter()
	defer w.mu.Unlock()
	snapshot := kv.Snapshot{Revision: w.revision}
	for _, key := range slices.Sorted(maps.Keys(w.pairs)) {
		if strings.HasPrefix(key, prefix) {
			snapshot.Pairs = append(snapshot.Pairs, w.pairs[key])
		}
	}
	return snapshot
}

func (w *world) put(key, value string, cond kv.Condition, id kv.LeaseID) (kv.Version, error) {
	w.enter()
	defer w.mu.Unlock()
	if err := w.guarded(cond); err != nil {
		return 0, err
	}
	if err := w.check(key, cond); err != nil {
		return 0, err
	}
	if _, ok := w.leases[id]; id != 0 && !ok {
		return 0, kv.ErrLost
	}
	w.revision++
	w.pairs[key] = kv.Pair{Key: key, Value: value, Version: w.revision, Lease: id}
	w.record(kv.Event{Key: key, Value: value, Version: w.revision})
	return w.revision, nil
}

func (w *world) remove(key string, cond kv.Condition) error {
	w.enter()
	defer w.mu.Unlock()
	if cond.Absent() {
		return kv.ErrConflict
	}
	if err := w.guarded(cond); err != nil {
		return err
	}
	if err := w.check(key, cond); err != nil {
		return err
	}
	if _, ok := w.pairs[key]; ok {
		w.drop(key)
	}
	return nil
}

// guarded says whether the guard of the condition holds, if it has one.
func (w *world) guarded(cond kv.Condition) error {
	guard, demanded := cond.Guard()
	if !demanded {
		return nil
	}
	if pair, exists := w.pairs[guard.Key]; !exists || pair.Version != guard.Version {
		return kv.ErrFenced
	}
	return nil
}

// check says whether the condition holds for the key.
func (w *world) check(key string, cond kv.Condition) error {
	pair, exists := w.pairs[key]
	if cond.Absent() {
		if exists {
			return kv.ErrHeld
		}
		return nil
	}
	if want, demanded := cond.Version(); demanded && (!exists || pair.Version != want) {
		return kv.ErrConflict
	}
	return nil
}

// drop deletes keys that exist, all at one new revision.
func (w *world) drop(keys ...string) {
	w.revision++
	events := make([]kv.Event, len(keys))
	for i, key := range keys {
		delete(w.pairs, key)
		events[i] = kv.Event{Key: key, Version: w.revision, Deleted: true}
	}
	w.record(events...)
}

// record appends events of one revision and wakes the watches.
func (w *world) record(events ...kv.Event) {
	w.history = append(w.history, events...)
	if len(w.history) > historyLimit {
		n := len(w.history) - historyLimit/2
		w.compacted = w.history[n-1].Version
		w.history = slices.Delete(w.history, 0, n)
		w.dropped += n
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// seek returns the number of the first event after the revision, and false when it is not kept anymore.
func (w *world) seek(after kv.Version) (int, bool) {
	w.enter()
	defer w.mu.Unlock()
	if after < w.compacted {
		return 0, false
	}
	i, _ := slices.BinarySearchFunc(w.history, after+1, func(e kv.Event, v kv.Version) int {
		return int(e.Version - v)
	})
	return w.dropped + i, true
}

// since returns the events from number next on, a channel that is closed when there are more, and false
// when the reader was so slow that event next is gone.
func (w *world) since(next int) ([]kv.Event, <-chan struct{}, bool) {
	w.enter()
	defer w.mu.Unlock()
	if next < w.dropped {
		return nil, nil, false
	}
	return slices.Clone(w.history[next-w.dropped:]), w.changed, true
}

func (w *world) grant(ttl time.Duration) kv.LeaseID {
	w.enter()
	defer w.mu.Unlock()
	w.lastLease++
	id := w.lastLease
	ttl = max(ttl+time.Second-1, time.Second).Truncate(time.Second)
	l := &lease{ttl: ttl, deadline: time.Now().Add(ttl)}
	l.timer = time.AfterFunc(ttl, func() {
		w.enter()
		w.mu.Unlock()
	})
	w.leases[id] = l
	return id
}

func (w *world) renew(id kv.LeaseID) (kv.Version, error) {
	w.enter()
	defer w.mu.Unlock()
	l, ok := w.leases[id]
	if !ok {
		return 0, kv.ErrLost
	}
	l.deadline = time.Now().Add(l.ttl)
	l.timer.Reset(l.ttl)
	return w.revision, nil
}

func (w *world) revoke(id kv.LeaseID) {
	w.enter()
	defer w.mu.Unlock()
	w.endLease(id)
}

// endLease forgets the lease and deletes its keys at one revision. An unknown lease has none.
func (w *world) endLease(id kv.LeaseID) {
	l, ok := w.leases[id]
	if !ok {
		return
	}
	l.timer.Stop()
	delete(w.leases, id)
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(w.pairs)) {
		if w.pairs[key].Lease == id {
			keys = append(keys, key)
		}
	}
	if len(keys) > 0 {
		w.drop(keys...)
	}
}
