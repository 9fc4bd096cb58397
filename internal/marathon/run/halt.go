package run

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// StopAll ends every task and waits until that is done: plain apps at once, of a PostgreSQL app the replicas first and the
// leader last, each in order. Definitions and goals stay as they are, so the next scheduler launches everything again. It
// needs Run to be running, and nothing is launched from then on. progress, if not nil, gets what happens meanwhile. An
// error says what was still running when ctx ended.
func (s *Scheduler) StopAll(ctx context.Context, progress func(Event)) error {
	watch, stop := context.WithCancel(ctx)
	defer stop()
	events := s.Watch(watch)
	stopped := make(chan struct{})
	err := s.call(ctx, func(l *loop) {
		if l.halted.IsZero() {
			l.halted = time.Now()
		}
		l.halts = append(l.halts, stopped)
	})
	if err != nil {
		return err
	}
	for {
		select {
		case <-stopped:
			drainInto(events, progress)
			return nil
		case e, open := <-events:
			if open && progress != nil {
				progress(e)
			}
			if !open {
				events = nil
			}
		case <-s.life.Load().done:
			return fmt.Errorf("%w: it ended before everything had stopped", app.ErrUnavailable)
		case <-ctx.Done():
			return fmt.Errorf("%d tasks still run: %w", s.running(), context.Cause(ctx))
		}
	}
}

// drainInto passes on what has happened already.
func drainInto(events <-chan Event, progress func(Event)) {
	for {
		select {
		case e, open := <-events:
			if !open {
				return
			}
			if progress != nil {
				progress(e)
			}
		default:
			return
		}
	}
}

func (s *Scheduler) running() int {
	n := 0
	for _, tasks := range s.picture.Load().tasks {
		n += len(tasks)
	}
	return n
}

// allStopped reports whether nothing is left to stop. What is on an unreachable host does not count: nobody can stop it.
func (l *loop) allStopped() bool {
	if !l.subscribed || len(l.unconfirmed) > 0 {
		return false
	}
	for _, i := range l.instances {
		if i.Unreachable() {
			continue
		}
		if i.Live() || i.Stopping != nil || i.Postgres && !i.Clean {
			return false
		}
	}
	return true
}
