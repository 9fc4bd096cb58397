package mesos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// sure is how long after the end of a task its agent's offers say what it has not: what the task used comes back with one of
// the next rounds of the master.
const sure = 5 * time.Second

// Destroy implements driver.Driver. What is to be destroyed has to be offered first: where it lies is known, so it is done as
// soon as it is offered, and repeated with each offer until nothing of it is left.
func (d *Driver) Destroy(ctx context.Context, name driver.Volume) error {
	if err := d.awaitTasks(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want()
	a, v := d.agentAt(name.Host), d.volumes[name]
	switch user := d.user(name); {
	case v != nil && v.unmaking:
		return nil // it will be answered
	case user != "":
		return fmt.Errorf("%w: volume %s is in use by %s", driver.ErrRefused, name.ID, user)
	case v == nil:
		return d.destroyUnknown(a, name)
	}
	v.unmaking = true
	if a != nil {
		d.unmake(a, v)
	}
	return nil
}

// destroyUnknown is about a volume that nobody has shown on that host.
func (d *Driver) destroyUnknown(a *agent, name driver.Volume) error {
	if a == nil || len(a.offers) == 0 {
		return fmt.Errorf("%w: host %s offers nothing at the moment", driver.ErrUnavailable, name.Host)
	}
	if len(keptFor(name.ID, pool(a))) > 0 { // what was reserved and never became a volume
		v := &volume{id: name.ID, host: name.Host, agent: a.id, unmaking: true}
		d.volumes[name] = v
		d.unmake(a, v)
		return nil
	}
	if !d.old || d.destroyed[name] {
		d.events.Add(driver.VolumeChanged{Volume: name}) // its host is there and has nothing of it
		return nil
	}
	v := &volume{id: name.ID, host: name.Host, agent: a.id, unmaking: true}
	d.volumes[name] = v
	time.AfterFunc(sure, func() { d.lookAgain(v) })
	return nil
}

// lookAgain is about a volume that was to be destroyed before anybody had shown it: a task of another scheduler's time may have
// used it until a moment ago. What its host does not offer by now is not there.
func (d *Driver) lookAgain(v *volume) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil || d.volumes[v.name()] != v || v.undoing != "" || v.undone {
		return
	}
	d.want()
	a := d.agentAt(v.host)
	switch {
	case a == nil || len(a.offers) == 0:
		time.AfterFunc(sure, func() { d.lookAgain(v) })
	case len(keptFor(v.id, pool(a))) > 0:
		d.unmake(a, v)
	default:
		d.unmadeAsWanted(v)
	}
}

// unmake destroys what an agent offers of a volume and gives back what was kept with it. Where nothing is left, it says so:
// when the operation has been answered for, or where operations are not, when the agent offers without it.
func (d *Driver) unmake(a *agent, v *volume) {
	kept := keptFor(v.id, pool(a))
	switch {
	case len(kept) == 0 && v.undone && !d.feedback:
		d.unmadeAsWanted(v)
		return
	case len(kept) == 0 || v.undoing != "" && d.feedback:
		return
	}
	v.undone, v.undoing = false, newOperation("unreserve", v.id)
	again := func() { v.undoing = "" } // the next offer is the next try
	d.do(a, step{
		ops: d.unmaking(v, kept), takes: kept,
		done: func() { v.undone = true }, fail: func(string) { again() }, doubt: func() {},
	})
}

// unmadeAsWanted notes that nothing of a volume is left.
func (d *Driver) unmadeAsWanted(v *volume) {
	d.forget(v)
	d.destroyed[v.name()] = true
	d.events.Add(driver.VolumeChanged{Volume: v.name()})
	d.events.Add(driver.OffersChanged{})
}

// unmaking are the operations that destroy a volume and give back what was kept with it.
func (d *Driver) unmaking(v *volume, kept []wire.Resource) []wire.Operation {
	var ops []wire.Operation
	if volumes := slices.DeleteFunc(slices.Clone(kept), func(r wire.Resource) bool { return !isVolume(r) }); len(volumes) > 0 {
		ops = append(ops, wire.Operation{Type: wire.OpDestroy, Destroy: &wire.Volumes{Volumes: wire.Allocated(volumes, d.cfg.Role)}})
	}
	var back []wire.Resource
	for _, r := range kept {
		back = wire.Add(back, bare(r))
	}
	unreserve := wire.Operation{Type: wire.OpUnreserve, Unreserve: &wire.Resources{Resources: wire.Allocated(back, d.cfg.Role)}}
	if d.feedback {
		unreserve.ID = &wire.ID{Value: v.undoing}
	}
	return append(ops, unreserve)
}

// bare is a resource without the volume on it.
func bare(r wire.Resource) wire.Resource {
	if r.Disk != nil {
		source := r.Disk.Source
		if r.Disk = nil; source != nil {
			r.Disk = &wire.Disk{Source: source}
		}
	}
	return r
}
