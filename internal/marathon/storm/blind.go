package storm

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// sight is whether the scheduler's own network works: how it asks tasks how they are. Its driver and its store have
// another one.
type sight struct {
	blind bool
	ended time.Time           // when it was blind last
	known []app.TaskID        // that it had heard when it went blind
	sick  map[app.TaskID]bool // tasks that ever failed a check by themselves
}

var errBlind = errors.New("network is unreachable")

// heardAfter is how long a task has run when the scheduler has asked it for the first time.
const heardAfter = 10 * time.Second

// apart is how long every task takes to be asked again: two cuts that follow sooner look like one task that is silent
// while others are heard.
const apart = time.Minute

// setBlind takes the scheduler's network away, or gives it back.
func (w *world) setBlind(blind bool) {
	var known []app.TaskID
	for _, i := range w.instances(id("checked")) {
		if i.State == app.TaskRunning && time.Since(i.StartedAt.Time()) > heardAfter {
			known = append(known, i.Task())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.sight.blind == blind:
	case blind:
		w.sight.blind, w.sight.known = true, known
		if time.Since(w.sight.ended) < apart {
			w.sight.known = nil
		}
	default:
		w.sight.blind, w.sight.ended = false, time.Now()
	}
}

func (w *world) isBlind() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sight.blind
}

// dial is the scheduler's network.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch {
	case !w.isBlind():
		return w.fleet.Dial(ctx, network, address)
	case w.mutant.deaf:
		here, there := net.Pipe()
		return here, there.Close()
	}
	return nil, errBlind
}

// checkBlind: a scheduler that hears nobody ends no healthy task for its health, if it has heard another one before.
func (w *world) checkBlind(task app.TaskID) {
	a := id("checked")
	var cause string
	others := 0
	w.mu.Lock()
	s := w.sight
	judged := s.blind && !w.asked[task] && task.Instance().App() == a && !s.sick[task] && slices.Contains(s.known, task)
	w.mu.Unlock()
	if !judged {
		return
	}
	for _, i := range w.instances(a) {
		switch {
		case i.Task() == task && i.Stopping != nil:
			cause = i.Stopping.Cause
		case i.Task() != task && i.State == app.TaskRunning && i.Stopping == nil && slices.ContainsFunc(s.known, func(t app.TaskID) bool { return t.Instance() == i.ID }) && !s.sick[i.Task()]:
			others++
		}
	}
	if others > 0 && strings.Contains(cause, "health check failed") {
		w.violate("a scheduler that is cut off ends nothing for its silence", "%s is ended: %s", task, cause)
	}
}
