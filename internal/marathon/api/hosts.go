package api

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

func (s *Server) listHosts(*http.Request) (answer, error) {
	return ok(map[string][]app.HostStatus{"hosts": s.allHosts()})
}

// allHosts are the hosts of the driver, where it can tell, and those that are drained.
func (s *Server) allHosts() []app.HostStatus {
	hosts, draining := []app.HostStatus{}, map[string]string{}
	if s.Hosts != nil {
		hosts = append(hosts, s.Hosts.Hosts()...)
	}
	if s.Drains != nil {
		draining = maps.Clone(s.Drains.Draining())
	}
	for i, h := range hosts {
		hosts[i].Draining = cmp.Or(draining[h.Name], h.Draining)
		delete(draining, h.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(draining)) {
		hosts = append(hosts, app.HostStatus{Name: name, Draining: draining[name], Tasks: []app.TaskID{}})
	}
	return hosts
}

// steerHost does something to one host and answers with what became of it.
func (s *Server) steerHost(name string, do func(ctx context.Context, name string) error) handler {
	return func(r *http.Request) (answer, error) {
		ctx, cancel := limited(r)
		defer cancel()
		if err := do(ctx, name); err != nil {
			return answer{}, err
		}
		return s.host(name)
	}
}

// drain takes a host out of use, or back. The body may say why.
func (s *Server) drain(name string, on bool) handler {
	return func(r *http.Request) (answer, error) {
		body := struct {
			Cause string `json:"cause"`
		}{"a person asked for it"}
		if err := optionalBody(r, &body); err != nil {
			return answer{}, err
		}
		ctx, cancel := limited(r)
		defer cancel()
		if err := s.Drains.Drain(ctx, name, on, body.Cause); err != nil {
			return answer{}, err
		}
		return s.host(name)
	}
}

func (s *Server) host(name string) (answer, error) {
	for _, h := range s.allHosts() {
		if h.Name == name {
			return ok(h)
		}
	}
	return ok(app.HostStatus{Name: name, Tasks: []app.TaskID{}}) // the driver does not tell its hosts
}

// volumes are those that nobody knows.
func (s *Server) volumes(r *http.Request) (answer, error) {
	ctx, cancel := limited(r)
	defer cancel()
	list, err := s.Volumes.StrayVolumes(ctx)
	if err != nil {
		return answer{}, err
	}
	return ok(map[string][]app.StrayVolume{"stray": list})
}

// adopt makes members of the stray volumes of an app.
func (s *Server) adopt(r *http.Request) (answer, error) {
	var body struct {
		App string `json:"app"`
	}
	if err := optionalBody(r, &body); err != nil {
		return answer{}, err
	}
	id, err := app.ParseID(body.App)
	if err != nil || body.App == "" {
		return answer{}, refuse(http.StatusUnprocessableEntity, `say whose volumes: {"app": "/postgresql/main"}`)
	}
	ctx, cancel := limited(r)
	defer cancel()
	list, err := s.Volumes.AdoptVolumes(ctx, id)
	if err != nil {
		return answer{}, err
	}
	return ok(map[string][]app.StrayVolume{"adopted": list})
}
