package place

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Fleet is what there is to place on: the offers of one moment and the instances that have a place, indexed once for any
// number of choices. It answers [Fleet.Choose] as if it had been made anew after each [Fleet.Take]. It is not safe for use
// by several goroutines at once.
type Fleet struct {
	// Local is the region an app without a constraint on @region is kept in; empty where the platform has no regions.
	// Hosts that name no region count as local.
	Local string
	// Hosts is how many hosts the platform has, 0 when that is not known for certain. Only with fewer hosts than members may
	// members of a PostgreSQL app share one: their volumes would keep them together long after a host that was only away has
	// come back, so who cannot tell the two apart leaves it at 0.
	Hosts int

	hosts    []*host // the order in which they are preferred, see [preferred]
	byName   map[string]*host
	placed   map[app.InstanceID]*member
	censuses map[app.ID]*census
	patterns patterns
	rules    []rule
	// refused holds the app's needs that found no place since anything of the app was taken: a fleet only gets fuller.
	refused map[app.ID]refusal
}

// host is an offer with what is left of it.
type host struct {
	offer   Offer
	free    Resources
	left    map[string]Resources // of what is reserved, by role
	ports   Ranges
	mounts  []float64
	members []*member
}

// member is an instance that has a place.
type member struct {
	Placed
	Region string
	Zone   string
	turn   int // where among the members of its host it was when it was taken out
}

// refusal is a choice that found nothing.
type refusal struct {
	version app.Timestamp // of the definition; it is what it is as long as this stays
	choice  Choice
}

// NewFleet indexes the offers and the placed instances. Of several offers of one host only the first counts.
func NewFleet(offers []Offer, placed []Placed) *Fleet {
	f := &Fleet{
		byName: make(map[string]*host, len(offers)),
		placed: make(map[app.InstanceID]*member, len(placed)), censuses: map[app.ID]*census{},
		patterns: patterns{}, rules: rules(), refused: map[app.ID]refusal{},
	}
	for _, o := range offers {
		if f.byName[o.Host] != nil {
			continue
		}
		o.Attributes = o.facts()
		h := &host{offer: o, free: o.Free, left: o.Reserved, ports: o.Ports, mounts: o.Mounts}
		f.hosts = append(f.hosts, h)
		f.byName[o.Host] = h
	}
	for _, p := range placed {
		f.attach(f.memberAt(p))
	}
	slices.SortFunc(f.hosts, preferred)
	return f
}

// memberAt adds to a placed instance what the offer of its host knows.
func (f *Fleet) memberAt(p Placed) *member {
	m := &member{Placed: p, Region: p.Attributes[fieldRegion], Zone: p.Attributes[fieldZone]}
	h := f.byName[p.Host]
	if h == nil {
		return m
	}
	m.Region, m.Zone = cmp.Or(h.offer.Region, m.Region), cmp.Or(h.offer.Zone, m.Zone)
	if m.Attributes == nil {
		m.Attributes = h.offer.Attributes
	}
	return m
}

// Take accounts for an instance that goes where the choice says: nobody else gets what it needs there.
func (f *Fleet) Take(c Choice, n Need) {
	if !c.Found {
		return
	}
	if m := f.placed[n.Instance]; m != nil && n.Instance != "" {
		f.detach(m)
	}
	p := Placed{
		App: n.App.ID, Instance: n.Instance, Host: c.Offer.Host, Attributes: c.Offer.Attributes, Ports: c.Ports,
		Holds: Wants(n.App), Volume: n.Volume, Roles: n.App.AcceptedResourceRoles,
	}
	if n.Host == "" {
		p.Mounts = Mounts(n.App)
	}
	h := f.byName[p.Host]
	f.unlist(h)
	f.attach(f.memberAt(p))
	f.list(h)
	delete(f.refused, n.App.ID)
}

// note makes m count for its app, wherever its host is.
func (f *Fleet) note(m *member) {
	if m.Instance != "" {
		f.placed[m.Instance] = m
	}
	f.census(m.App).add(m, 1)
}

// attach makes m count, as the last of its host. The order of the hosts is the caller's business.
func (f *Fleet) attach(m *member) {
	f.note(m)
	if h := f.byName[m.Host]; h != nil {
		h.members = append(h.members, m)
		h.give(m)
	}
}

// detach is the opposite of attach.
func (f *Fleet) detach(m *member) {
	delete(f.placed, m.Instance)
	f.census(m.App).add(m, -1)
	h := f.byName[m.Host]
	if h == nil {
		return
	}
	f.unlist(h)
	m.turn = slices.Index(h.members, m)
	h.members = slices.Delete(h.members, m.turn, m.turn+1)
	h.recount()
	f.list(h)
}

func (f *Fleet) census(id app.ID) *census {
	c := f.censuses[id]
	if c == nil {
		c = &census{members: map[*member]bool{}, counts: map[string]map[string]int{}}
		f.censuses[id] = c
	}
	return c
}

// list puts a host back to where its free resources say; unlist takes it out.
func (f *Fleet) list(h *host) {
	i, _ := slices.BinarySearchFunc(f.hosts, h, preferred)
	f.hosts = slices.Insert(f.hosts, i, h)
}

func (f *Fleet) unlist(h *host) {
	if i, found := slices.BinarySearchFunc(f.hosts, h, preferred); found {
		f.hosts = slices.Delete(f.hosts, i, i+1)
	}
}

// preferred orders hosts: those with GPUs last, for who needs none must not take them from who does; then most memory
// left, most cpus, first by name.
func preferred(a, b *host) int {
	return cmp.Or(
		cmp.Compare(min(a.free.GPUs, 1), min(b.free.GPUs, 1)),
		cmp.Compare(b.free.Mem, a.free.Mem),
		cmp.Compare(b.free.CPUs, a.free.CPUs),
		strings.Compare(a.offer.Host, b.offer.Host),
	)
}

// recount is what is left of the offer after all members.
func (h *host) recount() {
	h.free, h.left, h.ports, h.mounts = h.offer.Free, h.offer.Reserved, h.offer.Ports, h.offer.Mounts
	for _, m := range h.members {
		h.give(m)
	}
}

// give takes off what one member holds beyond what is kept with its volume.
func (h *host) give(m *member) {
	h.ports = h.ports.Without(m.Ports...)
	holds := m.Holds.beyond(h.offer.Kept[m.Volume].Resources)
	if holds == (Resources{}) {
		return
	}
	left, mounted := mount(m.Mounts, h.mounts)
	h.mounts, holds.Disk = left, holds.Disk-mounted
	h.free, h.left = draw(h.free, h.left, holds, h.roles(m.Volume != "", m.Roles))
}
