package mesos

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// Offers implements driver.Driver. Being asked is what keeps offers coming.
func (d *Driver) Offers(context.Context) ([]place.Offer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want()
	offers := make([]place.Offer, 0, len(d.agents))
	for _, id := range slices.Sorted(maps.Keys(d.agents)) {
		if a := d.agents[id]; len(a.offers) > 0 {
			offers = append(offers, d.offer(a))
		}
	}
	slices.SortStableFunc(offers, func(a, b place.Offer) int { return strings.Compare(a.Host, b.Host) })
	return offers, nil
}

// hold keeps what was offered. While nobody wants offers, what comes all the same goes back at once.
func (d *Driver) hold(offers []wire.Offer) {
	fresh := false
	for _, o := range offers {
		a := d.agentOf(o.AgentID.Value)
		a.host, a.url = o.Hostname, o.URL
		a.offers[o.ID.Value] = o
		d.replace(a)
		d.look(a, o)
		d.askAt(a)
		if d.demand.suppressed && len(a.pending) == 0 {
			d.decline(a, refuse)
			continue
		}
		d.watch(a)
		fresh = true
	}
	if fresh {
		d.events.Add(driver.OffersChanged{})
	}
}

// look takes in what an offer says of its agent: volumes that lie there and are free, and maintenance to come.
func (d *Driver) look(a *agent, o wire.Offer) {
	for _, r := range o.Resources {
		id := labelOf(r, labelVolume)
		if id != "" && isVolume(r) {
			d.seen(a, id, r)
		}
	}
	for _, v := range d.volumes {
		if v.unmaking && v.host == a.host {
			d.unmake(a, v)
		}
	}
	d.launchParked(a)
	if (o.Unavailability != nil) != a.leaving {
		d.leaves(a, o.Unavailability)
	}
}

// offer is what one agent offers in the words of the port.
func (d *Driver) offer(a *agent) place.Offer {
	first := a.offers[slices.Sorted(maps.Keys(a.offers))[0]]
	o := place.Offer{
		ID: a.id, Host: a.host, Address: reached(first.URL, first.Hostname), AgentID: a.id,
		Attributes: map[string]string{}, Reserved: map[string]place.Resources{}, FreshVolumes: true,
	}
	if first.Domain != nil && first.Domain.FaultDomain != nil {
		o.Region, o.Zone = first.Domain.FaultDomain.Region.Name, first.Domain.FaultDomain.Zone.Name
	}
	for _, at := range first.Attributes {
		o.Attributes[at.Name] = attribute(at)
	}
	if a.leaving {
		o.Draining = announced
	}
	var ports wire.Ranges
	free := pool(a)
	o.Mounts = sizes(mounts(free))
	for _, r := range free {
		switch {
		case !common(r):
		case labelOf(r, labelVolume) != "":
			d.keep(&o, r)
		case r.Name == "ports" && r.Ranges != nil:
			ports.Range = append(ports.Range, r.Ranges.Range...)
		default:
			count(&o, r)
		}
	}
	o.Ports = portRanges(ports)
	for _, v := range d.volumes {
		switch {
		case !v.there || v.host != a.host:
		case v.foreign == "":
			o.Volumes = append(o.Volumes, v.id)
		case o.Foreign == nil:
			o.Foreign = map[string]string{v.id: v.foreign}
		default:
			o.Foreign[v.id] = v.foreign
		}
	}
	slices.Sort(o.Volumes)
	return o
}

// reached is where the ports of an agent's tasks are reached: by its address, else by its name.
func reached(at *wire.URL, hostname string) string {
	if at == nil {
		return hostname
	}
	if ip := at.Address.IP; ip != "" && ip != "0.0.0.0" {
		return ip
	}
	return at.Address.Hostname
}

func attribute(a wire.Attribute) string {
	switch {
	case a.Scalar != nil:
		return place.FormatScalar(a.Scalar.Float())
	case a.Ranges != nil:
		return place.FormatRanges(portRanges(*a.Ranges))
	case a.Set != nil:
		return place.FormatSet(a.Set.Item)
	case a.Text != nil:
		return a.Text.Value
	}
	return ""
}

func portRanges(r wire.Ranges) place.Ranges {
	var ranges place.Ranges
	for _, x := range r.Merge().Range {
		ranges = append(ranges, place.Range{Begin: x.Begin, End: x.End})
	}
	return ranges
}

// common reports whether a resource is of the kind that tasks are made of.
func common(r wire.Resource) bool {
	return r.Revocable == nil && r.Shared == nil && r.ProviderID == nil
}

// count adds a resource to what the offer shows.
func count(o *place.Offer, r wire.Resource) {
	amount, counted := scalar(r)
	if !counted {
		return
	}
	if role := reservedFor(r); role != "" {
		o.Reserved[role] = o.Reserved[role].Add(amount)
		return
	}
	o.Free = o.Free.Add(amount)
}

// keep adds what is kept with a volume. What is kept for instances of another framework is nobody's here.
func (d *Driver) keep(o *place.Offer, r wire.Resource) {
	if !d.ours(r) {
		return
	}
	id := labelOf(r, labelVolume)
	kept := o.Kept[id]
	if amount, counted := scalar(r); counted {
		kept.Resources = kept.Add(amount)
	}
	if r.Name == "ports" && r.Ranges != nil {
		kept.Ports = append(kept.Ports, portRanges(*r.Ranges)...)
	}
	if o.Kept == nil {
		o.Kept = map[string]place.Kept{}
	}
	o.Kept[id] = kept
}

func scalar(r wire.Resource) (place.Resources, bool) {
	if r.Scalar == nil {
		return place.Resources{}, false
	}
	amount := r.Scalar.Float()
	switch r.Name {
	case "cpus":
		return place.Resources{CPUs: amount}, true
	case "mem":
		return place.Resources{Mem: amount}, true
	case "gpus":
		return place.Resources{GPUs: amount}, true
	case "disk":
		if r.Disk == nil || r.Disk.Source == nil {
			return place.Resources{Disk: amount}, true
		}
		size, err := strconv.ParseFloat(labelOf(r, labelSize), 64) // of ours
		return place.Resources{Disk: size}, err == nil
	}
	return place.Resources{}, false
}

// reservedFor is the role a resource is kept for, empty when it is nobody's.
func reservedFor(r wire.Resource) string {
	if n := len(r.Reservations); n > 0 {
		return r.Reservations[n-1].Role
	}
	return ""
}
