package route

import "net/netip"

// Kind is what a service is for.
type Kind int

// The kinds of service.
const (
	// Writes goes to the primary.
	Writes Kind = iota + 1
	// LeaderAPI goes to the REST API of the leader.
	LeaderAPI
	// Reads goes to the streaming replicas, or where Writes goes while there is none.
	Reads
)

// String is the kind's word in configuration and messages.
func (k Kind) String() string {
	switch k {
	case Writes:
		return "writes"
	case LeaderAPI:
		return "leader-api"
	case Reads:
		return "reads"
	}
	return "unknown"
}

// Exclusive reports whether at most one server of the service may be up at any time.
func (k Kind) Exclusive() bool { return k == Writes || k == LeaderAPI }

// Service is one port that clients connect to.
type Service struct {
	// Name is the name of HAProxy's frontend and backend; unique among the services.
	Name string
	// Bind is the address and port clients connect to.
	Bind netip.AddrPort
	Kind Kind
}

// Fallback returns the service that takes the connections of the named one while that has no server up:
// the first Writes service for a Reads service, none ("") for the others.
func Fallback(services []Service, of Service) string {
	if of.Kind != Reads {
		return ""
	}
	for _, s := range services {
		if s.Kind == Writes {
			return s.Name
		}
	}
	return ""
}

// Health is what the picture says of a server's fitness for a service. The zero value leaves the server
// to HAProxy's checks.
type Health int

// The healths; the package comment tells what each of them does.
const (
	Checked Health = iota
	Up
	Down
)

// String is the word for the health in explanations.
func (h Health) String() string {
	switch h {
	case Checked:
		return "checked"
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return "unknown"
}

// Server is one member's place in one service.
type Server struct {
	// Name is the member's name.
	Name string
	// Address takes the service's connections. It is not valid while the member's addresses are not
	// known; such a server is neither added nor moved.
	Address netip.AddrPort
	// Check is where the member's REST API answers HAProxy's checks; valid when Address is.
	Check  netip.AddrPort
	Health Health
	// Reason says in half a sentence why it has that health; the member is the subject.
	Reason string
}

// Backend is what one service should be.
type Backend struct {
	Service string
	Kind    Kind
	// Servers is sorted by name.
	Servers []Server
	// Fallback is the service that takes the connections while no server here is up; empty for none.
	Fallback string
}

// Wanted is the routing that one picture asks for, one backend for each service.
type Wanted struct {
	Backends []Backend
	// Partial says that the list of servers may lack some: those that are not on it are left alone.
	Partial bool
}

// Unsure is the same routing without a picture to stand on: the checks decide for every server. What
// HAProxy does is left as it is, and what it has forgotten (it was restarted) is told again.
func (w Wanted) Unsure() Wanted {
	out := Wanted{Partial: true}
	for _, b := range w.Backends {
		servers := make([]Server, len(b.Servers))
		for i, s := range b.Servers {
			s.Health, s.Reason = Checked, "cannot be judged while the DCS is not reachable"
			servers[i] = s
		}
		b.Servers = servers
		out.Backends = append(out.Backends, b)
	}
	return out
}

// backend returns the backend of the named service.
func (w Wanted) backend(service string) Backend {
	for _, b := range w.Backends {
		if b.Service == service {
			return b
		}
	}
	return Backend{}
}

// server returns the server with that name; its health is Checked when there is none.
func (b Backend) server(name string) (Server, bool) {
	for _, s := range b.Servers {
		if s.Name == name {
			return s, true
		}
	}
	return Server{}, false
}
