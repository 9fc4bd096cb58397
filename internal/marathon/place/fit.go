package place

import (
	"fmt"
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Need is an instance that wants to run.
type Need struct {
	App      app.App
	Instance app.InstanceID // empty for one that is not made yet
	// Host is where the instance is bound to, empty when it may go anywhere; Volume is what binds it.
	Host   string
	Volume string
	Ports  []int // host ports of its last task, in the order of app.Ports
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
}

// Verdict is what was found about one host.
type Verdict struct {
	Host  string
	Fits  bool
	Why   string // why not; empty when it fits
	Ports []int  // host ports in the order of app.Ports, 0 for one that is not published
}

// Fit decides whether the instance may run on the host of the offer.
func Fit(o Offer, n Need, placed []Placed) Verdict {
	v := Verdict{Host: o.Host}
	others := n.others(placed)
	for _, rule := range []func(Offer, Need, []Placed) string{bound, constrained, apart, room} {
		if v.Why = rule(o, n, others); v.Why != "" {
			return v
		}
	}
	v.Ports, v.Why = ports(o, n, others)
	v.Fits = v.Why == ""
	return v
}

// others are the placed instances but the one that needs a place: what it holds itself does not stand in its way.
func (n Need) others(placed []Placed) []Placed {
	return slices.DeleteFunc(slices.Clone(placed), func(p Placed) bool { return p.Instance == n.Instance && n.Instance != "" })
}

// bound keeps an instance with its volume.
func bound(o Offer, n Need, _ []Placed) string {
	switch {
	case n.Host == "":
		return ""
	case n.Host != o.Host:
		return "its volume lies on " + n.Host
	case !slices.Contains(o.Volumes, n.Volume):
		return fmt.Sprintf("volume %s is missing there", n.Volume)
	}
	return ""
}

// apart keeps the members of a PostgreSQL cluster on different hosts, unless its definition says how close they may be.
func apart(o Offer, n Need, others []Placed) string {
	if !n.App.IsPostgres() || slices.ContainsFunc(n.App.Constraints, limitsHost) {
		return ""
	}
	for _, p := range others {
		if p.App == n.App.ID && p.Host == o.Host {
			return fmt.Sprintf("another member of %s has its place there (%s)", n.App.ID, p.Instance)
		}
	}
	return ""
}

// room compares what is asked for with what is left after what others hold.
func room(o Offer, n Need, others []Placed) string {
	want := Resources{CPUs: n.App.CPUs, Mem: n.App.Mem, Disk: n.App.Disk, GPUs: float64(n.App.GPUs)}
	missing := left(o, others).lacks(want)
	if len(missing) == 0 {
		return ""
	}
	return "not enough " + sentence(missing)
}

// left is the offer without what the instances of others hold.
func left(o Offer, others []Placed) Resources {
	free := o.Free
	for _, p := range others {
		if p.Host == o.Host {
			free = free.Sub(p.Holds)
		}
	}
	return free
}

// ports finds a host port for each port of the app.
func ports(o Offer, n Need, others []Placed) ([]int, string) {
	free := o.Ports
	for _, p := range others {
		if p.Host == o.Host {
			free = free.Without(p.Ports...)
		}
	}
	wanted := n.App.Ports()
	before := n.Ports
	if len(before) != len(wanted) {
		before = make([]int, len(wanted))
	}
	taken := make([]int, 0, len(wanted))
	for i, port := range wanted {
		number, why := hostPort(free, port, before[i])
		if why != "" {
			return nil, why
		}
		taken = append(taken, number)
		free = free.Without(number)
	}
	return taken, ""
}

// hostPort picks the number for one port.
func hostPort(free Ranges, p app.Port, before int) (int, string) {
	if !p.Published {
		return 0, ""
	}
	if p.HostPort != 0 {
		if free.Contains(p.HostPort) {
			return p.HostPort, ""
		}
		return 0, fmt.Sprintf("port %d is not free", p.HostPort)
	}
	for _, number := range []int{before, p.ContainerPort} {
		if number != 0 && free.Contains(number) {
			return number, ""
		}
	}
	if number, ok := free.lowest(); ok {
		return number, ""
	}
	return 0, "no port is free"
}
