package driver

import "sync"

// Queue carries the events of a driver to a reader that may be slow. It grows as needed, for a status must not be lost and
// whoever reports one must not wait. It is for those who implement [Driver].
type Queue struct {
	out  chan Event
	stop chan struct{}
	wake chan struct{} // holds one token: something was added

	mu      sync.Mutex
	waiting []Event
	closed  bool
}

// NewQueue makes a queue. Run moves its events.
func NewQueue() *Queue {
	return &Queue{out: make(chan Event), stop: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// Out is where the events arrive. It is closed when Run has returned.
func (q *Queue) Out() <-chan Event { return q.out }

// Add appends an event. An offer change that still waits stands for any number of them.
func (q *Queue) Add(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.waiting); n > 0 && e == (OffersChanged{}) && q.waiting[n-1] == e {
		return
	}
	q.waiting = append(q.waiting, e)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Close lets Run return. What still waits is lost to this reader.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.stop)
	}
}

// Run moves events to the reader until the queue is closed.
func (q *Queue) Run() {
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

func (q *Queue) take() []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.waiting
	q.waiting = nil
	return taken
}
