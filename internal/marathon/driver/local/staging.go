package local

import (
	"context"
	"errors"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/sandbox"
)

// Why the fetching of files ends before they are there.
var (
	errKilled  = errors.New("the task was killed")
	errNoPower = errors.New("the host has lost its power")
	errClosed  = errors.New("the driver was closed")
)

// giveUp ends the fetching of a task's files.
func (t *handle) giveUp(why error) {
	if t.abandon != nil {
		t.abandon(why)
	}
}

// startFetching records the task and brings its files in the background: that may take minutes. Should this process die
// meanwhile the next driver finds a record without a process, and says that the task was not started.
func (d *Driver) startFetching(s driver.Spec, t *handle, argv []string) error {
	if err := d.write(t); err != nil {
		return err
	}
	work := d.dir.work(t.rec)
	ctx, cancel := context.WithCancelCause(d.life)
	t.abandon = cancel
	d.tasks[s.Task] = t
	d.work.Go(func() {
		err := sandbox.Fetcher{Cache: d.dir.cache(), Owner: d.cfg.Credential}.Bring(ctx, work, s.App.Fetch)
		cancel(nil)
		d.fetched(s, t, argv, err) //nolint:contextcheck // as in Launch
	})
	return nil
}

// fetched starts the task whose files are there, unless something has come in between.
func (d *Driver) fetched(s driver.Spec, t *handle, argv []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.abandon = nil
	switch {
	case d.isClosed():
		return // as if this process had died
	case d.stopped[s.Host] || t.rec.Status.State.Terminal():
		close(t.done)
		return
	case t.rec.Kill != nil:
		close(t.done)
		d.report("record task", d.change(t, app.TaskKilled, "stopped as asked before it was started"))
	case err != nil:
		close(t.done)
		d.report("record task", d.change(t, app.TaskFailed, err.Error()))
	default:
		if err := d.fork(s.Instance, t, argv); err == nil {
			d.started(t)
			return
		} else if err := d.change(t, app.TaskFailed, err.Error()); err != nil {
			d.report("record task", err)
		}
		close(t.done)
	}
	d.events.Add(driver.OffersChanged{})
}
