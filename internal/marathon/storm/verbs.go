package storm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/simulated"
)

// verbs are what can happen.
func verbs() map[string]func(*world, Event) {
	return map[string]func(*world, Event){
		"wait":   func(*world, Event) {},
		"create": (*world).create, "scale": (*world).scale, "update": (*world).update, "restart": (*world).bounce,
		"delete": (*world).remove, "kill": (*world).kill, "cancel": (*world).cancel,
		"drain": (*world).drain, "undrain": (*world).undrain, "lead": (*world).lead,
		"die":      (*world).die,
		"host-off": onHost((*simulated.Fleet).KillHost), "host-on": onHost((*simulated.Fleet).StartHost),
		"cut": onHost((*simulated.Fleet).Cut), "heal": onHost((*simulated.Fleet).Heal),
		"store-off":   func(w *world, _ Event) { w.life.db.Disconnect() },
		"store-on":    func(w *world, _ Event) { w.life.db.Reconnect() },
		"lose-answer": (*world).loseAnswer,
		"driver-off":  func(w *world, _ Event) { w.setWeather(func(x *simulated.Weather) { x.Silent = true }) },
		"driver-on":   func(w *world, _ Event) { w.setWeather(func(x *simulated.Weather) { x.Silent = false }) },
		"weather":     (*world).change,
		"crash":       func(w *world, _ Event) { w.restart() },
		"supplant":    (*world).supplant,
		"wake":        func(w *world, _ Event) { w.wakeAll() },
		"sick":        func(w *world, e Event) { w.feel(e, false) },
		"well":        func(w *world, e Event) { w.feel(e, true) },
		"blind":       func(w *world, _ Event) { w.setBlind(true) },
		"sees":        func(w *world, _ Event) { w.setBlind(false) },
		"broken":      func(w *world, _ Event) { w.postgres("", func(id app.TaskID) bool { return id.Incarnation() > 1 }) },
		"sound":       func(w *world, _ Event) { w.postgres("", nil) },
		"stubborn":    func(w *world, _ Event) { w.postgres("the candidate lags", nil) },
		"willing":     func(w *world, _ Event) { w.postgres("", nil) },
		"silent":      func(w *world, e Event) { w.voice(e, true) },
		"talkative":   func(w *world, e Event) { w.voice(e, false) },
	}
}

// applyTimeout is how long people wait for an answer.
const applyTimeout = 20 * time.Second

// apply makes a change as the API does, and remembers what was confirmed.
func (w *world) apply(force bool, change func(map[app.ID]app.App) error) {
	w.applyWith(app.ApplyOptions{Force: force}, change)
	if w.unsure && w.between != nil { // the scheduler has died of it: people ask again
		w.pass(5 * time.Second)
		w.applyWith(app.ApplyOptions{Force: true}, change)
	}
}

func (w *world) applyWith(o app.ApplyOptions, change func(map[app.ID]app.App) error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), applyTimeout)
	defer cancel()
	var after map[app.ID]app.App
	_, err := w.life.sched.Apply(ctx, func(defs *app.Definitions) error {
		if err := change(defs.Apps); err != nil {
			return err
		}
		after = defs.Clone().Apps
		return nil
	}, o)
	w.settleCall("apply", err)
	if err == nil {
		w.confirmed, w.unsure = after, false
	}
}

// errNothing says that a change has nothing to change.
var errNothing = errors.New("there is no such app")

// settleCall judges the error of a call of the API.
func (w *world) settleCall(what string, err error) {
	_, locked := errors.AsType[*app.LockedError](err)
	switch {
	case err == nil, locked, errors.Is(err, errNothing), errors.Is(err, app.ErrUnknownHost):
	case errors.Is(err, app.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		w.unsure = true
	default:
		w.violate("the API answers", "%s: %v", what, err)
	}
	if err != nil {
		w.say("  %s: %v", what, err)
	}
}

// define puts a definition in the place of another one, or of none.
func (w *world) put(name string, instances, configuration int, apps map[app.ID]app.App) error {
	next, err := define(name, instances, configuration)
	if err != nil {
		return err
	}
	now := app.At(time.Now())
	if old, there := apps[next.ID]; there {
		apps[next.ID] = next.Revised(old, now)
		return nil
	}
	apps[next.ID] = next.Created(now)
	return nil
}

func (w *world) create(e Event) {
	w.apply(false, func(apps map[app.ID]app.App) error {
		if _, there := apps[id(e.arg(0))]; there {
			return errNothing
		}
		return w.put(e.arg(0), e.number(1), 0, apps)
	})
}

func (w *world) scale(e Event) {
	w.revise(e, func(a *app.App) { a.Instances = e.number(1) })
}

func (w *world) update(e Event) {
	w.revise(e, func(a *app.App) { a.Env["CONFIGURATION"] = app.EnvValue{Text: e.arg(1)} })
}

// bounce restarts all instances as `POST …/restart` does: the configuration counts as changed.
func (w *world) bounce(e Event) {
	w.apply(e.has("force"), func(apps map[app.ID]app.App) error {
		a, there := apps[id(e.arg(0))]
		if !there {
			return errNothing
		}
		a.Version = max(app.At(time.Now()), a.Version+1)
		a.VersionInfo.LastConfigChangeAt = a.Version
		apps[a.ID] = a
		return nil
	})
}

func (w *world) revise(e Event, change func(*app.App)) {
	w.apply(e.has("force"), func(apps map[app.ID]app.App) error {
		old, there := apps[id(e.arg(0))]
		if !there {
			return errNothing
		}
		next := old.Clone()
		change(&next)
		apps[old.ID] = next.Revised(old, app.At(time.Now()))
		return nil
	})
}

func (w *world) remove(e Event) {
	w.applyWith(app.ApplyOptions{Force: true, Wipe: e.has("wipe")}, func(apps map[app.ID]app.App) error {
		if _, there := apps[id(e.arg(0))]; !there {
			return errNothing
		}
		delete(apps, id(e.arg(0)))
		return nil
	})
}

// cancel ends one of the running deployments.
func (w *world) cancel(e Event) {
	open := w.life.sched.Deployments()
	if len(open) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), applyTimeout)
	defer cancel()
	d := open[e.number(0)%len(open)]
	_, _, err := w.life.sched.Cancel(ctx, d.ID, e.has("force"))
	w.settleCall("cancel", err)
	for _, a := range d.AffectedApps {
		w.abandoned[a] = w.abandoned[a] || e.has("force")
	}
	if err == nil {
		w.read()
	}
}

// read takes over the definitions as the scheduler shows them, where a call has changed them in a way of its own.
func (w *world) read() {
	w.confirmed = map[app.ID]app.App{}
	for _, a := range w.life.sched.Apps() {
		w.confirmed[a.ID] = a
	}
}

// killer is a scheduler that ends single tasks on request.
type killer interface {
	Kill(ctx context.Context, tasks []app.TaskID, o app.KillOptions) ([]app.Task, *app.Deployment, error)
}

func (w *world) kill(e Event) {
	tasks := w.life.sched.Tasks(id(e.arg(0)))
	k, can := any(w.life.sched).(killer)
	if len(tasks) == 0 || !can {
		return
	}
	task := tasks[e.number(1)%len(tasks)].ID
	ctx, cancel := context.WithTimeout(w.t.Context(), applyTimeout)
	defer cancel()
	w.mu.Lock()
	w.asked[task] = true
	w.mu.Unlock()
	_, _, err := k.Kill(ctx, []app.TaskID{task}, app.KillOptions{Scale: e.has("scale"), Wipe: e.has("wipe"), Force: e.has("force")})
	w.settleCall("kill", err)
	if err == nil {
		w.read()
	}
}

// drainer is a scheduler that empties hosts.
type drainer interface {
	Drain(ctx context.Context, host string, on bool, cause string) error
}

func (w *world) drain(e Event)   { w.setDrain(e.arg(0), true) }
func (w *world) undrain(e Event) { w.setDrain(e.arg(0), false) }

func (w *world) setDrain(host string, on bool) {
	d, can := any(w.life.sched).(drainer)
	if !can {
		return
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), applyTimeout)
	defer cancel()
	w.mu.Lock()
	delete(w.draining, host)
	w.mu.Unlock()
	err := d.Drain(ctx, host, on, "somebody asked for it")
	w.settleCall("drain", err)
	if on && err == nil {
		w.mu.Lock()
		w.draining[host] = time.Now()
		w.mu.Unlock()
	}
}

func (w *world) lead(e Event) { w.fleet.Lead(id("pg"), e.arg(0)) }

func (w *world) die(e Event) {
	if task, there := w.fleet.On(e.arg(0), id(e.arg(1))); there {
		w.fleet.End(task, app.TaskFailed, "signal: killed")
	}
}

func onHost(do func(*simulated.Fleet, string) error) func(*world, Event) {
	return func(w *world, e Event) {
		if err := do(w.fleet, e.arg(0)); err != nil {
			w.violate("the history is possible", "%v", err)
		}
	}
}

// loseAnswer takes the answer of the next write of the definitions, or of an instance that lives.
func (w *world) loseAnswer(e Event) {
	if e.arg(0) == "definitions" {
		w.life.db.LoseNextAnswer(prefix + "definitions")
		return
	}
	for _, r := range w.fleet.Running() {
		w.life.db.LoseNextAnswer(prefix + "instances/" + string(r.Spec.Instance))
	}
}

func (w *world) setWeather(change func(*simulated.Weather)) {
	change(&w.weather)
	w.fleet.SetWeather(w.weather)
}

func (w *world) change(e Event) {
	kinds := map[string]simulated.Weather{
		"late": {Soonest: 10 * time.Millisecond, Latest: 3 * time.Second, Late: 0.1, Twice: 0.2, LateRefusals: true},
		"foul": {
			Soonest: time.Millisecond, Latest: 500 * time.Millisecond, Late: 0.2, Twice: 0.3, Vague: 0.3, Deaf: 0.3,
		},
		"refusing": {Refuse: "there is no such image"},
	}
	silent := w.weather.Silent
	w.setWeather(func(x *simulated.Weather) { *x = kinds[e.arg(0)]; x.Silent = silent })
}

// feel makes one task of an app pass its health checks, or not.
func (w *world) feel(e Event, well bool) {
	tasks := slices.DeleteFunc(w.fleet.Running(), func(r simulated.Running) bool { return r.Spec.App.ID != id(e.arg(0)) })
	if len(tasks) > 0 {
		task := tasks[e.number(1)%len(tasks)].Task
		w.mu.Lock()
		w.sight.sick[task] = true
		w.mu.Unlock()
		w.fleet.SetPassing(task, well)
	}
}

func (w *world) postgres(stubborn string, broken func(app.TaskID) bool) {
	w.fleet.SetPostgres(id("pg"), simulated.PostgresState{Stubborn: stubborn, Broken: broken})
}

// voice takes the voice of the agent on a host, or gives it back.
func (w *world) voice(e Event, silent bool) {
	if task, there := w.fleet.On(e.arg(0), id("pg")); there {
		w.fleet.SetMember(task.Instance(), simulated.MemberState{Silent: silent})
	}
}

// everything wrong is put right.
func (w *world) heal() {
	w.wakeAll()
	w.weather = simulated.Weather{}
	w.fleet.SetWeather(w.weather)
	w.life.db.Reconnect()
	w.setBlind(false)
	for n := range w.hosts {
		host := fmt.Sprintf("node%d", n+1)
		_, _ = w.fleet.StartHost(host), w.fleet.Heal(host)
	}
	w.postgres("", nil)
	for _, v := range w.fleet.Volumes() {
		w.fleet.SetMember(app.InstanceID(v.ID), simulated.MemberState{})
	}
	for _, r := range w.fleet.Running() {
		w.fleet.SetMember(r.Spec.Instance, simulated.MemberState{})
		w.fleet.SetPassing(r.Task, true)
	}
}
