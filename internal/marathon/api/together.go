package api

import (
	"maps"
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// together reports what is impossible about definitions that are each valid, groups and their dependencies included.
func together(defs app.Definitions) error {
	for _, id := range sortedKeys(defs.Groups) {
		if _, both := defs.Apps[id]; both {
			return invalid("/", "Groups and Applications may not have the same identifier. "+string(id)+" would be both.")
		}
	}
	return app.ValidateTogether(spread(defs))
}

// spread are the apps with the dependencies of the groups they lie in, and in place of a group everything below it.
func spread(defs app.Definitions) map[app.ID]app.App {
	if len(defs.Groups) == 0 && !dependsOnGroups(defs.Apps) {
		return defs.Apps
	}
	all := maps.Clone(defs.Apps)
	for id, a := range all {
		wanted := slices.Clone(a.Dependencies)
		for group := id.Parent(); group != "/"; group = group.Parent() {
			wanted = append(wanted, defs.Groups[group].Dependencies...)
		}
		a.Dependencies = nil
		for _, dependency := range wanted {
			a.Dependencies = append(a.Dependencies, meant(defs, dependency)...)
		}
		all[id] = a
	}
	return all
}

func dependsOnGroups(apps map[app.ID]app.App) bool {
	for _, a := range apps {
		for _, d := range a.Dependencies {
			if _, there := apps[d]; !there {
				return true
			}
		}
	}
	return false
}

// meant are the apps that a dependency names, sorted.
func meant(defs app.Definitions, dependency app.ID) []app.ID {
	if _, there := defs.Apps[dependency]; there {
		return []app.ID{dependency}
	}
	var all []app.ID
	for _, id := range sortedKeys(defs.Apps) {
		if below(dependency, id) {
			all = append(all, id)
		}
	}
	return all
}

func sortedKeys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
