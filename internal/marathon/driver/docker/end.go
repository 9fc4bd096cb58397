package docker

import (
	"context"
	"log/slog"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Kill implements driver.Driver. The grace is the daemon's: it ends also when this driver does not live that long.
func (d *Driver) Kill(_ context.Context, id app.TaskID, grace time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tasks[id]
	if t == nil {
		d.events.Add(driver.StatusChanged{Status: d.nobody(id)})
		return nil
	}
	if t.state.Terminal() {
		d.emit(t)
		return nil
	}
	deadline := time.Now().Add(max(grace, 0))
	if !t.killBy.IsZero() && !deadline.Before(t.killBy) {
		return nil
	}
	again := !t.killBy.IsZero()
	t.killBy = deadline
	switch {
	case t.launching:
		t.abandon()
		return nil
	case !t.daemon.up:
		return nil // asked when it is back
	}
	if !again {
		d.change(t, app.TaskKilling, "", time.Time{})
	}
	d.work.Go(func() { d.stop(t) })
	return nil
}

// nobody is the answer for a task that no container speaks of: its end, if all daemons were asked.
func (d *Driver) nobody(id app.TaskID) driver.Status {
	s := driver.Status{Task: id, State: app.TaskGone, Message: "not running", Time: time.Now().UTC()}
	for _, m := range d.daemons {
		if !m.up {
			s.State, s.Message = app.TaskUnreachable, "docker daemon "+m.cfg.Endpoint+" is out of reach and may have it"
		}
	}
	return s
}

// stop asks the daemon to end a task within what is left of its grace, in whole seconds as the daemon counts.
func (d *Driver) stop(t *task) {
	d.mu.Lock()
	id, m, left := t.container, t.daemon, time.Until(t.killBy)
	d.mu.Unlock()
	seconds := max(int((left+time.Second-1)/time.Second), 0)
	_, err := m.api.ContainerStop(d.life, id, client.ContainerStopOptions{Timeout: &seconds})
	if err != nil && !errdefs.IsNotFound(err) {
		d.report("stop container", err, slog.String("task", string(t.rec.Task)))
	}
}
