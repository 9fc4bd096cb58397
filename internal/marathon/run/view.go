package run

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// picture is what readers see. It is replaced as a whole and never changed.
type picture struct {
	framework   string
	loaded      bool
	groups      map[app.ID]app.Group
	apps        []app.App // sorted by id
	tasks       map[app.ID][]app.Task
	deployments []app.Deployment
	waits       []deploy.Wait // sorted by app, what is about the app before its instances
	failures    map[app.ID]app.TaskFailure
	searches    map[app.ID]queueing
	readiness   map[app.ID][]app.ReadinessResult
	state       deploy.State // what the last decision was made from, or nearly
}

// publish makes a new picture, and wakes who waits for everything to have stopped.
func (l *loop) publish() {
	l.syncProbes()
	l.syncReadiness()
	p := &picture{
		framework: l.framework, loaded: l.loaded, groups: l.defs.Groups, tasks: map[app.ID][]app.Task{}, failures: maps.Clone(l.failures), searches: maps.Clone(l.searches),
		readiness: l.readinessResults(), state: l.frozen(),
	}
	for _, id := range slices.Sorted(maps.Keys(l.defs.Apps)) {
		p.apps = append(p.apps, l.defs.Apps[id])
	}
	for _, id := range slices.Sorted(maps.Keys(l.instances)) {
		if i := l.instances[id]; i.Live() {
			p.tasks[i.App] = append(p.tasks[i.App], l.task(i))
		}
	}
	for _, d := range l.defs.Deployments {
		p.deployments = append(p.deployments, d.Deployment)
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.waits), compareWaits) {
		p.waits = append(p.waits, l.waits[key])
	}
	l.s.picture.Store(p)
	if !l.halted.IsZero() && l.allStopped() {
		for _, c := range l.halts {
			close(c)
		}
		l.halts = nil
	}
}

// frozen is the state as it is now, sharing nothing with the loop that the loop will change.
func (l *loop) frozen() deploy.State {
	s := l.state()
	s.Roles, s.Down, s.Unconfirmed = maps.Clone(s.Roles), maps.Clone(s.Down), maps.Clone(s.Unconfirmed)
	s.Switchovers, s.Ready = maps.Clone(s.Switchovers), maps.Clone(s.Ready)
	return s
}

func compareWaits(a, b waitKey) int {
	if c := strings.Compare(string(a.app), string(b.app)); c != 0 {
		return c
	}
	return strings.Compare(string(a.instance), string(b.instance))
}

// task is an instance as the API shows it.
func (l *loop) task(i deploy.Instance) app.Task {
	region, zone := place.Domain(i.Attributes)
	t := app.Task{
		ID: i.Task(), AppID: i.App, Host: i.Host, Ports: i.Ports, SlaveID: i.AgentID, State: i.State, StagedAt: i.StagedAt,
		StartedAt: i.StartedAt, Version: i.Version, Region: region, Zone: zone,
		Role: l.defs.Apps[i.App].Role, HealthCheckResults: l.probes[i.ID].results(), IPAddresses: addresses(i),
	}
	t.LocalVolumes = localVolumes(i, l.defs.Apps[i.App])
	return t
}

// localVolumes are the persistent volumes a definition asks for, where the instance has them. Its one volume holds a folder
// for each.
func localVolumes(i deploy.Instance, def app.App) []app.LocalVolume {
	if i.Volume == "" || def.Container == nil {
		return nil
	}
	var volumes []app.LocalVolume
	for _, v := range def.Container.Volumes {
		if v.Persistent != nil {
			volumes = append(volumes, app.LocalVolume{
				RunSpecID: i.App, ContainerPath: v.ContainerPath, UUID: i.ID.UUID(),
				PersistenceID: i.App.Safe() + "#" + v.ContainerPath + "#" + i.ID.UUID(),
			})
		}
	}
	return volumes
}

// FrameworkID is the id under which the driver knows the scheduler, empty before the first answer of the driver.
func (s *Scheduler) FrameworkID() string { return s.picture.Load().framework }

// Apps are all definitions, sorted by id.
func (s *Scheduler) Apps() []app.App {
	apps := []app.App{}
	for _, a := range s.picture.Load().apps {
		apps = append(apps, a.Clone())
	}
	return apps
}

// Groups are the groups that have something of their own, by id.
func (s *Scheduler) Groups() map[app.ID]app.Group {
	all := map[app.ID]app.Group{}
	maps.Copy(all, s.picture.Load().groups)
	return all
}

// Loaded reports whether the state has been read, so that what the others say is true.
func (s *Scheduler) Loaded() bool { return s.picture.Load().loaded }

// App is one definition; false when there is none.
func (s *Scheduler) App(id app.ID) (app.App, bool) {
	for _, a := range s.picture.Load().apps {
		if a.ID == id {
			return a.Clone(), true
		}
	}
	return app.App{}, false
}

// Tasks are the living tasks of one app, sorted by id.
func (s *Scheduler) Tasks(id app.ID) []app.Task { return slices.Clone(s.picture.Load().tasks[id]) }

// Deployments are the running deployments, oldest first.
func (s *Scheduler) Deployments() []app.Deployment {
	return slices.Clone(s.picture.Load().deployments)
}

// Waits are the things that are wanted and not done now, each with its reason.
func (s *Scheduler) Waits() []deploy.Wait { return slices.Clone(s.picture.Load().waits) }

var errNoSwitch = errors.New("the hosts of this driver cannot be switched")

// Switchable reports whether the driver's hosts have a power switch, so that the methods below mean something.
func (s *Scheduler) Switchable() bool {
	_, ok := s.switchable()
	return ok
}

// Hosts are the driver's hosts, none when they have no switch or the driver does not answer.
func (s *Scheduler) Hosts() []app.HostStatus {
	power, ok := s.switchable()
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), driverTimeout)
	defer cancel()
	hosts, err := power.Hosts(ctx)
	if err != nil {
		return nil
	}
	return hosts
}

// KillHost cuts the power of a host: everything on it ends at once.
func (s *Scheduler) KillHost(ctx context.Context, name string) error {
	power, ok := s.switchable()
	if !ok {
		return errNoSwitch
	}
	return power.KillHost(ctx, name)
}

// StartHost gives a host its power back.
func (s *Scheduler) StartHost(ctx context.Context, name string) error {
	power, ok := s.switchable()
	if !ok {
		return errNoSwitch
	}
	return power.StartHost(ctx, name)
}
