package ctl

import (
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// branch is a member with the mark before its name that says below whom it stands.
type branch struct {
	cluster.Member

	indent string
}

// branchesByName are the members without any order but that of their names.
func branchesByName(c cluster.Cluster) []branch {
	var all []branch
	for _, m := range c.Members {
		all = append(all, branch{Member: m})
	}
	return all
}

// topology orders the members as a tree: the leader, and below each those that stream from it. Members that stream from
// each other in a circle stand below nobody, and at the end.
func topology(c cluster.Cluster) []branch {
	below := map[string][]cluster.Member{}
	for _, m := range c.Others(c.Leader.Name) {
		parent := parentOf(c, m)
		below[parent] = append(below[parent], m)
	}
	var all []branch
	root := 0
	if leader, ok := c.LeaderMember(); ok {
		all = append(all, branch{Member: leader})
	}
	all = grow(all, below, c.Leader.Name, root+1)
	for _, m := range c.Members {
		if !slices.ContainsFunc(all, func(b branch) bool { return b.Name == m.Name }) {
			all = append(all, branch{Member: m, indent: mark(1)})
		}
	}
	return all
}

// parentOf is whom a replica stands below: the one it shall stream from where that is another replica, else the leader.
func parentOf(c cluster.Cluster, m cluster.Member) string {
	name := m.Tags.ReplicateFrom()
	if _, known := c.Member(name); !known || name == m.Name {
		return c.Leader.Name
	}
	return name
}

// grow adds those below a member, and those below them.
func grow(all []branch, below map[string][]cluster.Member, name string, level int) []branch {
	for _, m := range below[name] {
		all = append(all, branch{Member: m, indent: mark(level)})
		all = grow(all, below, m.Name, level+1)
	}
	return all
}

func mark(level int) string { return strings.Repeat("  ", level-1) + "+ " }
