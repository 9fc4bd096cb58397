package survey

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// machines judges the agents one by one. What is so with several is said once.
func (c Cluster) machines(w Wanted) []Finding {
	var list []Finding
	who := map[Finding][]string{}
	for _, a := range c.Agents {
		found := []Finding{{Level: Risky, Found: "away or drained: nothing is started there"}}
		if a.starts() {
			found = a.judge(w, c)
		}
		for _, f := range found {
			if who[f] == nil {
				list = append(list, f)
			}
			who[f] = append(who[f], a.Info.Hostname)
		}
	}
	for n, f := range list {
		list[n].What = "agent " + who[f][0]
		if len(who[f]) > 1 {
			list[n].What = fmt.Sprintf("%d agents", len(who[f]))
			list[n].Found = few(who[f]) + ": " + f.Found
		}
	}
	return list
}

// starts reports whether tasks are started on the agent.
func (a Agent) starts() bool { return a.Active && !a.Deactivated }

func (a Agent) can(what string) bool {
	return slices.ContainsFunc(a.Capabilities, func(c wire.Capability) bool { return c.Type == what })
}

// judge says what is to be said of an agent; whose name it is about is left out.
func (a Agent) judge(w Wanted, c Cluster) []Finding {
	var list []Finding
	add := func(l Level, found string) { list = append(list, Finding{Level: l, Found: found}) }
	if f := aged("", a.Version); f.Level != Fine {
		add(f.Level, f.Found)
	}
	if !a.Info.Checkpoint {
		add(Wrong, "does not checkpoint: its restart would end its tasks, so it is offered to no framework that wants that")
	}
	if !a.can("RESERVATION_REFINEMENT") {
		add(Wrong, "knows no refined reservations, so no volume could be made there: upgrade it, or leave it out by a constraint")
	}
	list = append(list, a.tells(c.Version)...)
	if a.ports() == "" {
		add(Wrong, "offers no ports, and members need two each (--resources)")
	}
	if a.gpus() && !w.GPUs && c.Flags["filter_gpu_resources"] != "false" {
		add(Risky, "has GPUs, and is offered only to schedulers started with --gpus")
	}
	disk := a.room(w.Role)
	if disk.path > 0 {
		add(Risky, "has "+mib(disk.path)+" on disks of type PATH, which this scheduler makes no volumes of")
	}
	if slices.ContainsFunc(a.Total, func(r wire.Resource) bool { return keptFor(r, w.Role) && unnamed(r) }) {
		add(Risky, "keeps resources for "+w.Role+", which cannot be reserved again for one member: only tasks without a volume can have them (no reservation is needed, a quota will do)")
	}
	list = append(list, a.own()...)
	if !slices.ContainsFunc(list, func(f Finding) bool { return f.Level == Wrong }) {
		add(Fine, disk.String()+", ports "+a.ports()+": a fixed hostPort has to be one of them")
	}
	return list
}

// tells judges whether it is heard what becomes of operations. A master that could tell is asked to, and what it is asked
// about an agent that cannot is refused.
func (a Agent) tells(master string) []Finding {
	const feedback = "AGENT_OPERATION_FEEDBACK"
	switch {
	case a.can(feedback) && a.can("RESOURCE_PROVIDER"):
		return nil
	case wire.AnswersForOperations(master):
		return []Finding{{Level: Wrong, Found: "does not tell how operations end, so its master refuses to have volumes made there: upgrade it to 1.8, without --agent_features or with RESOURCE_PROVIDER and " + feedback}}
	}
	return []Finding{{Level: Risky, Found: "does not tell how operations end: whether a volume was made is known only when it is offered (Mesos 1.8 tells)"}}
}

// ports are the ranges an agent gives to tasks: "31000-32000".
func (a Agent) ports() string {
	var all wire.Ranges
	for _, r := range a.Total {
		if r.Name == "ports" && r.Ranges != nil {
			all.Range = append(all.Range, r.Ranges.Range...)
		}
	}
	var list []string
	for _, x := range all.Merge().Range {
		list = append(list, fmt.Sprintf("%d-%d", x.Begin, x.End))
	}
	return strings.Join(list, ", ")
}

func (a Agent) gpus() bool {
	return slices.ContainsFunc(a.Total, func(r wire.Resource) bool { return r.Name == "gpus" && r.Scalar != nil && r.Scalar.Milli > 0 })
}

// own judges what only the agent itself tells.
func (a Agent) own() []Finding {
	if a.Flags == nil {
		return []Finding{{Level: Risky, Found: "did not tell its flags, so whether it runs containers of Docker is not known: " + a.Silent}}
	}
	var list []Finding
	docker := a.runs("docker")
	if !docker {
		list = append(list, Finding{Level: Wrong, Found: "runs no containers of Docker, only tasks without an image or of type MESOS (--containerizers=docker,mesos)"})
	}
	if wait, ok := duration(a.Flags["executor_registration_timeout"]); docker && ok && wait < leastPull {
		list = append(list, Finding{Level: Risky, Found: "gives an image " + short(wait) + " to come: pull it beforehand, or raise --executor_registration_timeout"})
	}
	if a.Flags["recover"] == "cleanup" {
		list = append(list, Finding{Level: Wrong, Found: "ends its tasks when it is started again: leave --recover=cleanup out"})
	}
	return list
}

// runs reports whether the agent has a containerizer.
func (a Agent) runs(containerizer string) bool {
	return slices.Contains(strings.Split(a.Flags["containerizers"], ","), containerizer)
}

// room is what volumes could be made of on an agent, used or not, in MiB.
type room struct {
	root   float64   // the agent's own disk, of which volumes of type root are made
	mounts []float64 // disks of their own, each for one volume of type mount
	path   float64   // parts of other disks, of which none are
}

// unnamed reports whether nothing says for whom in particular a resource was reserved, as frameworks do by labels.
func unnamed(r wire.Resource) bool {
	labels := r.Reservations[len(r.Reservations)-1].Labels
	return labels == nil || len(labels.Labels) == 0
}

// room counts what nobody has reserved, and what was reserved by a framework: volumes that are there lie on it.
func (a Agent) room(role string) room {
	var sum room
	for _, r := range a.Total {
		if r.Name != "disk" || r.Scalar == nil || r.Revocable != nil || r.Shared != nil || r.ProviderID != nil || !forVolumes(r, role) {
			continue
		}
		switch size := r.Scalar.Float(); {
		case r.Disk == nil || r.Disk.Source == nil:
			sum.root += size
		case r.Disk.Source.Type == "MOUNT":
			sum.mounts = append(sum.mounts, size)
		case r.Disk.Source.Type == "PATH":
			sum.path += size
		}
	}
	slices.Sort(sum.mounts)
	return sum
}

// forVolumes reports whether volumes of a role may lie on a disk: what is reserved for all of a role is left to apps without one.
func forVolumes(r wire.Resource, role string) bool {
	return len(r.Reservations) == 0 || keptFor(r, role) && !unnamed(r)
}

// largest is the most of each kind.
func (r room) largest(s room) room {
	r.root, r.mounts = max(r.root, s.root), slices.Concat(r.mounts, s.mounts)
	return r
}

// judge says whether there is an agent with room for the smallest volume.
func (r room) judge() []Finding {
	switch {
	case r.root >= leastDisk:
		return nil
	case len(r.mounts) > 0 && slices.Max(r.mounts) >= leastDisk:
		return []Finding{{Risky, "disk", "no agent has " + mib(leastDisk) + " of its own disk: only volumes of type mount have room (--resources)"}}
	}
	return []Finding{{Wrong, "disk", "no agent has " + mib(leastDisk) + " that nobody has reserved, so there is no room for a volume (--resources)"}}
}

// String is the room for people.
func (r room) String() string {
	text := mib(r.root) + " for volumes"
	switch n := len(r.mounts); n {
	case 0:
		return text
	case 1:
		return text + ", and a disk of " + mib(r.mounts[0]) + " for one of type mount"
	default:
		return fmt.Sprintf("%s, and %d disks of %s to %s for one each of type mount", text, n, mib(r.mounts[0]), mib(r.mounts[n-1]))
	}
}

func mib(amount float64) string { return place.FormatScalar(amount) + " MiB" }
