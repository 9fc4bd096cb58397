package haproxytest

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/haproxy"
	"github.com/pgbaton/pgbaton/internal/peer"
	"github.com/pgbaton/pgbaton/internal/route"
)

// Config returns a configuration for a real HAProxy in a directory of its own, with the three services on
// free ports. Missing, HAProxy ends the test: in error when PEERS=required, else as skipped. As root
// HAProxy runs as nobody, which is how the product runs it.
func Config(t *testing.T) haproxy.Config {
	t.Helper()
	binary, err := haproxy.Find()
	if err != nil {
		if os.Getenv("PEERS") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cfg := haproxy.Config{Binary: binary, Dir: filepath.Join(directory(t), "haproxy"), Services: []route.Service{
		{Name: "writes", Bind: peer.FreePort(t), Kind: route.Writes},
		{Name: "leader-api", Bind: peer.FreePort(t), Kind: route.LeaderAPI},
		{Name: "reads", Bind: peer.FreePort(t), Kind: route.Reads},
	}}
	if os.Geteuid() == 0 {
		const nobody = 65534
		cfg.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cfg
}

// directory is a short path that HAProxy's user can reach; that of t.TempDir is neither.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgbaton") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // HAProxy's user has to pass
		t.Fatal(err)
	}
	return dir
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", peer.Address()+":0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func address(l net.Listener) netip.AddrPort { return netip.MustParseAddrPort(l.Addr().String()) }

// Member is a member without a database.
type Member struct {
	Name string
	// Server greets with the name and then keeps the connection open; API answers the checks.
	Server, API netip.AddrPort

	mu    sync.Mutex
	role  cluster.Role
	conns map[net.Conn]bool

	server net.Listener
	api    *http.Server
}

// Start starts a member whose REST API says that it has that role. It is stopped with the test.
func Start(t *testing.T, name string, role cluster.Role) *Member {
	t.Helper()
	m := &Member{Name: name, role: role, conns: map[net.Conn]bool{}, server: listen(t)}
	api := listen(t)
	m.Server, m.API = address(m.server), address(api)
	m.api = &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	var group sync.WaitGroup
	group.Go(func() { _ = m.api.Serve(api) }) // It ends by Stop.
	group.Go(func() { m.greet(&group) })
	t.Cleanup(func() {
		m.Stop()
		group.Wait()
	})
	return m
}

// Stop ends the member as a lost host would: nothing answers any more.
func (m *Member) Stop() {
	_ = m.server.Close() // Closed already.
	_ = m.api.Close()    // Closed already.
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.conns {
		_ = c.Close() // Closed already.
	}
}

// Become changes what the REST API says.
func (m *Member) Become(role cluster.Role) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.role = role
}

// Document is the member's document in the DCS, for another role than its REST API may say.
func (m *Member) Document(role cluster.Role) cluster.Member {
	d := cluster.Member{
		Name: m.Name, Role: role, State: cluster.StateRunning,
		ConnURL: "postgres://" + m.Server.String() + "/postgres", APIURL: "http://" + m.API.String() + "/patroni",
	}
	if role == cluster.RoleReplica {
		d.ReplicationState = cluster.ReplicationStreaming
	}
	return d
}

// ServeHTTP answers a check.
func (m *Member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	role := m.role
	m.mu.Unlock()
	asked := cluster.RolePrimary
	if strings.HasPrefix(r.URL.Path, "/replica") {
		asked = cluster.RoleReplica
	}
	if role != asked {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte(m.Name + "\n"))
	}
}

// greet takes connections.
func (m *Member) greet(group *sync.WaitGroup) {
	for {
		c, err := m.server.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		m.conns[c] = true
		m.mu.Unlock()
		group.Go(func() { m.hold(c) })
	}
}

// hold keeps one connection open until the other side closes it.
func (m *Member) hold(c net.Conn) {
	if _, err := c.Write([]byte(m.Name + "\n")); err == nil {
		_, _ = c.Read(make([]byte, 1)) // That it returns is what counts.
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, c)
	_ = c.Close() // Closed already.
}

// Session is a connection through HAProxy.
type Session struct {
	conn net.Conn
	// Member is whom it reached; empty when HAProxy had nobody.
	Member string
}

// Connect opens a session.
func Connect(t *testing.T, to netip.AddrPort) *Session {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", to.String())
	if err != nil {
		return &Session{}
	}
	t.Cleanup(func() { _ = conn.Close() }) // Closed already.
	s := &Session{conn: conn}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // Then the read fails.
	if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
		s.Member = strings.TrimSpace(line)
	}
	return s
}

// Close ends the session.
func (s *Session) Close() {
	if s.conn != nil {
		_ = s.conn.Close() // Closed already.
	}
}

// Closed waits until the other side has closed the session; false when it has not within the time.
func (s *Session) Closed(within time.Duration) bool {
	if s.conn == nil {
		return true
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(within)) // Then the read fails.
	_, err := s.conn.Read(make([]byte, 1))
	return err != nil && !os.IsTimeout(err)
}

// Reaches opens sessions until one reaches the member, and returns how long that took; it fails the test
// when none does within the time.
func Reaches(t *testing.T, to netip.AddrPort, member string, within time.Duration) time.Duration {
	t.Helper()
	begin := time.Now()
	last := "nobody"
	for time.Since(begin) < within {
		s := Connect(t, to)
		s.Close()
		if s.Member == member {
			return time.Since(begin)
		}
		last = s.Member
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("no session reached %q within %v; the last reached %q", member, within, last)
	return 0
}
