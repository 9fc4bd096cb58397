package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// embeds are what a request asks for beside definitions.
type embeds struct {
	tasks, counts, deployments, readiness, failure, stats bool

	// Of groups: without any, all three are there.
	groups, apps, pods bool
}

// embedsOf reads the parameter. It repeats, its values may say where they belong ("apps.tasks"), and values nobody knows
// are ignored.
func embedsOf(r *http.Request) embeds {
	var e embeds
	for _, value := range r.URL.Query()["embed"] {
		e.add(strings.TrimPrefix(value, "group."), value != "")
	}
	return e
}

func (e *embeds) add(value string, given bool) {
	switch value {
	case "groups":
		e.groups = true
	case "apps":
		e.apps = true
	case "pods":
		e.pods = true
	}
	for _, prefix := range []string{"apps.", "app."} {
		value = strings.TrimPrefix(value, prefix)
	}
	switch {
	case !given:
	case value == "tasks":
		e.tasks, e.deployments = true, true
	case value == "counts":
		e.counts = true
	case value == "deployments":
		e.deployments = true
	case value == "readiness":
		e.readiness = true
	case value == "lastTaskFailure":
		e.failure = true
	case value == "failures":
		e.tasks, e.failure, e.deployments = true, true, true
	case value == "taskStats":
		e.stats = true
	}
}

// inList are the embeds of lists of apps, which have counts and deployments always.
func inList(e embeds) embeds {
	e.counts, e.deployments = true, true
	return e
}

// single are the embeds of one app, which always has its tasks and its last failure, too.
func single(e embeds) embeds {
	e = inList(e)
	e.tasks, e.failure = true, true
	return e
}

// appView is an app with what Marathon tells about it beside its definition. What is nil was not asked for.
type appView struct {
	app.App
	*app.Counts

	Deployments []ref                 `json:"deployments,omitzero"`
	Tasks       []app.Task            `json:"tasks,omitzero"`
	Readiness   []app.ReadinessResult `json:"readinessCheckResults,omitzero"`
	Failure     *app.TaskFailure      `json:"lastTaskFailure,omitempty"`
	// The same twice: Marathon's API calls it tasksStats, its user interface reads taskStats.
	TasksStats *taskStats `json:"tasksStats,omitempty"`
	TaskStats  *taskStats `json:"taskStats,omitempty"`
}

type ref struct {
	ID string `json:"id"`
}

// viewer looks at apps as they are at one moment.
type viewer struct {
	*Server

	embeds  embeds
	running map[app.ID][]ref // the deployments that touch an app
	now     time.Time
}

func (s *Server) viewer(e embeds) viewer {
	v := viewer{Server: s, embeds: e, running: map[app.ID][]ref{}, now: time.Now()}
	for _, d := range s.Scheduler.Deployments() {
		for _, id := range d.AffectedApps {
			v.running[id] = append(v.running[id], ref{d.ID})
		}
	}
	return v
}

// view looks at one app.
func (v viewer) view(a app.App) appView {
	view := appView{App: a}
	e := v.embeds
	if e.deployments {
		view.Deployments = append([]ref{}, v.running[a.ID]...)
	}
	if e.counts || e.tasks || e.stats {
		tasks := v.tasks(a)
		if e.counts {
			counts := app.Count(tasks)
			view.Counts = &counts
		}
		if e.tasks {
			view.Tasks = tasks
		}
		if e.stats {
			view.TasksStats = statsOf(a, tasks, v.now)
			view.TaskStats = view.TasksStats
		}
	}
	if v.Tasks == nil {
		return view
	}
	if e.readiness {
		view.Readiness = append([]app.ReadinessResult{}, v.Tasks.Readiness(a.ID)...)
	}
	if failure, failed := v.Tasks.Failure(a.ID); e.failure && failed {
		view.Failure = &failure
	}
	return view
}

// tasks are the tasks of an app, never nil, each with the service ports of its app: load balancers pair the two lists
// by position.
func (s *Server) tasks(a app.App) []app.Task {
	tasks := s.Scheduler.Tasks(a.ID)
	if tasks == nil {
		return []app.Task{}
	}
	service := a.ServicePorts()
	for i := range tasks {
		if tasks[i].ServicePorts == nil {
			tasks[i].ServicePorts = service
		}
	}
	return tasks
}
