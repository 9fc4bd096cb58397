package deploy

import (
	"maps"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Steps are the steps of a deployment from one set of definitions to another: deleted apps are stopped, new
// ones start empty, then everything is brought to its size and configuration, each app after those it depends on. The
// dates in VersionInfo tell what changed. No steps means that no task is touched.
func Steps(old, next map[app.ID]app.App) []app.Step {
	var stop, start app.Step
	layers := map[int]*app.Step{}
	for _, id := range slices.Sorted(maps.Keys(old)) {
		if _, stays := next[id]; !stays {
			stop.Actions = append(stop.Actions, app.Action{Kind: app.StopApplication, App: id})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(next)) {
		before, known := old[id]
		kind := actionKind(before, known, next[id])
		if !known {
			start.Actions = append(start.Actions, app.Action{Kind: app.StartApplication, App: id})
		}
		if kind == "" {
			continue
		}
		n := depth(next, id)
		if layers[n] == nil {
			layers[n] = &app.Step{}
		}
		layers[n].Actions = append(layers[n].Actions, app.Action{Kind: kind, App: id})
	}
	steps := []app.Step{stop, start}
	for _, n := range slices.Sorted(maps.Keys(layers)) {
		steps = append(steps, *layers[n])
	}
	return slices.DeleteFunc(steps, func(s app.Step) bool { return len(s.Actions) == 0 })
}

// actionKind is what has to be done to an app; a new configuration for no instance is no more than scaling.
func actionKind(old app.App, known bool, next app.App) app.ActionKind {
	switch {
	case !known:
		return app.ScaleApplication
	case next.VersionInfo.LastConfigChangeAt != old.VersionInfo.LastConfigChangeAt && next.Instances > 0:
		return app.RestartApplication
	case next.VersionInfo != old.VersionInfo:
		return app.ScaleApplication
	}
	return ""
}

// depth is the length of the longest chain of dependencies below the app. Definitions with a circle were refused.
func depth(apps map[app.ID]app.App, id app.ID) int {
	deepest := 0
	for _, dependency := range apps[id].Dependencies {
		if _, ok := apps[dependency]; ok {
			deepest = max(deepest, depth(apps, dependency)+1)
		}
	}
	return deepest
}

// Affected are the apps that the steps touch, sorted.
func Affected(steps []app.Step) []app.ID {
	ids := []app.ID{}
	for _, s := range steps {
		for _, a := range s.Actions {
			ids = append(ids, a.App)
		}
	}
	slices.SortFunc(ids, func(a, b app.ID) int { return strings.Compare(string(a), string(b)) })
	return slices.Compact(ids)
}
