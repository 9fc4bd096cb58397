package app

import (
	"bytes"
	"encoding/json"
)

// Change is how far two definitions of one app lie apart, by what a deployment has to do.
type Change int

// The changes, each one including those before it.
const (
	ChangeNone     Change = iota // nothing; tasks untouched
	ChangeMetadata               // only what no running task sees; tasks untouched
	ChangeScale                  // the number of instances too
	ChangeRestart                // the configuration of the tasks: all are replaced
)

// String is the name for logs.
func (c Change) String() string {
	switch c {
	case ChangeNone:
		return "none"
	case ChangeMetadata:
		return "metadata"
	case ChangeScale:
		return "scale"
	case ChangeRestart:
		return "restart"
	}
	return "unknown"
}

// Diff classifies the way from old to next. As in Marathon anything but the number of instances restarts the tasks,
// with one difference made on purpose: what no server sees (labels, checks, constraints, and how tasks are replaced) is no
// reason to restart a database; labels in its environment lag until its next start. Version and VersionInfo are not
// compared.
func Diff(old, next App) Change {
	switch {
	case same(unversioned(old), unversioned(next)):
		return ChangeNone
	case !same(configuration(old), configuration(next)):
		return ChangeRestart
	case old.Instances != next.Instances:
		return ChangeScale
	}
	return ChangeMetadata
}

func unversioned(a App) App {
	a.Version, a.VersionInfo = 0, VersionInfo{}
	return a
}

// configuration is a without what may change under running tasks.
func configuration(a App) App {
	a = unversioned(a)
	a.Instances = 0
	if a.IsPostgres() {
		a = withoutMetadata(a)
	}
	return a
}

// withoutMetadata is a without what only the scheduler looks at.
func withoutMetadata(a App) App {
	a.Labels, a.HealthChecks, a.ReadinessChecks, a.Constraints = nil, nil, nil, nil
	a.UpgradeStrategy, a.UnreachableStrategy, a.KillSelection = UpgradeStrategy{}, UnreachableStrategy{}, ""
	a.BackoffSeconds, a.BackoffFactor, a.MaxLaunchDelaySeconds = 0, 0, 0
	a.Dependencies, a.Residency = nil, nil
	return a
}

// same compares as JSON, so that what a client cannot tell apart is no difference.
func same(a, b App) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// Created is a as the first version of an app.
func (a App) Created(now Timestamp) App {
	a.Version = now
	a.VersionInfo = VersionInfo{LastScalingAt: now, LastConfigChangeAt: now}
	return a
}

// Revised is a as the version that follows old: old's own version when nothing changed, else a later one, with those
// dates of [VersionInfo] moved that the change concerns. The version grows even when the clock does not.
func (a App) Revised(old App, now Timestamp) App {
	a.Version, a.VersionInfo = old.Version, old.VersionInfo
	change := Diff(old, a)
	if change == ChangeNone {
		return a
	}
	a.Version = max(now, old.Version+1)
	if change == ChangeScale || change == ChangeRestart {
		a.VersionInfo.LastScalingAt = a.Version
	}
	if change == ChangeRestart {
		a.VersionInfo.LastConfigChangeAt = a.Version
	}
	return a
}
