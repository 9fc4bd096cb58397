package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// appView is an app with what Marathon tells about it beside its definition.
type appView struct {
	app.App
	app.Counts
	Deployments []ref      `json:"deployments"`
	Tasks       []app.Task `json:"tasks,omitzero"` // nil: not asked for; empty: none
}

type ref struct {
	ID string `json:"id"`
}

// view looks at an app and its tasks. running are the deployments at this moment.
func (s *Server) view(a app.App, running []app.Deployment, withTasks bool) appView {
	tasks := s.tasks(a)
	v := appView{App: a, Counts: app.Count(tasks), Deployments: []ref{}}
	for _, d := range running {
		if d.Affects(a.ID) {
			v.Deployments = append(v.Deployments, ref{d.ID})
		}
	}
	if withTasks {
		v.Tasks = tasks
	}
	return v
}

// tasks are the tasks of an app, never nil, each with the service ports of its app: load balancers pair the two lists
// by position.
func (s *Server) tasks(a app.App) []app.Task {
	tasks := append([]app.Task{}, s.Scheduler.Tasks(a.ID)...)
	for i := range tasks {
		if tasks[i].ServicePorts == nil {
			tasks[i].ServicePorts = a.ServicePorts()
		}
	}
	return tasks
}

// embedsTasks reports whether a request asks for the tasks of apps. The parameter repeats, its values may say where they
// belong ("apps.tasks"), and values nobody knows are ignored.
func embedsTasks(r *http.Request) bool {
	return slices.ContainsFunc(r.URL.Query()["embed"], func(e string) bool {
		for _, prefix := range []string{"group.", "apps.", "app."} {
			e = strings.TrimPrefix(e, prefix)
		}
		return e == "tasks" || e == "failures"
	})
}
