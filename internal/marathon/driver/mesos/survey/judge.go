package survey

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// Wanted is what the scheduler would be started with.
type Wanted struct {
	Role, User, Principal string
	GPUs                  bool
}

// Level is how bad something is.
type Level string

// The levels.
const (
	Fine  Level = "ok"
	Risky Level = "risk"  // works, with the consequence told
	Wrong Level = "wrong" // would not work
)

// Finding is one line of the verdict.
type Finding struct {
	Level Level
	What  string // was looked at
	Found string // and what follows from it
}

const (
	// leastAway is how long an agent that does not answer should be waited for: less takes a hiccup for a loss.
	leastAway = 30 * time.Second
	// leastDisk is the smallest volume that is made, in MiB.
	leastDisk = 1024
	// leastPull is how long an agent should wait for an image to come.
	leastPull = 5 * time.Minute
	// mostSkew is a difference of clocks that is no measuring error.
	mostSkew = 5 * time.Second
	// members is how many machines a database wants that survives the loss of one.
	members = 3
	anyRole = "*"
)

// Judge says what the cluster is good for, what would not work first.
func (c Cluster) Judge(w Wanted) []Finding {
	list := slices.Concat(c.master(), c.login(w), c.role(w), c.together(), c.machines(w))
	for _, hidden := range c.Hidden {
		list = append(list, Finding{Risky, "master", "would not tell " + hidden})
	}
	order := []Level{Wrong, Risky, Fine}
	slices.SortStableFunc(list, func(a, b Finding) int { return slices.Index(order, a.Level) - slices.Index(order, b.Level) })
	return list
}

func (c Cluster) master() []Finding {
	list := []Finding{aged("master "+c.Master, c.Version)}
	if c.Skew.Abs() > mostSkew {
		list = append(list, Finding{Risky, "clock", fmt.Sprintf("the master's differs from this machine's by %s: let both follow NTP", c.Skew.Round(time.Second))})
	}
	if c.Flags == nil {
		return list
	}
	if c.Flags["registry"] == "in_memory" {
		list = append(list, Finding{Risky, "registry", "it is kept in memory: a new master has forgotten agents that were marked gone (--registry=replicated_log)"})
	}
	if c.Flags["quorum"] == "1" {
		list = append(list, Finding{Risky, "masters", "there is one (--quorum=1): tasks go on without it, and nothing can be started or moved"})
	}
	return append(list, c.patience()...)
}

// aged judges a version. Refined reservations came with 1.4, feedback about operations with 1.7, draining with 1.9.
func aged(who, version string) Finding {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	switch {
	case err1 != nil || err2 != nil:
		return Finding{Risky, who, "its version is not known"}
	case a < 1 || a == 1 && b < 4:
		return Finding{Wrong, who, "Mesos " + version + " knows no refined reservations: 1.4 is the oldest that could work"}
	case a == 1 && b < 9:
		return Finding{Risky, who, "Mesos " + version + " cannot drain agents: 1.9 can"}
	}
	return Finding{Fine, who, "Mesos " + version}
}

// patience judges how long an agent may be silent before it counts as out of reach.
func (c Cluster) patience() []Finding {
	each, ok := duration(c.Flags["agent_ping_timeout"])
	times, err := strconv.Atoi(c.Flags["max_agent_ping_timeouts"])
	if !ok || err != nil {
		return nil
	}
	away := each * time.Duration(times)
	f := Finding{Fine, "agent pings", "an agent is out of reach after " + away.String()}
	if away < leastAway {
		f = Finding{Risky, f.What, f.Found + ": a hiccup of the network is enough (--agent_ping_timeout, --max_agent_ping_timeouts)"}
	}
	return []Finding{f}
}

// duration reads Mesos' form of one: 15secs, 1.5mins, 0ns.
func duration(text string) (time.Duration, bool) {
	for _, unit := range []struct {
		name string
		is   time.Duration
	}{
		{"us", time.Microsecond},
		{"ms", time.Millisecond},
		{"secs", time.Second},
		{"mins", time.Minute},
		{"hrs", time.Hour},
		{"days", 24 * time.Hour},
		{"weeks", 7 * 24 * time.Hour},
		{"ns", time.Nanosecond}, // after mins
	} {
		if number, ok := strings.CutSuffix(text, unit.name); ok {
			n, err := strconv.ParseFloat(number, 64)
			return time.Duration(n * float64(unit.is)), err == nil
		}
	}
	return 0, false
}

func (c Cluster) login(w Wanted) []Finding {
	if c.Flags == nil {
		return nil
	}
	var list []Finding
	asked := c.Flags["authenticate_http_frameworks"] == "true"
	switch {
	case asked && w.Principal == "":
		list = append(list, Finding{Wrong, "login", "the masters ask frameworks for one: give --mesos-principal and --mesos-secret-file"})
	case !asked:
		list = append(list, Finding{Risky, "login", "the masters ask frameworks for none: whoever reaches them can end every task (--authenticate_http_frameworks)"})
	default:
		list = append(list, Finding{Fine, "login", "the masters ask frameworks for one"})
	}
	if user := w.User; (user == "" || user == "root") && c.Flags["root_submissions"] == "false" {
		list = append(list, Finding{Wrong, "user", "the masters take no tasks of root (--root_submissions=false): give --mesos-user"})
	}
	return list
}

func (c Cluster) role(w Wanted) []Finding {
	if w.Role == "" || w.Role == anyRole {
		return []Finding{{Wrong, "role", "nothing can be reserved for the role *, so no volume would last: give --mesos-role"}}
	}
	limit, ok := c.Limits[w.Role]
	for _, name := range []string{"cpus", "mem", "disk"} {
		if most, set := limit[name]; set && most.Milli == 0 {
			return []Finding{{Wrong, "quota", "role " + w.Role + " may use no " + name}}
		}
	}
	kept := slices.ContainsFunc(c.Agents, func(a Agent) bool {
		return slices.ContainsFunc(a.Total, func(r wire.Resource) bool { return keptFor(r, w.Role) })
	})
	switch {
	case ok:
		return []Finding{{Fine, "quota", "role " + w.Role + " has one"}}
	case kept:
		return []Finding{{Fine, "role", "resources are reserved for " + w.Role}}
	case c.Limits == nil:
		return nil
	}
	return []Finding{{Risky, "role", "for " + w.Role + " nothing is reserved and there is no quota: other frameworks may take all there is"}}
}

func keptFor(r wire.Resource, role string) bool {
	n := len(r.Reservations)
	return n > 0 && r.Reservations[n-1].Role == role
}

// together judges what only all agents make up.
func (c Cluster) together() []Finding {
	seen, twice := map[string]bool{}, ""
	active, placed := 0, false
	for _, a := range c.Agents {
		if seen[a.Info.Hostname] {
			twice = a.Info.Hostname
		}
		seen[a.Info.Hostname] = true
		if a.Active && !a.Deactivated {
			active++
		}
		placed = placed || len(a.Info.Attributes) > 0 || a.Info.Domain != nil
	}
	var list []Finding
	switch {
	case active == 0:
		list = append(list, Finding{Wrong, "agents", "none is active"})
	case active < members:
		list = append(list, Finding{Risky, "agents", fmt.Sprintf("%d active: %d keep a database through the loss of one", active, members)})
	default:
		list = append(list, Finding{Fine, "agents", fmt.Sprintf("%d active", active)})
	}
	if twice != "" {
		list = append(list, Finding{Wrong, "agents", "two call themselves " + twice + ": constraints take them for one host (--hostname)"})
	}
	if !placed && active > 0 {
		list = append(list, Finding{Risky, "constraints", "no agent has attributes or a domain: members are kept apart by host only (--attributes, --domain)"})
	}
	return list
}

func (c Cluster) machines(w Wanted) []Finding {
	var list []Finding
	roomy := 0
	for _, a := range c.Agents {
		if !a.Active || a.Deactivated {
			list = append(list, Finding{Risky, "agent " + a.Info.Hostname, "is away or drained: nothing is started there"})
			continue
		}
		found := a.judge(w, c.Flags)
		if a.disk(w.Role) >= leastDisk {
			roomy++
		}
		list = append(list, found...)
	}
	if roomy == 0 {
		list = append(list, Finding{Wrong, "disk", fmt.Sprintf("no agent has %d MiB of it for a volume", leastDisk)})
	}
	return list
}

// disk is what volumes could be made of, in MiB, used or not.
func (a Agent) disk(role string) float64 {
	sum := 0.0
	for _, r := range a.Total {
		if r.Name == "disk" && r.Scalar != nil && (len(r.Reservations) == 0 || keptFor(r, role)) {
			sum += r.Scalar.Float()
		}
	}
	return sum
}

func (a Agent) can(what string) bool {
	return slices.ContainsFunc(a.Capabilities, func(c wire.Capability) bool { return c.Type == what })
}

func (a Agent) judge(w Wanted, master map[string]string) []Finding {
	who := "agent " + a.Info.Hostname
	var list []Finding
	add := func(l Level, found string) { list = append(list, Finding{l, who, found}) }
	if f := aged(who, a.Version); f.Level != Fine {
		list = append(list, f)
	}
	if !a.Info.Checkpoint {
		add(Wrong, "does not checkpoint: a restart of it would end its tasks, so it is offered to no framework that wants that")
	}
	if !a.can("RESERVATION_REFINEMENT") {
		add(Wrong, "knows no refined reservations, so no volume could be made there")
	}
	if !a.can("AGENT_OPERATION_FEEDBACK") {
		add(Risky, "does not tell how operations end: volumes are known by later offers only")
	}
	ports, gpus := "", false
	for _, r := range a.Total {
		if r.Name == "ports" && r.Ranges != nil {
			ports = spans(ports, *r.Ranges)
		}
		gpus = gpus || r.Name == "gpus" && r.Scalar != nil && r.Scalar.Milli > 0
	}
	if ports == "" {
		add(Wrong, "offers no ports")
	}
	if gpus && !w.GPUs && master["filter_gpu_resources"] != "false" {
		add(Risky, "has GPUs, and is offered only with --gpus")
	}
	list = append(list, a.own(who)...)
	if len(list) == 0 || !slices.ContainsFunc(list, func(f Finding) bool { return f.Level == Wrong }) {
		add(Fine, fmt.Sprintf("%g MiB of disk for %s, ports %s: a hostPort outside of them is never given", a.disk(w.Role), w.Role, ports))
	}
	return list
}

func spans(before string, r wire.Ranges) string {
	var list []string
	if before != "" {
		list = []string{before}
	}
	for _, x := range r.Range {
		list = append(list, fmt.Sprintf("%d-%d", x.Begin, x.End))
	}
	return strings.Join(list, ", ")
}

// own judges what only the agent itself tells.
func (a Agent) own(who string) []Finding {
	if a.Flags == nil {
		return []Finding{{Risky, who, "did not tell its flags, so whether it runs containers of Docker is not known: " + a.Silent}}
	}
	var list []Finding
	docker := slices.Contains(strings.Split(a.Flags["containerizers"], ","), "docker")
	if !docker {
		list = append(list, Finding{Wrong, who, "runs no containers of Docker (--containerizers=docker,mesos): only tasks without an image, or of type MESOS"})
	}
	if wait, ok := duration(a.Flags["executor_registration_timeout"]); docker && ok && wait < leastPull {
		list = append(list, Finding{Risky, who, "gives an image " + wait.String() + " to come: pull it beforehand, or raise --executor_registration_timeout"})
	}
	if a.Flags["recover"] == "cleanup" {
		list = append(list, Finding{Wrong, who, "ends its tasks when it is started again (--recover=cleanup)"})
	}
	return list
}
