package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// handler answers a request that has been routed.
type handler func(r *http.Request) (answer, error)

// endpoint is what one path can do, by method.
type endpoint map[string]handler

// serve finds the handler of a request and writes what it answers.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	a, err := s.dispatch(r)
	if err != nil {
		a = s.failure(r, err)
	}
	a.write(w, r)
}

func (s *Server) dispatch(r *http.Request) (answer, error) {
	e, err := s.endpoint(segments(r.URL.Path))
	if err != nil {
		return answer{}, err
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // the body is dropped on the way out
	}
	h, ok := e[method]
	if !ok {
		return answer{}, &methodError{method: r.Method, path: r.URL.Path, allowed: slices.Sorted(maps.Keys(e))}
	}
	return h(r)
}

// segments are the parts of a path. Doubled, leading and trailing slashes mean nothing: clients send "/v2/apps//id" and
// "/v2/apps/" and take a redirect for an error.
func segments(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
}

// endpoint is the routing table.
func (s *Server) endpoint(path []string) (endpoint, error) {
	switch {
	case is(path, "ping"):
		return endpoint{http.MethodGet: s.ping}, nil
	case is(path, "v2", "info"):
		return endpoint{http.MethodGet: s.info}, nil
	case is(path, "v2", "leader"):
		return endpoint{http.MethodGet: s.leader}, nil
	case is(path, "v2", "tasks"):
		return endpoint{http.MethodGet: s.allTasks}, nil
	case is(path, "v2", "deployments"):
		return endpoint{http.MethodGet: s.deployments}, nil
	case len(path) == 3 && is(path[:2], "v2", "deployments"):
		return endpoint{http.MethodDelete: s.cancelDeployment(path[2])}, nil
	case is(path, "v2", "apps"):
		return endpoint{
			http.MethodGet: s.listApps, http.MethodPost: s.createApp,
			http.MethodPut: s.updateApps(true), http.MethodPatch: s.updateApps(false),
		}, nil
	case len(path) > 2 && is(path[:2], "v2", "apps"):
		return s.appEndpoint(path[2:])
	case len(path) > 2 && is(path[:3], "pg", "v1", "hosts"):
		return s.hostEndpoint(path[3:])
	}
	return nil, notServed("/" + strings.Join(path, "/"))
}

// appEndpoint routes what follows /v2/apps: an id of any length, then perhaps one of the words no id ends in.
func (s *Server) appEndpoint(path []string) (endpoint, error) {
	last := len(path) - 1
	id := strings.Join(path, "/")
	switch {
	case path[last] == "*":
		return endpoint{http.MethodGet: s.listGroup(strings.Join(path[:last], "/"))}, nil
	case last > 0 && path[last] == "tasks":
		return endpoint{http.MethodGet: s.appTasks(strings.Join(path[:last], "/"))}, nil
	case last > 0 && (path[last] == "restart" || path[last] == "versions"),
		last > 1 && (path[last-1] == "tasks" || path[last-1] == "versions"):
		return nil, notServed("/v2/apps/" + id)
	}
	return endpoint{
		http.MethodGet: s.showApp(id), http.MethodPut: s.updateApp(id, true),
		http.MethodPatch: s.updateApp(id, false), http.MethodDelete: s.deleteApp(id),
	}, nil
}

func (s *Server) hostEndpoint(path []string) (endpoint, error) {
	switch {
	case s.Hosts == nil:
		return nil, &httpError{http.StatusNotFound, "this scheduler's driver has no virtual hosts"}
	case len(path) == 0:
		return endpoint{http.MethodGet: s.listHosts}, nil
	case len(path) == 2 && path[1] == "kill":
		return endpoint{http.MethodPost: s.steerHost(path[0], s.Hosts.KillHost)}, nil
	case len(path) == 2 && path[1] == "start":
		return endpoint{http.MethodPost: s.steerHost(path[0], s.Hosts.StartHost)}, nil
	}
	return nil, notServed("/pg/v1/hosts/" + strings.Join(path, "/"))
}

func is(path []string, want ...string) bool { return slices.Equal(path, want) }

// httpError is an answer that is no success and has no type of its own.
type httpError struct {
	status  int
	message string
}

func (e *httpError) Error() string { return e.message }

func notServed(path string) error {
	return &httpError{http.StatusNotFound, path + " is not served here; there are /ping, /v2/apps, /v2/apps/{id}, " +
		"/v2/apps/{id}/tasks, /v2/tasks, /v2/deployments, /v2/info, /v2/leader and /pg/v1/hosts"}
}

// methodError says that a path is there but not for this method (405).
type methodError struct {
	method, path string
	allowed      []string
}

func (e *methodError) Error() string {
	return fmt.Sprintf("%s %s is not served here; that path takes %s", e.method, e.path, strings.Join(e.allowed, ", "))
}
