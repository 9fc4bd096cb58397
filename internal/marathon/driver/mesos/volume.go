package mesos

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

const (
	// labelVolume names the volume on everything that is reserved with it.
	labelVolume = "pgbaton_volume"
	// defaultPath is where the volume of an app lies in the sandbox that asks for none: of a database.
	defaultPath = "pgdata"
	// leastVolume is the size of a volume whose definition says nothing, in MiB.
	leastVolume = 1024
)

// labelOf is the volume a resource is kept for, empty when it is none of ours.
func labelOf(r wire.Resource) string {
	n := len(r.Reservations)
	if n == 0 || r.Reservations[n-1].Labels == nil {
		return ""
	}
	for _, l := range r.Reservations[n-1].Labels.Labels {
		if l.Key == labelVolume {
			return l.Value
		}
	}
	return ""
}

// volumesOf are the volumes of ours among resources, sorted.
func volumesOf(list []wire.Resource) []string {
	var ids []string
	for _, r := range list {
		if id := labelOf(r); id != "" && r.Disk != nil && r.Disk.Persistence != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Reserve implements driver.Driver.
func (d *Driver) Reserve(ctx context.Context, r driver.Reservation) error {
	if d.cfg.Role == anyRole {
		return fmt.Errorf("%w: a framework with the role %q cannot reserve; start the scheduler with a role", driver.ErrRefused, anyRole)
	}
	d.mu.Lock()
	if host, there := d.volumes[r.Volume]; there {
		d.mu.Unlock()
		if host != r.Host {
			return fmt.Errorf("%w: volume %s lies on host %s, not on %s", driver.ErrRefused, r.Volume, host, r.Host)
		}
		d.events.Add(driver.VolumeChanged{Volume: driver.Volume{ID: r.Volume, Host: r.Host}, There: true})
		return nil
	}
	ids, free := d.take(r.Offer)
	wanted := wants(r)
	used, ok := pick(free, wanted)
	if !ok {
		d.mu.Unlock()
		return fmt.Errorf("%w: %s does not offer that any more", driver.ErrRefused, r.Host)
	}
	accept := wire.Accept{OfferIDs: ids, Operations: d.making(r, used), Filters: &wire.Filters{}}
	d.forget(ids)
	d.mu.Unlock()
	return d.call(ctx, wire.Call{Type: wire.CallAccept, Accept: &accept})
}

// wants is what a reservation takes: everything the tasks to come need, and the disk of the volume.
func wants(r driver.Reservation) []wire.Resource {
	list := scalars(r.Resources.CPUs, r.Resources.Mem, volumeSize(r.App), r.Resources.GPUs)
	return append(list, ports(r.Ports)...)
}

func volumeSize(a app.App) float64 {
	size := a.VolumeDisk()
	if size == 0 {
		size = max(int(a.Disk), leastVolume)
	}
	return float64(size)
}

func scalars(cpus, mem, disk, gpus float64) []wire.Resource {
	var list []wire.Resource
	for _, part := range []struct {
		name   string
		amount float64
	}{{"cpus", cpus}, {"mem", mem}, {"disk", disk}, {"gpus", gpus}} {
		if part.amount > 0 {
			list = append(list, wire.Resource{Name: part.name, Type: wire.TypeScalar, Scalar: wire.Amount(part.amount)})
		}
	}
	return list
}

func ports(numbers []int) []wire.Resource {
	var r wire.Ranges
	for _, n := range numbers {
		if n != 0 {
			r.Range = append(r.Range, wire.Range{Begin: n, End: n})
		}
	}
	if r = r.Merge(); len(r.Range) == 0 {
		return nil
	}
	return []wire.Resource{{Name: "ports", Type: wire.TypeRanges, Ranges: &r}}
}

// making are the operations that make a volume of what was picked.
func (d *Driver) making(r driver.Reservation, used []wire.Resource) []wire.Operation {
	kept := wire.Reserved(used, wire.Reservation{
		Type: "DYNAMIC", Role: d.cfg.Role, Principal: d.cfg.Principal,
		Labels: &wire.Labels{Labels: []wire.Label{{Key: labelVolume, Value: r.Volume}}},
	})
	var volumes []wire.Resource
	for n, part := range parts(r.App) {
		disk := kept[slices.IndexFunc(kept, func(x wire.Resource) bool { return x.Name == "disk" })]
		disk.Scalar = wire.Amount(part.size)
		disk.Disk = &wire.Disk{
			Persistence: &wire.Persistence{ID: persistence(r.Volume, n), Principal: d.cfg.Principal},
			Volume:      &wire.Volume{Mode: "RW", ContainerPath: part.path},
		}
		volumes = append(volumes, disk)
	}
	ops := []wire.Operation{
		{Type: wire.OpReserve, Reserve: &wire.Resources{Resources: wire.Allocated(kept, d.cfg.Role)}},
		{Type: wire.OpCreate, Create: &wire.Volumes{Volumes: wire.Allocated(volumes, d.cfg.Role)}},
	}
	d.name(ops, reservation{r.Volume, r.Host})
	return ops
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
				list = append(list, part{v.ContainerPath, float64(v.Persistent.Size)})
			}
		}
	}
	if len(list) == 0 {
		list = append(list, part{defaultPath, volumeSize(a)})
	}
	return list
}

// persistence names a disk of a volume. Dots in such names have been trouble.
func persistence(volume string, n int) string {
	return fmt.Sprintf("%s-%d", strings.ReplaceAll(volume, ".", "_"), n)
}

// operated hears what became of an operation. One that failed late is a reservation that was refused.
func (d *Driver) operated(s wire.OperationStatus) {
	if s.OperationID == nil {
		return
	}
	if s.UUID != nil {
		d.background(wire.Call{Type: wire.CallAcknowledgeOperationStatus, AcknowledgeOperationStatus: &wire.AcknowledgeOperationStatus{
			UUID: s.UUID.Value, OperationID: *s.OperationID, AgentID: s.AgentID,
		}})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	of, ours := d.operations[s.OperationID.Value]
	if !ours || s.State == "OPERATION_PENDING" || s.State == "OPERATION_RECOVERING" || s.State == "OPERATION_UNREACHABLE" {
		return
	}
	delete(d.operations, s.OperationID.Value)
	kind, _, _ := strings.Cut(s.OperationID.Value, "-")
	done := s.State == "OPERATION_FINISHED"
	switch {
	case kind == "create" && done:
		d.made(of.volume, of.host)
	case kind == "unreserve" && done:
		d.gone(driver.Volume{ID: of.volume, Host: of.host})
	case kind == "create" && d.volumes[of.volume] == "":
		why := fmt.Sprintf("Mesos did not make it: %s: %s", s.State, s.Message)
		d.events.Add(driver.VolumeChanged{Volume: driver.Volume{ID: of.volume, Host: of.host}, Why: why})
	}
}

// made notes that a volume is there, and says so the first time.
func (d *Driver) made(volume, host string) {
	if d.volumes[volume] == host {
		return
	}
	d.volumes[volume] = host
	d.events.Add(driver.VolumeChanged{Volume: driver.Volume{ID: volume, Host: host}, There: true})
}

// gone notes that a volume was destroyed as asked, and says so once.
func (d *Driver) gone(v driver.Volume) {
	if d.destroying[v.ID] == "" {
		return
	}
	delete(d.destroying, v.ID)
	delete(d.volumes, v.ID)
	d.events.Add(driver.VolumeChanged{Volume: v})
	d.events.Add(driver.OffersChanged{})
}

// Destroy implements driver.Driver. What is to be destroyed has to be offered first.
func (d *Driver) Destroy(ctx context.Context, v driver.Volume) error {
	d.mu.Lock()
	ids, all := d.take(d.agents[v.Host])
	kept := slices.DeleteFunc(all, func(r wire.Resource) bool { return labelOf(r) != v.ID })
	if len(kept) == 0 {
		defer d.mu.Unlock()
		if d.volumes[v.ID] == "" && len(ids) > 0 { // its host is there and has nothing of it
			d.events.Add(driver.VolumeChanged{Volume: v})
			return nil
		}
		return fmt.Errorf("%w: volume %s is not offered at the moment: it is in use, or its host is away", driver.ErrUnavailable, v.ID)
	}
	accept := wire.Accept{OfferIDs: ids, Operations: d.unmaking(v, kept), Filters: &wire.Filters{}}
	d.forget(ids)
	d.destroying[v.ID] = v.Host
	d.mu.Unlock()
	return d.call(ctx, wire.Call{Type: wire.CallAccept, Accept: &accept})
}

// unmaking are the operations that destroy a volume and give back what was kept with it.
func (d *Driver) unmaking(v driver.Volume, kept []wire.Resource) []wire.Operation {
	var ops []wire.Operation
	volumes := slices.DeleteFunc(slices.Clone(kept), func(r wire.Resource) bool { return r.Disk == nil || r.Disk.Persistence == nil })
	if len(volumes) > 0 {
		ops = append(ops, wire.Operation{Type: wire.OpDestroy, Destroy: &wire.Volumes{Volumes: wire.Allocated(volumes, d.cfg.Role)}})
	}
	for i := range kept {
		kept[i] = bare(kept[i])
	}
	kept = wire.Allocated(wire.Add(nil, kept...), d.cfg.Role)
	ops = append(ops, wire.Operation{Type: wire.OpUnreserve, Unreserve: &wire.Resources{Resources: kept}})
	d.name(ops, reservation{v.ID, v.Host})
	return ops
}

// name gives operations ids, so that they are answered for.
func (d *Driver) name(ops []wire.Operation, of reservation) {
	if !d.feedback {
		return
	}
	for i := range ops {
		id := strings.ToLower(string(ops[i].Type)) + "-" + of.volume
		ops[i].ID = &wire.ID{Value: id}
		d.operations[id] = of
	}
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

// take is everything that is held of an agent. It stays held until forget.
func (d *Driver) take(agent string) (ids []wire.ID, all []wire.Resource) {
	for _, o := range d.byAgent()[agent] {
		ids = append(ids, o.ID)
		all = append(all, wire.Allocated(o.Resources, "")...)
	}
	return ids, all
}

// forget drops offers that are being used.
func (d *Driver) forget(ids []wire.ID) {
	for _, id := range ids {
		delete(d.offers, id.Value)
	}
}

// pick chooses resources that make up what is wanted: of those that nobody has reserved first, then of those reserved for a
// role by others than us. False when there is not enough.
func pick(free, wanted []wire.Resource) ([]wire.Resource, bool) {
	var used []wire.Resource
	for _, w := range wanted {
		got, ok := pickOne(free, w)
		if !ok {
			return nil, false
		}
		used = append(used, got...)
		if free, ok = wire.Subtract(free, got...); !ok {
			return nil, false
		}
	}
	return used, true
}

// pickOne covers one need, from more than one resource where it has to.
func pickOne(free []wire.Resource, w wire.Resource) ([]wire.Resource, bool) {
	order := slices.Clone(free)
	slices.SortStableFunc(order, func(a, b wire.Resource) int { return len(a.Reservations) - len(b.Reservations) })
	var used []wire.Resource
	for _, r := range order {
		if r.Name != w.Name || r.Type != w.Type || labelOf(r) != "" || r.Disk != nil || r.Revocable != nil || r.Shared != nil {
			continue
		}
		part := r
		switch {
		case w.Scalar != nil && w.Scalar.Milli > 0:
			part.Scalar = &wire.Scalar{Milli: min(w.Scalar.Milli, r.Scalar.Milli)}
			w.Scalar = &wire.Scalar{Milli: w.Scalar.Milli - part.Scalar.Milli}
		case w.Ranges != nil:
			left := w.Ranges.Without(*r.Ranges)
			common := w.Ranges.Without(left)
			if len(common.Range) == 0 {
				continue
			}
			part.Ranges, w.Ranges = &common, &left
		default:
			continue
		}
		used = append(used, part)
	}
	done := w.Scalar != nil && w.Scalar.Milli == 0 || w.Ranges != nil && len(w.Ranges.Range) == 0
	return used, done
}
