package place

import (
	"fmt"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// BenchmarkFleet places 10 000 instances on 500 hosts, ten of each of 1 000 apps; every fourth app is a PostgreSQL cluster
// and every second keeps its instances apart.
func BenchmarkFleet(b *testing.B) {
	var offers []Offer
	for i := range 500 {
		offers = append(offers, Offer{
			Host: fmt.Sprintf("node%03d", i), Free: Resources{CPUs: 64, Mem: 65536, Disk: 1e6}, Zone: fmt.Sprintf("z%d", i%5),
			Ports: Ranges{{5432, 5432}, {8008, 8008}, {31000, 32000}},
		})
	}
	for b.Loop() {
		f := NewFleet(offers, nil)
		for i := range 10000 {
			n := Need{App: benchApp(i % 1000), Instance: app.InstanceID(fmt.Sprintf("i%d", i))}
			c := f.Choose(n)
			if !c.Found {
				b.Fatal(c.Why)
			}
			f.Take(c, n)
		}
	}
}

func benchApp(n int) app.App {
	open := 0
	a := app.App{ID: app.ID(fmt.Sprintf("/app%d", n)), CPUs: 0.1, Mem: float64(64 + n%7), Instances: 10}
	a.Networks = []app.Network{{Mode: app.NetworkBridge}}
	a.Container = &app.Container{PortMappings: []app.PortMapping{{ContainerPort: 5432, HostPort: &open}}}
	if n%4 == 0 {
		a.Container.PortMappings = append(a.Container.PortMappings, app.PortMapping{ContainerPort: 8008, HostPort: &open})
	}
	if n%4 == 1 {
		a.Constraints = []app.Constraint{{Field: "hostname", Operator: app.OperatorUnique}}
	}
	return a
}
