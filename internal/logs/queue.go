package logs

import (
	"context"
	"sync"
)

// queue holds lines from those who speak to the one who writes. Nobody who puts a line waits.
type queue struct {
	mu     sync.Mutex
	lines  [][]byte
	limit  int
	lost   int
	closed bool
	// busy is true while a line that was taken is not written yet.
	busy bool
	// wake has an element when there may be something to take; idle is closed and replaced when all is written.
	wake chan struct{}
	idle chan struct{}
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, wake: make(chan struct{}, 1), idle: make(chan struct{})}
}

// put adds a line, or counts it as lost. Where lines were lost and there is room again, the line that notice makes of their
// number goes first.
func (q *queue) put(line []byte, notice func(lost int) []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed || len(q.lines) >= q.limit:
		q.lost++
		return
	case q.lost > 0:
		q.lines = append(q.lines, notice(q.lost))
		q.lost = 0
	}
	q.lines = append(q.lines, line)
	q.notify()
}

func (q *queue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for a line. It is false when the queue is closed and empty. Taking a line says that the one before is written.
func (q *queue) take() ([]byte, bool) {
	for {
		line, found, over := q.next()
		if found || over {
			return line, found
		}
		<-q.wake
	}
}

func (q *queue) next() (line []byte, found, over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = len(q.lines) > 0
	if q.busy {
		line = q.lines[0]
		q.lines[0] = nil
		q.lines = q.lines[1:]
		return line, true, false
	}
	q.lines = nil // with what was read of it
	close(q.idle)
	q.idle = make(chan struct{})
	return nil, false, q.closed
}

// drained waits until everything that was put is written.
func (q *queue) drained(ctx context.Context) bool {
	for {
		q.mu.Lock()
		done, idle := len(q.lines) == 0 && !q.busy, q.idle
		q.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return false
		}
	}
}

// close lets nothing in any more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.notify()
}

func (q *queue) resize(limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = limit
}

// state is how many lines wait, and how many were lost since that was last said in the log.
func (q *queue) state() (waiting, lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.lines), q.lost
}
