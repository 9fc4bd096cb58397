package mesos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// The labels of everything that is reserved: for which volume, for which instance, by which framework. They cannot be
// changed later, and what has the same labels is one to Mesos.
const (
	labelVolume    = "pgbaton_volume"
	labelInstance  = "pgbaton_instance"
	labelFramework = "pgbaton_framework"
)

const (
	// defaultPath is where the volume of an app lies in the sandbox that asks for none: of a database.
	defaultPath = "pgdata"
	// leastVolume is the size of a volume whose definition says nothing, in MiB.
	leastVolume = 1024
	// tell is how long a master that gives no feedback has to show a volume in an offer.
	tell = 30 * time.Second
)

// labelOf is a label of the uppermost reservation of a resource.
func labelOf(r wire.Resource, key string) string {
	n := len(r.Reservations)
	if n == 0 || r.Reservations[n-1].Labels == nil {
		return ""
	}
	for _, l := range r.Reservations[n-1].Labels.Labels {
		if l.Key == key {
			return l.Value
		}
	}
	return ""
}

func isVolume(r wire.Resource) bool { return r.Disk != nil && r.Disk.Persistence != nil }

// keptFor is what is reserved for a volume.
func keptFor(id string, list []wire.Resource) []wire.Resource {
	return slices.DeleteFunc(slices.Clone(list), func(r wire.Resource) bool { return labelOf(r, labelVolume) != id })
}

// Reserve implements driver.Driver.
func (d *Driver) Reserve(_ context.Context, r driver.Reservation) error {
	if d.cfg.Role == anyRole {
		return fmt.Errorf("%w: a framework with the role %q cannot reserve; start the scheduler with a role", driver.ErrRefused, anyRole)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.volumes[r.Volume]
	switch {
	case v == nil:
	case v.instance != r.Instance:
		return fmt.Errorf("%w: volume %s is kept for instance %s", driver.ErrRefused, r.Volume, v.instance)
	case v.host != r.Host:
		return fmt.Errorf("%w: volume %s lies on host %s, not on %s", driver.ErrRefused, r.Volume, v.host, r.Host)
	case v.unmaking:
		return fmt.Errorf("%w: volume %s is being destroyed", driver.ErrUnavailable, r.Volume)
	case v.there:
		d.events.Add(driver.VolumeChanged{Volume: v.name(), There: true})
		return nil
	case v.making != "" && (d.feedback || time.Since(v.since) < tell):
		return nil // it is under way, and will be answered
	}
	return d.make(r)
}

// make asks for a volume. What was reserved for it before, by a request that came to half of it, is used.
func (d *Driver) make(r driver.Reservation) error {
	a, err := d.offering(r.Offer, r.Host)
	if err != nil {
		return err
	}
	free := pool(a)
	own := keptFor(r.Volume, free)
	if slices.ContainsFunc(own, isVolume) {
		return fmt.Errorf("%w: a part of volume %s is there already, and the other is not", driver.ErrRefused, r.Volume)
	}
	used, why := pick(free, lacking(wants(r), own), nil)
	if why != "" {
		return fmt.Errorf("%w: %s offers too little that nobody has reserved: %s", driver.ErrRefused, r.Host, why)
	}
	v := &volume{id: r.Volume, host: r.Host, agent: a.id, instance: r.Instance, making: newOperation("create", r.Volume), since: time.Now()}
	d.volumes[v.id] = v
	d.do(a, step{
		ops: d.making(r, v.making, used), takes: slices.Concat(used, own),
		done: func() {}, fail: func(why string) { d.unmade(v, why) },
		doubt: func() {}, // operations are asked about with the next subscription, and offers show what is there
	})
	return nil
}

func (v *volume) name() driver.Volume { return driver.Volume{ID: v.id, Host: v.host} }

// offering is the agent an offer was about, if it is held still.
func (d *Driver) offering(offer, host string) (*agent, error) {
	a := d.agents[offer]
	switch {
	case a == nil || a.host != host:
		return nil, fmt.Errorf("%w: host %s has offered nothing", driver.ErrRefused, host)
	case len(a.offers) == 0:
		return nil, fmt.Errorf("%w: host %s offers nothing at the moment", driver.ErrUnavailable, host)
	}
	return a, nil
}

// wants is what a reservation takes: everything the tasks to come need, and the disk of the volume.
func wants(r driver.Reservation) []wire.Resource {
	size := 0.0
	for _, p := range parts(r.App) {
		size += p.size
	}
	list := scalars(r.Resources.CPUs, r.Resources.Mem, max(size, r.Resources.Disk), r.Resources.GPUs)
	return append(list, ports(r.Ports)...)
}

// part is one persistent volume of a definition.
type part struct {
	path string
	size float64
}

func parts(a app.App) []part {
	var list []part
	if a.Container != nil {
		for _, v := range a.Container.Volumes {
			if v.Persistent != nil {
				list = append(list, part{v.ContainerPath, float64(max(v.Persistent.Size, 1))})
			}
		}
	}
	if len(list) == 0 {
		list = append(list, part{defaultPath, max(a.Disk, leastVolume)})
	}
	return list
}

// making are the operations that make a volume of what was picked and of what is kept for it already.
func (d *Driver) making(r driver.Reservation, id string, used []wire.Resource) []wire.Operation {
	by := wire.Reservation{Type: "DYNAMIC", Role: d.cfg.Role, Principal: d.cfg.Principal, Labels: &wire.Labels{Labels: []wire.Label{
		{Key: labelVolume, Value: r.Volume}, {Key: labelInstance, Value: string(r.Instance)}, {Key: labelFramework, Value: d.framework},
	}}}
	var ops []wire.Operation
	if len(used) > 0 {
		ops = append(ops, wire.Operation{Type: wire.OpReserve, Reserve: &wire.Resources{Resources: wire.Allocated(wire.Reserved(used, by), d.cfg.Role)}})
	}
	var volumes []wire.Resource
	for n, part := range parts(r.App) {
		volumes = append(volumes, wire.Resource{
			Name: "disk", Type: wire.TypeScalar, Scalar: wire.Amount(part.size), Reservations: []wire.Reservation{by},
			Disk: &wire.Disk{
				Persistence: &wire.Persistence{ID: persistence(r.Volume, n), Principal: d.cfg.Principal},
				Volume:      &wire.Volume{Mode: "RW", ContainerPath: part.path},
			},
		})
	}
	create := wire.Operation{Type: wire.OpCreate, Create: &wire.Volumes{Volumes: wire.Allocated(volumes, d.cfg.Role)}}
	if d.feedback {
		create.ID = &wire.ID{Value: id}
	}
	return append(ops, create)
}

// persistence names a disk of a volume. Dots in such names have been trouble.
func persistence(volume string, n int) string {
	return fmt.Sprintf("%s-%d", strings.ReplaceAll(volume, ".", "_"), n)
}

// seen takes in that an offer shows a volume: it is there, and nothing uses it.
func (d *Driver) seen(a *agent, id string, instance app.InstanceID) {
	v := d.volumes[id]
	if v == nil {
		v = &volume{id: id, instance: instance}
		d.volumes[id] = v
	}
	v.host = a.host
	if t := d.tasks[d.user(id)]; t != nil && t.agent != a.id {
		d.say(t, driver.Status{State: app.TaskGone, Message: "its agent has come back under another id, with its volume and without it"})
	}
	v.agent = a.id
	d.made(v)
}

// made notes that a volume is there, and says so the first time.
func (d *Driver) made(v *volume) {
	v.making = ""
	if v.there || v.unmaking {
		return
	}
	v.there = true
	d.events.Add(driver.VolumeChanged{Volume: v.name(), There: true})
}

// unmade notes that a volume was not made, for certain.
func (d *Driver) unmade(v *volume, why string) {
	if v.there || d.volumes[v.id] != v {
		return
	}
	delete(d.volumes, v.id)
	d.events.Add(driver.VolumeChanged{Volume: v.name(), Why: why})
}

// lose notes that a volume is gone with its agent, by the word of an operator.
func (d *Driver) lose(v driver.Volume) {
	delete(d.volumes, v.ID)
	d.events.Add(driver.VolumeChanged{Volume: v, Why: "an operator has said that its agent is gone with everything on it"})
}
