package peer

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// Address is a loopback address that belongs to the tests of this process. A port that was free there stays free: on
// 127.0.0.1 the kernel may give it, a moment later, to whoever opens a connection.
func Address() string {
	pid := os.Getpid()
	return "127.77." + strconv.Itoa(pid>>8&0xff) + "." + strconv.Itoa(1+pid%254)
}

// firstPort and ports are where free ports are looked for: below those that the kernel gives to connections (from 32768
// on, where nobody changed net.ipv4.ip_local_port_range), so that none of these takes one before its server has begun.
const (
	firstPort = 10000
	ports     = 20000
)

// given is how many ports this process has been given.
var given atomic.Uint32

// FreePort returns a port at which nobody listens, at Address. It is given once only: tests that run side by side, each
// asking before it starts its servers, would else be given the same one.
func FreePort(t testing.TB) netip.AddrPort {
	t.Helper()
	return FreePortAt(t, Address())
}

// FreePortAt is FreePort at another address of this machine.
func FreePortAt(t testing.TB, host string) netip.AddrPort {
	t.Helper()
	ours := uint32(os.Getpid()) * 97 //nolint:gosec // any number will do: other processes begin elsewhere
	for range ports {
		at := netip.AddrPortFrom(netip.MustParseAddr(host), uint16(firstPort+(ours+given.Add(1))%ports)) //nolint:gosec // it is below 30000
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", at.String())
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return at
	}
	t.Fatalf("no free port from %d to %d at %s", firstPort, firstPort+ports-1, host)
	return netip.AddrPort{}
}
