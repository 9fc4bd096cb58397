package run

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// Kill asks for the end of tasks, as a person does. It is stored and carried out when the disruption gate lets it, at once
// for plain apps and with force. With Scale as many instances fewer are wanted, which is a deployment; with Wipe the
// volumes are destroyed. It returns the tasks it was asked to end, as they were; ids nobody knows, and those of tasks that
// have ended, are left out.
func (s *Scheduler) Kill(ctx context.Context, tasks []app.TaskID, o app.KillOptions) ([]app.Task, *app.Deployment, error) {
	var victims []app.Task
	var d *app.Deployment
	var err error
	called := s.call(ctx, func(l *loop) { //nolint:contextcheck // as in Apply
		if err = l.available(); err == nil {
			victims, d, err = l.killTasks(tasks, o)
		}
	})
	if called != nil {
		return nil, nil, called
	}
	return victims, d, err
}

func (l *loop) killTasks(tasks []app.TaskID, o app.KillOptions) ([]app.Task, *app.Deployment, error) {
	var meant []deploy.Instance
	victims := []app.Task{}
	for _, id := range tasks {
		i, known := l.instances[id.Instance()]
		if !known || i.Task() != id || o.Host != "" && i.Host != o.Host || !i.Live() && !o.Wipe {
			continue
		}
		meant, victims = append(meant, i), append(victims, l.task(i))
	}
	if len(meant) == 0 {
		return victims, nil, nil
	}
	next := l.fewer(meant)
	if o.Scale && !o.Force {
		if locks := l.locks(changedApps(l.defs.Apps, next.Apps)); len(locks) > 0 {
			return nil, nil, &app.LockedError{Deployments: locks}
		}
	}
	// The wishes about single instances come first: a scale-down that was stored alone could choose others.
	for _, i := range meant {
		if !l.save(l.condemned(i, o)) {
			return nil, nil, fmt.Errorf("%w: %s", app.ErrUnavailable, l.storeWhy)
		}
	}
	if !o.Scale {
		l.publish()
		return victims, nil, nil
	}
	d, err := l.deploy(next, app.ApplyOptions{Force: o.Force})
	return victims, &d, err
}

// condemned is the instance with the wish of a person to end its task.
func (l *loop) condemned(i deploy.Instance, o app.KillOptions) deploy.Instance {
	if i.Live() {
		i.Kill = &deploy.Kill{At: app.At(time.Now()), Task: i.Task(), Force: o.Force, Cause: "a person asked for it"}
	}
	switch {
	case o.Wipe:
		i.Goal = deploy.GoalWiped
	case i.Goal != deploy.GoalRunning: // what becomes of it was decided before
	case o.Scale && i.Volume != "":
		i.Goal = deploy.GoalSuspended
	case o.Scale:
		i.Goal = deploy.GoalGone
	}
	return i
}

// fewer are the definitions with as many fewer instances of each app as are meant, as new versions.
func (l *loop) fewer(meant []deploy.Instance) app.Definitions {
	next := l.defs.Clone()
	now := app.At(time.Now())
	for _, i := range meant {
		if i.Goal != deploy.GoalRunning {
			continue // it does not count any more
		}
		a, defined := next.Apps[i.App]
		if defined && a.Instances > 0 {
			a.Instances--
			next.Apps[i.App] = a
		}
	}
	for id, a := range next.Apps {
		if old := l.defs.Apps[id]; old.Instances != a.Instances {
			next.Apps[id] = a.Revised(old, now)
		}
	}
	return next
}

// locks are the ids of the deployments that touch one of the apps.
func (l *loop) locks(apps []app.ID) []string {
	var ids []string
	for _, d := range l.touching(apps) {
		ids = append(ids, d.ID)
	}
	return ids
}

func (l *loop) touching(apps []app.ID) []store.Deployment {
	var all []store.Deployment
	for _, d := range l.defs.Deployments {
		if slices.ContainsFunc(apps, d.Affects) {
			all = append(all, d)
		}
	}
	return all
}

// ResetDelay ends the pause of an app whose tasks ended too soon; false when nothing of it is queued.
func (s *Scheduler) ResetDelay(ctx context.Context, id app.ID) (bool, error) {
	var queued bool
	var err error
	called := s.call(ctx, func(l *loop) { //nolint:contextcheck // as in Apply
		if err = l.available(); err != nil {
			return
		}
		queued = slices.ContainsFunc(s.Queue(), func(q app.Queued) bool { return q.App.ID == id })
		err = l.forgive(id)
	})
	if called != nil {
		return false, called
	}
	return queued, err
}

// forgive forgets the failures of an app's tasks that have ended, and where that was.
func (l *loop) forgive(id app.ID) error {
	delete(l.shunned, id)
	for _, i := range l.instances {
		if i.App != id || i.Failures == 0 || i.Live() {
			continue
		}
		i.Failures = 0
		if !l.save(i) {
			return fmt.Errorf("%w: %s", app.ErrUnavailable, l.storeWhy)
		}
	}
	return nil
}
