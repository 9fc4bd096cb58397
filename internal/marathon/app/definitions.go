package app

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Definitions are everything that is wanted of a scheduler: apps, and what is known of groups beyond the apps in them.
type Definitions struct {
	Apps   map[ID]App   `json:"apps"`
	Groups map[ID]Group `json:"groups,omitempty"`
}

// Group is what a group has of its own. Groups that exist only because an app lies below them have no entry in
// [Definitions].
type Group struct {
	ID           ID        `json:"id"`
	Dependencies []ID      `json:"dependencies"` // apps or groups that come before everything in this one
	Version      Timestamp `json:"version"`
	EnforceRole  bool      `json:"enforceRole,omitempty"`
}

// EnforcedRole is the role that an app has to have because the group at the top of its path says so; false where none does.
func (d Definitions) EnforcedRole(id ID) (string, bool) {
	name := top(id)
	return name, id.Parent() != "/" && d.Groups[ID("/"+name)].EnforceRole
}

// RoleOf is the role of an app that names none: that of its group where it is enforced, else the one it has had, else that of the
// platform's apps, which is empty where a platform has no roles.
func (d Definitions) RoleOf(id ID, platform string) string {
	if role, enforced := d.EnforcedRole(id); enforced {
		return role
	}
	return cmp.Or(d.Apps[id].Role, platform, DefaultRole)
}

// Validate reports everything that keeps the app from being one of them, as an [*InvalidError]; nil when nothing does.
func (d Definitions) Validate(a App, platform string) error {
	var all InvalidError
	for _, err := range []error{a.Validate(), d.validateRole(a, platform)} {
		if invalid, is := errors.AsType[*InvalidError](err); is {
			all.Details = append(all.Details, invalid.Details...)
		}
	}
	if len(all.Details) == 0 {
		return nil
	}
	return &all
}

// validateRole reports a role that the app cannot have. Where the platform has a role, apps have that one or the default;
// elsewhere the default or that of the group at the top of their path. A group may enforce its own. A role that the app has had
// already stays allowed: what allows it may change while its apps run.
func (d Definitions) validateRole(a App, platform string) error {
	allowed := []string{DefaultRole, top(a.ID)}
	if platform != "" {
		allowed[1] = platform
	}
	if role, enforced := d.EnforcedRole(a.ID); enforced {
		allowed = []string{role}
	}
	old, there := d.Apps[a.ID]
	if slices.Contains(allowed, a.Role) || there && old.Role == a.Role {
		return nil
	}
	return &InvalidError{Details: []Detail{{Path: "/role", Errors: []string{notOneOf(allowed...)}}}}
}

// top is the name of the group at the top of the path, or of the app where it lies there.
func top(id ID) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(string(id), "/"), "/")
	return name
}

// Clone is a copy that shares no memory with d.
func (d Definitions) Clone() Definitions {
	d.Apps, d.Groups = maps.Clone(d.Apps), maps.Clone(d.Groups)
	for id, a := range d.Apps {
		d.Apps[id] = a.Clone()
	}
	for id, g := range d.Groups {
		g.Dependencies = slices.Clone(g.Dependencies)
		d.Groups[id] = g
	}
	return d
}

// Equal reports whether the groups have the same version and content.
func (g Group) Equal(other Group) bool {
	return g.ID == other.ID && g.Version == other.Version && g.EnforceRole == other.EnforceRole &&
		slices.Equal(g.Dependencies, other.Dependencies)
}

// KillOptions say what becomes of instances whose tasks somebody asks to kill.
type KillOptions struct {
	Scale bool // as many fewer are wanted from now on
	Wipe  bool // their volumes are destroyed and new instances take their place
	Force bool // running deployments and the disruption gate do not stand in the way
	// Host limits a kill of all tasks of an app to one host; empty for all.
	Host string
}

// ApplyOptions say how a change of the definitions is made.
type ApplyOptions struct {
	Force  bool // deployments that touch the same apps are given up
	DryRun bool // only the steps are wanted; nothing is changed
	Wipe   bool // the volumes of PostgreSQL apps that are deleted by it are destroyed; otherwise they are kept
}

// TaskFailure is how the last task of an app that failed has ended.
type TaskFailure struct {
	AppID     ID        `json:"appId"`
	Host      string    `json:"host"`
	Message   string    `json:"message"`
	State     TaskState `json:"state"`
	TaskID    TaskID    `json:"taskId"`
	Timestamp Timestamp `json:"timestamp"`
	Version   Timestamp `json:"version"`
	SlaveID   string    `json:"slaveId,omitempty"`
}

// ReadinessResult is what the readiness check of an app found at one task last.
type ReadinessResult struct {
	Name         string             `json:"name"`
	TaskID       TaskID             `json:"taskId"`
	Ready        bool               `json:"ready"`
	LastResponse *ReadinessResponse `json:"lastResponse,omitempty"` // where the check preserves it
}

// ReadinessResponse is an answer to a readiness check.
type ReadinessResponse struct {
	Status      int    `json:"status"`
	ContentType string `json:"contentType"`
	Body        string `json:"body"`
}
