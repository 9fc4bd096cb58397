package api

import (
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// killOptions reads what is to become of instances whose tasks are killed.
func killOptions(r *http.Request) (app.KillOptions, error) {
	o := app.KillOptions{Host: r.URL.Query().Get("host")}
	var err error
	for name, to := range map[string]*bool{"scale": &o.Scale, "wipe": &o.Wipe, "force": &o.Force} {
		if *to, err = flag(r, name, false); err != nil {
			return o, err
		}
	}
	if o.Scale && o.Wipe {
		return o, refuse(http.StatusBadRequest, "You cannot use scale and wipe at the same time.")
	}
	return o, nil
}

// kill ends tasks and returns them, or with scale the deployment that wants fewer.
func (s *Server) kill(r *http.Request, ids []app.TaskID, o app.KillOptions) ([]app.Task, answer, error) {
	ctx, cancel := limited(r)
	defer cancel()
	killed, d, err := s.Tasks.Kill(ctx, ids, o)
	if err != nil || !o.Scale {
		return killed, answer{}, err
	}
	if d == nil { // nothing to kill; Marathon answers with a deployment that does nothing
		none, err := s.Scheduler.Apply(ctx, func(*app.Definitions) error { return nil }, app.ApplyOptions{})
		return killed, started(http.StatusOK, none), err
	}
	return killed, started(http.StatusOK, *d), nil
}

// killTasks ends all tasks of an app, or those on one host.
func (s *Server) killTasks(path string) handler {
	return func(r *http.Request) (answer, error) {
		o, err := killOptions(r)
		if err != nil {
			return answer{}, err
		}
		a, err := s.find(path)
		if err != nil {
			return answer{}, err
		}
		var ids []app.TaskID
		for _, t := range s.Scheduler.Tasks(a.ID) {
			if o.Host == "" || t.Host == o.Host {
				ids = append(ids, t.ID)
			}
		}
		killed, scaled, err := s.kill(r, ids, o)
		if err != nil || o.Scale {
			return scaled, err
		}
		return ok(map[string][]app.Task{"tasks": s.served(killed)})
	}
}

// killTask ends one task. Where the path names an app that is not there, the id of the task decides: clients that cut it at
// its last dot to find the app cut these ids in the wrong place.
func (s *Server) killTask(path, text string) handler {
	return func(r *http.Request) (answer, error) {
		o, err := killOptions(r)
		if err != nil {
			return answer{}, err
		}
		id, err := taskID(text)
		if err != nil {
			return answer{}, err
		}
		if a, err := s.find(path); err == nil && a.ID != id.Instance().App() {
			return answer{}, unknownTask(text)
		}
		killed, scaled, err := s.kill(r, []app.TaskID{id}, o)
		switch {
		case err != nil:
			return answer{}, err
		case len(killed) == 0:
			if _, there := s.Scheduler.App(id.Instance().App()); !there {
				_, err = s.find(path)
			}
			if err == nil {
				err = unknownTask(text)
			}
			return answer{}, err
		case o.Scale:
			return scaled, nil
		}
		return ok(map[string]app.Task{"task": s.served(killed)[0]})
	}
}

func unknownTask(id string) error {
	return refuse(http.StatusNotFound, "Task '%s' does not exist", id)
}

// killListed ends tasks of any apps. Those nobody knows are left out.
func (s *Server) killListed(r *http.Request) (answer, error) {
	o, err := killOptions(r)
	if err != nil {
		return answer{}, err
	}
	texts, err := parseBody(r, parseIDs)
	if err != nil {
		return answer{}, err
	}
	ids := make([]app.TaskID, 0, len(texts))
	for _, text := range texts {
		id, err := taskID(text)
		if err != nil {
			return answer{}, err
		}
		ids = append(ids, id)
	}
	killed, scaled, err := s.kill(r, ids, o)
	if err != nil || o.Scale {
		return scaled, err
	}
	return ok(map[string][]app.Task{"tasks": s.served(killed)})
}

func parseIDs(data []byte) ([]string, error) {
	var body struct {
		IDs *[]string `json:"ids"`
	}
	if err := decode(data, &body); err != nil {
		return nil, err
	}
	if body.IDs == nil {
		return nil, &app.TypeError{Details: []app.Detail{{Path: "/ids", Errors: []string{"error.path.missing"}}}}
	}
	return *body.IDs, nil
}

// served adds what lists of tasks have, too.
func (s *Server) served(tasks []app.Task) []app.Task {
	out := append([]app.Task{}, tasks...)
	for i, t := range out {
		if a, there := s.Scheduler.App(t.AppID); there && t.ServicePorts == nil {
			out[i].ServicePorts = a.ServicePorts()
		}
	}
	return out
}

// legacyTask are the forms that task ids had before Marathon 1.9. No task of this scheduler has one, but they are no
// mistake.
var legacyTask = regexp.MustCompile(`^[a-z0-9_.-]+\.(instance-|marathon-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(\.[a-z0-9_-]+)?(\.[0-9]+)?$`)

func taskID(text string) (app.TaskID, error) {
	if legacyTask.MatchString(text) {
		return app.TaskID(text), nil
	}
	id, err := app.ParseTaskID(text)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "Invalid task id '%s'. Task ids look like app.instance-<uuid>._app.1.", text)
	}
	return id, nil
}

// decode reads a small body of a known shape, with Marathon's answers to what is not JSON and what has other types.
func decode(data []byte, to any) error {
	err := json.Unmarshal(data, to)
	if err == nil {
		return nil
	}
	return jsonError(err)
}
