package place

import (
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// query is one need, with what is worked out once for all hosts.
type query struct {
	Need
	fleet   *Fleet
	others  *census
	want    Resources
	ports   []app.Port
	mounts  []app.PersistentVolume
	explain bool // sentences are wanted, not only answers
	spread  bool // members of a PostgreSQL app that keep apart without being told
	limit   int  // members that one host may have then
	zones   map[string]int
	byHost  map[string]int
	least   crowd // nothing can be better
}

// crowd is how many other members of a PostgreSQL app are near; less of it is better.
type crowd struct{ host, zone int }

func (c crowd) less(d crowd) bool {
	if c.host != d.host {
		return c.host < d.host
	}
	return c.zone < d.zone
}

func (f *Fleet) query(n Need) *query {
	q := &query{Need: n, fleet: f, others: f.census(n.App.ID), want: Wants(n.App), ports: n.App.Ports(), mounts: Mounts(n.App)}
	if !n.App.IsPostgres() || slices.ContainsFunc(n.App.Constraints, limitsHost) {
		return q
	}
	q.spread, q.limit = true, f.perHost(n.App.Instances)
	q.byHost = q.others.of(fieldHostname)
	if len(n.App.Constraints) > 0 {
		return q
	}
	q.zones = q.others.of(fieldZone)
	q.least.zone = q.emptiest()
	return q
}

// perHost is how many members of a PostgreSQL app one host may have: one, unless there are fewer hosts than members.
func (f *Fleet) perHost(instances int) int {
	if f.Hosts < 1 {
		return 1
	}
	return max((instances+f.Hosts-1)/f.Hosts, 1)
}

// emptiest is the number of members in the zone that has fewest.
func (q *query) emptiest() int {
	fewest := -1
	for _, h := range q.fleet.hosts {
		if zone, has := h.offer.value(fieldZone); has && (fewest < 0 || q.zones[zone] < fewest) {
			fewest = q.zones[zone]
		}
		if fewest == 0 {
			break
		}
	}
	return max(fewest, 0)
}

// crowd is how many members are near the host; always none for apps that do not keep apart.
func (q *query) crowd(h *host) crowd {
	if !q.spread {
		return crowd{}
	}
	c := crowd{host: q.byHost[h.offer.Host]}
	if len(q.App.Constraints) == 0 {
		if zone, has := h.offer.value(fieldZone); has {
			c.zone = q.zones[zone]
		}
	}
	return c
}

// candidates are the hosts worth a look, in the order of preference: one, for an instance that is bound.
func (q *query) candidates() []*host {
	if q.Host == "" {
		return q.fleet.hosts
	}
	if h := q.fleet.byName[q.Host]; h != nil {
		return []*host{h}
	}
	return nil
}
