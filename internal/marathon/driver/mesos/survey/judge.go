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
	list := slices.Concat(c.master(), c.login(w), c.role(w), c.together(w), c.machines(w))
	for _, hidden := range c.Hidden {
		list = append(list, Finding{Risky, "master", "would not tell " + hidden + ": what follows from that is not known (ACLs of the principal)"})
	}
	return sorted(list)
}

// sorted is the findings with what would not work first.
func sorted(list []Finding) []Finding {
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
		return Finding{Risky, who, "does not say its version: Mesos 1.4 is the oldest that could work, and 1.9 the first that drains agents"}
	case a < 1 || a == 1 && b < 4:
		return Finding{Wrong, who, "Mesos " + version + " knows no refined reservations: upgrade it, 1.4 is the oldest that could work"}
	case a == 1 && b < 9:
		return Finding{Risky, who, "Mesos " + version + " cannot drain agents: before maintenance scale by hand, or upgrade to 1.9"}
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
	f := Finding{Fine, "agent pings", "an agent is out of reach after " + short(away)}
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

// short is a duration without the parts that say nothing: 1m, not 1m0s.
func short(d time.Duration) string {
	text := d.String()
	for _, empty := range []string{"m0s", "h0m"} {
		if whole, ok := strings.CutSuffix(text, empty); ok {
			text = whole + empty[:1]
		}
	}
	return text
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
			return []Finding{{Wrong, "quota", "role " + w.Role + " may use no " + name + ": raise its quota"}}
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
	return []Finding{{Risky, "role", "for " + w.Role + " nothing is reserved and there is no quota: other frameworks may take all there is (set a quota)"}}
}

func keptFor(r wire.Resource, role string) bool {
	n := len(r.Reservations)
	return n > 0 && r.Reservations[n-1].Role == role
}

// together judges what only all agents make up.
func (c Cluster) together(w Wanted) []Finding {
	seen, twice := map[string]bool{}, ""
	active, placed := 0, false
	var disk room
	for _, a := range c.Agents {
		if seen[a.Info.Hostname] {
			twice = a.Info.Hostname
		}
		seen[a.Info.Hostname] = true
		placed = placed || len(a.Info.Attributes) > 0 || a.Info.Domain != nil
		if a.starts() {
			active++
			disk = disk.largest(a.room(w.Role))
		}
	}
	list := []Finding{count(active)}
	if twice != "" {
		list = append(list, Finding{Wrong, "agents", "two call themselves " + twice + ": constraints take them for one host (--hostname)"})
	}
	if n := len(c.Recovered); n > 0 {
		var names []string
		for _, r := range c.Recovered {
			names = append(names, r.Hostname)
		}
		list = append(list, Finding{Risky, "agents", fmt.Sprintf("%d have not come back since this master leads: %s", n, few(names))})
	}
	if !placed && active > 0 {
		list = append(list, Finding{Risky, "constraints", "no agent has attributes or a domain: members are kept apart by host only (--attributes, --domain)"})
	}
	if active > 0 {
		list = append(list, disk.judge()...)
	}
	return list
}

// count judges how many agents there are.
func count(active int) Finding {
	switch {
	case active == 0:
		return Finding{Wrong, "agents", "none is active: start one, or end its drain"}
	case active < members:
		return Finding{Risky, "agents", fmt.Sprintf("%d active: a database outlives the loss of one where there are %d", active, members)}
	}
	return Finding{Fine, "agents", fmt.Sprintf("%d active", active)}
}

// few is names for a line: the first of them, and how many more.
func few(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
