package run

import (
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// TestWhereATaskIsReached says: a check goes to the host where a port of it leads to the task, else to the task's own network;
// lists of tasks show that network.
func TestWhereATaskIsReached(t *testing.T) {
	def := app.App{
		Networks:  []app.Network{{Mode: app.NetworkContainer, Name: "blue"}},
		Container: &app.Container{PortMappings: []app.PortMapping{{ContainerPort: 80}, {ContainerPort: 90}}},
	}
	i := deploy.Instance{Address: "10.0.0.1", Ports: []int{31000, 0}}
	number := func(n int) *int { return &n }
	for _, c := range []struct {
		own     string
		check   app.HealthCheck
		address string
		port    int
	}{
		{"172.18.0.2", app.HealthCheck{PortIndex: number(0)}, "10.0.0.1", 31000},
		{"172.18.0.2", app.HealthCheck{PortIndex: number(1)}, "172.18.0.2", 90},
		{"", app.HealthCheck{PortIndex: number(1)}, "10.0.0.1", 90},
		{"172.18.0.2", app.HealthCheck{Port: number(8080)}, "10.0.0.1", 8080},
		{"172.18.0.2", app.HealthCheck{PortIndex: number(7)}, "10.0.0.1", 0},
	} {
		i.Addresses = nil
		if c.own != "" {
			i.Addresses = []app.IPAddress{{IPAddress: c.own, Protocol: "IPv4"}}
		}
		if address, port := reachedAt(def, i, c.check); address != c.address || port != c.port {
			t.Errorf("%+v goes to %s:%d, want %s:%d", c, address, port, c.address, c.port)
		}
	}
	i.Addresses = []app.IPAddress{{IPAddress: "172.18.0.2", Protocol: "IPv4"}}
	if got := addresses(i); len(got) != 1 || got[0].IPAddress != "172.18.0.2" {
		t.Errorf("it is shown at %v", got)
	}
	i.Addresses = nil
	if got := addresses(i); len(got) != 1 || got[0] != (app.IPAddress{IPAddress: "10.0.0.1", Protocol: "IPv4"}) {
		t.Errorf("it is shown at %v", got)
	}
}
