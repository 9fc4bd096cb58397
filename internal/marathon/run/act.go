package run

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// intent is an instance as it is to be stored, and what the driver is asked for once it is.
type intent struct {
	instance deploy.Instance
	ask      func() // nil: nothing
}

// carryOut does what the plan says, as far as it can, and reports whether anything changed. What cannot be placed becomes
// a wait of the plan. Instances are stored many at a time: the order in which that happens means nothing, only that each
// is stored before the driver is asked. After a write the store has not confirmed nothing more is done.
func (l *loop) carryOut(plan *deploy.Plan) bool {
	var launches []deploy.Launch
	var intents []intent
	var last []func()
	for _, a := range plan.Actions {
		switch a := a.(type) {
		case deploy.Launch:
			launches = append(launches, a)
		case deploy.Stop:
			intents = append(intents, l.stop(a))
		case deploy.Withdraw:
			i := l.instances[a.Instance]
			i.Stopping = nil
			intents = append(intents, intent{instance: i})
		case deploy.SetGoal:
			i := l.instances[a.Instance]
			i.Goal = a.Goal
			intents = append(intents, intent{instance: i})
		case deploy.Destroy:
			intents = append(intents, l.destroy(a.Instance))
		case deploy.Forget:
			last = append(last, func() { l.forget(a.Instance) })
		case deploy.Handover:
			last = append(last, func() { l.handOver(a) })
		case deploy.Advance:
			last = append(last, func() { l.advance(a) })
		case deploy.Finish:
			last = append(last, func() { l.finish(a) })
		}
	}
	intents = append(intents, l.place(launches, plan)...)
	l.commit(intents)
	for _, do := range last {
		if !l.stale {
			do()
		}
	}
	return len(intents)+len(last) > 0
}

// commit stores instances and then asks the driver for what they are to become.
func (l *loop) commit(intents []intent) {
	list := make([]deploy.Instance, 0, len(intents))
	for _, n := range intents {
		list = append(list, n.instance)
	}
	if !l.save(list...) {
		return
	}
	for _, n := range intents {
		if n.ask != nil {
			n.ask()
		}
	}
}

// stop is the intent to end a task.
func (l *loop) stop(a deploy.Stop) intent {
	i := l.instances[a.Instance]
	again, unhealthy := i.Stopping != nil, l.probes[i.ID].health(i).Kill
	i.Goal, i.Led, i.Clean = a.Goal, a.Led, false
	i.Stopping = &deploy.Stopping{At: app.At(time.Now()), Cause: a.Cause}
	return intent{i, func() {
		if !again {
			l.tell(Event{Kind: EventStopping, App: i.App, Instance: i.ID, Task: i.Task(), Host: i.Host, Text: a.Cause})
		}
		if !again && unhealthy != "" && unhealthy == a.Cause {
			l.s.numbers.unhealthy.Add(1)
			l.emit(app.UnhealthyKillEvent{
				AppID: i.App, TaskID: i.Task(), InstanceID: i.ID, Version: i.Version, Reason: unhealthy, Host: i.Host, SlaveID: i.AgentID,
			})
		}
		l.kill(i)
	}}
}

// kill asks the driver to end the task. A request that gets lost is repeated by deploy when no answer comes.
func (l *loop) kill(i deploy.Instance) {
	ctx, cancel := l.bound(driverTimeout)
	defer cancel()
	began := time.Now()
	err := l.driver.Kill(ctx, i.Task(), i.Grace())
	l.s.numbers.asked(began)
	l.s.numbers.kills.Add(1)
	if err != nil {
		l.s.log.WarnContext(ctx, "the driver did not take a request to end a task", slog.String("task", string(i.Task())), slog.Any("err", err))
	}
}

func (l *loop) forget(id app.InstanceID) {
	ctx, cancel := l.bound(storeTimeout)
	defer cancel()
	if err := l.s.store.DeleteInstance(ctx, id); err != nil {
		l.lost(err)
		return
	}
	gone := l.instances[id]
	l.forgetRoles(gone.App)
	delete(l.instances, id)
	l.emitTerminated(gone.App)
}

// advance begins a step of a deployment.
func (l *loop) advance(a deploy.Advance) {
	defs := l.defs
	defs.Deployments = slices.Clone(defs.Deployments)
	for n := range defs.Deployments {
		d := &defs.Deployments[n]
		if d.ID != a.Deployment {
			continue
		}
		ended := d.CurrentStep
		d.CurrentStep = a.Step
		if l.saveDefinitions(defs) == nil {
			l.emitStep(*d, ended)
			l.tellDeployment(*d, fmt.Sprintf("step %d of %d began", a.Step, len(d.Steps)))
		}
	}
}

func (l *loop) finish(a deploy.Finish) {
	defs := l.defs
	n := slices.IndexFunc(defs.Deployments, func(d store.Deployment) bool { return d.ID == a.Deployment })
	done := defs.Deployments[n]
	defs.Deployments = without(defs.Deployments, []string{a.Deployment})
	if l.saveDefinitions(defs) == nil {
		l.tellDeployment(done, "done")
		l.emitStep(done, done.CurrentStep)
		l.emit(app.DeploymentEndEvent{ID: done.ID, Plan: planOf(done)})
	}
}

// tellDeployment publishes where a deployment is. One that touches several apps is told of with the first.
func (l *loop) tellDeployment(d store.Deployment, text string) {
	l.tell(Event{Kind: EventDeployment, App: d.AffectedApps[0], Deployment: d.ID, Text: text})
}

// destroy is the intent to destroy a volume.
func (l *loop) destroy(id app.InstanceID) intent {
	i := l.instances[id]
	i.DestroyedAt = app.At(time.Now())
	return intent{i, func() {
		ctx, cancel := l.bound(driverTimeout)
		defer cancel()
		if err := l.driver.Destroy(ctx, driver.Volume{ID: i.Volume, Host: i.Host}); err != nil {
			l.s.log.WarnContext(ctx, "the driver did not take a request to destroy a volume", slog.String("volume", i.Volume), slog.Any("err", err))
		}
	}}
}

// saveDefinitions stores definitions and deployments and takes them over.
func (l *loop) saveDefinitions(defs store.Definitions) error {
	ctx, cancel := l.bound(storeTimeout)
	defer cancel()
	began := time.Now()
	err := l.s.store.SaveDefinitions(ctx, defs)
	l.s.numbers.wrote(1, began)
	if err != nil {
		l.lost(err)
		return err
	}
	l.defs = defs
	return nil
}
