package chaos

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"

	"github.com/pgbaton/pgbaton/internal/up"
)

// The networks to choose from, 127.0.80.0/24 to 127.0.250.0/24: away from the program's default.
const firstNetwork, lastNetwork = 80, 250

// The hosts and etcd members of the default platform.
const hostCount, etcdCount = 5, 3

var errNoNetwork = errors.New("all networks 127.0.80.0/24 to 127.0.250.0/24 are in use: stop what was left running on them")

// reserve finds a network on which nothing listens. The listener keeps others who reserve away while it is open.
func reserve() (netip.Prefix, net.Listener, error) {
	const count = lastNetwork - firstNetwork + 1
	first := rand.N(count) //nolint:gosec // no secret
	for i := range count {
		third := firstNetwork + (first+i)%count
		network := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, byte(third), 0}), 24)
		held, err := listen(address(network, 254, 8080))
		if err != nil {
			continue
		}
		if unused(network) {
			return network, held, nil
		}
		held.Close() //nolint:errcheck // nobody connected
	}
	return netip.Prefix{}, nil, errNoNetwork
}

// unused reports whether everything that a platform listens on is free.
func unused(network netip.Prefix) bool {
	var wanted []string
	for _, port := range []int{8080, 10000, 10001, 10002, 10003} {
		wanted = append(wanted, address(network, 1, port))
	}
	for i := range hostCount {
		wanted = append(wanted, address(network, 11+i, 5432), address(network, 11+i, 8008))
	}
	for i := range etcdCount {
		wanted = append(wanted, address(network, 21+i, up.EtcdClientPort), address(network, 21+i, up.EtcdPeerPort))
	}
	for _, a := range wanted {
		l, err := listen(a)
		if err != nil {
			return false
		}
		l.Close() //nolint:errcheck // nobody connected
	}
	return true
}

func listen(at string) (net.Listener, error) {
	return net.Listen("tcp", at) //nolint:noctx // it does not wait
}

// address is the given host and port of a /24.
func address(network netip.Prefix, last, port int) string {
	b := network.Masked().Addr().As4()
	b[3] = byte(last)
	return net.JoinHostPort(netip.AddrFrom4(b).String(), strconv.Itoa(port))
}
