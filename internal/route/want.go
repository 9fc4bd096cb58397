package route

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// Names holds the addresses of host names, as the shell looked them up. A member announced under a name
// that is not in it has no known address.
type Names map[string]netip.Addr

// Hosts lists the host names, sorted, that have to be looked up before the picture can be routed. It is
// empty when every member announces addresses, which is the rule.
func Hosts(c cluster.Cluster) []string {
	var hosts []string
	for _, m := range c.Members {
		host, _, _ := m.Endpoint()
		api, _ := apiHost(m)
		for _, h := range []string{host, api} {
			if _, err := netip.ParseAddr(h); err != nil && h != "" {
				hosts = append(hosts, h)
			}
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// Want is the routing that the picture asks for.
func Want(c cluster.Cluster, services []Service, names Names) Wanted {
	var w Wanted
	for _, s := range services {
		b := Backend{Service: s.Name, Kind: s.Kind, Fallback: Fallback(services, s)}
		for _, m := range candidates(c, s.Kind) {
			b.Servers = append(b.Servers, place(c, s.Kind, m, names))
		}
		w.Backends = append(w.Backends, b)
	}
	return w
}

// candidates are the members that have a place in a service. The holder of the leader key keeps its
// place in an exclusive service although its document is missing: nothing says that it is gone.
func candidates(c cluster.Cluster, kind Kind) []cluster.Member {
	if _, ok := c.LeaderMember(); ok || !c.Locked() || !kind.Exclusive() {
		return c.Members
	}
	members := append(slices.Clone(c.Members), cluster.Member{Name: c.Leader.Name, State: cluster.StateUnknown})
	slices.SortFunc(members, func(a, b cluster.Member) int { return strings.Compare(a.Name, b.Name) })
	return members
}

// place gives one member its place in a service of that kind.
func place(c cluster.Cluster, kind Kind, m cluster.Member, names Names) Server {
	s := Server{Name: m.Name}
	address, check, unknown := addresses(kind, m, names)
	s.Health, s.Reason = judge(c, kind, m)
	if unknown == "" {
		s.Address, s.Check = address, check
		return s
	}
	if s.Health == Up || !kind.Exclusive() {
		s.Health, s.Reason = Checked, unknown
	}
	return s
}

// judge is the health of a member whose addresses are known, and why.
func judge(c cluster.Cluster, kind Kind, m cluster.Member) (Health, string) {
	switch kind {
	case Writes:
		return judgeWrites(c, m)
	case LeaderAPI:
		return judgeLeaderAPI(c, m)
	case Reads:
		return judgeReads(c, m)
	}
	return Checked, "is in a service of no known kind"
}

func judgeWrites(c cluster.Cluster, m cluster.Member) (Health, string) {
	if m.Name != c.Leader.Name {
		return Down, notLeader(c)
	}
	if m.Role == cluster.RolePrimary && m.Running() {
		return Up, "holds the leader key and is a running primary"
	}
	return Checked, "holds the leader key but says " + says(m)
}

func judgeLeaderAPI(c cluster.Cluster, m cluster.Member) (Health, string) {
	if m.Name != c.Leader.Name {
		return Down, notLeader(c)
	}
	return Up, "holds the leader key"
}

func judgeReads(c cluster.Cluster, m cluster.Member) (Health, string) {
	switch {
	case m.Name == c.Leader.Name:
		return Down, "holds the leader key"
	case m.Tags.Bool("noloadbalance"):
		return Down, "has the tag noloadbalance"
	case m.State == cluster.StateUnknown:
		return Checked, "says nothing of its state"
	case m.Role != cluster.RoleReplica || !m.Running():
		return Down, "says " + says(m)
	case !m.Streaming():
		return Checked, "runs but does not stream just now"
	}
	return Up, "streams"
}

func notLeader(c cluster.Cluster) string {
	if !c.Locked() {
		return "does not hold the leader key, nobody does"
	}
	return "does not hold the leader key, " + c.Leader.Name + " does"
}

// says is what a member's document tells of it.
func says(m cluster.Member) string {
	if m.Role == "" {
		return "nothing"
	}
	return string(m.Role) + ", " + string(m.State)
}

// addresses are where a member takes the connections of a service and where it is checked, or half a
// sentence that says which of them is not known.
func addresses(kind Kind, m cluster.Member, names Names) (address, check netip.AddrPort, unknown string) {
	check, ok := apiAddress(m, names)
	if !ok {
		return netip.AddrPort{}, netip.AddrPort{}, "has no REST API that HAProxy can check"
	}
	if kind == LeaderAPI {
		return check, check, ""
	}
	host, port, ok := m.Endpoint()
	if !ok {
		return netip.AddrPort{}, netip.AddrPort{}, "has not said where its server listens"
	}
	address, ok = lookUp(host, port, names)
	if !ok {
		return netip.AddrPort{}, netip.AddrPort{}, "is at " + host + ", a name without an address"
	}
	return address, check, ""
}

// apiAddress is where the member's REST API listens. An API that speaks TLS is none: the checks are
// plain HTTP.
func apiAddress(m cluster.Member, names Names) (netip.AddrPort, bool) {
	host, port := apiHost(m)
	if host == "" {
		return netip.AddrPort{}, false
	}
	return lookUp(host, port, names)
}

func apiHost(m cluster.Member) (host string, port int) {
	u, err := url.Parse(m.APIURL)
	if err != nil || u.Scheme != "http" {
		return "", 0
	}
	port, err = strconv.Atoi(u.Port())
	if err != nil {
		port = 80
	}
	return u.Hostname(), port
}

func lookUp(host string, port int, names Names) (netip.AddrPort, bool) {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		addr = names[host]
	}
	if !addr.IsValid() || port < 1 || port > 65535 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(port)), true
}
