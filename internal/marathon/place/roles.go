package place

import (
	"maps"
	"slices"
)

// unreserved is the role of resources that nobody has reserved.
const unreserved = "*"

// Usable is what apps that accept those roles can have of the offer. Apps that name no role accept what is not reserved.
func (o *Offer) Usable(roles []string) Resources { return usable(o.Free, o.Reserved, roles) }

// Take takes off the offer what a task has whose app accepts those roles: first what is reserved for them.
func (o *Offer) Take(want Resources, roles []string) {
	o.Free, o.Reserved = draw(o.Free, o.Reserved, want, roles)
}

func usable(free Resources, reserved map[string]Resources, roles []string) Resources {
	var sum Resources
	if len(roles) == 0 || slices.Contains(roles, unreserved) {
		sum = free
	}
	for role, r := range reserved {
		if slices.Contains(roles, role) {
			sum = sum.Add(r)
		}
	}
	return sum
}

// draw takes want off the reserved resources of the roles first, and what they lack off those that nobody reserved.
func draw(free Resources, reserved map[string]Resources, want Resources, roles []string) (Resources, map[string]Resources) {
	if len(reserved) == 0 {
		return free.Sub(want), reserved
	}
	reserved = maps.Clone(reserved)
	for _, role := range slices.Sorted(slices.Values(roles)) {
		have, there := reserved[role]
		if !there {
			continue
		}
		part := have.common(want)
		reserved[role], want = have.Sub(part), want.Sub(part)
	}
	return free.Sub(want), reserved
}

// common is the smaller of each amount, nothing where there is less than nothing.
func (r Resources) common(s Resources) Resources {
	return Resources{
		CPUs: max(min(r.CPUs, s.CPUs), 0), Mem: max(min(r.Mem, s.Mem), 0),
		Disk: max(min(r.Disk, s.Disk), 0), GPUs: max(min(r.GPUs, s.GPUs), 0),
	}
}
