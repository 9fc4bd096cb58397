package chaos

import (
	"context"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// Lead is a content of the leader key; an empty name says that the key was gone.
type Lead struct {
	At   time.Time
	Name string
}

// leads is everything that was ever in the leader key since the watch began, in order.
type leads struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu   sync.Mutex
	seen []Lead
}

// keyAgain is the pause before the watch is opened again: it breaks when an etcd member dies.
const keyAgain = 100 * time.Millisecond

func watchLeads(ctx context.Context, store kv.Store) (*leads, error) {
	now, err := store.List(ctx, LeaderKey)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &leads{stop: stop}
	for _, pair := range now.Pairs {
		l.note(pair.Value)
	}
	l.done.Go(func() { l.watch(life, store, now.Revision) })
	return l, nil
}

// watch goes on after the last revision that it heard of, so that nothing is missed.
func (l *leads) watch(ctx context.Context, store kv.Store, after kv.Version) {
	ticker := time.NewTicker(keyAgain)
	defer ticker.Stop()
	for ctx.Err() == nil {
		for e := range store.Watch(ctx, LeaderKey, after) {
			after = e.Version
			l.note(e.Value)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// note remembers a change. The same name again is no change: a leader that renews its claim keeps the key.
func (l *leads) note(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.seen); n > 0 && l.seen[n-1].Name == name {
		return
	}
	l.seen = append(l.seen, Lead{At: time.Now(), Name: name})
}

// count is how many changes were seen.
func (l *leads) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

func (l *leads) close() {
	l.stop()
	l.done.Wait()
}
