package simulated

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Launch implements driver.Driver.
func (d *Driver) Launch(ctx context.Context, s driver.Spec) error {
	if err := d.reach(ctx); err != nil {
		return err
	}
	f := d.fleet
	defer f.mu.Unlock()
	f.checkLaunch(s)
	if f.seen[s.Task] {
		return nil // launched before
	}
	lost, silent := f.weather.vague(f.chance)
	if lost {
		return fmt.Errorf("%w: the launch got lost", driver.ErrUnavailable)
	}
	if why := f.admit(s); why != "" {
		return fmt.Errorf("%w: %s", driver.ErrRefused, why)
	}
	if why := f.launch(s); why != "" {
		return fmt.Errorf("%w: %s", driver.ErrRefused, why)
	}
	if silent {
		return fmt.Errorf("%w: the answer got lost", driver.ErrUnavailable)
	}
	return nil
}

// admit says why a task cannot run, empty when it can.
func (f *Fleet) admit(s driver.Spec) string {
	h := f.hosts[s.Host]
	switch {
	case h == nil || h.lost():
		return fmt.Sprintf("host %s is not there", s.Host)
	case f.weather.Refuse != "":
		return f.weather.Refuse
	}
	if v := f.elsewhere(s.Volume, h); v != nil {
		return fmt.Sprintf("volume %s lies on host %s, not on %s", s.Volume, v.host.Name, s.Host)
	}
	if other := f.user(s.Volume); other != nil {
		return fmt.Sprintf("volume %s is in use by task %s", s.Volume, other.spec.Task)
	}
	offer := h.offer()
	if !h.covers(s.App, s.Resources) {
		return fmt.Sprintf("host %s has not enough cpus, mem, disk or gpus left", s.Host)
	}
	for _, port := range s.HostPorts() {
		if !offer.Ports.Contains(port) {
			return fmt.Sprintf("port %d of host %s is not free", port, s.Host)
		}
	}
	return ""
}

// user is the living task that works on a volume, on whatever host, nil when none does.
func (f *Fleet) user(volume string) *task {
	if volume == "" {
		return nil
	}
	for _, t := range f.tasks {
		if t.live() && t.spec.Volume == volume {
			return t
		}
	}
	return nil
}

// launch starts a task that was admitted, unless its behaviour is to be refused: then it returns why.
func (f *Fleet) launch(s driver.Spec) string {
	h := f.hosts[s.Host]
	files := Files{}
	if s.Volume != "" {
		v := f.makeVolume(s.Volume, h, s.Instance)
		v.used, files = true, v.files
	}
	t := &task{spec: s, host: h, state: app.TaskStaging, last: time.Now()}
	t.told = driver.Status{Task: s.Task, State: app.TaskStaging, Host: s.Host, Time: time.Now()}
	if f.cfg.Behaviour != nil {
		t.behaviour = f.cfg.Behaviour(s, files)
	}
	if t.behaviour.Refuse != "" {
		return t.behaviour.Refuse
	}
	f.seen[s.Task] = true
	f.tasks[s.Task], h.tasks[s.Task] = t, t
	f.note(Entry{Verb: Launched, Task: s.Task, Volume: s.Volume, Host: s.Host})
	f.after(t.behaviour.Starts, func() { f.begin(t) })
	return ""
}

// begin lets a task run.
func (f *Fleet) begin(t *task) {
	if !t.live() || t.killed {
		return
	}
	t.started, t.healthy, t.unwell = time.Now(), t.behaviour.Healthy, t.behaviour.Unwell
	f.say(t, app.TaskRunning, "")
	f.boot(t)
	if t.behaviour.Sickens > 0 {
		f.after(t.behaviour.Sickens, func() { f.feel(t, false) })
	}
	if t.behaviour.Runs == 0 {
		return
	}
	f.after(t.behaviour.Runs, func() {
		if !t.live() {
			return
		}
		state := t.behaviour.End
		if state == "" {
			state = app.TaskFinished
		}
		f.finish(t, state, t.behaviour.Why)
	})
}

// finish lets a task end.
func (f *Fleet) finish(t *task, state app.TaskState, message string) {
	if !t.live() {
		return
	}
	t.end.cancel()
	f.say(t, state, message)
	f.halt(t)
	f.announce(driver.OffersChanged{})
}

// Kill implements driver.Driver.
func (d *Driver) Kill(ctx context.Context, id app.TaskID, grace time.Duration) error {
	if err := d.reach(ctx); err != nil {
		return err
	}
	f := d.fleet
	defer f.mu.Unlock()
	t := f.tasks[id]
	switch {
	case f.weather.deaf(f.chance):
		return nil
	case t == nil:
		f.tell(driver.Status{Task: id, State: app.TaskGone, Message: "not running", Time: time.Now()}, time.Time{})
		return nil
	case t.host.lost():
		return nil
	case !t.live():
		f.send(t, t.answer())
		return nil
	}
	if !t.killed {
		f.checkVictim(t)
		t.killed = true
		f.note(Entry{Verb: Killed, Task: id, Volume: t.spec.Volume, Host: t.host.Name})
		f.say(t, app.TaskKilling, "")
	}
	f.stop(t, min(t.behaviour.Stops, grace))
	return nil
}

// stop lets a task end after a while, or sooner than it was going to.
func (f *Fleet) stop(t *task, takes time.Duration) {
	due := time.Now().Add(takes)
	if t.end != nil {
		if !due.Before(t.endsAt) {
			return
		}
		t.end.cancel()
	}
	t.endsAt = due
	t.end = f.at(due, func() { f.finish(t, app.TaskKilled, "stopped as asked") })
}

// End lets a task end by itself, as if its process had ended in that way.
func (f *Fleet) End(id app.TaskID, state app.TaskState, message string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.tasks[id]; t != nil && !t.host.off {
		f.finish(t, state, message)
	}
}
