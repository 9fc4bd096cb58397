package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Reconcile implements driver.Driver.
func (d *Driver) Reconcile(_ context.Context, known []driver.Known) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range known {
		if d.tasks[k.Task] == nil {
			d.events.Add(driver.StatusChanged{Status: d.missing(k)})
		}
	}
	for _, t := range d.tasks {
		d.emit(t)
	}
	d.events.Add(driver.Reconciled{})
	return nil
}

// missing is the answer for a task there is no record of.
func (d *Driver) missing(k driver.Known) driver.Status {
	s := driver.Status{Task: k.Task, Host: k.Host, Time: time.Now()}
	_, configured := d.host(k.Host)
	switch {
	case d.stopped[k.Host]:
		s.State, s.Message = app.TaskUnreachable, "host "+k.Host+" has no power"
	case !configured:
		s.State, s.Message = app.TaskLost, "host "+k.Host+" is not configured any more"
	default:
		s.State, s.Message = app.TaskGone, "host "+k.Host+" does not have this task"
	}
	return s
}

// Ack implements driver.Driver. A task whose end is acknowledged is forgotten, its sandbox with it.
func (d *Driver) Ack(_ context.Context, s driver.Status) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tasks[s.Task]
	if t == nil || t.rec.wire().ID != s.ID {
		return nil // overtaken by a later status
	}
	if !t.rec.Status.State.Terminal() {
		t.rec.Status.Acked = true
		return d.write(t)
	}
	if err := os.Remove(d.dir.task(s.Task)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget task: %w", err)
	}
	delete(d.tasks, s.Task)
	return os.RemoveAll(d.dir.sandbox(s.Task))
}

// change records a new status and sends it.
func (d *Driver) change(t *handle, state app.TaskState, message string) error {
	t.rec.Status = status{Seq: t.rec.Status.Seq + 1, State: state, Message: message, Time: time.Now().UTC()}
	err := d.write(t)
	d.emit(t)
	return err
}

func (d *Driver) write(t *handle) error {
	if err := writeJSON(d.dir.task(t.rec.Task), t.rec); err != nil {
		return fmt.Errorf("record task %s: %w", t.rec.Task, err)
	}
	return nil
}

func (d *Driver) emit(t *handle) { d.events.Add(driver.StatusChanged{Status: t.rec.wire()}) }
