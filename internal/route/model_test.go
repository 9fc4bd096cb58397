package route

import (
	"net/netip"
	"slices"
	"strings"
)

// apply is what HAProxy makes of one change, as package haproxy's tests find it to be.
func apply(seen Seen, c Change) Seen {
	out := Seen{Servers: slices.Clone(seen.Servers)}
	at := func(service, name string) *SeenServer {
		i := slices.IndexFunc(out.Servers, func(x SeenServer) bool { return x.Service == service && x.Name == name })
		if i < 0 {
			panic("no such server: " + c.String())
		}
		return &out.Servers[i]
	}
	switch c := c.(type) {
	case AddServer:
		if _, ok := out.find(c.Service, c.Server.Name); ok {
			panic("there is such a server: " + c.String())
		}
		out.Servers = append(out.Servers, SeenServer{
			Service: c.Service, Name: c.Server.Name, Address: c.Server.Address, Check: c.Server.Check,
			Up: c.Server.Health == Up, Ready: true,
		})
		slices.SortFunc(out.Servers, func(a, b SeenServer) int {
			return strings.Compare(a.Service+"/"+a.Name, b.Service+"/"+b.Name)
		})
	case RemoveServer:
		at(c.Service, c.Name)
		out.Servers = slices.DeleteFunc(out.Servers, func(x SeenServer) bool {
			return x.Service == c.Service && x.Name == c.Name
		})
	case SetAddress:
		x := at(c.Service, c.Name)
		if x.Up || x.Sessions > 0 {
			panic("moved while in use: " + c.String())
		}
		x.Address, x.Check = c.Address, c.Check
	case SetHealth:
		x := at(c.Service, c.Name)
		x.Up = c.Up
		if !c.Up {
			x.Sessions = 0
		}
	case CloseSessions:
		at(c.Service, c.Name).Sessions = 0
	}
	return out
}

// services are the three that `pgbaton up` asks for.
func services() []Service {
	bind := func(port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	}
	return []Service{
		{Name: "writes", Bind: bind(10000), Kind: Writes},
		{Name: "leader-api", Bind: bind(10001), Kind: LeaderAPI},
		{Name: "reads", Bind: bind(10002), Kind: Reads},
	}
}
