package mesostest

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// offer is what a framework holds of an agent.
type offer struct {
	id        string
	framework string
	agent     *agent
	resources []wire.Resource
}

// offer offers what is free on every agent to frameworks that want it: all of an agent to the first of them.
func (m *Master) offer() {
	for _, a := range m.agents {
		for _, f := range m.frameworks {
			m.offerAgent(a, f)
		}
	}
}

func (m *Master) offerAgent(a *agent, f *framework) {
	role := f.role()
	if f.stream == nil || f.silent[role] || !a.offering() || len(a.free) == 0 || time.Now().Before(f.refused[a.id]) {
		return
	}
	mine, others := split(a.free, role)
	if len(mine) == 0 {
		return
	}
	a.free = others
	o := &offer{id: m.name("O%d"), framework: f.id, agent: a, resources: mine}
	m.offers[o.id] = o
	f.send(wire.Event{Type: wire.EventOffers, Offers: &wire.Offers{Offers: []wire.Offer{{
		ID: wire.ID{Value: o.id}, FrameworkID: wire.ID{Value: f.id}, AgentID: wire.ID{Value: a.id}, Hostname: a.cfg.Hostname,
		URL:       &wire.URL{Scheme: "http", Address: wire.Address{Hostname: a.cfg.Hostname, IP: a.cfg.IP, Port: m.agentPort()}, Path: "/slave(1)"},
		Resources: wire.Allocated(mine, role), Attributes: a.cfg.Attributes, Domain: a.domain(), Unavailability: a.window,
		AllocationInfo: &wire.AllocationInfo{Role: role},
	}}}})
}

// role is the role of a framework; frameworks with several are not played.
func (f *framework) role() string {
	if len(f.info.Roles) > 0 {
		return f.info.Roles[0]
	}
	return "*"
}

// split parts what a role may use from what is reserved for others.
func split(free []wire.Resource, role string) (mine, others []wire.Resource) {
	for _, r := range free {
		if n := len(r.Reservations); n == 0 || r.Reservations[n-1].Role == role {
			mine = append(mine, r)
			continue
		}
		others = append(others, r)
	}
	return mine, others
}

// takeBack frees everything a framework was offered; it hears nothing of it.
func (m *Master) takeBack(f *framework) {
	for id, o := range m.offers {
		if o.framework == f.id {
			delete(m.offers, id)
			o.agent.free = wire.Add(o.agent.free, o.resources...)
		}
	}
}

// rescind takes the offers of an agent back, and says so.
func (m *Master) rescind(a *agent) {
	for id, o := range m.offers {
		if o.agent != a {
			continue
		}
		delete(m.offers, id)
		a.free = wire.Add(a.free, o.resources...)
		m.frameworks[o.framework].send(wire.Event{Type: wire.EventRescind, Rescind: &wire.Rescind{OfferID: wire.ID{Value: id}}})
	}
}

func (m *Master) decline(f *framework, d wire.Decline) {
	for _, id := range d.OfferIDs {
		o := m.offers[id.Value]
		if o == nil || o.framework != f.id {
			continue
		}
		delete(m.offers, id.Value)
		o.agent.free = wire.Add(o.agent.free, o.resources...)
		m.refuse(f, o.agent, d.Filters)
	}
	m.offer()
}

// refuse keeps an agent from a framework for a while, 5 s where it does not say how long.
func (m *Master) refuse(f *framework, a *agent, filters *wire.Filters) {
	seconds := 5.0
	if filters != nil {
		seconds = filters.RefuseSeconds
	}
	if seconds <= 0 {
		return
	}
	d := time.Duration(min(seconds, 31536000) * float64(time.Second))
	f.refused[a.id] = time.Now().Add(d)
	m.after(d, m.offer)
}

// after does something later, unless the master is closed by then.
func (m *Master) after(d time.Duration, do func()) {
	time.AfterFunc(d, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if !m.closed {
			do()
		}
	})
}
