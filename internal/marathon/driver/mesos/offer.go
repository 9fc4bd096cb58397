package mesos

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

const (
	// revivePause is the least time between two REVIVE calls: each makes the master forget all filters.
	revivePause = 5 * time.Second
	// refuse is how long what is declined is not offered again unless it is asked for.
	refuse = 120 * time.Second
)

// Offers implements driver.Driver. Being asked is what keeps offers coming.
func (d *Driver) Offers(context.Context) ([]place.Offer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	idle := d.asked.IsZero() || now.Sub(d.asked) > d.cfg.Idle
	d.asked = now
	if d.suppressed && now.Sub(d.revived) > revivePause {
		d.suppressed, d.revived = false, now
		d.suppress(nil)
		d.background(wire.Call{Type: wire.CallRevive, Revive: &wire.Roles{Roles: []string{d.cfg.Role}}})
	}
	if idle {
		time.AfterFunc(d.cfg.Idle, d.rest)
	}
	byAgent := d.byAgent()
	offers := make([]place.Offer, 0, len(byAgent))
	for _, agent := range slices.Sorted(maps.Keys(byAgent)) {
		offers = append(offers, d.offer(byAgent[agent]))
	}
	slices.SortFunc(offers, func(a, b place.Offer) int { return strings.Compare(a.Host, b.Host) })
	return offers, nil
}

// rest gives all offers back when nobody has asked for a while.
func (d *Driver) rest() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil {
		return
	}
	if left := d.cfg.Idle - time.Since(d.asked); left > 0 {
		time.AfterFunc(left, d.rest)
		return
	}
	d.suppressed = true
	d.suppress([]string{d.cfg.Role})
	d.background(wire.Call{Type: wire.CallSuppress, Suppress: &wire.Roles{Roles: []string{d.cfg.Role}}})
	d.decline(slices.Collect(maps.Keys(d.offers)))
}

func (d *Driver) suppress(roles []string) {
	if d.session != nil {
		d.session.Suppress(roles)
	}
}

// decline gives offers back.
func (d *Driver) decline(ids []string) {
	if len(ids) == 0 {
		return
	}
	call := wire.Decline{Filters: &wire.Filters{RefuseSeconds: refuse.Seconds()}}
	for _, id := range ids {
		delete(d.offers, id)
		call.OfferIDs = append(call.OfferIDs, wire.ID{Value: id})
	}
	d.background(wire.Call{Type: wire.CallDecline, Decline: &call})
}

// hold keeps what was offered. While nobody wants offers, what comes all the same goes back at once.
func (d *Driver) hold(offers []wire.Offer) {
	d.mu.Lock()
	var back []string
	for _, o := range offers {
		d.agents[o.Hostname], d.hosts[o.AgentID.Value] = o.AgentID.Value, o.Hostname
		d.offers[o.ID.Value] = o
		d.notice(o)
		if d.suppressed {
			back = append(back, o.ID.Value)
		}
	}
	d.decline(back)
	d.mu.Unlock()
	if len(back) == 0 {
		d.events.Add(driver.OffersChanged{})
	}
}

// notice tells of volumes that an offer shows for the first time, of those that were destroyed and are not shown any more,
// and of an agent that is to be maintained.
func (d *Driver) notice(o wire.Offer) {
	shown := volumesOf(o.Resources)
	for _, volume := range shown {
		if d.destroying[volume] == "" {
			d.made(volume, o.Hostname)
		}
	}
	for volume, host := range d.destroying {
		if host == o.Hostname && !slices.ContainsFunc(o.Resources, func(r wire.Resource) bool { return labelOf(r) == volume }) && !d.feedback {
			d.gone(driver.Volume{ID: volume, Host: host})
		}
	}
	if to := o.Unavailability; (to != nil) != d.leaving[o.AgentID.Value] {
		d.leaves(o.AgentID.Value, to)
	}
}

// leave hears that agents are to be left, and says that it will be done: the scheduler moves what can be moved.
func (d *Driver) leave(offers []wire.InverseOffer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answer := wire.InverseAnswer{}
	for _, o := range offers {
		answer.InverseOfferIDs = append(answer.InverseOfferIDs, o.ID)
		if o.AgentID != nil && !d.leaving[o.AgentID.Value] {
			d.leaves(o.AgentID.Value, &o.Unavailability)
		}
	}
	d.background(wire.Call{Type: wire.CallAcceptInverseOffers, AcceptInverseOffers: &answer})
}

// leaves tells that an agent will be maintained, or will not.
func (d *Driver) leaves(agent string, to *wire.Unavailability) {
	d.leaving[agent] = to != nil
	e := driver.HostLeaving{Host: d.host(agent), Stays: to == nil, Why: "its maintenance is over"}
	if to != nil {
		e.At, e.Why = time.Unix(0, to.Start.Nanoseconds), "its administrator has announced maintenance"
	}
	d.events.Add(e)
}

// forgetOffers drops offers that are void because their subscription has ended.
func (d *Driver) forgetOffers() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.offers)
}

// byAgent are the offers that are held, those of one agent together.
func (d *Driver) byAgent() map[string][]wire.Offer {
	all := map[string][]wire.Offer{}
	for _, id := range slices.Sorted(maps.Keys(d.offers)) {
		o := d.offers[id]
		all[o.AgentID.Value] = append(all[o.AgentID.Value], o)
	}
	return all
}

// offer is what one agent offers in the words of the port. What is reserved for an instance of ours counts as free: the
// scheduler knows for whom it is.
func (d *Driver) offer(list []wire.Offer) place.Offer {
	first := list[0]
	o := place.Offer{
		ID: first.AgentID.Value, Host: first.Hostname, Address: address(first), AgentID: first.AgentID.Value,
		Attributes: map[string]string{}, Reserved: map[string]place.Resources{},
	}
	if first.Domain != nil && first.Domain.FaultDomain != nil {
		o.Region, o.Zone = first.Domain.FaultDomain.Region.Name, first.Domain.FaultDomain.Zone.Name
	}
	for _, a := range first.Attributes {
		o.Attributes[a.Name] = attribute(a)
	}
	if d.leaving[first.AgentID.Value] {
		o.Draining = "its administrator has announced maintenance"
	}
	for _, each := range list {
		for _, r := range each.Resources {
			count(&o, r)
		}
		o.Volumes = append(o.Volumes, volumesOf(each.Resources)...)
	}
	slices.Sort(o.Volumes)
	o.Volumes = slices.Compact(o.Volumes)
	return o
}

// address is where the ports of an agent's tasks are reached.
func address(o wire.Offer) string {
	if o.URL == nil {
		return o.Hostname
	}
	if ip := o.URL.Address.IP; ip != "" && ip != "0.0.0.0" {
		return ip
	}
	return o.URL.Address.Hostname
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

// count adds a resource to what the offer shows. Disks other than the agent's own are not for sandboxes.
func count(o *place.Offer, r wire.Resource) {
	if r.Revocable != nil || r.Shared != nil || r.ProviderID != nil {
		return
	}
	if r.Ranges != nil && r.Name == "ports" {
		o.Ports = append(o.Ports, portRanges(*r.Ranges)...)
		return
	}
	amount, counted := scalar(r)
	if !counted {
		return
	}
	role := reservedFor(r)
	if role == "" {
		o.Free = o.Free.Add(amount)
		return
	}
	o.Reserved[role] = o.Reserved[role].Add(amount)
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
		return place.Resources{Disk: amount}, r.Disk == nil || r.Disk.Source == nil
	}
	return place.Resources{}, false
}

// reservedFor is the role a resource is kept for by others than us, empty when it is nobody's or an instance of ours.
func reservedFor(r wire.Resource) string {
	n := len(r.Reservations)
	if n == 0 || labelOf(r) != "" {
		return ""
	}
	return r.Reservations[n-1].Role
}
