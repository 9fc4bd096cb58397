package api

import (
	"context"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// groupView is a group as Marathon shows it. What was not asked for is an empty list and not missing.
type groupView struct {
	ID           app.ID        `json:"id"`
	Apps         []appView     `json:"apps"`
	Pods         []struct{}    `json:"pods"`
	Groups       []groupView   `json:"groups"`
	Dependencies []app.ID      `json:"dependencies"`
	Version      app.Timestamp `json:"version"`
	EnforceRole  bool          `json:"enforceRole,omitempty"` // Python's client refuses a group that has it
}

// definitions are what the scheduler has, with groups.
func (s *Server) definitions() app.Definitions {
	defs := app.Definitions{Apps: map[app.ID]app.App{}, Groups: map[app.ID]app.Group{}}
	for _, a := range s.Scheduler.Apps() {
		defs.Apps[a.ID] = a
	}
	if s.Groups != nil {
		defs.Groups = s.Groups.Groups()
	}
	return defs
}

// groupID is the id of a group at a path of a URL, "/" for the empty one.
func groupID(at string) (app.ID, error) {
	if strings.Trim(at, "/") == "" {
		return "/", nil
	}
	id, err := app.ParseID(at)
	if err != nil {
		return "", unknownGroup(app.ID("/" + at))
	}
	return id, nil
}

func unknownGroup(id app.ID) error {
	return refuse(http.StatusNotFound, "Group '%s' does not exist", id)
}

// findGroup is the group at a path: one that has something of its own, or apps below it.
func (s *Server) findGroup(at string) (app.ID, error) {
	id, err := groupID(at)
	if err == nil && !isGroup(s.definitions(), id) {
		err = unknownGroup(id)
	}
	return id, err
}

func isGroup(defs app.Definitions, id app.ID) bool {
	if id == "/" {
		return true
	}
	for app := range defs.Apps {
		if below(id, app) {
			return true
		}
	}
	for group := range defs.Groups {
		if group == id || below(id, group) {
			return true
		}
	}
	return false
}

// groupsEndpoint routes what follows /v2/groups: a path of any length, then perhaps one of the words no id ends in.
func (s *Server) groupsEndpoint(segments []string) (endpoint, error) {
	last := len(segments) - 1
	id := strings.Join(segments, "/")
	switch {
	case last >= 0 && segments[last] == "apps":
		return endpoint{http.MethodGet: s.appsOfGroup(strings.Join(segments[:last], "/"))}, nil
	case last >= 0 && segments[last] == "versions":
		return s.withHistory(endpoint{http.MethodGet: s.groupVersions(strings.Join(segments[:last], "/"))})
	case last >= 1 && segments[last-1] == "versions":
		return s.withHistory(endpoint{http.MethodGet: s.groupVersion(strings.Join(segments[:last-1], "/"), segments[last])})
	}
	return endpoint{
		http.MethodGet: s.showGroup(id), http.MethodPost: s.createGroup(id), http.MethodPut: s.updateGroup(id),
		http.MethodPatch: s.patchGroup(id), http.MethodDelete: s.deleteGroup(id),
	}, nil
}

func (s *Server) showGroup(at string) handler {
	return func(r *http.Request) (answer, error) {
		id, err := s.findGroup(at)
		if err != nil {
			return answer{}, err
		}
		return ok(s.groupTree(r, s.definitions(), id))
	}
}

// groupTree shows a group and everything below it.
func (s *Server) groupTree(r *http.Request, defs app.Definitions, id app.ID) groupView {
	e := embedsOf(r)
	if !e.groups && !e.apps && !e.pods {
		e.groups, e.apps = true, true
	}
	t := tree{defs: defs, viewer: s.viewer(e), apps: map[app.ID][]app.ID{}, groups: map[app.ID][]app.ID{}}
	t.grow()
	return t.view(id)
}

// tree has for each group what lies in it.
type tree struct {
	viewer

	defs   app.Definitions
	apps   map[app.ID][]app.ID
	groups map[app.ID][]app.ID
}

func (t *tree) grow() {
	known := map[app.ID]bool{"/": true}
	var plant func(group app.ID)
	plant = func(group app.ID) {
		if known[group] {
			return
		}
		known[group] = true
		plant(group.Parent())
		t.groups[group.Parent()] = append(t.groups[group.Parent()], group)
	}
	for _, id := range slices.Sorted(maps.Keys(t.defs.Apps)) {
		plant(id.Parent())
		t.apps[id.Parent()] = append(t.apps[id.Parent()], id)
	}
	for _, id := range slices.Sorted(maps.Keys(t.defs.Groups)) {
		plant(id)
	}
}

func (t *tree) view(id app.ID) groupView {
	own := t.defs.Groups[id]
	v := groupView{
		ID: id, Apps: []appView{}, Pods: []struct{}{}, Groups: []groupView{}, Version: t.version(id),
		Dependencies: append([]app.ID{}, own.Dependencies...), EnforceRole: own.EnforceRole,
	}
	if t.embeds.apps {
		for _, a := range t.apps[id] {
			v.Apps = append(v.Apps, t.viewer.view(t.defs.Apps[a]))
		}
	}
	if t.embeds.groups {
		for _, g := range slices.Sorted(slices.Values(t.groups[id])) {
			v.Groups = append(v.Groups, t.view(g))
		}
	}
	return v
}

// version is when anything in a group was changed last.
func (t *tree) version(id app.ID) app.Timestamp {
	newest := t.defs.Groups[id].Version
	for _, a := range t.apps[id] {
		newest = max(newest, t.defs.Apps[a].Version)
	}
	for _, g := range t.groups[id] {
		newest = max(newest, t.version(g))
	}
	return newest
}

// appsOfGroup is the bare list of the apps below a group.
func (s *Server) appsOfGroup(at string) handler {
	return func(r *http.Request) (answer, error) {
		group, err := s.findGroup(at)
		if err != nil {
			return answer{}, err
		}
		v := s.viewer(embedsOf(r))
		views := []appView{}
		for _, a := range s.Scheduler.Apps() {
			if below(group, a.ID) {
				views = append(views, v.view(a))
			}
		}
		return ok(views)
	}
}

func (s *Server) groupVersions(at string) handler {
	return func(r *http.Request) (answer, error) {
		id, err := s.findGroup(at)
		if err != nil {
			return answer{}, err
		}
		versions, err := s.History.GroupVersions(r.Context())
		if err == nil && id != "/" {
			versions, err = s.versionsOf(r.Context(), id, versions)
		}
		if err != nil {
			return answer{}, err
		}
		return ok(append([]app.Timestamp{}, versions...))
	}
}

// versionsOf are those of all versions in which a group became what it was then, newest first.
func (s *Server) versionsOf(ctx context.Context, group app.ID, all []app.Timestamp) ([]app.Timestamp, error) {
	var own []app.Timestamp
	var before map[app.ID]app.Timestamp
	for _, version := range slices.Backward(all) {
		defs, kept, err := s.History.GroupVersion(ctx, version)
		if err != nil {
			return nil, err
		}
		if !kept {
			continue // it was dropped meanwhile
		}
		now := contents(defs, group)
		if len(now) > 0 && !maps.Equal(before, now) {
			own = append(own, version)
		}
		before = now
	}
	slices.Reverse(own)
	return own, nil
}

// contents are the versions of a group and of everything in it; none where there is no such group.
func contents(defs app.Definitions, group app.ID) map[app.ID]app.Timestamp {
	all := map[app.ID]app.Timestamp{}
	for id, a := range defs.Apps {
		if below(group, id) {
			all[id] = a.Version
		}
	}
	for id, g := range defs.Groups {
		if id == group || below(group, id) {
			all[id] = g.Version
		}
	}
	return all
}

func (s *Server) groupVersion(at, text string) handler {
	return func(r *http.Request) (answer, error) {
		id, err := groupID(at)
		if err != nil {
			return answer{}, err
		}
		version, err := app.ParseTimestamp(text)
		if err != nil {
			return answer{}, refuse(http.StatusUnprocessableEntity, "%s", err)
		}
		defs, kept, err := s.History.GroupVersion(r.Context(), version)
		switch {
		case err != nil:
			return answer{}, err
		case !kept || !isGroup(defs, id):
			return answer{}, refuse(http.StatusNotFound, "Group '%s' does not exist in version %s", id, version)
		}
		return ok(s.groupTree(r, defs, id))
	}
}

// inside makes a path in a body absolute: one that does not begin with a slash is taken from the group it stands in.
func inside(group app.ID, text string) string {
	if strings.HasPrefix(text, "/") {
		return text
	}
	return path.Join(string(group), text)
}
