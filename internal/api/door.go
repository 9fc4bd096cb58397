package api

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// How many connections are open at once, in total and from one host. Whoever comes then is turned away, so that nobody can
// make the agent hold more than it has for them.
const (
	maxConnections     = 1024
	maxConnectionsFrom = 256
)

// door lets connections in as long as there are not too many, and speaks TLS with those that come while that is on.
type door struct {
	net.Listener

	// config is what is spoken with a new connection; nil: no TLS.
	config func() *tls.Config

	mu    sync.Mutex
	total int
	from  map[netip.Addr]int
}

// Accept waits for the next connection that may come in.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		config := d.config()
		host := hostOf(conn)
		if !d.enter(host) {
			turnAway(conn, config == nil)
			continue
		}
		inside := &guest{Conn: conn, leave: sync.OnceFunc(func() { d.leave(host) })}
		if config == nil {
			return inside, nil
		}
		return tls.Server(inside, config), nil
	}
}

// hostOf is the host that counts: of IPv6 its network, which is what one host may choose addresses from.
func hostOf(conn net.Conn) netip.Addr {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	a := plain(from.Addr())
	if a.Is4() {
		return a
	}
	const host = 64
	p, err := a.Prefix(host)
	if err != nil {
		return a
	}
	return p.Addr()
}

// turnAway tells a client that there is no room for it, where that can be told without waiting for anything.
func turnAway(conn net.Conn, canTell bool) {
	if canTell && conn.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
		io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	}
	conn.Close() //nolint:errcheck // it is gone in any case
}

func (d *door) enter(host netip.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.total >= maxConnections || d.from[host] >= maxConnectionsFrom {
		return false
	}
	d.total++
	if d.from == nil {
		d.from = map[netip.Addr]int{}
	}
	d.from[host]++
	return true
}

func (d *door) leave(host netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total--
	if d.from[host]--; d.from[host] <= 0 {
		delete(d.from, host)
	}
}

// guest is a connection that was let in.
type guest struct {
	net.Conn

	leave func()
}

// Close closes the connection and makes room for another.
func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}
