package deploy

import (
	"maps"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Steps are the steps of a deployment from one set of definitions to another: deleted apps are stopped, new
// ones start empty, then everything is brought to its size and configuration, each app after those it depends on, by itself
// or through a group above it. The dates in VersionInfo tell what changed. No steps means that no task is touched.
func Steps(old, next app.Definitions) []app.Step {
	var stop, start app.Step
	layers := map[int]*app.Step{}
	for _, id := range slices.Sorted(maps.Keys(old.Apps)) {
		if _, stays := next.Apps[id]; !stays {
			stop.Actions = append(stop.Actions, app.Action{Kind: app.StopApplication, App: id})
		}
	}
	order := newOrder(next)
	for _, id := range slices.Sorted(maps.Keys(next.Apps)) {
		before, known := old.Apps[id]
		kind := actionKind(before, known, next.Apps[id])
		if !known {
			start.Actions = append(start.Actions, app.Action{Kind: app.StartApplication, App: id})
		}
		if kind == "" {
			continue
		}
		n := order.depth(id)
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

// order finds out how deep apps lie above what they depend on. Each app and each group is looked at once.
type order struct {
	defs app.Definitions
	ids  []app.ID // of the apps, sorted: those of a group lie side by side
	// known are the depths found so far; one that is being looked for counts as 0, so that a circle, which a definition
	// must not have, comes to an end.
	known  map[app.ID]int
	groups map[app.ID]int
}

func newOrder(defs app.Definitions) *order {
	return &order{defs: defs, ids: slices.Sorted(maps.Keys(defs.Apps)), known: map[app.ID]int{}, groups: map[app.ID]int{}}
}

// depth is the length of the longest chain of dependencies below the app.
func (o *order) depth(id app.ID) int {
	if n, ok := o.known[id]; ok {
		return n
	}
	o.known[id] = 0
	deepest := 0
	for _, dependency := range o.defs.Apps[id].Dependencies {
		deepest = max(deepest, o.above(dependency))
	}
	for group := id.Parent(); ; group = group.Parent() {
		for _, dependency := range o.defs.Groups[group].Dependencies {
			deepest = max(deepest, o.above(dependency))
		}
		if group == "/" {
			break
		}
	}
	o.known[id] = deepest
	return deepest
}

// above is the lowest depth of what depends on an app, or on everything in a group; 0 for what is not there.
func (o *order) above(id app.ID) int {
	if _, ok := o.defs.Apps[id]; ok {
		return o.depth(id) + 1
	}
	if n, ok := o.groups[id]; ok {
		return n
	}
	o.groups[id] = 0
	deepest := 0
	prefix := strings.TrimSuffix(string(id), "/") + "/"
	from, _ := slices.BinarySearch(o.ids, app.ID(prefix))
	for _, member := range o.ids[from:] {
		if !strings.HasPrefix(string(member), prefix) {
			break
		}
		deepest = max(deepest, o.depth(member)+1)
	}
	o.groups[id] = deepest
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
