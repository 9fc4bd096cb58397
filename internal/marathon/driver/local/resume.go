package local

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/process"
)

// load reads the folder.
func (d *Driver) load() error {
	var err error
	if d.boot, err = bootID(); err != nil {
		return err
	}
	records, err := readAll[record](filepath.Join(string(d.dir), "tasks"))
	if err != nil {
		return fmt.Errorf("read tasks: %w", err)
	}
	for _, rec := range records {
		d.tasks[rec.Task] = &handle{rec: rec, done: make(chan struct{})}
	}
	if d.volumes, err = readAll[volumeRecord](filepath.Join(string(d.dir), "volumes")); err != nil {
		return fmt.Errorf("read volumes: %w", err)
	}
	hosts, err := readAll[hostRecord](filepath.Join(string(d.dir), "hosts"))
	if err != nil {
		return fmt.Errorf("read hosts: %w", err)
	}
	for name, h := range hosts {
		d.stopped[name] = h.Stopped
	}
	return nil
}

// resume takes up every task where the last driver left it.
func (d *Driver) resume() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, stopped := range d.stopped {
		if !stopped {
			continue
		}
		if err := d.cutPower(name); err != nil { // the last driver may have died half-way
			return err
		}
	}
	for _, t := range d.tasks {
		if err := d.resumeTask(t); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) resumeTask(t *handle) error {
	switch {
	case t.rec.Status.State.Terminal():
		close(t.done)
		if !t.rec.Status.Acked {
			d.emit(t)
		}
		return nil
	case d.stopped[t.rec.Host]:
		close(t.done)
		return nil // cutPower has spoken for it
	}
	id := t.rec.Process
	if id.PID == 0 {
		found, ok, err := findMarked(marker+"="+string(t.rec.Task), d.boot)
		if err != nil {
			return err
		}
		if !ok {
			close(t.done)
			return d.change(t, app.TaskDropped, "was not started before the scheduler stopped")
		}
		id = found
	}
	return d.resumeProcess(t, id)
}

func (d *Driver) resumeProcess(t *handle, id identity) error {
	proc, lives := adopt(id, d.boot)
	if !lives {
		close(t.done)
		d.work.Go(func() { d.ended(t, process.Outcome{}) })
		return nil
	}
	t.proc, t.rec.Process = proc, id
	d.log.Info("task adopted", slog.String("task", string(t.rec.Task)), slog.Int("pid", id.PID))
	t.environ = environOf(id.PID)
	d.work.Go(func() { d.watch(t) })
	defer d.work.Go(func() { d.watchHealth(t) }) // once it is known to run
	if kill := t.rec.Kill; kill != nil {
		d.work.Go(func() { d.terminate(t, kill.Deadline) })
	}
	if t.rec.Status.State == app.TaskStaging {
		return d.change(t, app.TaskRunning, "")
	}
	if !t.rec.Status.Acked {
		d.emit(t)
	}
	return nil
}
