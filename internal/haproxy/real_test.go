package haproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/haproxy"
	"github.com/pgbaton/pgbaton/internal/haproxy/haproxytest"
	"github.com/pgbaton/pgbaton/internal/peer"
	"github.com/pgbaton/pgbaton/internal/route"
)

// The tests of this file hold what the package comment says of a real HAProxy.

// open opens a HAProxy that is ended with the test.
func open(t *testing.T, cfg haproxy.Config) *haproxy.Process {
	t.Helper()
	p, err := haproxy.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Stop(context.Background()), p.Close()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// run runs it until the returned function is called.
func run(t *testing.T, p *haproxy.Process) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func apply(t *testing.T, p *haproxy.Process, changes ...route.Change) {
	t.Helper()
	for _, c := range changes {
		if err := p.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func add(service string, m *haproxytest.Member, health route.Health) route.Change {
	return route.AddServer{Service: service, Server: route.Server{Name: m.Name, Address: m.Server, Check: m.API, Health: health}}
}

func look(t *testing.T, p *haproxy.Process) route.Seen {
	t.Helper()
	seen, err := p.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func same(t *testing.T, got route.Seen, want ...route.SeenServer) {
	t.Helper()
	if diff := cmp.Diff(want, got.Servers, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()); diff != "" {
		t.Fatal(diff)
	}
}

// pid is the process HAProxy runs as.
func pid(t *testing.T, cfg haproxy.Config) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(cfg.Dir, "haproxy.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `"pid":`)
	number, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// woken waits until HAProxy reports something.
func woken(t *testing.T, p *haproxy.Process, within time.Duration) {
	t.Helper()
	select {
	case <-p.Wake():
	case <-time.After(within):
		t.Fatalf("HAProxy reported nothing within %v", within)
	}
}

func TestEveryChangeDoesWhatTheModelSays(t *testing.T) {
	cfg := haproxytest.Config(t)
	p := open(t, cfg)
	a, b := haproxytest.Start(t, "a", cluster.RolePrimary), haproxytest.Start(t, "b: odd/name", cluster.RoleReplica)

	same(t, look(t, p))
	seenA := route.SeenServer{Service: "writes", Name: "a", Address: a.Server, Check: a.API, Up: true, Ready: true}
	seenB := route.SeenServer{Service: "writes", Name: b.Name, Address: b.Server, Check: b.API, Ready: true}
	apply(t, p, add("writes", a, route.Up), add("writes", b, route.Down))
	same(t, look(t, p), seenA, seenB)

	session := haproxytest.Connect(t, cfg.Services[0].Bind)
	if session.Member != "a" {
		t.Fatalf("the session went to %q", session.Member)
	}
	seenA.Sessions = 1
	same(t, look(t, p), seenA, seenB)

	apply(t, p, route.CloseSessions{Service: "writes", Name: "a"})
	if !session.Closed(time.Second) {
		t.Fatal("the session goes on")
	}

	apply(t, p, route.SetHealth{Service: "writes", Name: "a"}, route.SetHealth{Service: "writes", Name: b.Name, Up: true})
	if got := haproxytest.Connect(t, cfg.Services[0].Bind).Member; got != b.Name {
		t.Fatalf("the session went to %q", got)
	}

	ipv6 := netip.MustParseAddrPort("[::1]:5433")
	apply(t, p, route.SetAddress{Service: "writes", Name: "a", Address: ipv6, Check: netip.MustParseAddrPort("[::1]:8009")})
	apply(t, p, route.SetAddress{Service: "writes", Name: "a", Address: ipv6, Check: netip.MustParseAddrPort("[::1]:8009")})
	apply(t, p, route.RemoveServer{Service: "writes", Name: b.Name})
	same(t, look(t, p), route.SeenServer{Service: "writes", Name: "a", Address: ipv6, Check: netip.MustParseAddrPort("[::1]:8009"), Ready: true})

	apply(t, p, route.RemoveServer{Service: "writes", Name: "a"})
	same(t, look(t, p))
	apply(t, p, route.AddServer{Service: "reads", Server: route.Server{Name: "six", Address: ipv6, Check: netip.MustParseAddrPort("[::2]:8009")}})
	same(t, look(t, p), route.SeenServer{Service: "reads", Name: "six", Address: ipv6, Check: netip.MustParseAddrPort("[::2]:8009"), Ready: true})
}

func TestAChangeHAProxyRefusesIsAnError(t *testing.T) {
	cfg := haproxytest.Config(t)
	p := open(t, cfg)
	a := haproxytest.Start(t, "a", cluster.RolePrimary)
	apply(t, p, add("writes", a, route.Up))
	for _, c := range []route.Change{
		add("writes", a, route.Up),
		add("elsewhere", a, route.Up),
		route.RemoveServer{Service: "writes", Name: "nobody"},
		route.SetHealth{Service: "writes", Name: "nobody"},
		route.SetAddress{Service: "writes", Name: "nobody", Address: a.Server, Check: a.API},
		route.CloseSessions{Service: "writes", Name: "nobody"},
	} {
		if err := p.Apply(t.Context(), c); err == nil {
			t.Errorf("no error: %s", c)
		}
	}
}

func TestAServerIsRemovedWithItsSessions(t *testing.T) {
	cfg := haproxytest.Config(t)
	p := open(t, cfg)
	a := haproxytest.Start(t, "a", cluster.RolePrimary)
	apply(t, p, add("writes", a, route.Up), route.AddServer{
		Service: "leader-api", Server: route.Server{Name: "a", Address: a.API, Check: a.API, Health: route.Up},
	})
	var sessions []*haproxytest.Session
	for range 20 {
		sessions = append(sessions, haproxytest.Connect(t, cfg.Services[0].Bind))
	}
	// HAProxy keeps the connection to the REST API for a next request.
	if got := get(t, cfg.Services[1].Bind); got != "200 a\n" {
		t.Fatalf("the leader's API answers %q", got)
	}
	apply(t, p, route.RemoveServer{Service: "writes", Name: "a"}, route.RemoveServer{Service: "leader-api", Name: "a"})
	for _, s := range sessions {
		if s.Member != "a" || !s.Closed(time.Second) {
			t.Fatalf("a session with %q goes on", s.Member)
		}
	}
	if got := get(t, cfg.Services[1].Bind); !strings.HasPrefix(got, "503") {
		t.Errorf("without a leader its API answers %q", got)
	}
}

func get(t *testing.T, at netip.AddrPort) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at.String()+"/leader", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}

func TestReadsGoToTheLeaderWhileThereIsNoReplica(t *testing.T) {
	cfg := haproxytest.Config(t)
	p := open(t, cfg)
	a, b := haproxytest.Start(t, "a", cluster.RolePrimary), haproxytest.Start(t, "b", cluster.RoleReplica)
	apply(t, p, add("writes", a, route.Up), add("reads", a, route.Down))
	reads := cfg.Services[2].Bind
	if got := haproxytest.Connect(t, reads).Member; got != "a" {
		t.Fatalf("without a replica the session went to %q", got)
	}
	apply(t, p, add("reads", b, route.Up))
	if got := haproxytest.Connect(t, reads).Member; got != "b" {
		t.Fatalf("with a replica the session went to %q", got)
	}
}

// One stale answer does not overturn what was forced; two checks in a row do, and HAProxy says so.
func TestAForcedStateLastsUntilTwoChecksDisagree(t *testing.T) {
	cfg := haproxytest.Config(t)
	p := open(t, cfg)
	run(t, p)
	a := haproxytest.Start(t, "a", cluster.RolePrimary)
	apply(t, p, add("writes", a, route.Up))
	forced := time.Now()
	apply(t, p, route.SetHealth{Service: "writes", Name: "a"})
	woken(t, p, 4*time.Second)
	lasted := time.Since(forced)
	t.Logf("a server forced down came up by its checks after %v", lasted)
	if lasted < 900*time.Millisecond {
		t.Errorf("less than a second of evidence overturned it: %v", lasted)
	}
	if seen := look(t, p); !seen.Servers[0].Up {
		t.Errorf("HAProxy reported, but %+v", seen.Servers[0])
	}
	a.Become(cluster.RoleReplica)
	woken(t, p, 4*time.Second)
	if seen := look(t, p); seen.Servers[0].Up {
		t.Errorf("HAProxy reported, but %+v", seen.Servers[0])
	}
}

func TestOpenFindsTheHAProxyOfAFormerRun(t *testing.T) {
	cfg := haproxytest.Config(t)
	a := haproxytest.Start(t, "a", cluster.RolePrimary)
	first, err := haproxy.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	apply(t, first, add("writes", a, route.Up))
	session := haproxytest.Connect(t, cfg.Services[0].Bind)
	before := pid(t, cfg)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open(t, cfg)
	run(t, second)
	if now := pid(t, cfg); now != before {
		t.Errorf("it was process %d and is %d", before, now)
	}
	if session.Closed(50 * time.Millisecond) {
		t.Error("the session was closed")
	}
	if seen := look(t, second); len(seen.Servers) != 1 {
		t.Errorf("its servers are %v", seen.Servers)
	}
	// HAProxy speaks to the one who came later.
	a.Become(cluster.RoleReplica)
	woken(t, second, 4*time.Second)
	// And its end is noticed although it is no child of ours.
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	woken(t, second, 4*time.Second)
	if now := pid(t, cfg); now == before {
		t.Error("it was not started again")
	}
}

func TestOnlyOneDrivesAHAProxy(t *testing.T) {
	cfg := haproxytest.Config(t)
	open(t, cfg)
	if _, err := haproxy.Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); !errors.Is(err, haproxy.ErrDriven) {
		t.Fatalf("got %v", err)
	}
}

func TestOtherServicesReplaceTheHAProxy(t *testing.T) {
	cfg := haproxytest.Config(t)
	first, err := haproxy.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	before := pid(t, cfg)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Statistics = peer.FreePort(t)
	open(t, cfg)
	if now := pid(t, cfg); now == before {
		t.Error("it goes on with the former configuration")
	}
	if err := syscall.Kill(before, 0); err == nil && !zombie(t, before) {
		t.Error("the former one goes on")
	}
	if got := get(t, cfg.Statistics); !strings.Contains(got, "pgbaton") {
		t.Errorf("the statistics page is %.200s", got)
	}
}

func zombie(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// The one who started HAProxy died before it could leave a record.
func TestAHAProxyWithoutARecordIsReplaced(t *testing.T) {
	cfg := haproxytest.Config(t)
	first, err := haproxy.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	before := pid(t, cfg)
	if err := errors.Join(first.Close(), os.Remove(filepath.Join(cfg.Dir, "haproxy.json"))); err != nil {
		t.Fatal(err)
	}
	open(t, cfg)
	if now := pid(t, cfg); now == before {
		t.Error("it was kept")
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	cfg := haproxytest.Config(t)
	l, err := net.Listen("tcp", cfg.Services[1].Bind.String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test is over
	_, err = haproxy.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	bind, ok := errors.AsType[*haproxy.BindError](err)
	if !ok || bind.Service != "leader-api" || bind.Address != cfg.Services[1].Bind.String() {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one sentence: %v", err)
	}
}

func TestAKilledHAProxyIsBackAtOnce(t *testing.T) {
	cfg := haproxytest.Config(t)
	p := open(t, cfg)
	run(t, p)
	before := pid(t, cfg)
	killed := time.Now()
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	woken(t, p, 5*time.Second)
	t.Logf("HAProxy was back %v after it was killed", time.Since(killed))
	same(t, look(t, p))
	if now := pid(t, cfg); now == before || !zombie(t, before) {
		t.Errorf("process %d was not replaced or not reaped, now %d", before, now)
	}
}

func TestAFrozenHAProxyIsReplacedByTheNextRun(t *testing.T) {
	cfg := haproxytest.Config(t)
	first, err := haproxy.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	before := pid(t, cfg)
	if err := errors.Join(first.Close(), syscall.Kill(before, syscall.SIGSTOP)); err != nil {
		t.Fatal(err)
	}
	open(t, cfg)
	if now := pid(t, cfg); now == before {
		t.Error("it was kept")
	}
}

func TestABrokenConfigurationIsExplained(t *testing.T) {
	cfg := haproxytest.Config(t)
	cfg.Services[0].Bind = netip.MustParseAddrPort("192.0.2.1:10000") // reserved for documentation
	_, err := haproxy.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "192.0.2.1:10000") {
		t.Fatalf("got %v", err)
	}
}
