package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// groupUpdate is what a body says about a group. What is nil was not given and stays.
type groupUpdate struct {
	ID           *string            `json:"id"`
	Apps         *[]json.RawMessage `json:"apps"`
	Groups       *[]groupUpdate     `json:"groups"`
	Dependencies *[]string          `json:"dependencies"`
	Version      *app.Timestamp     `json:"version"`
	ScaleBy      *float64           `json:"scaleBy"`
	EnforceRole  *bool              `json:"enforceRole"`
}

func parseGroup(data []byte) (groupUpdate, error) {
	var u groupUpdate
	return u, decode(data, &u)
}

// createGroup makes a group. The path and the id of the body together name it.
func (s *Server) createGroup(at string) handler {
	return func(r *http.Request) (answer, error) {
		force, err := flag(r, "force", false)
		if err != nil {
			return answer{}, err
		}
		u, id, err := s.readGroup(r, at)
		if err != nil {
			return answer{}, err
		}
		d, err := s.apply(r, func(defs *app.Definitions) error {
			if _, taken := defs.Apps[id]; taken {
				return refuse(http.StatusConflict, "An app with the path %s already exists.", id)
			}
			if isGroup(*defs, id) {
				return refuse(http.StatusConflict, "Group %s is already created. Use PUT to change this group.", id)
			}
			return replaceGroup(defs, s.moment(), id, u)
		}, app.ApplyOptions{Force: force})
		if err != nil {
			return answer{}, err
		}
		a := started(http.StatusCreated, d)
		a.location = "/v2/groups" + string(id)
		return a, nil
	}
}

// updateGroup changes a group: its content, back to a version, or all its apps by a factor.
func (s *Server) updateGroup(at string) handler {
	return func(r *http.Request) (answer, error) {
		force, err := flag(r, "force", false)
		if err != nil {
			return answer{}, err
		}
		dry, err := flag(r, "dryRun", false)
		if err != nil {
			return answer{}, err
		}
		u, id, err := s.readGroup(r, at)
		if err != nil {
			return answer{}, err
		}
		change, err := s.groupChange(r, id, u)
		if err != nil {
			return answer{}, err
		}
		d, err := s.apply(r, change, app.ApplyOptions{Force: force, DryRun: dry})
		switch {
		case err != nil:
			return answer{}, err
		case dry:
			return ok(map[string][]app.Step{"steps": append([]app.Step{}, d.Steps...)})
		}
		return started(http.StatusOK, d), nil
	}
}

// readGroup reads the body, and the id of the group from it and the path.
func (s *Server) readGroup(r *http.Request, at string) (groupUpdate, app.ID, error) {
	id, err := groupID(at)
	if err != nil {
		return groupUpdate{}, "", invalid("/id", err.Error())
	}
	u, err := parseBody(r, parseGroup)
	if err != nil || u.ID == nil {
		return u, id, err
	}
	text := inside(id, *u.ID)
	if r.Method != http.MethodPost && id != "/" {
		text = string(id) // the path says which group is meant
	}
	id, err = groupID(text)
	if err != nil {
		err = invalid("/id", "is no path of a group")
	}
	return u, id, err
}

func invalid(path, text string) error {
	return &app.InvalidError{Details: []app.Detail{{Path: path, Errors: []string{text}}}}
}

// groupChange is the change a PUT asks for.
func (s *Server) groupChange(r *http.Request, id app.ID, u groupUpdate) (func(*app.Definitions) error, error) {
	m := s.moment()
	switch {
	case u.Version != nil:
		then, err := s.groupThen(r, id, *u.Version)
		return func(defs *app.Definitions) error { return restoreGroup(defs, m, then, id) }, err
	case u.ScaleBy != nil:
		if *u.ScaleBy < 0 || math.IsNaN(*u.ScaleBy) {
			return nil, invalid("/scaleBy", "must not be negative")
		}
		if _, err := s.findGroup(string(id)); err != nil {
			return nil, err
		}
		return func(defs *app.Definitions) error { return scaleGroup(defs, m, id, *u.ScaleBy) }, nil
	}
	return func(defs *app.Definitions) error { return replaceGroup(defs, m, id, u) }, nil
}

func (s *Server) groupThen(r *http.Request, id app.ID, version app.Timestamp) (app.Definitions, error) {
	if s.History == nil {
		return app.Definitions{}, missing("versions")
	}
	then, kept, err := s.History.GroupVersion(r.Context(), version)
	if err == nil && (!kept || !isGroup(then, id)) {
		err = refuse(http.StatusNotFound, "Group '%s' does not exist in version %s", id, version)
	}
	return then, err
}

// restoreGroup makes everything below a group what it was.
func restoreGroup(defs *app.Definitions, m moment, then app.Definitions, group app.ID) error {
	maps.DeleteFunc(defs.Groups, func(id app.ID, _ app.Group) bool { return id == group || below(group, id) })
	for id, g := range then.Groups { // before the apps: a group may say which roles they have
		if id == group || below(group, id) {
			g.Version = m.now
			setGroup(defs, g)
		}
	}
	for id := range defs.Apps {
		if _, was := then.Apps[id]; below(group, id) && !was {
			delete(defs.Apps, id)
		}
	}
	for _, id := range sortedKeys(then.Apps) {
		if !below(group, id) {
			continue
		}
		if _, err := m.put(*defs, then.Apps[id]); err != nil {
			return err
		}
	}
	return together(*defs)
}

// scaleGroup multiplies the instances of all apps below a group, up to the next whole one.
func scaleGroup(defs *app.Definitions, m moment, group app.ID, by float64) error {
	for _, id := range sortedKeys(defs.Apps) {
		if !below(group, id) {
			continue
		}
		a := defs.Apps[id]
		scaled := math.Ceil(float64(a.Instances) * by)
		if scaled > math.MaxInt32 {
			return invalid("/scaleBy", fmt.Sprintf("%s would have too many instances", id))
		}
		a.Instances = int(scaled)
		if _, err := m.put(*defs, a); err != nil {
			return err
		}
	}
	return nil
}

// replaceGroup makes a group what a body says of it: lists that are given are complete.
func replaceGroup(defs *app.Definitions, m moment, id app.ID, u groupUpdate) error {
	c := groupEdit{defs: defs, moment: m}
	if err := c.edit("", id, u); err != nil {
		return err
	}
	return together(*defs)
}

// groupEdit edits groups at one moment.
type groupEdit struct {
	defs *app.Definitions
	moment
}

// edit makes one group what u says; at is where in the body u stands.
func (c groupEdit) edit(at string, id app.ID, u groupUpdate) error {
	if err := c.own(at, id, u); err != nil {
		return err
	}
	if u.Apps != nil {
		if err := c.apps(at, id, *u.Apps); err != nil {
			return err
		}
	}
	if u.Groups == nil {
		return nil
	}
	stay := map[app.ID]bool{}
	for i, g := range *u.Groups {
		path := fmt.Sprintf("%s/groups(%d)", at, i)
		if g.ID == nil {
			return &app.TypeError{Details: []app.Detail{{Path: path + "/id", Errors: []string{"error.path.missing"}}}}
		}
		child, err := groupID(inside(id, *g.ID))
		if err != nil || child.Parent() != id || child == "/" {
			return invalid(path+"/id", fmt.Sprintf("must be a group directly in %s", id))
		}
		stay[child] = true
		if err := c.edit(path, child, g); err != nil {
			return err
		}
	}
	c.dropGroups(id, stay)
	return nil
}

// dropGroups removes what lies below the group in others than those that stay.
func (c groupEdit) dropGroups(group app.ID, stay map[app.ID]bool) {
	gone := func(id app.ID) bool {
		if !below(group, id) {
			return false
		}
		for id.Parent() != group {
			id = id.Parent()
		}
		return !stay[id]
	}
	maps.DeleteFunc(c.defs.Apps, func(id app.ID, _ app.App) bool { return id.Parent() != group && gone(id) })
	maps.DeleteFunc(c.defs.Groups, func(id app.ID, _ app.Group) bool { return gone(id) })
}

// enforceable says why a group cannot have its name for the role of its apps, nil when it can.
func (m moment) enforceable(at string, id app.ID) error {
	own := strings.TrimPrefix(string(id), "/")
	if err := atTop(at, id); err != nil || m.role == "" || m.role == own {
		return err
	}
	return invalid(at+"/enforceRole", fmt.Sprintf("apps have the role %s here; none can have %s", m.role, own))
}

func atTop(at string, id app.ID) error {
	if id == "/" || id.Parent() != "/" {
		return invalid(at+"/enforceRole", "is only for groups at the top")
	}
	return nil
}

// own sets what a group has beside apps.
func (c groupEdit) own(at string, id app.ID, u groupUpdate) error {
	g, known := c.defs.Groups[id]
	g.ID = id
	if u.EnforceRole != nil && *u.EnforceRole {
		if err := c.enforceable(at, id); err != nil {
			return err
		}
	}
	changed := !known && !isGroup(*c.defs, id)
	if u.EnforceRole != nil {
		changed, g.EnforceRole = changed || g.EnforceRole != *u.EnforceRole, *u.EnforceRole
	}
	if u.Dependencies != nil {
		dependencies := []app.ID{}
		for i, text := range *u.Dependencies {
			dependency, err := app.ParseID(inside(id, text))
			if err != nil {
				return invalid(fmt.Sprintf("%s/dependencies(%d)", at, i), err.Error())
			}
			dependencies = append(dependencies, dependency)
		}
		g.Dependencies, changed = dependencies, true
	}
	if changed && id != "/" {
		g.Version = c.now
		setGroup(c.defs, g)
	}
	return nil
}

func setGroup(defs *app.Definitions, g app.Group) {
	if defs.Groups == nil {
		defs.Groups = map[app.ID]app.Group{}
	}
	defs.Groups[g.ID] = g
}

// apps makes the apps directly in a group those of the list.
func (c groupEdit) apps(at string, group app.ID, list []json.RawMessage) error {
	stay := map[app.ID]bool{}
	for i, raw := range list {
		path := fmt.Sprintf("%s/apps(%d)", at, i)
		next, err := c.app(group, raw)
		if err == nil {
			stay[next.ID] = true
			_, err = c.put(*c.defs, next)
		}
		if err != nil {
			return placed(path, err)
		}
	}
	maps.DeleteFunc(c.defs.Apps, func(id app.ID, _ app.App) bool { return id.Parent() == group && !stay[id] })
	return nil
}

// app reads an app that stands in a group, from which its id and its dependencies may be relative.
func (c groupEdit) app(group app.ID, raw json.RawMessage) (app.App, error) {
	var fields map[string]any
	if err := decode(raw, &fields); err != nil {
		return app.App{}, err
	}
	text, named := fields["id"].(string)
	if !named {
		return app.App{}, app.MissingID()
	}
	fields["id"] = inside(group, text)
	dependencies, _ := fields["dependencies"].([]any)
	for i, d := range dependencies {
		if text, ok := d.(string); ok {
			dependencies[i] = inside(group, text)
		}
	}
	delete(fields, "version") // what was read and is sent back
	absolute, err := json.Marshal(fields)
	if err != nil {
		return app.App{}, &app.SyntaxError{Text: err.Error()}
	}
	u, err := app.Parse(absolute)
	if err != nil {
		return app.App{}, err
	}
	id, _ := u.ID()
	if id.Parent() != group {
		return app.App{}, invalid("/id", fmt.Sprintf("must be an app directly in %s", group))
	}
	return c.fresh(*c.defs, u, id), nil
}

// placed says where in a body the details of an error are.
func placed(at string, err error) error {
	move := func(details []app.Detail) []app.Detail {
		var moved []app.Detail
		for _, d := range details {
			if d.Path == "/" {
				d.Path = ""
			}
			d.Path = at + d.Path
			moved = append(moved, d)
		}
		return moved
	}
	if e, ok := errors.AsType[*app.InvalidError](err); ok {
		return &app.InvalidError{Details: move(e.Details)}
	}
	if e, ok := errors.AsType[*app.TypeError](err); ok {
		return &app.TypeError{Details: move(e.Details)}
	}
	return err
}

// patchGroup changes whether the apps of a group at the top have to be of its role, and nothing else.
func (s *Server) patchGroup(at string) handler {
	return func(r *http.Request) (answer, error) {
		id, err := s.findGroup(at)
		if err != nil {
			return answer{}, err
		}
		u, err := parseBody(r, parseGroup)
		if err != nil {
			return answer{}, err
		}
		if u.EnforceRole == nil || u.Apps != nil || u.Groups != nil || u.Dependencies != nil || u.Version != nil || u.ScaleBy != nil {
			return answer{}, invalid("/", "only enforceRole can be patched; use PUT for the rest")
		}
		m := s.moment()
		if *u.EnforceRole {
			err = m.enforceable("", id)
		} else {
			err = atTop("", id)
		}
		if err != nil {
			return answer{}, err
		}
		d, err := s.apply(r, func(defs *app.Definitions) error {
			g := defs.Groups[id]
			g.ID, g.EnforceRole, g.Version = id, *u.EnforceRole, m.now
			setGroup(defs, g)
			return nil
		}, app.ApplyOptions{})
		if err != nil {
			return answer{}, err
		}
		return started(http.StatusOK, d), nil
	}
}

// deleteGroup deletes a group with everything below it.
func (s *Server) deleteGroup(at string) handler {
	return func(r *http.Request) (answer, error) {
		force, err := flag(r, "force", false)
		if err != nil {
			return answer{}, err
		}
		wipe, err := flag(r, "wipe", false)
		if err != nil {
			return answer{}, err
		}
		group, err := s.findGroup(at)
		if err != nil {
			return answer{}, err
		}
		d, err := s.apply(r, func(defs *app.Definitions) error {
			maps.DeleteFunc(defs.Apps, func(id app.ID, _ app.App) bool { return below(group, id) })
			maps.DeleteFunc(defs.Groups, func(id app.ID, _ app.Group) bool { return id == group || below(group, id) })
			return nil
		}, app.ApplyOptions{Force: force, Wipe: wipe})
		if err != nil {
			return answer{}, err
		}
		return started(http.StatusOK, d), nil
	}
}
