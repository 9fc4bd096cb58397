package mesos

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

const (
	announced = "its administrator has announced maintenance"
	// leaveAgain is how long Mesos does not ask again to leave an agent.
	leaveAgain = time.Hour
)

// leave hears that agents are to be left, and says that it will be done: the scheduler moves what can be moved.
func (d *Driver) leave(offers []wire.InverseOffer) {
	answer := wire.InverseAnswer{Filters: &wire.Filters{RefuseSeconds: leaveAgain.Seconds()}}
	for _, o := range offers {
		answer.InverseOfferIDs = append(answer.InverseOfferIDs, o.ID)
		if o.AgentID == nil {
			continue
		}
		a := d.agentOf(o.AgentID.Value)
		if o.URL != nil && a.url == nil {
			a.host = o.URL.Address.Hostname
		}
		if !a.leaving {
			d.leaves(a, &o.Unavailability)
		}
	}
	d.background(wire.Call{Type: wire.CallAcceptInverseOffers, AcceptInverseOffers: &answer})
}

// leaves tells that an agent will be maintained, or will not. Mesos says the latter by offers that speak of it no more.
func (d *Driver) leaves(a *agent, to *wire.Unavailability) {
	a.leaving = to != nil
	e := driver.HostLeaving{Host: a.host, Stays: to == nil, Why: "its maintenance is over"}
	if to != nil {
		e.At, e.Why = time.Unix(0, to.Start.Nanoseconds), announced
	}
	d.events.Add(e)
}
