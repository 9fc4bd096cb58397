package mesos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// envHostIP is what the agent of a database advertises, beside what Marathon gives.
const envHostIP = "HOST_IP"

// patience is how long a launch waits for what its agent will offer again: it comes with one of the next rounds of the master.
const patience = 15 * time.Second

// Launch implements driver.Driver. It waits until the master has said what runs: a task that is there is not launched again.
func (d *Driver) Launch(ctx context.Context, s driver.Spec) error {
	if why := cannot(s); why != "" {
		return fmt.Errorf("%w: %s", driver.ErrRefused, why)
	}
	if err := d.awaitTasks(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.tasks[s.Task]; t != nil && (t.heard || t.doubt || t.ended != nil) {
		return nil // launched before
	}
	if err := d.free(s); err != nil {
		return err
	}
	a := d.agents[s.Offer]
	if a == nil || a.host != s.Host {
		return fmt.Errorf("%w: host %s has offered nothing", driver.ErrRefused, s.Host)
	}
	used, why := chosen(pool(a), s)
	later := d.later(a, s)
	if why != "" && !later {
		return fmt.Errorf("%w: host %s: %s", driver.ErrRefused, s.Host, why)
	}
	t := d.mention(s.Task)
	t.agent, t.host, t.volume, t.heard, t.sent = a.id, a.host, s.Volume, true, make(chan struct{})
	t.limit = failuresOf(s.App)
	if v := d.volumes[volumeOf(s)]; v != nil {
		v.user = s.Task
	}
	if why != "" {
		d.park(a, t, s)
		return nil
	}
	d.launch(a, t, s, used)
	return nil
}

// launch has a task started with what was chosen for it.
func (d *Driver) launch(a *agent, t *task, s driver.Spec, used []wire.Resource) {
	env := map[string]string{envHostIP: reached(a.url, a.host)}
	maps.Copy(env, s.Env)
	s.Env = env
	info := d.taskInfo(s, wire.Allocated(used, d.cfg.Role))
	d.do(a, step{
		ops:   []wire.Operation{{Type: wire.OpLaunch, Launch: &wire.Launch{TaskInfos: []wire.TaskInfo{info}}}},
		takes: used,
		done:  func() { close(t.sent) },
		fail:  func(why string) { d.dropped(t, why) },
		doubt: func() { close(t.sent); t.doubt = true },
	})
}

// dropped ends a task that was never started.
func (d *Driver) dropped(t *task, why string) {
	close(t.sent)
	d.say(t, driver.Status{State: app.TaskDropped, Message: why})
}

// later reports whether an agent will offer soon what the task cannot have now: everything, right after some of it was used,
// or its volume, right after the end of the task before.
func (d *Driver) later(a *agent, s driver.Spec) bool {
	if len(a.offers) == 0 {
		return true
	}
	v := d.volumes[volumeOf(s)]
	return v != nil && v.there && !slices.ContainsFunc(keptFor(s.Volume, pool(a)), isVolume)
}

// parked is a launch that waits for an offer.
type parked struct {
	t     *task
	spec  driver.Spec
	timer *time.Timer
}

func (d *Driver) park(a *agent, t *task, s driver.Spec) {
	d.used = true
	p := &parked{t: t, spec: s}
	a.parked = append(a.parked, p)
	p.timer = time.AfterFunc(patience, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if a.unpark(t) {
			d.dropped(t, "host "+a.host+" does not offer what it had any more")
		}
	})
}

// unpark takes a launch out of those that wait; false when it does not.
func (a *agent) unpark(t *task) bool {
	i := slices.IndexFunc(a.parked, func(p *parked) bool { return p.t == t })
	if i < 0 {
		return false
	}
	a.parked[i].timer.Stop()
	a.parked = slices.Delete(a.parked, i, i+1)
	return true
}

// launchParked tries the launches that wait for what an agent offers now.
func (d *Driver) launchParked(a *agent) {
	for _, p := range slices.Clone(a.parked) {
		if used, why := chosen(pool(a), p.spec); why == "" {
			a.unpark(p.t)
			d.launch(a, p.t, p.spec, used)
		}
	}
}

// volumeOf is the volume a task wants, on the host it is to run on.
func volumeOf(s driver.Spec) driver.Volume { return driver.Volume{ID: s.Volume, Host: s.Host} }

// free reports whether the volume of the task can be used.
func (d *Driver) free(s driver.Spec) error {
	name := volumeOf(s)
	v, other := d.volumes[name], d.elsewhere(name)
	switch user := d.user(name); {
	case v == nil && other != nil && s.Volume != "":
		return fmt.Errorf("%w: volume %s lies on host %s, not on %s", driver.ErrRefused, s.Volume, other.host, s.Host)
	case v == nil:
		return nil // an offer has to show it
	case v.unmaking:
		return fmt.Errorf("%w: volume %s is being destroyed", driver.ErrRefused, v.id)
	case user != "":
		return fmt.Errorf("%w: volume %s is in use by %s", driver.ErrRefused, v.id, user)
	}
	return nil
}

// chosen is what the task gets of what is offered, or why it gets nothing: everything that is kept with its volume, and
// what it needs beyond.
func chosen(all []wire.Resource, s driver.Spec) (used []wire.Resource, why string) {
	r := s.Resources
	wanted := append(scalars(r.CPUs, r.Mem, r.Disk, r.GPUs), ports(s.HostPorts())...)
	var own []wire.Resource
	if s.Volume != "" {
		own = keptFor(s.Volume, all)
		if !slices.ContainsFunc(own, isVolume) {
			return nil, "volume " + s.Volume + " is not offered"
		}
		// The disk of the volume is its place: what Disk counts beyond that was reserved with it.
		wanted = slices.DeleteFunc(wanted, func(w wire.Resource) bool { return w.Name == "disk" })
	}
	more, why := pick(all, lacking(wanted, own), roles(s))
	if why != "" {
		return nil, why
	}
	return append(own, more...), ""
}

// roles are those the definition takes resources of.
func roles(s driver.Spec) []string { return s.App.AcceptedResourceRoles }

// cannot says why Mesos could never run the task, empty when it could.
func cannot(s driver.Spec) string {
	a := s.App
	if a.Cmd == "" && len(a.Args) == 0 && s.Image() == "" {
		return "there is neither a command nor an image to run"
	}
	if n := len(beside(a)); n > 1 {
		return fmt.Sprintf("Mesos runs one check beside a task, and there are %d (COMMAND and MESOS_*)", n)
	}
	if a.Container == nil {
		return ""
	}
	if a.Container.Docker != nil && a.Container.Docker.PullConfig != nil {
		return "pullConfig is not supported on Mesos: the agents know the logins of registries (--docker_config)"
	}
	for _, v := range a.Container.Volumes {
		switch {
		case v.External != nil:
			return "external volumes are not supported"
		case v.Secret != "":
			return "secrets as files are not supported on Mesos: give it as a variable"
		}
	}
	return ""
}
