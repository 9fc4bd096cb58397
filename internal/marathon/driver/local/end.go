package local

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/process"
)

// watch waits for the end of the main process.
func (d *Driver) watch(t *handle) {
	if err := t.proc.wait(time.Time{}); err != nil {
		return // the driver was closed, the task goes on
	}
	exit := t.proc.Outcome()
	close(t.done)
	d.ended(t, exit)
}

// ended settles a task whose main process is gone.
func (d *Driver) ended(t *handle, exit process.Outcome) {
	d.mu.Lock()
	dir, killed := d.dir.work(t.rec), t.rec.Kill != nil
	if t.proc != nil {
		t.proc.close()
		t.proc = nil
	}
	// Either the power was cut and nobody can know yet, or it is back already and this end was spoken of.
	if d.stopped[t.rec.Host] || t.rec.Status.State.Terminal() {
		d.mu.Unlock()
		return
	}
	d.clearing[dir]++
	d.mu.Unlock()

	if killed || t.rec.Volume == "" {
		d.report("end task", killAll([]string{dir}))
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	d.clearing[dir]--
	// A Kill or KillHost may have come in between.
	switch {
	case d.stopped[t.rec.Host] || t.rec.Status.State.Terminal():
		return
	case t.rec.Kill != nil:
		d.report("record task", d.change(t, app.TaskKilled, "stopped as asked"))
	default:
		state, why := verdict(exit)
		if lines := tail(d.dir.logFile(t.rec.Instance), t.rec.LogOffset); lines != "" && state == app.TaskFailed {
			why += ": " + lines
		}
		d.report("record task", d.change(t, state, why))
	}
	d.events.Add(driver.OffersChanged{})
}

// verdict reads an exit status.
func verdict(exit process.Outcome) (app.TaskState, string) {
	if !exit.Known {
		return app.TaskFailed, "ended while the scheduler was away or after it was adopted, exit status unknown"
	}
	if exit.Success {
		return app.TaskFinished, "exit status 0"
	}
	return app.TaskFailed, exit.Text
}

// Kill implements driver.Driver.
func (d *Driver) Kill(_ context.Context, id app.TaskID, grace time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tasks[id]
	if t == nil || t.rec.Status.State.Terminal() {
		d.killLeftovers(id)
		return nil
	}
	if d.stopped[t.rec.Host] {
		return nil
	}
	deadline := time.Now().Add(grace).UTC()
	if t.rec.Kill != nil && !deadline.Before(t.rec.Kill.Deadline) {
		return nil
	}
	again := t.rec.Kill != nil
	t.rec.Kill = &killOrder{Deadline: deadline}
	if again {
		if err := d.write(t); err != nil {
			return err
		}
	} else if err := d.change(t, app.TaskKilling, ""); err != nil {
		return err
	}
	t.giveUp(errKilled)
	d.work.Go(func() { d.terminate(t, deadline) })
	return nil
}

// terminate asks the main process to end, and ends the whole task when the deadline passes.
func (d *Driver) terminate(t *handle, deadline time.Time) {
	d.mu.Lock()
	proc, main, dir := t.proc, t.rec.Process, d.dir.work(t.rec)
	if proc != nil {
		d.report("ask task to end", proc.signal(unix.SIGTERM))
	}
	d.mu.Unlock()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-t.done:
	case <-d.closed:
	case <-timer.C:
		d.log.Warn("task did not end in time and is killed", slog.String("task", string(t.rec.Task)))
		d.report("kill task", killAll([]string{dir}, main))
	}
}

// killLeftovers ends what a task that has ended left behind in its volume, unless the next incarnation works there, and
// answers with the end of the task.
func (d *Driver) killLeftovers(id app.TaskID) {
	var dirs []string
	for volume, v := range d.volumes {
		if v.Instance == id.Instance() && !d.volumeInUse(volume) {
			dirs = append(dirs, d.dir.volume(volume))
		}
	}
	for _, dir := range dirs {
		d.clearing[dir]++
	}
	d.work.Go(func() {
		d.report("end what a task left behind", killAll(dirs))
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, dir := range dirs {
			d.clearing[dir]--
		}
		if t := d.tasks[id]; t != nil {
			d.emit(t)
			return
		}
		s := driver.Status{Task: id, State: app.TaskGone, Message: "not running", Time: time.Now()}
		d.events.Add(driver.StatusChanged{Status: s})
	})
}

func (d *Driver) volumeInUse(volume string) bool {
	for _, t := range d.tasks {
		if t.rec.Volume == volume && !t.rec.Status.State.Terminal() {
			return true
		}
	}
	return false
}

// report logs what went wrong where nobody waits for an answer.
func (d *Driver) report(doing string, err error) {
	if err != nil && !d.isClosed() {
		d.log.Error("work in the background went wrong", slog.String("doing", doing), slog.Any("err", err))
	}
}
