package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

func (s *Server) listApps(r *http.Request) (answer, error) {
	keep, err := filterOf(r)
	if err != nil {
		return answer{}, err
	}
	return s.viewAll("apps", keep, inList(embedsOf(r)))
}

// listGroupApps lists the apps below a group, all for the empty path.
func (s *Server) listGroupApps(path string) handler {
	return func(r *http.Request) (answer, error) {
		group, err := s.findGroup(path)
		if err != nil {
			return answer{}, err
		}
		return s.viewAll("*", func(a app.App) bool { return below(group, a.ID) }, single(embedsOf(r)))
	}
}

// below reports whether an app or a group lies in a group, however deep.
func below(group, id app.ID) bool {
	return group == "/" || strings.HasPrefix(string(id), string(group)+"/")
}

func (s *Server) viewAll(name string, keep func(app.App) bool, e embeds) (answer, error) {
	v := s.viewer(e)
	views := []appView{}
	for _, a := range s.Scheduler.Apps() {
		if keep(a) {
			views = append(views, v.view(a))
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
	return func(r *http.Request) (answer, error) {
		a, err := s.find(path)
		if err != nil {
			return answer{}, err
		}
		return ok(map[string]appView{"app": s.viewer(single(embedsOf(r))).view(a)})
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

// appTasks lists the tasks of one app, for clients that ask for plain text as a table of endpoints.
func (s *Server) appTasks(path string) handler {
	return func(r *http.Request) (answer, error) {
		a, err := s.find(path)
		if err != nil {
			return answer{}, err
		}
		if wantsText(r) {
			return answer{status: http.StatusOK, text: s.endpoints([]app.App{a})}, nil
		}
		return ok(map[string][]app.Task{"tasks": s.tasks(a)})
	}
}

func (s *Server) groupTasks(path string) handler {
	return func(*http.Request) (answer, error) {
		group, err := s.findGroup(path)
		if err != nil {
			return answer{}, err
		}
		tasks := []app.Task{}
		for _, a := range s.Scheduler.Apps() {
			if below(group, a.ID) {
				tasks = append(tasks, s.tasks(a)...)
			}
		}
		return ok(map[string][]app.Task{"tasks": tasks})
	}
}

// allTasks lists the tasks of all apps, only those running or staging when status says so; other words say nothing.
func (s *Server) allTasks(r *http.Request) (answer, error) {
	if wantsText(r) {
		return answer{status: http.StatusOK, text: s.endpoints(s.Scheduler.Apps())}, nil
	}
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

// wantsText reports whether a client takes plain text and no JSON.
func wantsText(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	return strings.Contains(accept, "text/plain") && !strings.Contains(accept, "json") && !strings.Contains(accept, "*/*")
}

// endpoints is the table that scripts read: app, service port, and where its running tasks serve it, one line each.
func (s *Server) endpoints(apps []app.App) string {
	var out strings.Builder
	for _, a := range apps {
		running := slices.DeleteFunc(s.tasks(a), func(t app.Task) bool { return t.State != app.TaskRunning })
		name := a.ID.Safe()
		ports := a.ServicePorts()
		if len(ports) == 0 {
			fmt.Fprintf(&out, "%s\t \t", name)
			for _, t := range running {
				fmt.Fprintf(&out, "%s\t", t.Host)
			}
			out.WriteByte('\n')
		}
		for i, port := range ports {
			fmt.Fprintf(&out, "%s\t%d\t", name, port)
			for _, t := range running {
				if i < len(t.Ports) {
					fmt.Fprintf(&out, "%s:%d\t", t.Host, t.Ports[i])
				}
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}
