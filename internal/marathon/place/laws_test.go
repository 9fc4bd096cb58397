package place

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// world is a small fleet that gives away what Choose chooses.
type world struct {
	total  map[string]Offer
	placed []Placed
	apps   map[app.InstanceID]app.App
	down   map[app.InstanceID]bool
}

// drawApp makes small apps of both kinds, so that hosts fill up.
func drawApp(t *rapid.T) app.App {
	n := rapid.IntRange(0, 3).Draw(t, "app")
	a := app.App{ID: app.ID(fmt.Sprintf("/app%d", n)), CPUs: 1, Mem: float64(rapid.IntRange(1, 4).Draw(t, "mem")) * 512}
	a.Networks = []app.Network{{Mode: app.NetworkBridge}}
	a.Container = &app.Container{}
	for _, number := range []int{5432, 8008}[:rapid.IntRange(0, 2).Draw(t, "ports")] {
		host := 0
		a.Container.PortMappings = append(a.Container.PortMappings, app.PortMapping{ContainerPort: number, HostPort: &host})
	}
	return a
}

func newWorld(t *rapid.T) *world {
	w := &world{total: map[string]Offer{}, apps: map[app.InstanceID]app.App{}, down: map[app.InstanceID]bool{}}
	for i := range rapid.IntRange(1, 4).Draw(t, "hosts") {
		host := fmt.Sprintf("node%d", i+1)
		w.total[host] = Offer{
			Host: host, Free: Resources{CPUs: 4, Mem: 4096},
			Ports: Ranges{{5432, 5432}, {8008, 8008}, {31000, 31002}},
		}
	}
	return w
}

// offers takes off what running tasks use, as a driver does.
func (w *world) offers() []Offer {
	var offers []Offer
	for host, o := range w.total {
		for _, p := range w.placed {
			if p.Host == host && !w.down[p.Instance] {
				o.Free = o.Free.Sub(need(w.apps[p.Instance]))
				o.Ports = o.Ports.Without(p.Ports...)
			}
		}
		offers = append(offers, o)
	}
	return offers
}

func need(a app.App) Resources { return Resources{CPUs: a.CPUs, Mem: a.Mem, Disk: a.Disk} }

// known is what the scheduler tells: who is down holds its resources.
func (w *world) known() []Placed {
	var known []Placed
	for _, p := range w.placed {
		if w.down[p.Instance] {
			p.Holds = need(w.apps[p.Instance])
		}
		known = append(known, p)
	}
	return known
}

// TestNothingIsGivenTwice says: whatever is launched, stopped and launched again, no host gives more than it has, no
// port has two owners, and no host has two members of one PostgreSQL app.
func TestNothingIsGivenTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"launch": func(t *rapid.T) {
				a := drawApp(t)
				id := app.InstanceID(fmt.Sprintf("%s.%d", a.ID, len(w.placed)))
				if c := Choose(w.offers(), Need{App: a, Instance: id}, w.known()); c.Found {
					w.apps[id] = a
					w.placed = append(w.placed, Placed{App: a.ID, Instance: id, Host: c.Offer.Host, Ports: c.Ports})
				}
			},
			"stop or start": func(t *rapid.T) {
				if len(w.placed) > 0 {
					id := rapid.SampledFrom(w.placed).Draw(t, "instance").Instance
					w.down[id] = !w.down[id]
				}
			},
			"": func(t *rapid.T) { w.check(t) },
		})
	})
}

func (w *world) check(t *rapid.T) {
	used := map[string]Resources{}
	owner := map[string]app.InstanceID{}
	member := map[string]app.InstanceID{}
	for _, p := range w.placed {
		a := w.apps[p.Instance]
		used[p.Host] = used[p.Host].Add(need(a))
		for _, port := range p.Ports {
			key := fmt.Sprintf("%s:%d", p.Host, port)
			if owner[key] != "" {
				t.Fatalf("port %s belongs to %s and to %s", key, owner[key], p.Instance)
			}
			if !w.total[p.Host].Ports.Contains(port) {
				t.Fatalf("port %s was never offered", key)
			}
			owner[key] = p.Instance
		}
		key := p.Host + string(a.ID)
		if a.IsPostgres() && member[key] != "" && w.apps[member[key]].IsPostgres() {
			t.Fatalf("%s and %s share host %s", member[key], p.Instance, p.Host)
		}
		member[key] = p.Instance
	}
	for host, r := range used {
		if !w.total[host].Free.Covers(r) {
			t.Fatalf("host %s gave away %v of %v", host, r, w.total[host].Free)
		}
	}
}

// TestBackToItsVolume says: a bound instance is placed on the host of its volume or not at all.
func TestBackToItsVolume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		offers := w.offers()
		home := rapid.IntRange(0, len(offers)-1).Draw(t, "home")
		offers[home].Volumes = []string{"v"}
		n := Need{App: drawApp(t), Instance: "i", Volume: "v", Host: rapid.SampledFrom([]string{"node1", "node9"}).Draw(t, "host")}
		if c := Choose(offers, n, nil); c.Found && (c.Offer.Host != n.Host || c.Offer.Host != offers[home].Host) {
			t.Fatalf("went to %s, its volume lies on %s", c.Offer.Host, offers[home].Host)
		}
	})
}

// TestShunnedHostsAreTheLast says: a host where tasks of the app have failed is chosen only if no other fits, and shunning keeps
// nobody from a place.
func TestShunnedHostsAreTheLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		n := Need{App: drawApp(t), Shun: map[string]bool{}}
		var others []Offer
		for _, o := range w.offers() {
			o.Free.Mem = float64(rapid.IntRange(0, 4).Draw(t, "free")) * 512
			if rapid.Bool().Draw(t, "shunned") {
				n.Shun[o.Host] = true
			} else {
				others = append(others, o)
			}
			w.total[o.Host] = o
		}
		c := Choose(w.offers(), n, nil)
		if elsewhere := Choose(others, n, nil); c.Found && n.Shun[c.Offer.Host] == elsewhere.Found {
			t.Fatalf("went to %s, shunned are %v, without those: %q", c.Offer.Host, n.Shun, elsewhere.Why)
		}
		n.Shun = nil
		if plain := Choose(w.offers(), n, nil); plain.Found != c.Found {
			t.Fatalf("found: %t, without anything shunned: %t", c.Found, plain.Found)
		}
	})
}
