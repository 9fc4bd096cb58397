package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ValidateTogether reports what is impossible about a set of apps that are each valid: an app whose path is a group of
// another, and dependencies in a circle. The error is an [*InvalidError].
func ValidateTogether(apps map[ID]App) error {
	ids := slices.Sorted(maps.Keys(apps))
	for _, id := range ids {
		for group := id.Parent(); group != "/"; group = group.Parent() {
			if _, both := apps[group]; both {
				text := fmt.Sprintf("%s %s is an app and the group of %s.", msgClash, group, id)
				return &InvalidError{Details: []Detail{{Path: "/", Errors: []string{text}}}}
			}
		}
	}
	if circle := circle(apps, ids); circle != nil {
		text := msgCycle + " " + strings.Join(circle, " needs ")
		return &InvalidError{Details: []Detail{{Path: "/", Errors: []string{text}}}}
	}
	return nil
}

// circle is a chain of dependencies that ends where it begins, nil when there is none.
func circle(apps map[ID]App, ids []ID) []string {
	done := map[ID]bool{}
	for _, id := range ids {
		if c := follow(apps, id, nil, done); c != nil {
			return c
		}
	}
	return nil
}

// follow walks the dependencies of id; path is how it was reached, done holds the apps known to lead into no circle.
func follow(apps map[ID]App, id ID, path []string, done map[ID]bool) []string {
	if i := slices.Index(path, string(id)); i >= 0 {
		return append(slices.Clone(path[i:]), string(id))
	}
	if done[id] {
		return nil
	}
	path = append(path, string(id))
	for _, next := range apps[id].Dependencies {
		if c := follow(apps, next, path, done); c != nil {
			return c
		}
	}
	done[id] = true
	return nil
}
