package wire

import (
	"encoding/json"
	"slices"
)

// kindred reports whether two resources are amounts of the same thing: same name, reservations, disk and provider. To whom
// they are allocated makes no difference.
func kindred(a, b Resource) bool { return a.Type == b.Type && a.identity() == b.identity() }

// identity is what tells a resource from others of its name. Labels of a reservation are part of it.
func (r Resource) identity() string {
	b, err := json.Marshal(struct {
		Name         string
		Role         string
		Reservations []Reservation
		Disk         *Disk
		ProviderID   *ID
		Revocable    bool
		Shared       bool
	}{r.Name, r.Role, r.Reservations, r.Disk, r.ProviderID, r.Revocable != nil, r.Shared != nil})
	if err != nil {
		panic("wire: text that is no JSON: " + err.Error())
	}
	return string(b)
}

// whole reports whether the resource can only be taken as it is: a persistent volume, a mounted disk.
func (r Resource) whole() bool {
	return r.Disk != nil && (r.Disk.Persistence != nil || r.Disk.Source != nil && r.Disk.Source.Type == "MOUNT")
}

// Add is pool with more, amounts of the same thing as one.
func Add(pool []Resource, more ...Resource) []Resource {
	sum := slices.Clone(pool)
	for _, r := range more {
		at := slices.IndexFunc(sum, func(x Resource) bool { return kindred(x, r) })
		if at < 0 || r.whole() {
			sum = append(sum, r)
			continue
		}
		sum[at] = sum[at].plus(r)
	}
	return sum
}

func (r Resource) plus(s Resource) Resource {
	switch r.Type {
	case TypeScalar:
		r.Scalar = &Scalar{Milli: r.milli() + s.milli()}
	case TypeRanges:
		merged := Ranges{slices.Concat(r.numbers().Range, s.numbers().Range)}.Merge()
		r.Ranges = &merged
	case TypeSet:
		items := slices.Concat(r.items(), s.items())
		slices.Sort(items)
		r.Set = &Set{slices.Compact(items)}
	}
	return r
}

// Subtract is pool without what is wanted; false, and pool as it was, when it has not all of it.
func Subtract(pool []Resource, wanted ...Resource) ([]Resource, bool) {
	left := slices.Clone(pool)
	for _, r := range wanted {
		at := slices.IndexFunc(left, func(x Resource) bool { return kindred(x, r) && x.covers(r) && (!r.whole() || r.covers(x)) })
		if at < 0 {
			return pool, false
		}
		if left[at] = left[at].minus(r); left[at].empty() {
			left = slices.Delete(left, at, at+1)
		}
	}
	return left, true
}

func (r Resource) covers(s Resource) bool {
	switch r.Type {
	case TypeScalar:
		return r.milli() >= s.milli()
	case TypeRanges:
		return r.numbers().Covers(s.numbers())
	}
	return !slices.ContainsFunc(s.items(), func(item string) bool { return !slices.Contains(r.items(), item) })
}

func (r Resource) minus(s Resource) Resource {
	switch r.Type {
	case TypeScalar:
		r.Scalar = &Scalar{Milli: r.milli() - s.milli()}
	case TypeRanges:
		left := r.numbers().Without(s.numbers())
		r.Ranges = &left
	case TypeSet:
		r.Set = &Set{slices.DeleteFunc(slices.Clone(r.items()), func(item string) bool { return slices.Contains(s.items(), item) })}
	}
	return r
}

func (r Resource) empty() bool {
	return r.milli() == 0 && len(r.numbers().Range) == 0 && len(r.items()) == 0
}

func (r Resource) milli() int64 {
	if r.Scalar == nil {
		return 0
	}
	return r.Scalar.Milli
}

func (r Resource) numbers() Ranges {
	if r.Ranges == nil {
		return Ranges{}
	}
	return *r.Ranges
}

func (r Resource) items() []string {
	if r.Set == nil {
		return nil
	}
	return r.Set.Item
}

// Allocated is the resources as allocated to a role, or to none for "".
func Allocated(list []Resource, role string) []Resource {
	out := slices.Clone(list)
	for i := range out {
		out[i].AllocationInfo = nil
		if role != "" {
			out[i].AllocationInfo = &AllocationInfo{Role: role}
		}
	}
	return out
}

// Reserved is the resources with one more reservation on top of those they have.
func Reserved(list []Resource, by Reservation) []Resource {
	out := slices.Clone(list)
	for i := range out {
		out[i].Reservations = append(slices.Clone(out[i].Reservations), by)
	}
	return out
}

// Unreserved is the resources without the uppermost reservation; false when one has none.
func Unreserved(list []Resource) ([]Resource, bool) {
	out := slices.Clone(list)
	for i := range out {
		n := len(out[i].Reservations)
		if n == 0 {
			return nil, false
		}
		if out[i].Reservations = slices.Clone(out[i].Reservations[:n-1]); n == 1 {
			out[i].Reservations = nil
		}
	}
	return out, true
}
