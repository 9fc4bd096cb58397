package mesos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// The labels of everything that is reserved: for which volume, for which instance, by which framework. They cannot be
// changed later, and what has the same labels is one to Mesos.
const (
	labelVolume    = "pgbaton_volume"
	labelInstance  = "pgbaton_instance"
	labelFramework = "pgbaton_framework"
	// labelSize is how much of a disk of its own the volume asked for, in MiB: that is what the scheduler reckons with.
	labelSize = "pgbaton_size"
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
	name := driver.Volume{ID: r.Volume, Host: r.Host}
	v, other := d.volumes[name], d.elsewhere(name)
	switch {
	case v == nil && other != nil:
		return fmt.Errorf("%w: volume %s lies on host %s, not on %s", driver.ErrRefused, r.Volume, other.host, r.Host)
	case v == nil:
	case v.instance != r.Instance:
		return fmt.Errorf("%w: volume %s is kept for instance %s", driver.ErrRefused, r.Volume, v.instance)
	case v.unmaking:
		return fmt.Errorf("%w: volume %s is being destroyed", driver.ErrUnavailable, r.Volume)
	case v.there:
		d.events.Add(driver.VolumeChanged{Volume: v.name(), There: true})
		return nil
	case v.making != "" && (d.feedback || time.Since(v.since) < tell):
		v.attempt = r.Attempt
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
	disks, left := choose(free, parts(r.App))
	used, why := pick(left, lacking(wants(r, disks), own), nil)
	if why != "" {
		return fmt.Errorf("%w: %s offers too little that nobody has reserved: %s", driver.ErrRefused, r.Host, why)
	}
	v := &volume{id: r.Volume, host: r.Host, agent: a.id, instance: r.Instance, making: newOperation("create", r.Volume), since: time.Now(), attempt: r.Attempt}
	d.volumes[v.name()] = v
	d.do(a, step{
		ops: d.making(r, v.making, used, disks), takes: slices.Concat(used, own, taken(disks)),
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

// wants is what a reservation takes: everything the tasks to come need, and the disk of the volumes that have none of their
// own.
func wants(r driver.Reservation, disks []disk) []wire.Resource {
	own, apart := 0.0, 0.0
	for _, p := range disks {
		if p.source == nil {
			own += p.size
			continue
		}
		apart += p.size
	}
	list := scalars(r.Resources.CPUs, r.Resources.Mem, max(own, r.Resources.Disk-apart), r.Resources.GPUs)
	return append(list, ports(r.Ports)...)
}

// part is one persistent volume of a definition.
type part struct {
	path  string
	size  float64
	mount *app.PersistentVolume // of one that wants a disk of its own
}

func parts(a app.App) []part {
	var list []part
	if a.Container != nil {
		for _, v := range a.Container.Volumes {
			if v.Persistent == nil {
				continue
			}
			p := part{path: v.ContainerPath, size: float64(max(v.Persistent.Size, 1))}
			if v.Persistent.Type == app.VolumeMount {
				p.mount = v.Persistent
			}
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		list = append(list, part{path: defaultPath, size: max(a.Disk, leastVolume)})
	}
	return list
}

// disk is a part with the disk of its own that was chosen for it, if any.
type disk struct {
	part
	source *wire.Resource
}

// choose gives parts that want a disk of their own the smallest that is free and fits. Where an agent has none, they lie on
// its root disk.
func choose(free []wire.Resource, parts []part) (disks []disk, left []wire.Resource) {
	left = free
	for _, p := range parts {
		chosen := disk{part: p}
		if p.mount != nil {
			mounts := mounts(left)
			if i := place.SmallestMount(*p.mount, sizes(mounts)); i >= 0 {
				chosen.source = &mounts[i]
				left, _ = wire.Subtract(left, mounts[i])
			}
		}
		disks = append(disks, chosen)
	}
	return disks, left
}

// mounts are the free disks of their own that nobody has reserved.
func mounts(list []wire.Resource) []wire.Resource {
	return slices.DeleteFunc(slices.Clone(list), func(r wire.Resource) bool { return !isMount(r) || isVolume(r) || len(r.Reservations) > 0 || !common(r) })
}

func isMount(r wire.Resource) bool {
	return r.Disk != nil && r.Disk.Source != nil && r.Disk.Source.Type == "MOUNT"
}

func sizes(disks []wire.Resource) []float64 {
	var list []float64
	for _, r := range disks {
		list = append(list, r.Scalar.Float())
	}
	return list
}

// taken are the disks that were chosen.
func taken(disks []disk) []wire.Resource {
	var list []wire.Resource
	for _, c := range disks {
		if c.source != nil {
			list = append(list, *c.source)
		}
	}
	return list
}

// making are the operations that make a volume of what was picked, of the disks chosen and of what is kept for it already.
func (d *Driver) making(r driver.Reservation, id string, used []wire.Resource, disks []disk) []wire.Operation {
	kept := wire.Reserved(used, d.reservation(r, 0))
	var volumes []wire.Resource
	for n, c := range disks {
		v := wire.Resource{Name: "disk", Type: wire.TypeScalar, Scalar: wire.Amount(c.size), Reservations: []wire.Reservation{d.reservation(r, 0)}}
		if c.source != nil {
			v = wire.Reserved([]wire.Resource{*c.source}, d.reservation(r, c.size))[0]
			kept = append(kept, v)
		}
		v.Disk = &wire.Disk{
			Persistence: &wire.Persistence{ID: persistence(r.Volume, n), Principal: d.cfg.Principal},
			Volume:      &wire.Volume{Mode: "RW", ContainerPath: c.path},
		}
		if c.source != nil {
			v.Disk.Source = c.source.Disk.Source
		}
		volumes = append(volumes, v)
	}
	create := wire.Operation{Type: wire.OpCreate, Create: &wire.Volumes{Volumes: wire.Allocated(volumes, d.cfg.Role)}}
	if d.feedback {
		create.ID = &wire.ID{Value: id}
	}
	if len(kept) == 0 {
		return []wire.Operation{create}
	}
	return []wire.Operation{{Type: wire.OpReserve, Reserve: &wire.Resources{Resources: wire.Allocated(kept, d.cfg.Role)}}, create}
}

// reservation is the one everything for a volume carries; size is that of a part on a disk of its own.
func (d *Driver) reservation(r driver.Reservation, size float64) wire.Reservation {
	labels := []wire.Label{
		{Key: labelVolume, Value: r.Volume}, {Key: labelInstance, Value: string(r.Instance)}, {Key: labelFramework, Value: d.framework},
	}
	if size > 0 {
		labels = append(labels, wire.Label{Key: labelSize, Value: place.FormatScalar(size)})
	}
	return wire.Reservation{Type: "DYNAMIC", Role: d.cfg.Role, Principal: d.cfg.Principal, Labels: &wire.Labels{Labels: labels}}
}

// persistence names a disk of a volume. Dots in such names have been trouble.
func persistence(volume string, n int) string {
	return fmt.Sprintf("%s-%d", strings.ReplaceAll(volume, ".", "_"), n)
}

// seen takes in that an offer shows a volume: it is there, and nothing uses it.
func (d *Driver) seen(a *agent, id string, r wire.Resource) {
	name := driver.Volume{ID: id, Host: a.host}
	v := d.volumes[name]
	if v == nil {
		v = &volume{id: id, host: a.host, instance: app.InstanceID(labelOf(r, labelInstance))}
		if !d.ours(r) {
			v.foreign = labelOf(r, labelFramework)
		}
		d.volumes[name] = v
	}
	if t := d.tasks[d.user(name)]; t != nil && t.agent != a.id {
		d.say(t, driver.Status{State: app.TaskGone, Message: "its agent has come back under another id, with its volume and without it"})
	}
	v.agent = a.id
	delete(d.watched, name)
	d.made(v)
}

// made notes that a volume is there, and says so the first time.
func (d *Driver) made(v *volume) {
	v.making = ""
	if v.there || v.unmaking {
		return
	}
	v.there = true
	delete(d.destroyed, v.name())
	d.events.Add(driver.VolumeChanged{Volume: v.name(), There: true})
}

// unmade notes that a volume was not made, for certain.
func (d *Driver) unmade(v *volume, why string) {
	if v.there || !d.forget(v) {
		return
	}
	d.events.Add(driver.VolumeChanged{Volume: v.name(), Why: why, Attempt: v.attempt})
}

// forget drops a volume; false when it was dropped before.
func (d *Driver) forget(v *volume) bool {
	if d.volumes[v.name()] != v {
		return false
	}
	delete(d.volumes, v.name())
	return true
}

// Watch implements driver.Watcher.
func (d *Driver) Watch(volumes map[driver.Volume]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watched = maps.Clone(volumes)
	d.askAboutVolumes()
}

// askAboutVolumes asks about the agents of volumes that nobody uses and that are not offered: an agent that its operator has
// declared gone says nothing by itself, where no task of ours was.
func (d *Driver) askAboutVolumes() {
	agents := map[string]bool{}
	for _, at := range d.watched {
		agents[at] = true
	}
	for _, v := range d.volumes {
		if a := d.agents[v.agent]; v.there && a != nil && len(a.offers) == 0 && d.user(v.name()) == "" {
			agents[v.agent] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(agents)) {
		d.askIfGone(id)
	}
}

// askIfGone asks a master for a task that never was on an agent: where an operator has declared the agent gone, with
// everything on it, the answer is that (mesos: Master::reconcileTasks).
func (d *Driver) askIfGone(agent string) {
	if agent == "" || len(d.lyingOn(agent)) == 0 {
		return
	}
	q := d.fence(func(state string) {
		if state != goneByOperator {
			return
		}
		for _, v := range d.lyingOn(agent) {
			d.lose(v)
		}
	})
	q.Tasks[0].AgentID = &wire.ID{Value: agent}
	d.ask([]wire.Reconcile{q})
}

// lyingOn are the volumes that were last seen on an agent.
func (d *Driver) lyingOn(agent string) []driver.Volume {
	var list []driver.Volume
	for _, v := range d.volumes {
		if v.agent == agent {
			list = append(list, v.name())
		}
	}
	for v, at := range d.watched {
		if at == agent && d.volumes[v] == nil {
			list = append(list, v)
		}
	}
	return list
}

// lose notes that a volume is gone with its agent, by the word of an operator.
func (d *Driver) lose(v driver.Volume) {
	delete(d.volumes, v)
	delete(d.watched, v)
	d.events.Add(driver.VolumeChanged{Volume: v, Why: "an operator has said that its agent is gone with everything on it"})
}
