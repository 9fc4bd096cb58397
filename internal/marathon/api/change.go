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

// maxDeployments is how many deployments may run at once, Marathon's default.
const maxDeployments = 100

// limited is the context of one change.
func limited(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(r.Context(), changeTimeout, errTooSlow)
}

// apply makes one change within its time.
func (s *Server) apply(r *http.Request, change func(*app.Definitions) error, o app.ApplyOptions) (app.Deployment, error) {
	if n := len(s.Scheduler.Deployments()); n >= maxDeployments && !o.DryRun {
		return app.Deployment{}, refuse(http.StatusForbidden,
			"%d deployments are running and there may be %d; wait for some to end, or cancel them with DELETE /v2/deployments/{id}", n, maxDeployments)
	}
	ctx, cancel := limited(r)
	defer cancel()
	return s.Scheduler.Apply(ctx, change, o)
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
	m := s.moment()
	d, err := s.apply(r, func(defs *app.Definitions) error {
		if _, there := defs.Apps[id]; there {
			return &app.ExistsError{ID: id}
		}
		var err error
		if created, err = m.put(*defs, m.fresh(*defs, u, id)); err != nil {
			return err
		}
		return together(*defs)
	}, app.ApplyOptions{Force: force})
	if err != nil {
		return answer{}, err
	}
	s.posted(r, created)
	view := appView{App: created, Counts: &app.Counts{}, Deployments: []ref{{d.ID}}, Tasks: []app.Task{}}
	return answer{status: http.StatusCreated, body: view, deployment: d.ID, location: locationOf(id)}, nil
}

// updateApp changes the app at a path, or with create makes it when it is not there. The path names the app, whatever
// id the body gives.
func (s *Server) updateApp(path string, create bool) handler {
	return func(r *http.Request) (answer, error) {
		how, err := s.howOf(r, create)
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
		changed, created, d, err := s.update(r, how, []named{{id, u}})
		if err != nil {
			return answer{}, err
		}
		s.posted(r, changed...)
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
		how, err := s.howOf(r, create)
		if err != nil {
			return answer{}, err
		}
		updates, err := parseBody(r, app.ParseList)
		if err != nil {
			return answer{}, err
		}
		var all []named
		for _, u := range updates {
			id, _ := u.ID()
			all = append(all, named{id, u})
		}
		changed, _, d, err := s.update(r, how, all)
		if err != nil {
			return answer{}, err
		}
		s.posted(r, changed...)
		return started(http.StatusOK, d), nil
	}
}

// named is what is to become of one app.
type named struct {
	id     app.ID
	update app.Update
}

// update makes all updates in one change. It tells what became of the apps, and whether one was made.
func (s *Server) update(r *http.Request, how how, all []named) (changed []app.App, created bool, d app.Deployment, err error) {
	back, err := s.formerly(r, all)
	if err != nil {
		return nil, false, app.Deployment{}, err
	}
	d, err = s.apply(r, func(defs *app.Definitions) error {
		changed, created = nil, false // it may run more than once
		for _, n := range all {
			_, there := defs.Apps[n.id]
			created = created || !there
			next, err := how.update(*defs, n, back)
			if err != nil {
				return err
			}
			changed = append(changed, next)
		}
		return together(*defs)
	}, app.ApplyOptions{Force: how.force})
	return changed, created, d, err
}

// formerly are the apps as they were in the versions that updates ask to go back to.
func (s *Server) formerly(r *http.Request, all []named) (map[app.ID]app.App, error) {
	then := map[app.ID]app.App{}
	for _, n := range all {
		version, back, err := n.update.Rollback()
		if err != nil {
			return nil, s.notRollback(n.id, err)
		}
		if !back {
			continue
		}
		a, err := s.version(r.Context(), n.id, version)
		if err != nil {
			return nil, err
		}
		then[n.id] = a
	}
	return then, nil
}

// notRollback is nil for an app that is not there: what is made anew may name a version.
func (s *Server) notRollback(id app.ID, err error) error {
	if _, there := s.Scheduler.App(id); !there {
		return &app.UnknownAppError{ID: id}
	}
	return err
}

func (s *Server) restartApp(path string) handler {
	return func(r *http.Request) (answer, error) {
		force, err := flag(r, "force", false)
		if err != nil {
			return answer{}, err
		}
		a, err := s.find(path)
		if err != nil {
			return answer{}, err
		}
		d, err := s.apply(r, func(defs *app.Definitions) error {
			present, there := defs.Apps[a.ID]
			if !there {
				return &app.UnknownAppError{ID: a.ID}
			}
			defs.Apps[a.ID] = renewed(present, app.At(time.Now()))
			return nil
		}, app.ApplyOptions{Force: force})
		if err != nil {
			return answer{}, err
		}
		return started(http.StatusOK, d), nil
	}
}

// renewed is the same configuration as a new version, so that every task counts as outdated.
func renewed(a app.App, now app.Timestamp) app.App {
	a.Version = max(now, a.Version+1)
	a.VersionInfo = app.VersionInfo{LastScalingAt: a.Version, LastConfigChangeAt: a.Version}
	return a
}

func (s *Server) deleteApp(path string) handler {
	return func(r *http.Request) (answer, error) {
		force, err := flag(r, "force", true) // Marathon's default here, and only here
		if err != nil {
			return answer{}, err
		}
		wipe, err := flag(r, "wipe", false)
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
		}, app.ApplyOptions{Force: force, Wipe: wipe})
		if err != nil {
			return answer{}, err
		}
		return started(http.StatusOK, d), nil
	}
}

// how says in which way a request updates apps.
type how struct {
	create  bool // an app that is not there is made
	partial bool // fields that are not given keep their value, instead of falling back to the default
	force   bool
	moment
}

func (s *Server) howOf(r *http.Request, create bool) (how, error) {
	force, err := flag(r, "force", false)
	if err != nil {
		return how{}, err
	}
	h := how{create: create, partial: true, force: force, moment: s.moment()}
	if create { // PATCH is always partial
		h.partial, err = flag(r, "partialUpdate", true)
	}
	return h, err
}

// update edits one app. back holds the apps that are to be what they were.
func (h how) update(defs app.Definitions, n named, back map[app.ID]app.App) (app.App, error) {
	old, there := defs.Apps[n.id]
	then, returns := back[n.id]
	switch {
	case !there && (returns || !h.create):
		return app.App{}, &app.UnknownAppError{ID: n.id}
	case returns && then.Version == old.Version:
		return old, nil
	case returns:
		return h.put(defs, then)
	}
	next := h.fresh(defs, n.update, n.id)
	if there && h.partial {
		next = n.update.Apply(old)
	}
	return h.put(defs, next)
}

// moment is when a change is made, and the role that the platform's apps have then.
type moment struct {
	now  app.Timestamp
	role string
}

func (s *Server) moment() moment { return moment{app.At(time.Now()), s.config.Role} }

// fresh is an app as it is defined alone, whatever it was.
func (m moment) fresh(defs app.Definitions, u app.Update, id app.ID) app.App {
	return u.NewAs(id, defs.RoleOf(id, m.role))
}

// put makes next the definition of its app, with service ports and version, if it can be one by itself.
func (m moment) put(defs app.Definitions, next app.App) (app.App, error) {
	if err := defs.Validate(next, m.role); err != nil {
		return app.App{}, err
	}
	old, there := defs.Apps[next.ID]
	next, err := next.AssignServicePorts(old, defs.Apps)
	if err != nil {
		return app.App{}, err
	}
	if there {
		if err := sameMajor(old, next); err != nil {
			return app.App{}, err
		}
		if err := next.ValidateChange(old); err != nil {
			return app.App{}, err
		}
		next = next.Revised(old, m.now)
	} else {
		next = next.Created(m.now)
	}
	defs.Apps[next.ID] = next
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
		return none, refuse(http.StatusBadRequest, "the body did not arrive: %s", err)
	}
	return parse(data)
}

// flag is a parameter that is true or false. One that is there without a value is true.
func flag(r *http.Request, name string, byDefault bool) (bool, error) {
	q := r.URL.Query()
	if !q.Has(name) {
		return byDefault, nil
	}
	text := q.Get(name)
	if text == "" {
		return true, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, refuse(http.StatusBadRequest, "the parameter %s is true or false, not %q", name, text)
	}
	return value, nil
}

func locationOf(id app.ID) string { return "/v2/apps" + string(id) }
