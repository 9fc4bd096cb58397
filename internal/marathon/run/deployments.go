package run

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// Apply edits the definitions and starts a deployment for the difference. change works on a copy of all definitions
// while nothing else can change them; its error is returned as it is and nothing is changed. Without force, apps that a
// deployment touches already are refused with an [*app.LockedError]; with force that deployment is given up. A dry run
// returns the deployment there would be. A store that does not answer is [app.ErrUnavailable]: the change may have been
// made.
func (s *Scheduler) Apply(ctx context.Context, change func(*app.Definitions) error, o app.ApplyOptions) (app.Deployment, error) {
	var d app.Deployment
	var err error
	called := s.call(ctx, func(l *loop) { //nolint:contextcheck // a request that goes away must not leave a write of which nobody knows
		if err = l.available(); err != nil {
			return
		}
		next := l.defs.Clone()
		if err = change(&next); err == nil {
			d, err = l.deploy(next, o)
		}
	})
	if called != nil {
		return app.Deployment{}, called
	}
	return d, err
}

// Cancel ends a running deployment. With force it is given up where it is; without, the deployment that is returned leads
// back to the definitions from before it. False means that no such deployment runs.
func (s *Scheduler) Cancel(ctx context.Context, id string, force bool) (app.Deployment, bool, error) {
	var d app.Deployment
	var known bool
	var err error
	called := s.call(ctx, func(l *loop) { //nolint:contextcheck // as in Apply
		if err = l.available(); err != nil {
			return
		}
		d, known, err = l.cancel(id, force)
	})
	if called != nil {
		return app.Deployment{}, false, called
	}
	return d, known, err
}

// available reports whether a change can be stored.
func (l *loop) available() error {
	switch {
	case l.storeWhy != "":
		return fmt.Errorf("%w: %s", app.ErrUnavailable, l.storeWhy)
	case !l.loaded || l.stale:
		return fmt.Errorf("%w: its state is not read yet", app.ErrUnavailable)
	}
	return nil
}

// deploy makes next the definitions and opens a deployment, unless no task is touched by the change.
func (l *loop) deploy(next app.Definitions, o app.ApplyOptions) (app.Deployment, error) {
	changed := changedApps(l.defs.Apps, next.Apps)
	if err := l.staysDatabase(next, changed); err != nil {
		return app.Deployment{}, err
	}
	locked, locks := l.touching(changed), l.locks(changed)
	if len(locks) > 0 && !o.Force && !o.DryRun {
		return app.Deployment{}, &app.LockedError{Deployments: locks}
	}
	steps := deploy.Steps(app.Definitions{Apps: l.unfinished(locked, next), Groups: l.defs.Groups}, next)
	d := store.Deployment{
		Deployment: app.Deployment{ID: uuid(), Version: app.At(time.Now()), Steps: steps, AffectedApps: deploy.Affected(steps)},
		Before:     map[app.ID]*app.App{}, GroupsBefore: changedGroups(l.defs.Groups, next.Groups),
	}
	for _, id := range d.AffectedApps {
		d.Before[id] = nil
		if a, there := l.defs.Apps[id]; there {
			d.Before[id] = &a
		}
	}
	if o.DryRun || len(changed) == 0 && maps.EqualFunc(l.defs.Groups, next.Groups, app.Group.Equal) {
		return d.Deployment, nil
	}
	defs := store.Definitions{Definitions: next, Deployments: without(l.defs.Deployments, locks)}
	if len(steps) > 0 {
		defs.Deployments = append(defs.Deployments, d)
	}
	if err := l.replace(defs, changed, o, d.Version); err != nil {
		return app.Deployment{}, fmt.Errorf("%w: %w", app.ErrUnavailable, err)
	}
	for _, given := range locked {
		l.tellDeployment(given, "given up for a newer one")
		l.emitGivenUp(given, "a newer deployment takes its place")
	}
	if len(steps) > 0 {
		l.tellDeployment(d, "began")
		l.emit(app.DeploymentInfoEvent{Plan: planOf(d)})
	}
	l.publish() // whoever asked may look at once
	return d.Deployment, nil
}

// replace stores what a change makes of the definitions. A deletion that wipes says so in the same document: stored in two
// parts, a crash between them would wipe what is wanted, or keep what nobody finds again.
func (l *loop) replace(defs store.Definitions, changed []app.ID, o app.ApplyOptions, at app.Timestamp) error {
	old := l.defs.Definitions
	if err := l.remember(defs.Definitions, changed, at); err != nil {
		return err
	}
	defs.Wiped = l.wiped(defs.Definitions, changed, o)
	if err := l.saveDefinitions(defs); err != nil {
		l.emit(app.GroupChangeEvent{GroupID: common(changed), Version: at, Reason: err.Error()})
		return err
	}
	l.wipe() // where the store falls silent now, the next load goes on with it
	l.emitDefinitions(old, defs.Definitions, changed)
	l.tidy(changed)
	return nil
}

// wiped are the apps that are deleted with their volumes: a plain one always, as in Marathon, a database only where a person
// asked for it. Those that were before stay among them until nothing of them is left.
func (l *loop) wiped(next app.Definitions, changed []app.ID, o app.ApplyOptions) []app.ID {
	ids := slices.DeleteFunc(slices.Clone(l.defs.Wiped), func(id app.ID) bool {
		_, again := next.Apps[id]
		return again || !l.anyOf(id)
	})
	for _, id := range changed {
		before, there := l.defs.Apps[id]
		if _, stays := next.Apps[id]; there && !stays && (o.Wipe || !before.IsPostgres()) {
			ids = append(ids, id)
		}
	}
	return ids
}

// anyOf reports whether anything of an app is left.
func (l *loop) anyOf(id app.ID) bool {
	for _, i := range l.instances {
		if i.App == id {
			return true
		}
	}
	return false
}

// wipe gives the instances of apps that were deleted with their volumes the goal that remains of them. False when the store
// did not confirm that; it is then done again.
func (l *loop) wipe() bool {
	for _, id := range slices.Sorted(maps.Keys(l.instances)) {
		i := l.instances[id]
		_, wanted := l.defs.Apps[i.App]
		if wanted || i.Volume == "" || i.Goal == deploy.GoalWiped || !slices.Contains(l.defs.Wiped, i.App) {
			continue
		}
		i.Goal, i.Deleted = deploy.GoalWiped, true
		if !l.save(i) {
			return false
		}
	}
	return true
}

// unwipe lets the instances of apps whose deletion is about to be taken back keep their volumes, as far as nobody has been
// asked to destroy them. It comes before the definitions: should those not be stored, wipe makes the deletion whole again,
// whereas a volume that was forgotten here would be destroyed under an app that is wanted. False when the store did not
// confirm it.
func (l *loop) unwipe(d store.Deployment) bool {
	var list []deploy.Instance
	for _, id := range slices.Sorted(maps.Keys(l.instances)) {
		i := l.instances[id]
		if d.Before[i.App] == nil || !i.Deleted || i.DestroyedAt != 0 {
			continue
		}
		i.Goal, i.Deleted = deploy.GoalSuspended, false
		if i.Live() {
			i.Goal = deploy.GoalRunning
		}
		list = append(list, i)
	}
	return l.save(list...)
}

// unfinished are the apps as they were before the deployments that are given up half-way. What takes their place has to
// finish what they began, also where they had taken the place of others before: a task with an older configuration is
// still to be replaced. So is one of a member that was not wanted for a while and has not ended, when it may be wanted again.
func (l *loop) unfinished(given []store.Deployment, next app.Definitions) map[app.ID]app.App {
	old := maps.Clone(l.defs.Apps)
	for _, d := range given {
		for id, before := range d.Before {
			if _, there := old[id]; there && before != nil {
				old[id] = *before
			}
		}
	}
	for _, i := range l.instances {
		touched := i.Goal == deploy.GoalRunning && slices.ContainsFunc(given, func(d store.Deployment) bool { return d.Affects(i.App) })
		again := i.Goal == deploy.GoalSuspended && i.Live() && next.Apps[i.App].Instances > l.defs.Apps[i.App].Instances
		a, there := old[i.App]
		if (touched || again) && there && i.Version < next.Apps[i.App].VersionInfo.LastConfigChangeAt {
			a.VersionInfo.LastConfigChangeAt = 0
			old[i.App] = a
		}
	}
	return old
}

func without(list []store.Deployment, ids []string) []store.Deployment {
	return slices.DeleteFunc(slices.Clone(list), func(d store.Deployment) bool { return slices.Contains(ids, d.ID) })
}

// changedApps are the apps of which there is another version, or that are there in only one of the two, sorted.
func changedApps(old, next map[app.ID]app.App) []app.ID {
	var changed []app.ID
	for id, a := range next {
		if before, there := old[id]; !there || before.Version != a.Version {
			changed = append(changed, id)
		}
	}
	for id := range old {
		if _, stays := next[id]; !stays {
			changed = append(changed, id)
		}
	}
	slices.Sort(changed)
	return changed
}

func (l *loop) cancel(id string, force bool) (app.Deployment, bool, error) {
	n := slices.IndexFunc(l.defs.Deployments, func(d store.Deployment) bool { return d.ID == id })
	if n < 0 {
		return app.Deployment{}, false, nil
	}
	d := l.defs.Deployments[n]
	if !force {
		back, err := l.leadBack(d)
		return back, true, err
	}
	defs := l.defs
	defs.Deployments = without(l.defs.Deployments, []string{id})
	if err := l.saveDefinitions(defs); err != nil {
		return app.Deployment{}, true, fmt.Errorf("%w: %w", app.ErrUnavailable, err)
	}
	l.tellDeployment(d, "given up")
	l.emitGivenUp(d, "a person gave it up")
	l.publish()
	return d.Deployment, true, nil
}

// leadBack takes the place of a deployment with one that undoes it.
func (l *loop) leadBack(d store.Deployment) (app.Deployment, error) {
	if !l.unwipe(d) {
		return app.Deployment{}, fmt.Errorf("%w: %s", app.ErrUnavailable, l.storeWhy)
	}
	given := l.defs.Apps
	back, err := l.deploy(app.Definitions{Apps: undo(given, d), Groups: undoGroups(l.defs.Groups, d)}, app.ApplyOptions{Force: true})
	switch {
	case err == nil:
		l.spare(d, given)
	case !l.stale: // else whoever reads the state does it
		l.wipe()
	}
	return back, err
}

// spare lets instances that the deployment has not moved count as those of the restored definition: they run its
// configuration. given are the apps before the way back. It follows the definitions, for an instance that is not spared is
// restarted for nothing, and one spared too early would stay as it is.
func (l *loop) spare(d store.Deployment, given map[app.ID]app.App) {
	var list []deploy.Instance
	for _, id := range slices.Sorted(maps.Keys(l.instances)) {
		i := l.instances[id]
		before, back := d.Before[i.App], l.defs.Apps[i.App]
		if before == nil || i.Version < before.VersionInfo.LastConfigChangeAt || i.Version >= given[i.App].VersionInfo.LastConfigChangeAt {
			continue
		}
		i.Version = back.Version
		list = append(list, i)
	}
	l.save(list...)
}

// undo is apps with those the deployment touches as they were before it, as new versions.
func undo(apps map[app.ID]app.App, d store.Deployment) map[app.ID]app.App {
	now := app.At(time.Now())
	back := maps.Clone(apps)
	for id, before := range d.Before {
		present, there := apps[id]
		switch {
		case before == nil:
			delete(back, id)
		case there:
			back[id] = restored(*before, present, now)
		default: // a task of it that has not ended yet runs what is wanted
			a := before.Clone()
			a.Version = max(now, before.Version+1)
			a.VersionInfo.LastScalingAt = a.Version
			back[id] = a
		}
	}
	return back
}

// restored is an app as it was before a deployment. Where that only restarted it the configuration is the same before and
// after: nobody is restarted any more, neither on nor back.
func restored(before, present app.App, now app.Timestamp) app.App {
	a := before.Revised(present, now)
	if a.Version == present.Version {
		a.Version = max(now, present.Version+1)
		a.VersionInfo = before.VersionInfo
		a.VersionInfo.LastScalingAt = a.Version
	}
	return a
}
