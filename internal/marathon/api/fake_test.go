package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// fake is a scheduler in memory. It stores definitions and plans deployments that stay open until finish is called, and
// runs nothing: tasks are there when a test puts them.
type fake struct {
	mu    sync.Mutex
	apps  map[app.ID]app.App
	tasks map[app.ID][]app.Task
	open  []app.Deployment
	undo  map[string]map[app.ID]app.App // what was before each open deployment
	count int
	fail  error // answered by the next change
}

func newFake() *fake {
	return &fake{apps: map[app.ID]app.App{}, tasks: map[app.ID][]app.Task{}, undo: map[string]map[app.ID]app.App{}}
}

func (f *fake) Apps() []app.App {
	f.mu.Lock()
	defer f.mu.Unlock()
	apps := []app.App{}
	for _, id := range slices.Sorted(maps.Keys(f.apps)) {
		apps = append(apps, f.apps[id].Clone())
	}
	return apps
}

func (f *fake) App(id app.ID) (app.App, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.apps[id]
	return a.Clone(), ok
}

func (f *fake) Tasks(id app.ID) []app.Task {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.tasks[id])
}

func (f *fake) Deployments() []app.Deployment {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.open)
}

func (f *fake) Apply(ctx context.Context, change func(*app.Definitions) error, o app.ApplyOptions) (app.Deployment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		err := f.fail
		f.fail = nil
		return app.Deployment{}, err
	}
	if ctx.Err() != nil {
		return app.Deployment{}, context.Cause(ctx)
	}
	next := f.copies()
	defs := app.Definitions{Apps: next}
	if err := change(&defs); err != nil {
		return app.Deployment{}, err
	}
	return f.replace(next, o.Force)
}

func (f *fake) Cancel(_ context.Context, id string, force bool) (app.Deployment, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.undo[id] == nil {
		return app.Deployment{}, false, nil
	}
	before := f.undo[id]
	f.end(id)
	if force {
		return app.Deployment{}, true, nil
	}
	d, err := f.replace(before, true)
	return d, true, err
}

func (f *fake) copies() map[app.ID]app.App {
	c := map[app.ID]app.App{}
	for id, a := range f.apps {
		c[id] = a.Clone()
	}
	return c
}

// replace makes next the definitions and opens a deployment with one step for what differs.
func (f *fake) replace(next map[app.ID]app.App, force bool) (app.Deployment, error) {
	actions := f.actions(next)
	var locks []string
	for _, d := range f.open {
		if slices.ContainsFunc(actions, func(a app.Action) bool { return d.Affects(a.App) }) {
			locks = append(locks, d.ID)
		}
	}
	if len(locks) > 0 && !force {
		return app.Deployment{}, &app.LockedError{Deployments: locks}
	}
	for _, id := range locks {
		f.end(id)
	}
	f.count++
	d := app.Deployment{ID: fmt.Sprintf("d%d", f.count), Version: app.Timestamp(f.count)}
	if len(actions) > 0 {
		d.Steps, d.CurrentStep = []app.Step{{Actions: actions}}, 1
		for _, a := range actions {
			d.AffectedApps = append(d.AffectedApps, a.App)
		}
		f.open, f.undo[d.ID] = append(f.open, d), f.apps
	}
	f.apps = next
	return d, nil
}

func (f *fake) actions(next map[app.ID]app.App) []app.Action {
	var actions []app.Action
	for _, id := range slices.Sorted(maps.Keys(next)) {
		old, there := f.apps[id]
		switch change := app.Diff(old, next[id]); {
		case !there:
			actions = append(actions, app.Action{Kind: app.StartApplication, App: id})
		case change == app.ChangeScale:
			actions = append(actions, app.Action{Kind: app.ScaleApplication, App: id})
		case change == app.ChangeRestart:
			actions = append(actions, app.Action{Kind: app.RestartApplication, App: id})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.apps)) {
		if _, stays := next[id]; !stays {
			actions = append(actions, app.Action{Kind: app.StopApplication, App: id})
		}
	}
	return actions
}

func (f *fake) end(id string) {
	f.open = slices.DeleteFunc(f.open, func(d app.Deployment) bool { return d.ID == id })
	delete(f.undo, id)
}

// finish ends all deployments, as if everything asked for were running.
func (f *fake) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open, f.undo = nil, map[string]map[app.ID]app.App{}
}

// fakeHosts are two virtual hosts with a switch.
type fakeHosts struct {
	mu      sync.Mutex
	stopped map[string]bool
}

func (f *fakeHosts) Hosts() []app.HostStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hosts []app.HostStatus
	for i, name := range []string{"node1", "node2"} {
		state := "running"
		if f.stopped[name] {
			state = "stopped"
		}
		hosts = append(hosts, app.HostStatus{
			Name: name, Address: fmt.Sprintf("127.0.0.1%d", i+1), State: state, CPUs: app.Usage{Total: 4, Used: 2},
			Mem: app.Usage{Total: 8192, Used: 4096}, Disk: app.Usage{Total: 100000}, Tasks: []app.TaskID{},
		})
	}
	return hosts
}

func (f *fakeHosts) KillHost(_ context.Context, name string) error  { return f.set(name, true) }
func (f *fakeHosts) StartHost(_ context.Context, name string) error { return f.set(name, false) }

func (f *fakeHosts) set(name string, stopped bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name != "node1" && name != "node2" {
		return fmt.Errorf("host %q: %w", name, app.ErrUnknownHost)
	}
	f.stopped[name] = stopped
	return nil
}
