package simulated

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// say gives a task a new state and tells it, unless its host is lost: then it is told when the host is back.
func (f *Fleet) say(t *task, state app.TaskState, message string) {
	t.state, t.message = state, message
	if !t.host.lost() {
		f.change(t, state, message)
	}
}

// change makes a status that is kept until it is acknowledged, and sends it.
func (f *Fleet) change(t *task, state app.TaskState, message string) {
	f.statuses++
	t.told = driver.Status{
		ID: fmt.Sprintf("status-%d", f.statuses), Task: t.spec.Task, State: state, Host: t.host.Name, Message: message, Time: time.Now(),
		Healthy: t.healthy,
	}
	t.unacked = append(t.unacked, t.told)
	f.send(t, t.told)
}

// answer is the present state as a reconciliation tells it: without an id when it was acknowledged already.
func (t *task) answer() driver.Status {
	s := t.told
	if !slices.ContainsFunc(t.unacked, func(u driver.Status) bool { return u.ID == s.ID }) {
		s.ID = ""
	}
	return s
}

// send brings a status on its way and returns when it arrives. Those of one task arrive in order, however late.
func (f *Fleet) send(t *task, s driver.Status) time.Time {
	t.last = f.tell(s, t.last)
	if f.chance.Float64() < f.weather.Twice {
		t.last = f.tell(s, t.last)
	}
	return t.last
}

// tell brings a status on its way and returns when it arrives, which is not before the given time.
func (f *Fleet) tell(s driver.Status, notBefore time.Time) time.Time {
	due := later(notBefore, time.Now().Add(f.weather.delay(f.chance)))
	d := f.conn
	f.at(due, func() { f.deliver(d, driver.StatusChanged{Status: s}) })
	return due
}

// deliver hands an event to the scheduler it was meant for, if that is still connected.
func (f *Fleet) deliver(d *Driver, e driver.Event) {
	if d != nil && d == f.conn {
		d.events.add(e)
	}
}

// announce tells something that nobody acknowledges.
func (f *Fleet) announce(e driver.Event) { f.announceAt(time.Now().Add(f.weather.delay(f.chance)), e) }

func (f *Fleet) announceAt(due time.Time, e driver.Event) {
	d := f.conn
	f.at(due, func() { f.deliver(d, e) })
}

// repeat sends everything that is not acknowledged to a scheduler that has just come.
func (f *Fleet) repeat() {
	for _, t := range f.sorted() {
		for _, s := range t.unacked {
			f.send(t, s)
		}
	}
}

// sorted are the tasks in the order of their ids, so that the same history tells the same story.
func (f *Fleet) sorted() []*task {
	list := make([]*task, 0, len(f.tasks))
	for _, t := range f.tasks {
		list = append(list, t)
	}
	slices.SortFunc(list, compareTasks)
	return list
}

func compareTasks(a, b *task) int {
	return cmp.Or(strings.Compare(string(a.spec.Instance), string(b.spec.Instance)), a.spec.Task.Incarnation()-b.spec.Task.Incarnation())
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// SetHealthy changes what the checks say that run beside a task, and tells it.
func (f *Fleet) SetHealthy(id app.TaskID, healthy bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.tasks[id]; t != nil {
		f.feel(t, healthy)
	}
}

func (f *Fleet) feel(t *task, healthy bool) {
	if t.live() {
		t.healthy = &healthy
		f.say(t, t.state, t.message)
	}
}
