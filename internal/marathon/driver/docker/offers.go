package docker

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// avoidFor is how long a port is not offered that something outside of Docker was found to have.
const avoidFor = time.Minute

// Offers implements driver.Driver.
func (d *Driver) Offers(context.Context) ([]place.Offer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var offers []place.Offer
	for _, m := range d.daemons {
		if !m.up || d.foreignOn(m) {
			continue
		}
		for _, h := range m.cfg.Hosts {
			offers = append(offers, d.offer(h, m))
		}
	}
	slices.SortFunc(offers, func(a, b place.Offer) int { return strings.Compare(a.Host, b.Host) })
	return offers, nil
}

// foreignOn reports whether a daemon turned out to hold things of another framework after the subscription.
func (d *Driver) foreignOn(m *daemon) bool {
	for _, t := range d.tasks {
		if t.daemon == m && t.framework != d.framework {
			return true
		}
	}
	return false
}

// offer is what the living tasks of a host leave over.
func (d *Driver) offer(h Host, m *daemon) place.Offer {
	o := place.Offer{
		ID: h.Name, Host: h.Name, Address: h.Address, AgentID: "docker-" + h.Name, Free: h.total(m.total), Ports: h.Ports,
		Attributes: h.Attributes, Region: h.Region, Zone: h.Zone,
	}
	for _, t := range d.tasks {
		if t.rec.Host == h.Name && !t.state.Terminal() {
			o.Free, o.Ports = o.Free.Sub(t.rec.Resources), o.Ports.Without(t.rec.Ports...)
		}
	}
	for port := range m.strangers {
		o.Ports = o.Ports.Without(port)
	}
	for port, at := range d.taken[h.Name] {
		if time.Since(at) > avoidFor {
			delete(d.taken[h.Name], port)
			continue
		}
		o.Ports = o.Ports.Without(port)
	}
	for _, v := range d.volumes {
		if v.host == h.Name {
			o.Volumes = append(o.Volumes, v.id)
		}
	}
	slices.Sort(o.Volumes)
	for _, role := range h.Roles {
		o.Free, o.Reserved = place.Resources{}, map[string]place.Resources{role: o.Free}
	}
	return o
}

// total is what a host has: what was configured, else what its machine has.
func (h Host) total(m machine) place.Resources {
	r := h.Resources
	if r.CPUs == 0 && r.Mem == 0 {
		r.CPUs, r.Mem = m.cpus, m.mem
		if r.Disk == 0 {
			r.Disk = m.disk
		}
	}
	r.GPUs = float64(len(h.GPUs))
	return r
}
