package run

import (
	"context"
	"sync"
)

// watcherBuffer is how far a watcher may fall behind before it is cut off.
const watcherBuffer = 1024

// hub hands what happens to watchers.
type hub[E any] struct {
	mu       sync.Mutex
	watchers map[chan E]bool
	closed   bool
}

func (h *hub[E]) watch(ctx context.Context) <-chan E {
	c := make(chan E, watcherBuffer)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(c)
		return c
	}
	if h.watchers == nil {
		h.watchers = map[chan E]bool{}
	}
	h.watchers[c] = true
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(c)
	})
	return c
}

// drop ends a watcher, once.
func (h *hub[E]) drop(c chan E) {
	if h.watchers[c] {
		delete(h.watchers, c)
		close(c)
	}
}

func (h *hub[E]) send(e E) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.watchers {
		select {
		case c <- e:
		default:
			h.drop(c)
		}
	}
}

// open lets watchers in again after a close.
func (h *hub[E]) open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = false
}

func (h *hub[E]) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.watchers {
		h.drop(c)
	}
}
