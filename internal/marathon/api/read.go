package api

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// apiLevel is the Marathon release whose API this is: clients choose their words by it.
const apiLevel = "1.11.0"

func (s *Server) listApps(r *http.Request) (answer, error) {
	keep, err := filterOf(r)
	if err != nil {
		return answer{}, err
	}
	return s.viewAll("apps", keep, embedsTasks(r))
}

// listGroup lists the apps below a group, everything for the empty path.
func (s *Server) listGroup(group string) handler {
	prefix := "/" + group + "/"
	if group == "" {
		prefix = "/"
	}
	return func(*http.Request) (answer, error) {
		return s.viewAll("*", func(a app.App) bool { return strings.HasPrefix(string(a.ID), prefix) }, true)
	}
}

func (s *Server) viewAll(name string, keep func(app.App) bool, withTasks bool) (answer, error) {
	running := s.Scheduler.Deployments()
	views := []appView{}
	for _, a := range s.Scheduler.Apps() {
		if keep(a) {
			views = append(views, s.view(a, running, withTasks))
		}
	}
	return ok(map[string][]appView{name: views})
}

// filterOf is the filter the parameters cmd, id and label make together.
func filterOf(r *http.Request) (func(app.App) bool, error) {
	q := r.URL.Query()
	cmd, id := strings.ToLower(q.Get("cmd")), strings.ToLower(q.Get("id"))
	selectors, err := parseSelectors(q.Get("label"))
	if err != nil {
		return nil, err
	}
	return func(a app.App) bool {
		return strings.Contains(strings.ToLower(a.Cmd), cmd) && strings.Contains(string(a.ID), id) &&
			!slices.ContainsFunc(selectors, func(s selector) bool { return !s.matches(a.Labels) })
	}, nil
}

func (s *Server) showApp(path string) handler {
	return func(*http.Request) (answer, error) {
		a, err := s.find(path)
		if err != nil {
			return answer{}, err
		}
		return ok(map[string]appView{"app": s.view(a, s.Scheduler.Deployments(), true)})
	}
}

func (s *Server) appTasks(path string) handler {
	return func(*http.Request) (answer, error) {
		a, err := s.find(path)
		if err != nil {
			return answer{}, err
		}
		return ok(map[string][]app.Task{"tasks": s.tasks(a)})
	}
}

// find is the app at a path of a URL. A path that no app can have is one that no app has.
func (s *Server) find(path string) (app.App, error) {
	id, err := app.ParseID(path)
	if err != nil {
		return app.App{}, &app.UnknownAppError{ID: app.ID("/" + path)}
	}
	a, there := s.Scheduler.App(id)
	if !there {
		return app.App{}, &app.UnknownAppError{ID: id}
	}
	return a, nil
}

// allTasks lists the tasks of all apps, only those running or staging when status says so; other words say nothing.
func (s *Server) allTasks(r *http.Request) (answer, error) {
	q := r.URL.Query()
	var states []app.TaskState
	for _, status := range slices.Concat(q["status"], q["status[]"]) {
		switch status {
		case "running":
			states = append(states, app.TaskRunning)
		case "staging":
			states = append(states, app.TaskStaging, app.TaskStarting)
		}
	}
	tasks := []app.Task{}
	for _, a := range s.Scheduler.Apps() {
		for _, t := range s.tasks(a) {
			if len(states) == 0 || slices.Contains(states, t.State) {
				tasks = append(tasks, t)
			}
		}
	}
	return ok(map[string][]app.Task{"tasks": tasks})
}

func (s *Server) deployments(*http.Request) (answer, error) {
	return ok(append([]app.Deployment{}, s.Scheduler.Deployments()...))
}

// ping is plain text, except for clients that only take JSON.
func (s *Server) ping(r *http.Request) (answer, error) {
	accept := r.Header.Get("Accept")
	if strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/") && !strings.Contains(accept, "*/*") {
		return ok("pong")
	}
	return answer{status: http.StatusOK, text: "pong"}, nil
}

func (s *Server) leader(*http.Request) (answer, error) {
	return ok(map[string]string{"leader": s.config.Address})
}

// info tells what is true of this server, under the names Marathon uses.
func (s *Server) info(*http.Request) (answer, error) {
	host, port, _ := net.SplitHostPort(s.config.Address)
	number, _ := strconv.Atoi(port)
	type marathonConfig struct {
		FrameworkName string   `json:"framework_name"`
		HA            bool     `json:"ha"`
		Checkpoint    bool     `json:"checkpoint"`
		Hostname      string   `json:"hostname"`
		LocalPortMin  int      `json:"local_port_min"`
		LocalPortMax  int      `json:"local_port_max"`
		MesosRole     string   `json:"mesos_role"`
		Features      []string `json:"features"`
	}
	return ok(struct {
		Name        string         `json:"name"`
		Version     string         `json:"version"`
		BuildRef    string         `json:"buildref"`
		Elected     bool           `json:"elected"`
		Leader      string         `json:"leader"`
		FrameworkID string         `json:"frameworkId,omitempty"`
		Marathon    marathonConfig `json:"marathon_config"`
		ZooKeeper   struct{}       `json:"zookeeper_config"`
		HTTP        map[string]int `json:"http_config"`
	}{
		Name: "marathon", Version: apiLevel, BuildRef: "pgbaton-" + s.config.Version, Elected: true,
		Leader: s.config.Address, FrameworkID: s.config.FrameworkID,
		Marathon: marathonConfig{
			FrameworkName: "pgbaton", Checkpoint: true, Hostname: host, MesosRole: "*", Features: []string{},
			LocalPortMin: app.FirstServicePort, LocalPortMax: app.LastServicePort,
		},
		HTTP: map[string]int{"http_port": number},
	})
}
