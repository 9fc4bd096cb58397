package place

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Need is an instance that wants to run.
type Need struct {
	App      app.App
	Instance app.InstanceID // empty for one that is not made yet
	// Host is where the instance is bound to by its volume, empty when it may go anywhere.
	Host   string
	Volume string // its own, made or not; empty for one without
	// Shun are the hosts to be taken only where no other fits: tasks of its app have failed there.
	Shun  map[string]bool
	Ports []int // host ports of its last task, in the order of app.Ports
}

// Wants is what one instance of the app takes off a host, its persistent volumes included.
func Wants(a app.App) Resources {
	return Resources{CPUs: a.CPUs, Mem: a.Mem, Disk: a.Disk + float64(a.VolumeDisk()), GPUs: float64(a.GPUs)}
}

// Placed is an instance that has a host, whether its task runs or not.
type Placed struct {
	App        app.ID
	Instance   app.InstanceID
	Host       string
	Attributes map[string]string // of its host when it was placed there
	Ports      []int
	// Holds is what the offers do not know of: the resources kept for an instance whose task is down.
	Holds Resources
	// Volume is its own, made or not: what the host keeps with it is not held a second time.
	Volume string
	// Mounts are those of its volumes that want a disk of their own and are not made yet: the disks they will get are taken
	// off the host's [Offer.Mounts], and what lies on them off Holds.
	Mounts []app.PersistentVolume
	Roles  []string // acceptedResourceRoles of its app: where Holds is taken from
}

// Verdict is what was found about one host.
type Verdict struct {
	Host   string
	Fits   bool
	Reason app.RejectReason // the first rule that does not allow it, in Marathon's words; empty when it fits
	Why    string           // why not, one sentence; empty when it fits
	Ports  []int            // host ports in the order of app.Ports, 0 for one that is not published
	Offer  Offer
}

// no stands for a reason where nobody asked for the sentence.
const no = "no"

// rule says why a host may not have the instance, empty when it may.
type rule struct {
	reason app.RejectReason
	broken func(*query, *host) string
}

// rules in the order of Marathon's funnel.
func rules() []rule {
	return []rule{
		{app.UnfulfilledRole, (*query).role},
		{app.UnfulfilledConstraint, (*query).constrained},
		{app.UnfulfilledConstraint, (*query).apart},
		{app.NoReservationFound, (*query).bound},
		{app.AgentMaintenance, (*query).draining},
	}
}

// fit decides whether the instance may run on the host.
func (q *query) fit(h *host) Verdict {
	v := Verdict{Host: h.offer.Host}
	if q.explain {
		v.Offer = h.offer
	}
	for _, r := range q.fleet.rules {
		if v.Why = r.broken(q, h); v.Why != "" {
			v.Reason = r.reason
			return v
		}
	}
	if v.Reason, v.Why = q.room(h); v.Reason != "" {
		return v
	}
	if v.Ports, v.Why = q.assign(h); v.Why != "" {
		v.Reason = app.InsufficientPorts
		return v
	}
	v.Fits = true
	return v
}

// role keeps an app off a host that has only resources it does not accept.
func (q *query) role(h *host) string {
	roles := q.roles(h)
	if (len(roles) == 0 || slices.Contains(roles, unreserved)) && len(h.left) == 0 {
		return ""
	}
	if q.usable(h) != (Resources{}) || q.want == (Resources{}) {
		return ""
	}
	if len(roles) == 0 {
		return "all there is reserved, and a volume is made of what is not"
	}
	return "nothing there is of a role that the app accepts (" + strings.Join(roles, ", ") + ")"
}

// roles are those whose resources an instance may have on the host, with a volume being made for it or without.
func (h *host) roles(volume bool, accepted []string) []string {
	if volume && h.offer.FreshVolumes {
		return nil
	}
	return accepted
}

func (q *query) roles(h *host) []string {
	return h.roles(q.Volume != "" && q.Host == "", q.App.AcceptedResourceRoles)
}

// usable is what the instance may have on the host: what is left for everybody, and what is kept for it alone.
func (q *query) usable(h *host) Resources {
	return usable(h.free, h.left, q.roles(h)).Add(h.offer.Kept[q.Volume].Resources)
}

// data reports whether the data of a database lies on a host. Rules that changed since it came there do not keep it down.
func (q *query) data() bool { return q.Host != "" && q.App.IsPostgres() }

// apart keeps the members of a PostgreSQL cluster on different hosts, unless its definition says how close they may be, or
// there are fewer hosts than members.
func (q *query) apart(h *host) string {
	if !q.spread || q.data() || q.byHost[h.offer.Host] < q.limit {
		return ""
	}
	if !q.explain {
		return no
	}
	var first app.InstanceID
	for _, m := range h.members {
		if m.App == q.App.ID && (first == "" || m.Instance < first) {
			first = m.Instance
		}
	}
	return fmt.Sprintf("another member of %s has its place there (%s)", q.App.ID, first)
}

// bound keeps an instance with its volume.
func (q *query) bound(h *host) string {
	switch {
	case q.Host == "":
		return ""
	case q.Host != h.offer.Host:
		return "its volume lies on " + q.Host
	case !slices.Contains(h.offer.Volumes, q.Volume):
		return fmt.Sprintf("volume %s is missing there", q.Volume)
	}
	return ""
}

func (q *query) draining(h *host) string { return h.offer.Draining }

// room says what the host has too little of: the first in the order of the funnel, and in words all of it.
func (q *query) room(h *host) (app.RejectReason, string) {
	have := q.usable(h)
	have.Disk += q.mounted(h)
	first := app.RejectReason("")
	var missing []string
	for _, part := range [...]struct {
		reason     app.RejectReason
		name       string
		have, want float64
	}{
		{app.InsufficientCPUs, "cpus", have.CPUs, q.want.CPUs},
		{app.InsufficientMemory, "mem", have.Mem, q.want.Mem},
		{app.InsufficientDisk, "disk", have.Disk, q.want.Disk},
		{app.InsufficientGPUs, "gpus", have.GPUs, q.want.GPUs},
	} {
		if part.want == 0 || part.have+tolerance >= part.want {
			continue
		}
		if !q.explain {
			return part.reason, no
		}
		first = cmp.Or(first, part.reason)
		missing = append(missing, fmt.Sprintf("%s (%s free of the %s it needs)",
			part.name, amount(max(part.have, 0)), amount(part.want)))
	}
	if first == "" {
		return "", ""
	}
	return first, "not enough " + strings.Join(missing, ", ")
}
