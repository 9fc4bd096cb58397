package place

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// fleetApp is an app of any kind: a database or not, with a constraint or none, of one role or another.
func fleetApp(t *rapid.T) app.App {
	a := drawApp(t)
	a.Instances = rapid.IntRange(1, 6).Draw(t, "instances")
	a.AcceptedResourceRoles = rapid.SampledFrom([][]string{nil, {"*"}, {"web"}, {"web", "*"}}).Draw(t, "roles")
	unique := app.Constraint{Field: "hostname", Operator: app.OperatorUnique}
	evenly := app.Constraint{Field: "@zone", Operator: app.OperatorGroupBy}
	few := app.Constraint{Field: "zone", Operator: app.OperatorMaxPer, Value: new("2")}
	together := app.Constraint{Field: "@zone", Operator: app.OperatorCluster}
	elsewhere := app.Constraint{Field: "@hostname", Operator: app.OperatorUnlike, Value: new("node2")}
	for range rapid.IntRange(0, 2).Draw(t, "mounts") {
		size := rapid.IntRange(1, 3).Draw(t, "size") * 10000
		a.Container.Volumes = append(a.Container.Volumes, app.Volume{Persistent: &app.PersistentVolume{Type: app.VolumeMount, Size: size}})
	}
	a.Constraints = rapid.SampledFrom([][]app.Constraint{
		nil, {unique}, {evenly}, {few}, {together}, {elsewhere}, {elsewhere, evenly},
	}).Draw(t, "constraints")
	return a
}

func fleetOffers(t *rapid.T) []Offer {
	var offers []Offer
	for i := range rapid.IntRange(1, 5).Draw(t, "hosts") {
		o := Offer{
			Host: fmt.Sprintf("node%d", i+1), Free: Resources{CPUs: 3, Mem: float64(2048 + 512*(i%3))}, Zone: fmt.Sprintf("z%d", i%2),
			Ports: Ranges{{5432, 5432}, {8008, 8008}, {31000, 31003}}, Mounts: []float64{25000, 15000},
			FreshVolumes: rapid.Bool().Draw(t, "fresh"),
		}
		if rapid.Bool().Draw(t, "keeps") {
			o.Kept = map[string]Kept{"v1": {Resources: Resources{CPUs: 1, Mem: 600, Disk: 5000}, Ports: Ranges{{31004, 31004}}}}
		}
		o.Free.Disk = rapid.SampledFrom([]float64{0, 25000, 90000}).Draw(t, "disk")
		if rapid.Bool().Draw(t, "reserved") {
			o.Reserved = map[string]Resources{"web": {CPUs: 1, Mem: 1024}}
		}
		offers = append(offers, o)
	}
	return offers
}

// TestFleetForgetsNothing says: after any number of choices taken, a fleet answers as one made anew of the same offers and
// of everything that was placed.
func TestFleetForgetsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offers := fleetOffers(t)
		var placed []Placed
		versions := map[string]app.Timestamp{}
		fleet := NewFleet(offers, nil)
		for i := range rapid.IntRange(1, 25).Draw(t, "needs") {
			n := Need{App: versioned(fleetApp(t), versions), Instance: app.InstanceID(fmt.Sprint("i", i))}
			if len(placed) > 0 && rapid.IntRange(0, 4).Draw(t, "again") == 0 {
				n.Instance = placed[0].Instance // looks for a place though it has one
				n.App.ID = placed[0].App
			}
			n.Volume = rapid.SampledFrom([]string{"", "v1", "v2"}).Draw(t, "volume")
			got, want := fleet.Choose(n), Choose(offers, n, placed)
			if diff := cmp.Diff(want.answer(), got.answer()); diff != "" {
				t.Fatalf("need %d: -anew +fleet\n%s", i, diff)
			}
			if diff := cmp.Diff(NewFleet(offers, placed).Explain(n), fleet.Explain(n)); diff != "" {
				t.Fatalf("need %d: -anew +fleet\n%s", i, diff)
			}
			if !got.Found || n.Instance != app.InstanceID(fmt.Sprint("i", i)) {
				continue
			}
			fleet.Take(got, n)
			placed = append(placed, Placed{
				App: n.App.ID, Instance: n.Instance, Host: got.Offer.Host, Ports: got.Ports, Holds: Wants(n.App),
				Mounts: Mounts(n.App), Roles: n.App.AcceptedResourceRoles, Volume: n.Volume,
			})
		}
	})
}

// versioned gives each definition a version of its own.
func versioned(a app.App, versions map[string]app.Timestamp) app.App {
	b, _ := json.Marshal(a)
	if versions[string(b)] == 0 {
		versions[string(b)] = app.Timestamp(len(versions) + 1)
	}
	a.Version = versions[string(b)]
	return a
}

// answer is what must not depend on what was asked before; the words of a refusal may be those of an earlier look.
func (c Choice) answer() any {
	a := struct {
		Found bool
		Host  string
		Ports []int
		Why   string
	}{c.Found, c.Offer.Host, c.Ports, c.Why}
	if !c.Found {
		a.Why = ""
	}
	return a
}

// TestADiskHasOneVolume says: a disk that a volume is going to take is nobody else's, in the same look at the offers and in the
// next ones while the volume is being made; and it is not taken off the root disk as well.
func TestADiskHasOneVolume(t *testing.T) {
	u, err := app.Parse([]byte(`{"id": "/a", "mem": 100, "disk": 100, "container": {"type": "MESOS", "volumes": [
		{"containerPath": "data", "mode": "RW", "persistent": {"type": "mount", "size": 50000}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	n := Need{App: u.New("/a"), Instance: "i1"}
	offers := []Offer{{
		Host: "node1", Free: Resources{CPUs: 9, Mem: 900, Disk: 1000}, Mounts: []float64{60000}, Ports: Ranges{{31000, 31009}},
	}}
	fleet := NewFleet(offers, nil)
	first := fleet.Choose(n)
	fleet.Take(first, n)
	second := Need{App: n.App, Instance: "i2"}
	want := "no host fits: node1: not enough disk (900 free of the 50100 it needs)"
	if c := fleet.Choose(second); !first.Found || c.Why != want {
		t.Errorf("in the same look: got %q, want %q", c.Why, want)
	}
	placed := []Placed{{App: "/a", Instance: "i1", Host: "node1", Holds: Wants(n.App), Mounts: Mounts(n.App)}}
	if c := Choose(offers, second, placed); c.Why != want {
		t.Errorf("in the next: got %q, want %q", c.Why, want)
	}
	if c := Choose(offers, n, placed); !c.Found {
		t.Errorf("whose disk it is: %s", c.Why)
	}
}

// TestZonesAreRemembered says: an instance counts for its zone also while its host offers nothing.
func TestZonesAreRemembered(t *testing.T) {
	u, err := app.Parse([]byte(`{"id": "/a", "portDefinitions": [], "constraints": [["@zone", "UNIQUE"]]}`))
	if err != nil {
		t.Fatal(err)
	}
	n := Need{App: u.New("/a"), Instance: "i1"}
	north := Offer{Host: "node1", Free: Resources{CPUs: 9, Mem: 900}, Zone: "north", Attributes: map[string]string{"rack": "r1"}}
	first := Choose([]Offer{north}, n, nil)
	placed := []Placed{{App: "/a", Instance: "i1", Host: "node1", Attributes: first.Offer.Attributes}}
	north.Host = "node2"
	c := Choose([]Offer{north}, Need{App: n.App}, placed)
	if want := "no host fits: node2: constraint @zone UNIQUE: north has 1 already"; c.Why != want {
		t.Errorf("got %q, want %q", c.Why, want)
	}
	if _, zone := Domain(first.Offer.Attributes); zone != "north" {
		t.Errorf("the zone of what was placed is %q", zone)
	}
	if len(north.Attributes) != 1 {
		t.Errorf("the offer itself was changed: %v", north.Attributes)
	}
}

func TestAttributesAreFormattedAsInMesos(t *testing.T) {
	for got, want := range map[string]string{
		FormatScalar(2):                           "2",
		FormatScalar(2.12345):                     "2.123",
		FormatScalar(0.5):                         "0.5",
		FormatRanges(Ranges{{1, 2}, {5, 5}}):      "[1-2,5-5]",
		FormatSet([]string{"b", "a"}):             "{a,b}",
		FormatRanges(nil) + FormatSet([]string{}): "[]{}",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestReasonsFollowTheFunnel says: what Marathon would have declined an offer for first is the reason.
func TestReasonsFollowTheFunnel(t *testing.T) {
	u, err := app.Parse([]byte(`{"id": "/a", "mem": 600, "cpus": 2, "constraints": [["hostname", "UNLIKE", "node1"]]}`))
	if err != nil {
		t.Fatal(err)
	}
	fleet := NewFleet([]Offer{
		{Host: "node1", Free: Resources{CPUs: 1}, Draining: "maintenance"},
		{Host: "node2", Free: Resources{CPUs: 1, Mem: 100}},
		{Host: "node3", Free: Resources{CPUs: 4, Mem: 500}},
		{Host: "node4", Free: Resources{CPUs: 4, Mem: 700}},
		{Host: "node5", Free: Resources{CPUs: 1, Mem: 700}, Draining: "maintenance"},
		{Host: "node6", Reserved: map[string]Resources{"web": {CPUs: 9, Mem: 900}}},
	}, nil)
	var got []app.RejectReason
	for _, v := range fleet.Choose(Need{App: u.New("/a")}).Rejected {
		got = append(got, v.Reason)
	}
	want := []app.RejectReason{
		app.UnfulfilledConstraint, app.InsufficientCPUs, app.InsufficientMemory, app.InsufficientPorts, app.AgentMaintenance,
		app.UnfulfilledRole,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons: -want +got\n%s", diff)
	}
}
