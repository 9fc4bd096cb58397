package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// task is a task as its container shows it. Guarded by Driver.mu.
type task struct {
	rec       record
	framework string
	daemon    *daemon
	container string // its id, empty until it is made
	state     app.TaskState
	message   string
	at        time.Time
	healthy   *bool
	addresses []app.IPAddress
	killBy    time.Time // the end of the grace of a kill under way, zero when there is none
	launching bool      // this driver is making the container
	abandon   context.CancelFunc
	endChecks context.CancelFunc
	forgotten bool // its end is acknowledged, and its container cannot be removed yet
}

// id tells the statuses of a task apart. It is the same whichever driver reads it off the container.
func (t *task) id() string {
	id := string(t.rec.Task) + "#"
	switch {
	case t.state.Terminal():
		return id + "end"
	case t.healthy == nil:
		return id + string(t.state)
	}
	return fmt.Sprintf("%s%s#healthy=%t", id, t.state, *t.healthy)
}

// status is what is known of the task now.
func (t *task) status() driver.Status {
	s := driver.Status{Task: t.rec.Task, Host: t.rec.Host, State: t.state, Message: t.message, Time: t.at, Healthy: t.healthy, Addresses: t.addresses, ID: t.id()}
	if !t.daemon.up && !t.state.Terminal() {
		s.ID, s.State, s.Healthy, s.Time = "", app.TaskUnreachable, nil, time.Now()
		s.Message = "the docker daemon of host " + t.rec.Host + " is out of reach"
	}
	return s
}

// change gives a task a new state and tells it. A zero time means now.
func (d *Driver) change(t *task, state app.TaskState, message string, at time.Time) {
	if at.IsZero() {
		at = time.Now()
	}
	t.state, t.message, t.at = state, message, at.UTC()
	if state.Terminal() {
		t.healthy = nil
		if t.endChecks != nil {
			t.endChecks()
		}
		d.events.Add(driver.OffersChanged{})
	}
	d.emit(t)
}

// emit tells the state of a task, if it is of the framework that subscribed.
func (d *Driver) emit(t *task) {
	if d.framework != "" && t.framework == d.framework {
		d.events.Add(driver.StatusChanged{Status: t.status()})
	}
}

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
		if !t.forgotten {
			d.emit(t)
		}
	}
	d.events.Add(driver.Reconciled{})
	return nil
}

// missing is the answer for a task that no container speaks of.
func (d *Driver) missing(k driver.Known) driver.Status {
	s := driver.Status{Task: k.Task, Host: k.Host, Time: time.Now().UTC()}
	_, m, configured := d.host(k.Host)
	switch {
	case !configured:
		s.State, s.Message = app.TaskLost, "host "+k.Host+" is not configured any more"
	case !m.up:
		s.State, s.Message = app.TaskUnreachable, "the docker daemon of host "+k.Host+" is out of reach"
	default:
		s.State, s.Message = app.TaskGone, "host "+k.Host+" does not have this task"
	}
	return s
}

// Ack implements driver.Driver. A task whose end is acknowledged is forgotten, its container with it. Other statuses need
// no memory: the next driver reads them off the container and tells them again.
func (d *Driver) Ack(ctx context.Context, s driver.Status) error {
	d.mu.Lock()
	t := d.tasks[s.Task]
	if t == nil || !t.state.Terminal() || t.id() != s.ID {
		d.mu.Unlock()
		return nil
	}
	if !t.daemon.up && t.container != "" {
		t.forgotten = true
		d.mu.Unlock()
		return nil
	}
	m, container := t.daemon, t.container
	d.mu.Unlock()
	if err := d.remove(ctx, m, container); err != nil {
		return fmt.Errorf("forget task %s: %w", s.Task, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tasks[s.Task] == t {
		delete(d.tasks, s.Task)
	}
	return nil
}

// remove removes a container that has ended or never began, and the volumes that nobody named. A daemon that takes longer goes on
// with it, and the container is found to be gone.
func (d *Driver) remove(ctx context.Context, m *daemon, id string) error {
	if id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.patience())
	defer cancel()
	if err := m.order.take(ctx); err != nil {
		return err
	}
	defer m.order.pass()
	_, err := m.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
