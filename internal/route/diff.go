package route

import (
	"net/netip"
	"slices"
)

// Seen is the routing that HAProxy does.
type Seen struct {
	Servers []SeenServer
}

// SeenServer is one server as HAProxy has it.
type SeenServer struct {
	Service string
	Name    string
	Address netip.AddrPort
	Check   netip.AddrPort
	// Up reports whether it takes connections.
	Up bool
	// Ready is false for a server that was added only in part or put into maintenance: its checks do
	// not run, so HAProxy would not keep it right on its own.
	Ready bool
	// Sessions is the number of sessions it has.
	Sessions int
}

// find returns the server of a service.
func (s Seen) find(service, name string) (SeenServer, bool) {
	i := slices.IndexFunc(s.Servers, func(x SeenServer) bool { return x.Service == service && x.Name == name })
	if i < 0 {
		return SeenServer{}, false
	}
	return s.Servers[i], true
}

// Diff is the steps that lead from what HAProxy does to what is wanted, in an order that is safe to stop
// at any point: in the exclusive services whoever has to go is down, and its sessions are closed, before
// anybody comes up; the slow removals come last.
//
// told is the routing that was carried out last, to its end; zero when none was or the last run broke off.
// It is the memory that tells a server that has to come up now from one that was put up and then failed
// its checks.
func Diff(told, wanted Wanted, seen Seen) []Change {
	var s steps
	for _, b := range wanted.Backends {
		before := told.backend(b.Service)
		for _, w := range b.Servers {
			s.server(b, before, w, seen)
		}
		for _, x := range seen.Servers {
			if _, ok := b.server(x.Name); x.Service == b.Service && !ok && !wanted.Partial {
				s.gone(b.Kind, x)
			}
		}
	}
	return slices.Concat(s.down, s.up, s.readsUp, s.readsDown, s.add, s.remove)
}

// steps collects the changes by the phase they belong to.
type steps struct {
	down, up           []Change // of the exclusive services
	readsUp, readsDown []Change
	add, remove        []Change
}

// server plans for one server that is wanted.
func (s *steps) server(b, before Backend, w Server, seen Seen) {
	x, known := seen.find(b.Service, w.Name)
	switch {
	case !known:
		s.enter(b, w)
	case !x.Ready && w.Address.IsValid():
		s.again(b, w, x)
	case w.Address.IsValid() && (x.Address != w.Address || x.Check != w.Check):
		s.move(b, w, x)
	default:
		told, _ := before.server(w.Name)
		s.health(b.Kind, told.Health, w, x)
	}
}

// enter adds a server.
func (s *steps) enter(b Backend, w Server) {
	if w.Address.IsValid() {
		s.coming(b.Kind, w.Health, AddServer{b.Service, w})
	}
}

// leave takes a server down that is up and ends its sessions.
func (s *steps) leave(kind Kind, x SeenServer) {
	if x.Up {
		s.going(kind, SetHealth{Service: x.Service, Name: x.Name})
	}
	if x.Up || x.Sessions > 0 {
		s.going(kind, CloseSessions{x.Service, x.Name})
	}
}

// again replaces a server that HAProxy has only in part.
func (s *steps) again(b Backend, w Server, x SeenServer) {
	if b.Kind.Exclusive() {
		s.leave(b.Kind, x)
	}
	s.coming(b.Kind, w.Health, RemoveServer{b.Service, w.Name})
	s.enter(b, w)
}

// move gives a server its other address. One whose health is left to the checks comes up again when they
// pass there.
func (s *steps) move(b Backend, w Server, x SeenServer) {
	s.leave(b.Kind, x)
	file := s.going // In Reads the steps of one move stay together, in the phase that takes down.
	if b.Kind.Exclusive() {
		file = func(kind Kind, c Change) { s.coming(kind, w.Health, c) }
	}
	file(b.Kind, SetAddress{b.Service, w.Name, w.Address, w.Check})
	if w.Health == Up {
		file(b.Kind, SetHealth{b.Service, w.Name, true})
	}
}

// health plans for a server that is where it should be.
func (s *steps) health(kind Kind, told Health, w Server, x SeenServer) {
	switch w.Health {
	case Up:
		if !x.Up && told != Up {
			s.coming(kind, Up, SetHealth{x.Service, x.Name, true})
		}
	case Down:
		if kind.Exclusive() || (x.Up && told != Down) {
			s.leave(kind, x)
		}
	case Checked:
	}
}

// gone plans for a server whose member is not in the picture.
func (s *steps) gone(kind Kind, x SeenServer) {
	if !kind.Exclusive() && x.Up && x.Ready {
		return
	}
	s.leave(kind, x)
	s.remove = append(s.remove, RemoveServer{x.Service, x.Name})
}

// coming files a step that brings a server into service, or toward it.
func (s *steps) coming(kind Kind, health Health, c Change) {
	switch {
	case health != Up:
		s.add = append(s.add, c)
	case kind.Exclusive():
		s.up = append(s.up, c)
	default:
		s.readsUp = append(s.readsUp, c)
	}
}

// going files a step that takes a server out of service.
func (s *steps) going(kind Kind, c Change) {
	if kind.Exclusive() {
		s.down = append(s.down, c)
		return
	}
	s.readsDown = append(s.readsDown, c)
}
