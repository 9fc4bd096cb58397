package storm

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/simulated"
)

// noteStops remembers the ends of tasks that are decided already, whenever they will be asked for.
func (w *world) noteStops() {
	for name := range definitions() {
		for _, i := range w.instances(id(name)) {
			if i.Stopping != nil {
				w.mu.Lock()
				w.asked[i.Task()] = true
				w.mu.Unlock()
			}
		}
	}
}

// check looks at the scheduler after an event.
func (w *world) check() {
	w.noteStops()
	s := w.life.sched
	if w.unsure || s.FrameworkID() == "" {
		return // it knows nothing yet, or nobody knows what it should know
	}
	apps := s.Apps()
	if len(apps) != len(w.confirmed) {
		w.violate("no change that was confirmed is lost", "there are %d apps, %d were confirmed", len(apps), len(w.confirmed))
		return
	}
	for _, a := range apps {
		if c := w.confirmed[a.ID]; c.Version != a.Version || c.Instances != a.Instances {
			w.violate("no change that was confirmed is lost", "%s has version %v, %v was confirmed", a.ID, a.Version, c.Version)
		}
	}
}

// watched is a driver with somebody who looks at every request.
type watched struct {
	port

	world *world
}

// port is a driver whose hosts have switches.
type port interface {
	driver.Driver
	driver.Switchable
}

// Launch looks whether the task may be where it is going.
func (d *watched) Launch(ctx context.Context, s driver.Spec) error {
	d.world.checkPlace(s)
	d.world.checkMost(s) //nolint:contextcheck // whoever looks needs no leave of who is looked at
	err := d.port.Launch(ctx, s)
	d.world.tell("    launch %s on %s: %v", s.Task, s.Host, err)
	return err
}

// Reserve tells of it.
func (d *watched) Reserve(ctx context.Context, r driver.Reservation) error {
	err := d.port.Reserve(ctx, r)
	d.world.tell("    reserve %s on %s: %v", r.Volume, r.Host, err)
	return err
}

// Destroy tells of it.
func (d *watched) Destroy(ctx context.Context, v driver.Volume) error {
	err := d.port.Destroy(ctx, v)
	d.world.tell("    destroy %s on %s: %v", v.ID, v.Host, err)
	return err
}

// Kill looks whether the task can be spared.
func (d *watched) Kill(ctx context.Context, task app.TaskID, grace time.Duration) error {
	d.world.checkBlind(task)  //nolint:contextcheck // as above
	d.world.checkFewest(task) //nolint:contextcheck // as above
	err := d.port.Kill(ctx, task, grace)
	d.world.tell("    kill %s: %v", task, err)
	return err
}

// checkPlace holds a launch against the constraints of its app and against drains.
func (w *world) checkPlace(s driver.Spec) {
	byZone, most := limits(s.Task.Instance().App())
	count := 0
	for _, r := range w.fleet.Running() {
		if r.Spec.Instance == s.Instance || r.Spec.App.ID != s.App.ID {
			continue
		}
		if r.Spec.Host == s.Host || byZone && zone(r.Spec.Host) == zone(s.Host) {
			count++
		}
	}
	if most > 0 && count >= most {
		w.violate("constraints hold", "%s is launched on %s beside %d others", s.Task, s.Host, count)
	}
	w.mu.Lock()
	since, drains := w.draining[s.Host]
	w.mu.Unlock()
	if drains && s.Task.Incarnation() == 1 && time.Since(since) > time.Second {
		w.violate("nothing new goes to a host that drains", "%s is launched on %s", s.Task, s.Host)
	}
}

// zone of a host as simulated.Hosts spreads them.
func zone(host string) string {
	for _, h := range simulated.Hosts(16) {
		if h.Name == host {
			return h.Attributes["zone"]
		}
	}
	return ""
}

// instances are those of an app as the scheduler has stored them.
func (w *world) instances(id app.ID) []deploy.Instance {
	snapshot, err := w.root.List(context.Background(), prefix+"instances/")
	if err != nil {
		return nil
	}
	var list []deploy.Instance
	for _, pair := range snapshot.Pairs {
		i, there := w.seen.Instance(app.InstanceID(pair.Key[len(prefix+"instances/"):]))
		if there && i.App == id {
			list = append(list, i)
		}
	}
	return list
}

// checkMost: while a plain app is replaced, a new instance does not make more than its strategy allows.
func (w *world) checkMost(s driver.Spec) {
	a := s.Task.Instance().App()
	if s.Task.Incarnation() > 1 || a == id("pg") {
		return
	}
	living := 0
	for _, i := range w.instances(a) {
		if i.Live() && !i.Unreachable() {
			living++
		}
	}
	want := w.seen.Wanted(a)
	if _, most := bounds(a, want); living > most && w.replaces(a) {
		w.violate("never more than the strategy allows", "%d instances of %s live with %s, %d are wanted", living, a, s.Task, want)
	}
}

// replaces reports whether a deployment replaces the instances of an app.
func (w *world) replaces(id app.ID) bool {
	return slices.ContainsFunc(w.life.sched.Deployments(), func(d app.Deployment) bool {
		return slices.Contains(d.CurrentActions(), app.Action{Kind: app.RestartApplication, App: id})
	})
}

// checkFewest: the end of a healthy task of a plain app leaves as many healthy ones as its strategy wants. What counts is
// what the scheduler can know: the store, in which the end of this one stands already, and the last answers to health checks.
// One that was decided long ago and is asked for late is not looked at.
func (w *world) checkFewest(task app.TaskID) {
	a := task.Instance().App()
	n := slices.IndexFunc(w.fleet.Running(), func(r simulated.Running) bool { return r.Task == task })
	w.mu.Lock()
	asked := w.asked[task]
	w.asked[task] = true // what is asked again was decided before
	w.mu.Unlock()
	if a == id("pg") || asked || n < 0 || w.fleet.Running()[n].Killed {
		return
	}
	healthy, known := 0, false
	for _, i := range w.instances(a) {
		if i.Task() == task && i.Stopping != nil && strings.Contains(i.Stopping.Cause, "health check") {
			return // no answer is as bad as a bad one
		}
	}
	for _, i := range w.instances(a) {
		if i.Task() == task {
			known = w.healthy(i) && i.Goal != deploy.GoalWiped // which nothing makes good again
			continue
		}
		if w.healthy(i) && i.Stopping == nil {
			healthy++
		}
	}
	want := w.seen.Wanted(a)
	fewest, _ := bounds(a, want)
	if known && healthy < fewest {
		w.violate("never fewer than the strategy allows", "%d instances of %s are left after %s, %d are wanted", healthy, a, task, want)
	}
}

// healthy reports whether an instance runs and, where its app has a health check, is known to pass it.
func (w *world) healthy(i deploy.Instance) bool {
	return i.State == app.TaskRunning && (i.App != id("checked") || w.fleet.Passed(i.Task()))
}
