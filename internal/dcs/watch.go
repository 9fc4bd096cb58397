package dcs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
)

const (
	// lookTimeout bounds one look at the store when a watch begins or broke.
	lookTimeout = 5 * time.Second
	// lookPause is the wait before another one.
	lookPause = time.Second
)

// Change is a reason to load the cluster again.
type Change struct {
	// Key is the document that changed, by its path below the scope: "leader", "members/n1".
	Key string
	// Lost says that changes may have gone unseen, or go unseen now; Key is empty. The watch goes on
	// by itself and tells what changed as soon as it sees again.
	Lost bool
}

// Watch reports changes until the context ends, then closes the channel: those of leader, config,
// initialize, failover and sync, and of member documents except their positions. Status, history and
// failsafe wake nobody, and neither does this member's own document, as long as it is there. Changes that
// are not received in time are reported once, however many they are.
//
// The watch begins with a look at the store. When that shows another revision than the given one, which
// is that of a Load, the first report is Lost.
func (s *Store) Watch(ctx context.Context, after cluster.Version) <-chan Change {
	w := &watcher{store: s, to: make(chan Change)}
	go func() {
		defer close(w.to)
		w.run(ctx, kv.Version(after))
	}()
	return w.to
}

// watcher is one Watch.
type watcher struct {
	store *Store
	to    chan Change
	// documents holds what matters of each document, by key; nil before the first look.
	documents map[string]string
	// pending are changes that were not received yet.
	pending []Change
	// blind is true from a look that failed until one that did not.
	blind bool
}

// run looks and follows, again and again. It pauses before it looks again after a look that failed or a
// watch that broke at once, so a store in trouble is not flooded.
func (w *watcher) run(ctx context.Context, after kv.Version) {
	for ctx.Err() == nil {
		began := time.Now()
		if snapshot, err := w.look(ctx); err == nil {
			w.compare(snapshot, after)
			w.serve(ctx, w.store.kv.Watch(ctx, w.store.base, snapshot.Revision), nil)
		} else if !w.blind {
			w.blind = true
			w.tell(Change{Lost: true})
		}
		if w.blind || time.Since(began) < lookPause {
			pause := time.NewTimer(lookPause)
			w.serve(ctx, nil, pause.C)
			pause.Stop()
		}
	}
}

func (w *watcher) look(ctx context.Context) (kv.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return w.store.kv.List(ctx, w.store.base)
}

// compare takes the snapshot for what is known and tells the differences.
func (w *watcher) compare(snapshot kv.Snapshot, after kv.Version) {
	w.blind = false
	documents := map[string]string{}
	for _, pair := range snapshot.Pairs {
		key := strings.TrimPrefix(pair.Key, w.store.base)
		if matter, ok := whatMatters(key, pair.Value); ok {
			documents[key] = matter
		}
	}
	if w.documents == nil {
		w.documents = documents
		if snapshot.Revision != after {
			w.tell(Change{Lost: true})
		}
		return
	}
	for _, key := range slices.Sorted(maps.Keys(w.documents)) {
		if _, ok := documents[key]; !ok {
			w.note(key, "", false)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(documents)) {
		w.note(key, documents[key], true)
	}
}

// serve takes in events and hands out changes until the events end, the time is over or the context ends.
func (w *watcher) serve(ctx context.Context, events <-chan kv.Event, over <-chan time.Time) {
	for {
		var to chan<- Change
		var first Change
		if len(w.pending) > 0 {
			to, first = w.to, w.pending[0]
		}
		select {
		case event, ok := <-events:
			if !ok {
				return
			}
			w.store.outdate()
			key := strings.TrimPrefix(event.Key, w.store.base)
			if matter, ok := whatMatters(key, event.Value); ok {
				w.note(key, matter, !event.Deleted)
			}
		case to <- first:
			w.pending = w.pending[1:]
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// note takes in a document as it is now and tells if that is new.
func (w *watcher) note(key, matter string, exists bool) {
	old, existed := w.documents[key]
	switch {
	case !exists && !existed, exists && existed && matter == old:
		return
	case exists:
		w.documents[key] = matter
	default:
		delete(w.documents, key)
	}
	if exists && key == w.store.own() {
		return
	}
	w.tell(Change{Key: key})
}

// tell queues a change that is not queued already.
func (w *watcher) tell(change Change) {
	w.store.outdate()
	if !slices.Contains(w.pending, change) {
		w.pending = append(w.pending, change)
	}
}

// whatMatters returns the part of a document whose change wakes somebody. The bool is false when no part
// does.
func whatMatters(key, value string) (string, bool) {
	switch key {
	case keyLeader, keyConfig, keyInitialize, keyFailover, keySync:
		return value, true
	}
	name, ok := memberName(key)
	if !ok {
		return "", false
	}
	m := cluster.ParseMember(name, value)
	m.Location, m.Replayed, m.Received = 0, 0, 0
	return m.JSON(), true
}
