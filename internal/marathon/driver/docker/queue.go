package docker

import (
	"sync"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// queue carries events to a reader that may be slow. It grows as needed, for a status must not be lost and whoever
// reports one must not wait.
type queue struct {
	out  chan driver.Event
	stop chan struct{}
	wake chan struct{} // holds one token: something was added

	mu      sync.Mutex
	waiting []driver.Event
}

func newQueue() *queue {
	return &queue{out: make(chan driver.Event), stop: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// add appends an event. An offer change that still waits stands for any number of them.
func (q *queue) add(e driver.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.waiting); n > 0 && e == (driver.OffersChanged{}) && q.waiting[n-1] == e {
		return
	}
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
