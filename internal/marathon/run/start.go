package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// prepared reports whether the state can be acted on: read from the store, known to the driver, and the driver asked about
// every task. An error is one that waiting does not cure.
func (l *loop) prepared() (bool, error) {
	if l.stale {
		if ok, err := l.load(); !ok {
			return false, err
		}
		if !l.wipe() {
			return false, nil
		}
	}
	if !l.subscribed {
		if ok, err := l.subscribe(); !ok {
			return false, err
		}
	}
	return l.confirm(), nil
}

// load reads the state. What it replaces came from the same store, so only reports that are not stored are kept.
func (l *loop) load() (bool, error) {
	ctx, cancel := l.bound(storeTimeout)
	defer cancel()
	state, err := l.s.store.Load(ctx)
	switch {
	case errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrSchema), errors.Is(err, store.ErrOlder):
		return false, err
	case err != nil:
		l.lost(err)
		return false, nil
	}
	versions, err := l.s.archive.GroupVersions(ctx)
	if err != nil {
		l.lost(err)
		return false, nil
	}
	slices.Reverse(versions)
	l.groupVersions = versions
	if l.storeWhy != "" {
		l.tell(Event{Kind: EventStore, Text: "the store answers again"})
	}
	l.loaded, l.stale, l.storeWhy = true, false, ""
	l.framework, l.former, l.defs, l.drained = state.Framework, state.Former, state.Definitions, state.Draining
	l.instances, l.unconfirmed = map[app.InstanceID]deploy.Instance{}, map[app.InstanceID]bool{}
	for _, i := range state.Instances {
		l.set(i)
		l.noteFailure(deploy.Instance{}, i)
		// What was stored may never have been asked of the driver: it has to say so.
		if i.Live() || i.Stopping != nil {
			l.unconfirmed[i.ID] = true
		}
	}
	l.reconciled, l.began = time.Time{}, time.Now()
	return true, nil
}

// subscribe introduces the scheduler to the driver.
func (l *loop) subscribe() (bool, error) {
	ctx, cancel := l.bound(driverTimeout)
	defer cancel()
	framework, err := l.introduce(ctx)
	switch {
	case errors.Is(err, driver.ErrForeign):
		return false, fmt.Errorf("subscribe as framework %s: %w", l.framework, err)
	case err != nil:
		l.s.log.WarnContext(ctx, "the driver does not answer", slog.Any("err", err))
		return false, nil
	}
	event := app.SchedulerEvent{Kind: "reregistered", FrameworkID: framework}
	if framework != l.framework {
		event.Kind = "registered"
		ctx, cancel := l.bound(storeTimeout)
		defer cancel()
		if err := l.s.store.SaveFramework(ctx, framework, l.former...); err != nil {
			l.lost(err)
			return false, nil
		}
		l.framework = framework
	}
	l.subscribed = true
	l.emit(event)
	l.lookAtHosts()
	l.watchVolumes()
	return true, nil
}

// introduce tells the driver who the scheduler is, which may be a person's word. One whose framework the platform has removed
// becomes another one where a person has named just that framework: its tasks have been ended, and its volumes are there.
func (l *loop) introduce(ctx context.Context) (string, error) {
	heir, keeps := l.s.life.Load().driver.(driver.Heir)
	if !keeps {
		return l.driver.Subscribe(ctx, l.framework)
	}
	heir.Inherit(l.former)
	was := cmp.Or(l.framework, l.s.cfg.Framework)
	framework, err := l.driver.Subscribe(ctx, was)
	if !errors.Is(err, driver.ErrForeign) || was == "" || was != l.s.cfg.Framework {
		return framework, err
	}
	former := append(slices.Clone(l.former), was)
	heir.Inherit(former)
	if framework, err = l.driver.Subscribe(ctx, ""); err == nil {
		l.former = former
	}
	return framework, err
}

// confirm asks the driver about the tasks it has not spoken of, again and again, and waits until it has heard the answers
// once. They are reports like all others.
func (l *loop) confirm() bool {
	if len(l.unconfirmed) == 0 && !l.reconciled.IsZero() {
		return l.heard
	}
	next := l.reconciled.Add(askAgain)
	if time.Now().Before(next) {
		l.wakeAt(next)
		return l.heard
	}
	var known []driver.Known
	for _, id := range slices.Sorted(maps.Keys(l.unconfirmed)) {
		known = append(known, driver.Known{Task: l.instances[id].Task(), Host: l.instances[id].Host})
	}
	ctx, cancel := l.bound(driverTimeout)
	defer cancel()
	if err := l.driver.Reconcile(ctx, known); err != nil {
		l.s.log.WarnContext(ctx, "the driver does not answer", slog.Any("err", err))
		return false
	}
	l.reconciled = time.Now()
	l.wakeAt(l.reconciled.Add(askAgain))
	return l.heard
}

// watchVolumes has the driver find out about volumes whose members do not run: nothing else would tell that one is lost.
func (l *loop) watchVolumes() {
	watcher, watches := l.s.life.Load().driver.(driver.Watcher)
	if !watches {
		return
	}
	volumes := map[driver.Volume]string{}
	for _, i := range l.instances {
		if i.Bound && !i.Live() && i.AgentID != "" {
			volumes[driver.Volume{ID: i.Volume, Host: i.Host}] = i.AgentID
		}
	}
	watcher.Watch(volumes)
}

// lookAtHosts learns which hosts have no power.
func (l *loop) lookAtHosts() {
	power, ok := l.s.switchable()
	if !ok {
		return
	}
	ctx, cancel := l.bound(driverTimeout)
	defer cancel()
	hosts, err := power.Hosts(ctx)
	if err != nil {
		l.s.log.WarnContext(ctx, "the driver does not tell its hosts", slog.Any("err", err))
		return
	}
	l.down = map[string]bool{}
	for _, h := range hosts {
		l.down[h.Name] = h.State == driver.HostStopped
	}
}
