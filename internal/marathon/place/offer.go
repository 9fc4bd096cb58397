package place

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Offer is what one host has free at the moment, as its driver sees it: what running tasks use is already taken off.
type Offer struct {
	ID      string    // the driver's name of the offer; a launch refers to it
	Host    string    // host name, what HOST becomes in the environment of a task
	Address string    // IP address at which the host's ports are reached
	AgentID string    // the platform's id of the host, Marathon's slaveId
	Free    Resources // what nobody has reserved, role "*"
	Ports   Ranges    // free host ports
	// Reserved are resources that only apps may use that accept the role they are reserved for.
	Reserved map[string]Resources
	// FreshVolumes says that volumes are made of Free alone, with all that their instances need: what is reserved already cannot
	// be reserved again for one instance.
	FreshVolumes bool
	// Region and Zone are the fault domain of the host, what constraints call @region and @zone. Empty where the platform
	// knows none; attributes of the names "region" and "zone" stand in for them then. The offer of a [Choice] has them among
	// its attributes too, as "@region" and "@zone": who stores the attributes of a place stores all that constraints ask for.
	Region string
	Zone   string
	// Attributes are what constraints on any other name look at, formatted by [FormatScalar], [FormatRanges] or
	// [FormatSet] unless they are text.
	Attributes map[string]string
	// Draining is why nothing new goes to the host, one sentence; empty for a host that takes tasks.
	Draining string
	// Volumes are the ids of the volumes that lie on the host, used or not.
	Volumes []string
	// Foreign are volumes on the host that belong to another framework of the platform, with its id.
	Foreign map[string]string
	// Mounts are the sizes of free disks of their own, in MiB: a volume of type mount takes one as a whole, and nothing else
	// does. Where there are none such volumes lie on Free.Disk like others.
	Mounts []float64
	// Kept is what the platform keeps on the host for the instances of volumes, by the id of the volume, where it does that: it is
	// nobody else's, and not counted in Free, Reserved, Ports and Mounts. What running tasks use of it is taken off.
	Kept map[string]Kept
}

// Kept is what is kept with a volume, its disk included.
type Kept struct {
	Resources
	Ports Ranges
}

// facts are the attributes and, where the platform knows it, the fault domain.
func (o *Offer) facts() map[string]string {
	if o.Region == "" && o.Zone == "" {
		return o.Attributes
	}
	all := map[string]string{}
	maps.Copy(all, o.Attributes)
	for field, value := range map[string]string{fieldRegion: o.Region, fieldZone: o.Zone} {
		if value != "" {
			all[field] = value
		}
	}
	return all
}

// Resources are amounts of a host: CPUs in cores, Mem and Disk in MiB, whole GPUs.
type Resources struct {
	CPUs float64 `json:"cpus"`
	Mem  float64 `json:"mem"`
	Disk float64 `json:"disk"`
	GPUs float64 `json:"gpus,omitempty"`
}

// Add is the sum.
func (r Resources) Add(s Resources) Resources {
	return Resources{CPUs: r.CPUs + s.CPUs, Mem: r.Mem + s.Mem, Disk: r.Disk + s.Disk, GPUs: r.GPUs + s.GPUs}
}

// Sub is the difference, which may be negative.
func (r Resources) Sub(s Resources) Resources {
	return Resources{CPUs: r.CPUs - s.CPUs, Mem: r.Mem - s.Mem, Disk: r.Disk - s.Disk, GPUs: r.GPUs - s.GPUs}
}

// beyond is what r has more than s.
func (r Resources) beyond(s Resources) Resources {
	return Resources{
		CPUs: max(r.CPUs-s.CPUs, 0), Mem: max(r.Mem-s.Mem, 0), Disk: max(r.Disk-s.Disk, 0), GPUs: max(r.GPUs-s.GPUs, 0),
	}
}

// Covers reports whether r has at least as much of everything as want.
func (r Resources) Covers(want Resources) bool {
	return r.CPUs+tolerance >= want.CPUs && r.Mem+tolerance >= want.Mem && r.Disk+tolerance >= want.Disk &&
		r.GPUs+tolerance >= want.GPUs
}

// tolerance absorbs the rounding of sums of fractions: platforms count scalars in thousandths.
const tolerance = 0.0005

// amount writes a resource as people do: at most three decimals, none when it is whole.
func amount(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
}

// Range is an interval of ports, both ends included.
type Range struct {
	Begin int `json:"begin"`
	End   int `json:"end"`
}

// Ranges are the free ports of a host, in no particular order.
type Ranges []Range

// Contains reports whether the port lies in one of the ranges.
func (r Ranges) Contains(port int) bool {
	return slices.ContainsFunc(r, func(x Range) bool { return x.Begin <= port && port <= x.End })
}

// Without is what is left of the ranges after some ports are taken.
func (r Ranges) Without(ports ...int) Ranges {
	left := slices.Clone(r)
	for _, port := range ports {
		left = left.without(port)
	}
	return left
}

func (r Ranges) without(port int) Ranges {
	var left Ranges
	for _, x := range r {
		if port < x.Begin || x.End < port {
			left = append(left, x)
			continue
		}
		if x.Begin < port {
			left = append(left, Range{x.Begin, port - 1})
		}
		if port < x.End {
			left = append(left, Range{port + 1, x.End})
		}
	}
	return left
}

// lowest is the smallest port of the widest range. Hosts offer single well-known ports beside a range; those are only
// handed out to who asks for them by number.
func (r Ranges) lowest() (int, bool) {
	best, width := 0, 0
	for _, x := range r {
		if w := x.End - x.Begin + 1; w > width || (w == width && x.Begin < best) {
			best, width = x.Begin, w
		}
	}
	return best, width > 0
}
