package app

import (
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
	name, _, below := strings.Cut(strings.TrimPrefix(string(id), "/"), "/")
	return name, below && d.Groups[ID("/"+name)].EnforceRole
}

// RoleOf is the role of an app that names none: that of its group where it is enforced.
func (d Definitions) RoleOf(id ID) string {
	if role, enforced := d.EnforcedRole(id); enforced {
		return role
	}
	return DefaultRole
}

// ValidateRole reports a role that the app's group does not allow, as an [*InvalidError]; nil when it does. One that the app
// has had already stays allowed: a group may begin to enforce its role while its apps run.
func (d Definitions) ValidateRole(a App) error {
	role, enforced := d.EnforcedRole(a.ID)
	old, there := d.Apps[a.ID]
	if !enforced || a.Role == role || there && old.Role == a.Role {
		return nil
	}
	return &InvalidError{Details: []Detail{{Path: "/role", Errors: []string{notOneOf(role)}}}}
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
