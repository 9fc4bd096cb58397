package sim

import (
	"errors"
	"iter"
	"time"
)

var (
	errCancelled  = errors.New("something more urgent was decided")
	errBroken     = errors.New("broken on purpose")
	errUnguarded  = errors.New("not without a guard")
	errSource     = errors.New("the source does not answer")
	errForeign    = errors.New("the data are of another database cluster")
	errOccupied   = errors.New("the data directory is not empty")
	errNoCluster  = errors.New("there is no database cluster")
	errEnded      = errors.New("the program ended with exit status 1")
	errNotRunning = errors.New("the server does not run")
)

// killed unwinds a task whose agent is gone.
type killed struct{}

// task is straight code that takes virtual time: the loop of an agent, or its job. It runs until it waits, and nothing
// else runs meanwhile.
type task struct {
	w    *world
	life *life

	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	// token changes with every wait; an event for an earlier wait does nothing.
	token uint32
	done  bool
	// running is true while the task itself runs.
	running bool
	// cancelled is true once a job was told to end.
	cancelled bool
	// answer is what the call that is waited for brought.
	answer error
}

// spawn makes a task, which begins at the next event.
func (w *world) spawn(l *life, body func(*task)) *task {
	t := &task{w: w, life: l}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		defer t.ended()
		body(t)
	})
	w.resumeAt(w.now+int64(20*time.Microsecond), t)
	return t
}

func (t *task) ended() {
	t.done = true
	if r := recover(); r != nil {
		if _, ok := r.(killed); !ok {
			panic(r)
		}
	}
}

// resumeAt lets the wait that the task is in, or is about to begin, end at an instant.
func (w *world) resumeAt(at int64, t *task) {
	w.queue.push(event{at: max(at, w.now), task: t, token: t.token})
}

// resume ends a wait. A frozen agent notices when it goes on.
func (t *task) resume(token uint32) {
	switch {
	case t.done || t.token != token:
	case t.life.frozen > 0:
		t.life.held = append(t.life.held, heldEvent{t, token})
	default:
		t.token++
		t.running = true
		t.next()
		t.running = false
	}
}

// park waits for whatever resumes the task.
func (t *task) park() {
	if !t.yield(struct{}{}) {
		panic(killed{})
	}
}

// kill ends the task where it waits.
func (t *task) kill() {
	t.token++
	t.stop()
	t.done = true
}

// sleep waits for a while on the member's own clock.
func (t *task) sleep(d time.Duration) {
	t.w.resumeAt(t.w.now+t.life.host.clock.global(d), t)
	t.park()
}

// pause waits for a step of a job. It ends early, with an error, when the job is cancelled.
func (t *task) pause(d time.Duration) error {
	if !t.cancelled {
		t.sleep(d)
	}
	if t.cancelled {
		return errCancelled
	}
	return nil
}

// await waits until a condition about the own server holds, or the job is cancelled.
func (t *task) await(s *server, reached func() bool) error {
	for !reached() {
		if t.cancelled {
			return errCancelled
		}
		s.waiting = t
		t.park()
	}
	s.waiting = nil
	return nil
}

// cancel makes a job end now.
func (t *task) cancel() {
	t.cancelled = true
	for !t.done {
		t.token++
		t.next()
	}
}
