package route

import (
	"fmt"
	"strings"
)

// Line is where one service goes, for a person to read.
type Line struct {
	Service string
	Text    string
}

// Lines says for each service where it goes: "writes → n1 (127.0.0.11:5432)". What the checks find later
// is not in it.
func (w Wanted) Lines() []Line {
	lines := make([]Line, 0, len(w.Backends))
	for _, b := range w.Backends {
		lines = append(lines, Line{b.Service, b.Service + " → " + w.target(b)})
	}
	return lines
}

func (w Wanted) target(b Backend) string {
	if up := b.with(Up); len(up) > 0 {
		return strings.Join(up, ", ")
	}
	if b.Kind.Exclusive() {
		return b.undecided("nobody holds the leader key")
	}
	none := "no replica streams"
	if leader := w.backend(b.Fallback).with(Up); len(leader) > 0 {
		return fmt.Sprintf("%s, the leader: %s", strings.Join(leader, ", "), none)
	}
	return "nobody: " + none
}

// undecided describes a service without a server that is surely up: the one left to the checks, or none.
func (b Backend) undecided(none string) string {
	for _, s := range b.Servers {
		if s.Health == Checked {
			return fmt.Sprintf("as the checks find it: %s %s", s.Name, s.Reason)
		}
	}
	return "nobody: " + none
}

// with lists the servers of that health.
func (b Backend) with(h Health) []string {
	var names []string
	for _, s := range b.Servers {
		if s.Health == h {
			names = append(names, fmt.Sprintf("%s (%s)", s.Name, s.Address))
		}
	}
	return names
}
