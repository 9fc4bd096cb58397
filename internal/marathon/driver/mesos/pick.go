package mesos

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// scalars are amounts of what every agent has.
func scalars(cpus, mem, disk, gpus float64) []wire.Resource {
	var list []wire.Resource
	for _, part := range []struct {
		name   string
		amount float64
	}{{"cpus", cpus}, {"mem", mem}, {"disk", disk}, {"gpus", gpus}} {
		if part.amount > 0 {
			list = append(list, wire.Resource{Name: part.name, Type: wire.TypeScalar, Scalar: wire.Amount(part.amount)})
		}
	}
	return list
}

// ports are host ports as a resource; 0 stands for one that is not published.
func ports(numbers []int) []wire.Resource {
	var r wire.Ranges
	for _, n := range numbers {
		if n != 0 {
			r.Range = append(r.Range, wire.Range{Begin: n, End: n})
		}
	}
	if r = r.Merge(); len(r.Range) == 0 {
		return nil
	}
	return []wire.Resource{{Name: "ports", Type: wire.TypeRanges, Ranges: &r}}
}

// pick chooses resources that make up what is wanted, of the roles a definition accepts: of those reserved first, as package
// place counts on. why says what there is too little of.
func pick(free, wanted []wire.Resource, roles []string) (used []wire.Resource, why string) {
	for _, w := range wanted {
		got, missing := pickOne(free, w, roles)
		if missing != "" {
			return nil, missing
		}
		used = append(used, got...)
		free, _ = wire.Subtract(free, got...)
	}
	return used, ""
}

// pickOne covers one need, from more than one resource where it has to.
func pickOne(free []wire.Resource, w wire.Resource, roles []string) (used []wire.Resource, why string) {
	order := slices.Clone(free)
	slices.SortStableFunc(order, func(a, b wire.Resource) int { return len(b.Reservations) - len(a.Reservations) })
	asked := w
	for _, r := range order {
		if r.Name != w.Name || r.Type != w.Type || r.Disk != nil || !common(r) || labelOf(r, labelVolume) != "" || !accepted(r, roles) {
			continue
		}
		var part wire.Resource
		if part, w = cut(r, w); !none(part) {
			used = append(used, part)
		}
	}
	if none(w) {
		return used, ""
	}
	return nil, short(w, asked, free)
}

// accepted reports whether a definition takes resources of that role; without a word about it, only those that are nobody's.
// Ports count for everybody who is offered them: package place knows of no roles there.
func accepted(r wire.Resource, roles []string) bool {
	if r.Name == "ports" {
		return true
	}
	role := reservedFor(r)
	if role == "" {
		role = anyRole
	}
	return slices.Contains(roles, role) || len(roles) == 0 && role == anyRole
}

// cut takes of r what w wants of it, and returns what is still wanted.
func cut(r, w wire.Resource) (part, rest wire.Resource) {
	part, rest = r, w
	switch {
	case w.Scalar != nil && r.Scalar != nil:
		part.Scalar = &wire.Scalar{Milli: min(w.Scalar.Milli, r.Scalar.Milli)}
		rest.Scalar = &wire.Scalar{Milli: w.Scalar.Milli - part.Scalar.Milli}
	case w.Ranges != nil && r.Ranges != nil:
		left := w.Ranges.Without(*r.Ranges)
		taken := w.Ranges.Without(left)
		part.Ranges, rest.Ranges = &taken, &left
	}
	return part, rest
}

func none(r wire.Resource) bool {
	return (r.Scalar == nil || r.Scalar.Milli == 0) && (r.Ranges == nil || len(r.Ranges.Range) == 0)
}

// short is what there is too little of, for people.
func short(left, asked wire.Resource, free []wire.Resource) string {
	if left.Ranges != nil {
		var list []string
		for _, r := range left.Ranges.Range {
			for port := r.Begin; port <= r.End; port++ {
				list = append(list, strconv.Itoa(port))
			}
		}
		return "port " + strings.Join(list, ", ") + " is not free"
	}
	var have wire.Scalar
	for _, r := range free {
		if r.Name == asked.Name && r.Scalar != nil && r.Disk == nil && labelOf(r, labelVolume) == "" {
			have.Milli += r.Scalar.Milli
		}
	}
	return fmt.Sprintf("of %s, %s are wanted and %s are free", asked.Name, place.FormatScalar(asked.Scalar.Float()), place.FormatScalar(have.Float()))
}

// lacking is what is wanted beyond what there is.
func lacking(wanted, own []wire.Resource) []wire.Resource {
	var list []wire.Resource
	for _, w := range wanted {
		for _, r := range own {
			if r.Name == w.Name && r.Type == w.Type && r.Disk == nil {
				_, w = cut(r, w)
			}
		}
		if !none(w) {
			list = append(list, w)
		}
	}
	return list
}
