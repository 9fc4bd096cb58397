package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// name is an instance in a sentence.
func name(i Instance) string { return fmt.Sprintf("%s (%s)", i.ID, cmp.Or(i.Host, "no host")) }

// names lists instances for a sentence.
func names(list []Instance) string {
	var parts []string
	for _, i := range list {
		parts = append(parts, name(i))
	}
	return strings.Join(parts, ", ")
}

// stateName is the state of its task in a sentence.
func stateName(i Instance) string { return cmp.Or(string(i.State), "not launched yet") }

// count is a number of things in a sentence.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// listed appends reasons to a sentence.
func listed(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return ": " + strings.Join(reasons, "; ")
}

// boolFirst orders true before false.
func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// preferLast moves those that have the first property behind all others, and among them those that have the second,
// keeping the order otherwise.
func preferLast(list []Instance, first, second func(Instance) bool) {
	slices.SortStableFunc(list, func(a, b Instance) int {
		return cmp.Or(boolFirst(!first(a), !first(b)), boolFirst(!second(a), !second(b)))
	})
}
