package run

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// emit tells clients of the event stream.
func (l *loop) emit(e app.Event) { l.s.feed.send(e) }

// emitChange tells what changed with an instance that was just stored.
func (l *loop) emitChange(old, now deploy.Instance) {
	if now.State != "" && (now.State != old.State || now.Incarnation != old.Incarnation) {
		l.emit(app.StatusUpdateEvent{
			SlaveID: now.AgentID, TaskID: now.Task(), State: now.State, Message: now.Message, AppID: now.App, Host: now.Host,
			IPAddresses: addresses(now), Ports: slices.Clone(now.Ports), Version: now.Version,
		})
	}
	if is := condition(now); is != condition(old) {
		l.emit(app.InstanceChangedEvent{
			InstanceID: now.ID, Condition: is, RunSpecID: now.App, AgentID: now.AgentID, Host: now.Host, Version: now.Version,
		})
	}
}

// condition is Marathon's word for how an instance is.
func condition(i deploy.Instance) string {
	switch {
	case i.State == "":
		return "Scheduled"
	case i.Stopping != nil && i.Live() && !i.Unreachable():
		return "Killing"
	case i.Unreachable():
		return "Unreachable"
	}
	word := strings.ToLower(strings.TrimPrefix(string(i.State), "TASK_"))
	return strings.ToUpper(word[:1]) + word[1:]
}

// addresses are those at which a task is reached: in a network of its own, or those of its host.
func addresses(i deploy.Instance) []app.IPAddress {
	if len(i.Addresses) > 0 {
		return i.Addresses
	}
	if i.Address == "" {
		return nil
	}
	protocol := "IPv4"
	if strings.Contains(i.Address, ":") {
		protocol = "IPv6"
	}
	return []app.IPAddress{{IPAddress: i.Address, Protocol: protocol}}
}

// planOf is what events show of a deployment.
func planOf(d store.Deployment) app.PlanEvent {
	return app.PlanEvent{ID: d.ID, Version: d.Version, Steps: d.Steps}
}

// emitStep tells that a step ended well, when there was one, and which one begins.
func (l *loop) emitStep(d store.Deployment, ended int) {
	plan := planOf(d)
	if ended > 0 && ended <= len(d.Steps) {
		l.emit(app.DeploymentStepEvent{Plan: plan, CurrentStep: d.Steps[ended-1]})
	}
	if d.CurrentStep > 0 && d.CurrentStep <= len(d.Steps) && d.CurrentStep != ended {
		l.emit(app.DeploymentInfoEvent{Plan: plan, CurrentStep: d.Steps[d.CurrentStep-1]})
	}
}

// emitGivenUp tells that a deployment comes to no good end.
func (l *loop) emitGivenUp(d store.Deployment, why string) {
	plan := planOf(d)
	if d.CurrentStep > 0 && d.CurrentStep <= len(d.Steps) {
		l.emit(app.DeploymentStepEvent{Plan: plan, CurrentStep: d.Steps[d.CurrentStep-1], Failed: true})
	}
	l.emit(app.DeploymentEndEvent{ID: d.ID, Plan: plan, Reason: why})
}

// emitDefinitions tells what a change of the definitions means beside the deployment: the group it was made in, health
// checks that begin and end, apps that are gone at once because nothing of them was left.
func (l *loop) emitDefinitions(old, next app.Definitions, changed []app.ID) {
	for _, id := range changed {
		before, after := old.Apps[id], next.Apps[id]
		for _, check := range before.HealthChecks {
			if !slices.ContainsFunc(after.HealthChecks, sameCheck(check)) {
				l.emit(app.RemoveHealthCheckEvent{AppID: id})
			}
		}
		for _, check := range after.HealthChecks {
			if !slices.ContainsFunc(before.HealthChecks, sameCheck(check)) {
				l.emit(app.AddHealthCheckEvent{AppID: id, Version: after.Version, HealthCheck: check})
			}
		}
		l.emitTerminated(id)
	}
	l.emit(app.GroupChangeEvent{GroupID: common(changed), Version: app.At(time.Now())})
}

func sameCheck(a app.HealthCheck) func(app.HealthCheck) bool {
	return func(b app.HealthCheck) bool { return reflect.DeepEqual(a, b) }
}

// emitTerminated tells that an app is gone, once neither a definition nor an instance of it is left.
func (l *loop) emitTerminated(id app.ID) {
	if _, defined := l.defs.Apps[id]; defined {
		return
	}
	for _, i := range l.instances {
		if i.App == id && i.Goal != deploy.GoalSuspended {
			return
		}
	}
	l.emit(app.TerminatedEvent{AppID: id})
}

// common is the innermost group in which all of the apps lie, "/" for none.
func common(ids []app.ID) app.ID {
	if len(ids) == 0 {
		return "/"
	}
	group := ids[0].Parent()
	for _, id := range ids[1:] {
		for group != "/" && !strings.HasPrefix(string(id), string(group)+"/") {
			group = group.Parent()
		}
	}
	return group
}
