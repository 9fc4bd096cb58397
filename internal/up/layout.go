package up

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Layout says which address belongs to whom. All addresses lie in one /24 of the loopback range.
type Layout struct {
	// Listen is where Marathon's API is served; its address also serves HAProxy's ports.
	Listen netip.AddrPort
	Hosts  []Place
	Etcd   []Place
}

// Place is a name with its address.
type Place struct {
	Name    string
	Address netip.Addr
}

// The last bytes of the addresses, and what a port number means on them.
const (
	firstHost, mostHosts = 11, 10
	firstEtcd, mostEtcd  = 21, 7
	EtcdClientPort       = 2379
	EtcdPeerPort         = 2380
)

// NewLayout lays hosts and etcd members out in the network.
func NewLayout(network netip.Prefix, listen netip.AddrPort, hosts, etcd int) (Layout, error) {
	l := Layout{Listen: listen}
	switch {
	case !network.Addr().Is4() || !network.Addr().IsLoopback() || network.Bits() != 24:
		return l, fmt.Errorf("--network: %s is not a /24 of loopback addresses such as 127.0.0.0/24", network)
	case hosts < 1 || hosts > mostHosts:
		return l, fmt.Errorf("--hosts: %d is not between 1 and %d", hosts, mostHosts)
	case etcd < 1 || etcd > mostEtcd || etcd%2 == 0:
		return l, fmt.Errorf("--etcd-members: %d is not an odd number between 1 and %d", etcd, mostEtcd)
	case !listen.IsValid() || !listen.Addr().IsLoopback() || listen.Port() == 0:
		return l, fmt.Errorf("--listen: %s is not address:port of this machine's loopback range", listen)
	}
	for i := range hosts {
		l.Hosts = append(l.Hosts, Place{fmt.Sprintf("node%d", i+1), at(network, firstHost+i)})
	}
	for i := range etcd {
		l.Etcd = append(l.Etcd, Place{etcdName(i), at(network, firstEtcd+i)})
	}
	return l, nil
}

func at(network netip.Prefix, last int) netip.Addr {
	b := network.Masked().Addr().As4()
	b[3] = byte(last)
	return netip.AddrFrom4(b)
}

// Aliases are the names that resolve inside the platform only.
func (l Layout) Aliases() map[string]string {
	aliases := map[string]string{}
	for _, p := range slices.Concat(l.Hosts, l.Etcd) {
		aliases[p.Name] = p.Address.String()
	}
	// An app that names more etcd members than there are finds them all the same.
	for i := len(l.Etcd); i < mostEtcd; i++ {
		aliases[etcdName(i)] = l.Etcd[i%len(l.Etcd)].Address.String()
	}
	return aliases
}

// AliasText is Aliases as a list of name=address, the form in which tasks get it.
func (l Layout) AliasText() string {
	var entries []string
	for name, address := range l.Aliases() {
		entries = append(entries, name+"="+address)
	}
	slices.Sort(entries)
	return strings.Join(entries, ",")
}

func etcdName(i int) string { return fmt.Sprintf("etcd-node%d", i+1) }

// EtcdEndpoints are the client addresses of the etcd members, host:port each.
func (l Layout) EtcdEndpoints() []string {
	var out []string
	for _, p := range l.Etcd {
		out = append(out, netip.AddrPortFrom(p.Address, EtcdClientPort).String())
	}
	return out
}

// Ports are the ports that HAProxy serves for a PostgreSQL app.
type Ports struct{ Writes, LeaderAPI, Reads, Statistics uint16 }

// PortsOf derives HAProxy's ports from the app's service ports: the one of 5432 takes writes, the one of 8008 is the
// leader's REST API, and the two above the highest are for reads and for the statistics page.
func PortsOf(a app.App) (Ports, error) {
	var p Ports
	highest := 0
	for _, port := range a.Ports() {
		switch port.ContainerPort {
		case 5432:
			p.Writes = uint16(port.ServicePort) //nolint:gosec // validated as a port
		case 8008:
			p.LeaderAPI = uint16(port.ServicePort) //nolint:gosec // validated as a port
		}
		highest = max(highest, port.ServicePort)
	}
	if p.Writes == 0 || p.LeaderAPI == 0 || highest+2 > 65535 {
		return p, fmt.Errorf("app %s has no service ports for its container ports 5432 and 8008, so HAProxy has nothing to serve", a.ID)
	}
	p.Reads, p.Statistics = uint16(highest+1), uint16(highest+2) //nolint:gosec // checked above
	return p, nil
}

// URLs are how a person connects.
type URLs struct{ Write, Read, Leader, Statistics, Marathon string }

// URLs renders the connection strings; passwords come from the pgpass file they name.
func (l Layout) URLs(p Ports, pgpass string) URLs {
	on := func(port uint16) string { return netip.AddrPortFrom(l.Listen.Addr(), port).String() }
	postgres := func(port uint16) string {
		return "postgresql://postgres@" + on(port) + "/postgres?passfile=" + pgpass
	}
	return URLs{
		Write: postgres(p.Writes), Read: postgres(p.Reads),
		Leader:     "http://" + on(p.LeaderAPI) + "/cluster",
		Statistics: "http://" + on(p.Statistics) + "/",
		Marathon:   "http://" + l.Listen.String(),
	}
}

// Summary is what a person needs once everything runs.
func (u URLs) Summary(envFile string) string {
	rows := [][2]string{
		{"write", "psql '" + u.Write + "'"},
		{"read", "psql '" + u.Read + "'"},
		{"leader", "curl " + u.Leader},
		{"Marathon", "curl " + u.Marathon + "/v2/apps"},
		{"HAProxy", u.Statistics},
		{"commands", ". " + envFile + "   then pgbaton list, etcdctl, psql \"$PGBATON_WRITE_URL\" know the way"},
		{"stop", "Ctrl-C: replicas first, leader last; the data stay"},
	}
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "  %-10s%s\n", r[0], r[1])
	}
	return b.String()
}

// Environment is the environment file: what commands need to find this cluster.
func (l Layout) Environment(u URLs, scope, namespace, pgpass string) map[string]string {
	var endpoints []string
	for _, e := range l.EtcdEndpoints() {
		endpoints = append(endpoints, "http://"+e)
	}
	return map[string]string{
		"PATRONI_SCOPE":      scope,
		"PATRONI_NAMESPACE":  cmp.Or(namespace, "service"),
		"PATRONI_ETCD_HOSTS": strings.Join(l.EtcdEndpoints(), ","),
		"ETCDCTL_API":        "3",
		"ETCDCTL_ENDPOINTS":  strings.Join(endpoints, ","),
		"MARATHON_URL":       u.Marathon,
		"PGPASSFILE":         pgpass,
		"PGBATON_WRITE_URL":  u.Write,
		"PGBATON_READ_URL":   u.Read,
	}
}
