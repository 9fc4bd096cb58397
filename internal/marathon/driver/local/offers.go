package local

import (
	"context"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// Offers implements driver.Driver.
func (d *Driver) Offers(context.Context) ([]place.Offer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var offers []place.Offer
	for _, h := range d.cfg.Hosts {
		if d.stopped[h.Name] {
			continue
		}
		offers = append(offers, d.offer(h))
	}
	slices.SortFunc(offers, func(a, b place.Offer) int { return strings.Compare(a.Host, b.Host) })
	return offers, nil
}

// offer is what the running tasks of a host leave over.
func (d *Driver) offer(h Host) place.Offer {
	o := place.Offer{
		ID: h.Name, Host: h.Name, Address: h.Address, AgentID: "local-" + h.Name,
		Free: h.Resources, Ports: h.Ports, Attributes: h.Attributes, Region: h.Region, Zone: h.Zone,
	}
	var ours []int
	for _, t := range d.tasks {
		if t.rec.Host == h.Name && !t.rec.Status.State.Terminal() {
			o.Free = o.Free.Sub(t.rec.Resources)
			o.Ports = o.Ports.Without(t.rec.Ports...)
			ours = append(ours, t.rec.Ports...)
		}
	}
	for id, v := range d.volumes {
		if v.Host == h.Name && isDir(d.dir.volume(id)) {
			o.Volumes = append(o.Volumes, id)
			ours = append(ours, v.Ports...)
		}
	}
	for _, role := range h.Roles {
		o.Free, o.Reserved = place.Resources{}, map[string]place.Resources{role: o.Free}
	}
	slices.Sort(o.Volumes)
	o.Ports = o.Ports.Without(d.busyPorts(h, ours)...)
	return o
}

// busyPorts are ports that programs we know nothing of listen on: of the single ports all are looked at, of the others
// those that a launch has run into. Ports of tasks and volumes are not looked at: the server a task left behind may still
// listen, and looking means to listen for an instant, which must not happen while a task tries to.
func (d *Driver) busyPorts(h Host, ours []int) []int {
	suspects := map[int]bool{}
	for _, r := range h.Ports {
		if r.Begin == r.End {
			suspects[r.Begin] = true
		}
	}
	for port := range d.taken[h.Name] {
		suspects[port] = true
	}
	var busy []int
	for port := range suspects {
		switch {
		case slices.Contains(ours, port):
		case canListen(h.Address, port):
			delete(d.taken[h.Name], port)
		default:
			busy = append(busy, port)
		}
	}
	return busy
}
