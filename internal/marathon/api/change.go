package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

var errTooSlow = &httpError{
	http.StatusServiceUnavailable,
	fmt.Sprintf("the change took longer than %s; look at /v2/apps whether it was made", changeTimeout),
}

// apply makes one change within its time.
func (s *Server) apply(r *http.Request, change func(*app.Definitions) error, force bool) (app.Deployment, error) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), changeTimeout, errTooSlow)
	defer cancel()
	return s.Scheduler.Apply(ctx, change, app.ApplyOptions{Force: force})
}

func (s *Server) createApp(r *http.Request) (answer, error) {
	force, err := flag(r, "force", false)
	if err != nil {
		return answer{}, err
	}
	u, err := parseBody(r, app.Parse)
	if err != nil {
		return answer{}, err
	}
	id, named := u.ID()
	if !named {
		return answer{}, app.MissingID()
	}
	var created app.App
	d, err := s.apply(r, func(defs *app.Definitions) error {
		if _, there := defs.Apps[id]; there {
			return &app.ExistsError{ID: id}
		}
		var err error
		if created, err = put(defs.Apps, u.New(id), app.At(time.Now())); err != nil {
			return err
		}
		return app.ValidateTogether(defs.Apps)
	}, force)
	if err != nil {
		return answer{}, err
	}
	view := appView{App: created, Deployments: []ref{{d.ID}}, Tasks: []app.Task{}}
	return answer{status: http.StatusCreated, body: view, deployment: d.ID, location: locationOf(id)}, nil
}

// updateApp changes the app at a path, or with create makes it when it is not there. The path names the app, whatever
// id the body gives.
func (s *Server) updateApp(path string, create bool) handler {
	return func(r *http.Request) (answer, error) {
		how, err := howOf(r, create)
		if err != nil {
			return answer{}, err
		}
		id, err := app.ParseNewID(path)
		if err != nil {
			if !create {
				err = &app.UnknownAppError{ID: app.ID("/" + path)}
			}
			return answer{}, err
		}
		u, err := parseBody(r, app.Parse)
		if err != nil {
			return answer{}, err
		}
		var created bool
		d, err := s.apply(r, func(defs *app.Definitions) error {
			_, there := defs.Apps[id]
			created = !there
			if err := how.update(defs.Apps, id, u); err != nil {
				return err
			}
			return app.ValidateTogether(defs.Apps)
		}, how.force)
		if err != nil {
			return answer{}, err
		}
		if created {
			a := started(http.StatusCreated, d)
			a.location = locationOf(id)
			return a, nil
		}
		return started(http.StatusOK, d), nil
	}
}

// updateApps changes many apps in one deployment.
func (s *Server) updateApps(create bool) handler {
	return func(r *http.Request) (answer, error) {
		how, err := howOf(r, create)
		if err != nil {
			return answer{}, err
		}
		updates, err := parseBody(r, app.ParseList)
		if err != nil {
			return answer{}, err
		}
		d, err := s.apply(r, func(defs *app.Definitions) error {
			for _, u := range updates {
				id, _ := u.ID()
				if err := how.update(defs.Apps, id, u); err != nil {
					return err
				}
			}
			return app.ValidateTogether(defs.Apps)
		}, how.force)
		if err != nil {
			return answer{}, err
		}
		return started(http.StatusOK, d), nil
	}
}

func (s *Server) deleteApp(path string) handler {
	return func(r *http.Request) (answer, error) {
		force, err := flag(r, "force", true) // Marathon's default here, and only here
		if err != nil {
			return answer{}, err
		}
		a, err := s.find(path)
		if err != nil {
			return answer{}, err
		}
		d, err := s.apply(r, func(defs *app.Definitions) error {
			if _, there := defs.Apps[a.ID]; !there {
				return &app.UnknownAppError{ID: a.ID}
			}
			delete(defs.Apps, a.ID)
			return nil
		}, force)
		if err != nil {
			return answer{}, err
		}
		return started(http.StatusOK, d), nil
	}
}

func (s *Server) cancelDeployment(id string) handler {
	return func(r *http.Request) (answer, error) {
		force, err := flag(r, "force", false)
		if err != nil {
			return answer{}, err
		}
		ctx, cancel := context.WithTimeoutCause(r.Context(), changeTimeout, errTooSlow)
		defer cancel()
		d, known, err := s.Scheduler.Cancel(ctx, id, force)
		switch {
		case err != nil:
			return answer{}, err
		case !known:
			return answer{}, &httpError{http.StatusNotFound, "DeploymentPlan " + id + " does not exist"}
		case force:
			return answer{status: http.StatusAccepted}, nil
		}
		return started(http.StatusOK, d), nil
	}
}

// how says in which way a request updates apps.
type how struct {
	create  bool // an app that is not there is made
	partial bool // fields that are not given keep their value, instead of falling back to the default
	force   bool
	now     app.Timestamp
}

func howOf(r *http.Request, create bool) (how, error) {
	force, err := flag(r, "force", false)
	if err != nil {
		return how{}, err
	}
	h := how{create: create, partial: true, force: force, now: app.At(time.Now())}
	if create { // PATCH is always partial
		h.partial, err = flag(r, "partialUpdate", true)
	}
	return h, err
}

// update edits one app.
func (h how) update(apps map[app.ID]app.App, id app.ID, u app.Update) error {
	old, there := apps[id]
	version, back, err := u.Rollback()
	switch {
	case err != nil:
		return err
	case !there && (back || !h.create):
		return &app.UnknownAppError{ID: id}
	case back && version != old.Version:
		return &app.UnknownAppError{ID: id, Version: version}
	case back:
		return nil
	}
	next := u.New(id)
	if there && h.partial {
		next = u.Apply(old)
	}
	_, err = put(apps, next, h.now)
	return err
}

// put makes next the definition of its app, with service ports and version, if it can be one by itself.
func put(apps map[app.ID]app.App, next app.App, now app.Timestamp) (app.App, error) {
	if err := next.Validate(); err != nil {
		return app.App{}, err
	}
	old, there := apps[next.ID]
	next, err := next.AssignServicePorts(old, apps)
	if err != nil {
		return app.App{}, err
	}
	if there {
		next = next.Revised(old, now)
	} else {
		next = next.Created(now)
	}
	apps[next.ID] = next
	return next, nil
}

// parseBody reads the body whatever its Content-Type says: curl -d says nothing true about it.
func parseBody[T any](r *http.Request, parse func([]byte) (T, error)) (T, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		var none T
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return none, err
		}
		return none, &httpError{http.StatusBadRequest, "the body did not arrive: " + err.Error()}
	}
	return parse(data)
}

// flag is a parameter that is true or false.
func flag(r *http.Request, name string, byDefault bool) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return byDefault, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, &httpError{http.StatusBadRequest, fmt.Sprintf("the parameter %s is true or false, not %q", name, text)}
	}
	return value, nil
}

func locationOf(id app.ID) string { return "/v2/apps" + string(id) }
