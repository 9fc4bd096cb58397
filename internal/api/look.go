package api

import (
	"context"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/health"
)

// How often requests have something looked at, whatever their number: the whole picture, which takes a turn of the loop, and
// the server alone, which other agents ask for while they race.
const (
	pictureEvery = 50 * time.Millisecond
	serverEvery  = 10 * time.Millisecond
)

// looks has something looked at for all who want that, so that many who ask cost what a few do. Whoever asks gets a look that
// began after it asked.
type looks struct {
	every time.Duration
	look  func(ctx context.Context) *health.Snapshot

	mu   sync.Mutex
	last time.Time
	// next is the look that has not begun; nil when nobody waits for one.
	next *look
}

type look struct {
	done   chan struct{}
	result *health.Snapshot
}

// get waits for a look.
func (l *looks) get(ctx context.Context) (*health.Snapshot, error) {
	n := l.join(ctx)
	select {
	case <-n.done:
		return n.result, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// join returns the next look, and has somebody take it.
func (l *looks) join(ctx context.Context) *look {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == nil {
		l.next = &look{done: make(chan struct{})}
		go l.take(context.WithoutCancel(ctx), l.next, time.Until(l.last.Add(l.every)))
	}
	return l.next
}

func (l *looks) take(ctx context.Context, n *look, after time.Duration) {
	if after > 0 {
		time.Sleep(after)
	}
	l.mu.Lock()
	l.next, l.last = nil, time.Now()
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	n.result = l.look(ctx)
	close(n.done)
}
