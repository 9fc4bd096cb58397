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
	a, err := s.dispatch(r) //nolint:contextcheck // handlers take the context of the request
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
	switch method {
	case http.MethodOptions:
		return answer{status: http.StatusNoContent, allow: e.methods()}, nil
	case http.MethodHead:
		method = http.MethodGet // the body is dropped on the way out
	}
	h, ok := e[method]
	switch {
	case !ok:
		return answer{}, &methodError{method: r.Method, path: r.URL.Path, allowed: e.methods()}
	case method == http.MethodGet && s.Loaded != nil && !s.Loaded() && !isLocal(r) && !isEvents(r):
		// An empty list would be taken for the truth: load balancers drop what is not in it.
		return answer{}, refuse(http.StatusServiceUnavailable, "the scheduler has not read its state yet; ask again in a moment")
	}
	return h(r)
}

// methods are all that a path takes.
func (e endpoint) methods() []string {
	all := append(slices.Collect(maps.Keys(e)), http.MethodOptions)
	if e[http.MethodGet] != nil {
		all = append(all, http.MethodHead)
	}
	slices.Sort(all)
	return all
}

// segments are the parts of a path. Doubled, leading and trailing slashes mean nothing: clients send "/v2/apps//id" and
// "/v2/apps/" and take a redirect for an error.
func segments(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
}

// endpoint is the routing table. A part of it is found by the first segments of a path.
func (s *Server) endpoint(path []string) (endpoint, error) {
	switch {
	case len(path) >= 2 && path[0] == "v2":
		return s.marathonEndpoint(path[1], path[2:])
	case len(path) >= 3 && is(path[:2], "pg", "v1"):
		return s.ownEndpoint(path[2], path[3:])
	case is(path, "ping"):
		return endpoint{http.MethodGet: s.ping}, nil
	case is(path, "metrics"):
		return endpoint{http.MethodGet: s.metrics}, nil
	case is(path, "metrics", "prometheus"):
		return endpoint{http.MethodGet: s.prometheus}, nil
	case is(path, "logging"):
		return s.loggingEndpoint()
	case is(path, "config"):
		return endpoint{http.MethodGet: s.showConfig}, nil
	}
	return nil, notServed(path)
}

// marathonEndpoint routes what lies below /v2/{collection}.
func (s *Server) marathonEndpoint(collection string, rest []string) (endpoint, error) {
	switch collection {
	case "apps":
		return s.appsEndpoint(rest)
	case "groups":
		return s.groupsEndpoint(rest)
	case "tasks":
		return s.tasksEndpoint(rest)
	case "deployments":
		return s.deploymentsEndpoint(rest)
	case "queue":
		return s.queueEndpoint(rest)
	case "pods":
		return nil, &httpError{http.StatusNotFound, "pods are not served here; what runs are apps, see /v2/apps"}
	}
	if len(rest) > 0 {
		return nil, notServed(append([]string{"v2", collection}, rest...))
	}
	switch collection {
	case "info":
		return endpoint{http.MethodGet: s.info}, nil
	case "leader":
		return endpoint{http.MethodGet: s.leader, http.MethodDelete: s.abdicate}, nil
	case "plugins":
		return endpoint{http.MethodGet: s.plugins}, nil
	case "events":
		if s.Feed == nil {
			return nil, missing("events")
		}
		return endpoint{http.MethodGet: s.events}, nil
	}
	return nil, notServed([]string{"v2", collection})
}

// appsEndpoint routes what follows /v2/apps: an id of any length, then perhaps one of the words no id ends in.
func (s *Server) appsEndpoint(path []string) (endpoint, error) {
	if len(path) == 0 {
		return endpoint{
			http.MethodGet: s.listApps, http.MethodPost: s.createApp,
			http.MethodPut: s.updateApps(true), http.MethodPatch: s.updateApps(false),
		}, nil
	}
	last := len(path) - 1
	id, before := strings.Join(path, "/"), strings.Join(path[:last], "/")
	switch {
	case path[last] == "*":
		return endpoint{http.MethodGet: s.listGroupApps(before)}, nil
	case last > 0 && path[last] == "tasks":
		return s.appTasksEndpoint(path[:last])
	case last > 0 && path[last] == "restart":
		return endpoint{http.MethodPost: s.restartApp(before)}, nil
	case last > 0 && path[last] == "versions":
		return s.withHistory(endpoint{http.MethodGet: s.listVersions(before)})
	case last > 1 && path[last-1] == "versions":
		return s.withHistory(endpoint{http.MethodGet: s.showVersion(strings.Join(path[:last-1], "/"), path[last])})
	case last > 1 && path[last-1] == "tasks":
		return s.withTasks(endpoint{http.MethodDelete: s.killTask(strings.Join(path[:last-1], "/"), path[last])})
	}
	return endpoint{
		http.MethodGet: s.showApp(id), http.MethodPut: s.updateApp(id, true),
		http.MethodPatch: s.updateApp(id, false), http.MethodDelete: s.deleteApp(id),
	}, nil
}

// appTasksEndpoint routes the tasks of an app, or with "*" those of all apps below a group.
func (s *Server) appTasksEndpoint(path []string) (endpoint, error) {
	last := len(path) - 1
	if path[last] == "*" {
		return endpoint{http.MethodGet: s.groupTasks(strings.Join(path[:last], "/"))}, nil
	}
	id := strings.Join(path, "/")
	e := endpoint{http.MethodGet: s.appTasks(id)}
	if s.Tasks != nil {
		e[http.MethodDelete] = s.killTasks(id)
	}
	return e, nil
}

func (s *Server) tasksEndpoint(path []string) (endpoint, error) {
	switch {
	case len(path) == 0:
		return endpoint{http.MethodGet: s.allTasks}, nil
	case is(path, "delete"):
		return s.withTasks(endpoint{http.MethodPost: s.killListed})
	}
	return nil, notServed(append([]string{"v2", "tasks"}, path...))
}

func (s *Server) deploymentsEndpoint(path []string) (endpoint, error) {
	switch len(path) {
	case 0:
		return endpoint{http.MethodGet: s.deployments}, nil
	case 1:
		return endpoint{http.MethodDelete: s.cancelDeployment(path[0])}, nil
	}
	return nil, notServed(append([]string{"v2", "deployments"}, path...))
}

func (s *Server) queueEndpoint(path []string) (endpoint, error) {
	last := len(path) - 1
	switch {
	case last < 0:
		return s.withTasks(endpoint{http.MethodGet: s.queue})
	case last > 0 && path[last] == "delay":
		return s.withTasks(endpoint{http.MethodDelete: s.resetDelay(strings.Join(path[:last], "/"))})
	}
	return nil, notServed(append([]string{"v2", "queue"}, path...))
}

// ownEndpoint routes what lies below /pg/v1/, which Marathon does not have.
func (s *Server) ownEndpoint(collection string, path []string) (endpoint, error) {
	switch {
	case collection == "hosts":
		return s.hostsEndpoint(path)
	case collection == "volumes" && len(path) == 0:
		if s.Volumes == nil {
			return nil, missing("volumes")
		}
		return endpoint{http.MethodGet: s.volumes}, nil
	case collection == "volumes" && len(path) == 1 && path[0] == "adopt" && s.Volumes != nil:
		return endpoint{http.MethodPost: s.adopt}, nil
	case collection == "waits" && len(path) == 0:
		if s.Waits == nil {
			return nil, missing("reasons for waiting")
		}
		return endpoint{http.MethodGet: s.waits}, nil
	case collection == "clusters" || collection == "gate" && len(path) > 0:
		if s.Clusters == nil {
			return nil, missing("PostgreSQL clusters")
		}
		if collection == "gate" {
			return endpoint{http.MethodGet: s.gate(strings.Join(path, "/"))}, nil
		}
		return s.clustersEndpoint(path), nil
	}
	return nil, notServed(append([]string{"pg", "v1", collection}, path...))
}

// clustersEndpoint routes an id and what may be done with it. Nothing is taken from the ids of apps by that: what is done
// is posted, and an app is not.
func (s *Server) clustersEndpoint(path []string) endpoint {
	last := len(path) - 1
	if last < 0 {
		return endpoint{http.MethodGet: s.listClusters}
	}
	e := endpoint{http.MethodGet: s.showCluster(strings.Join(path, "/"))}
	id := strings.Join(path[:last], "/")
	switch {
	case last > 0 && path[last] == "switchover":
		e[http.MethodPost] = s.switchover(id)
	case last > 0 && path[last] == "pause":
		e[http.MethodPost], e[http.MethodDelete] = s.pause(id, true), s.pause(id, false)
	}
	return e
}

func (s *Server) hostsEndpoint(path []string) (endpoint, error) {
	switch {
	case len(path) == 0 && (s.Hosts != nil || s.Drains != nil):
		return endpoint{http.MethodGet: s.listHosts}, nil
	case len(path) == 2 && path[1] == "drain" && s.Drains != nil:
		return endpoint{http.MethodPost: s.drain(path[0], true), http.MethodDelete: s.drain(path[0], false)}, nil
	case s.Hosts == nil:
		return nil, &httpError{http.StatusNotFound, "this scheduler's driver has no virtual hosts"}
	case len(path) == 2 && path[1] == "kill":
		return endpoint{http.MethodPost: s.steerHost(path[0], s.Hosts.KillHost)}, nil
	case len(path) == 2 && path[1] == "start":
		return endpoint{http.MethodPost: s.steerHost(path[0], s.Hosts.StartHost)}, nil
	}
	return nil, notServed(append([]string{"pg", "v1", "hosts"}, path...))
}

func (s *Server) withHistory(e endpoint) (endpoint, error) {
	if s.History == nil {
		return nil, missing("versions")
	}
	return e, nil
}

func (s *Server) withTasks(e endpoint) (endpoint, error) {
	if s.Tasks == nil {
		return nil, missing("single tasks")
	}
	return e, nil
}

func is(path []string, want ...string) bool { return slices.Equal(path, want) }

// httpError is an answer that is no success and has no type of its own.
type httpError struct {
	status  int
	message string
}

func (e *httpError) Error() string { return e.message }

func refuse(status int, format string, args ...any) error {
	return &httpError{status, fmt.Sprintf(format, args...)}
}

func missing(what string) error { return refuse(http.StatusNotFound, "this scheduler has no %s", what) }

func notServed(path []string) error {
	return refuse(http.StatusNotFound, "/%s is not served here; there are /v2/apps, /v2/groups, /v2/tasks, /v2/deployments, "+
		"/v2/queue, /v2/events, /v2/info, /v2/leader, /pg/v1/clusters, /pg/v1/hosts, /pg/v1/volumes, /pg/v1/waits, /ping and /metrics", strings.Join(path, "/"))
}

// methodError says that a path is there but not for this method (405).
type methodError struct {
	method, path string
	allowed      []string
}

func (e *methodError) Error() string {
	return fmt.Sprintf("%s %s is not served here; that path takes %s", e.method, e.path, strings.Join(e.allowed, ", "))
}
