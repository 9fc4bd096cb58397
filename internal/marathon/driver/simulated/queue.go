package simulated

import (
	"sync"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// queue carries events to a reader that may be slow, for whoever tells something must not wait.
type queue struct {
	out  chan driver.Event
	stop chan struct{}
	wake chan struct{} // holds one token: something was added

	mu      sync.Mutex
	waiting []driver.Event
}

func newQueue() *queue {
	return &queue{out: make(chan driver.Event, 1024), stop: make(chan struct{}), wake: make(chan struct{}, 1)}
}

func (q *queue) add(e driver.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, e)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run moves events to the reader until stop is closed.
func (q *queue) run() {
	defer close(q.out)
	for {
		for _, e := range q.take() {
			select {
			case q.out <- e:
			case <-q.stop:
				return
			}
		}
		select {
		case <-q.wake:
		case <-q.stop:
			return
		}
	}
}

func (q *queue) take() []driver.Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.waiting
	q.waiting = nil
	return taken
}
