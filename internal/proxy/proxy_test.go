package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a source in memory.
type store struct {
	mu      sync.Mutex
	picture cluster.Cluster
	err     error
	loads   int
	watches []chan struct{}
	breaks  bool
}

func (s *store) Load(context.Context) (cluster.Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	return s.picture, s.err
}

func (s *store) Watch(context.Context, cluster.Version) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := make(chan struct{}, 1)
	s.watches = append(s.watches, ch)
	if s.breaks {
		close(ch)
	}
	return ch
}

// becomes changes the picture and wakes whoever watches last.
func (s *store) becomes(leader string, members ...cluster.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture = cluster.Cluster{Leader: cluster.Leader{Name: leader}, Members: members}
	if n := len(s.watches); n > 0 {
		s.watches[n-1] <- struct{}{}
	}
}

func (s *store) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *store) counts() (loads, watches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads, len(s.watches)
}

// balancer is a HAProxy in memory.
type balancer struct {
	mu      sync.Mutex
	servers []route.SeenServer
	steps   []string
	refuse  string
	wake    chan struct{}
}

var errRefused = errors.New("refused")

func (b *balancer) Wake() <-chan struct{} { return b.wake }

func (b *balancer) Look(context.Context) (route.Seen, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return route.Seen{Servers: slices.Clone(b.servers)}, nil
}

func (b *balancer) Apply(_ context.Context, change route.Change) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if change.String() == b.refuse {
		return errRefused
	}
	b.steps = append(b.steps, change.String())
	switch c := change.(type) {
	case route.AddServer:
		b.servers = append(b.servers, route.SeenServer{
			Service: c.Service, Name: c.Server.Name, Address: c.Server.Address, Check: c.Server.Check,
			Up: c.Server.Health == route.Up, Ready: true,
		})
	case route.RemoveServer:
		b.servers = slices.DeleteFunc(b.servers, func(x route.SeenServer) bool { return x.Service == c.Service && x.Name == c.Name })
	case route.SetHealth:
		b.server(c.Service, c.Name).Up = c.Up
	case route.SetAddress:
		b.server(c.Service, c.Name).Address, b.server(c.Service, c.Name).Check = c.Address, c.Check
	case route.CloseSessions:
		b.server(c.Service, c.Name).Sessions = 0
	}
	return nil
}

func (b *balancer) server(service, name string) *route.SeenServer {
	i := slices.IndexFunc(b.servers, func(x route.SeenServer) bool { return x.Service == service && x.Name == name })
	return &b.servers[i]
}

// happens lets something happen inside it.
func (b *balancer) happens(what func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	what()
}

// did returns the steps since the last call.
func (b *balancer) did() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	steps := b.steps
	b.steps = nil
	return steps
}

type fixture struct {
	store
	balancer

	lines []string
}

func (f *fixture) said() []string {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	lines := f.lines
	f.lines = nil
	return lines
}

// start runs the shell for one service of writes in the bubble of the test.
func start(t *testing.T, f *fixture, resolver Resolver) {
	t.Helper()
	f.wake = make(chan struct{}, 1)
	cfg := Config{
		Services: []route.Service{{Name: "writes", Kind: route.Writes}},
		Resolver: resolver,
		Progress: func(line string) {
			f.store.mu.Lock()
			defer f.store.mu.Unlock()
			f.lines = append(f.lines, line)
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg, &f.store, &f.balancer, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
}

func primary(name, host string) cluster.Member {
	return cluster.Member{
		Name: name, Role: cluster.RolePrimary, State: cluster.StateRunning,
		ConnURL: "postgres://" + host + ":5432/postgres", APIURL: "http://" + host + ":8008/patroni",
	}
}

func replica(name, host string) cluster.Member {
	m := primary(name, host)
	m.Role, m.ReplicationState = cluster.RoleReplica, cluster.ReplicationStreaming
	return m
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s: %s", what, diff)
	}
}

func TestRoutingFollowsTheLeaderKeyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{}
		f.becomes("n1", primary("n1", "127.0.0.11"), replica("n2", "127.0.0.12"))
		start(t, f, nil)
		equal(t, "steps", f.did(),
			"add writes/n1 at 127.0.0.11:5432, checked at 127.0.0.11:8008, up",
			"add writes/n2 at 127.0.0.12:5432, checked at 127.0.0.12:8008, down")
		equal(t, "progress", f.said(), "routing: writes → n1 (127.0.0.11:5432)")

		begin := time.Now()
		f.becomes("n2", replica("n1", "127.0.0.11"), primary("n2", "127.0.0.12"))
		synctest.Wait()
		equal(t, "steps", f.did(), "take writes/n1 down", "close the sessions of writes/n1", "put writes/n2 up")
		equal(t, "progress", f.said(), "routing: writes → n2 (127.0.0.12:5432)")
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAnUnreadablePictureChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{}
		f.becomes("n1", primary("n1", "127.0.0.11"), replica("n2", "127.0.0.12"))
		start(t, f, nil)
		f.did()
		f.said()
		f.fails(errors.New("etcd does not answer"))
		f.becomes("")
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "steps", f.did())
		equal(t, "progress", f.said(), "routing stays as it is: read the picture of the cluster: etcd does not answer")

		// HAProxy is killed meanwhile: its servers come back, for its checks to judge.
		f.happens(func() { f.servers = nil })
		f.wake <- struct{}{}
		synctest.Wait()
		equal(t, "steps", f.did(),
			"add writes/n1 at 127.0.0.11:5432, checked at 127.0.0.11:8008, checked",
			"add writes/n2 at 127.0.0.12:5432, checked at 127.0.0.12:8008, checked")

		f.fails(nil)
		f.becomes("n2", replica("n1", "127.0.0.11"), primary("n2", "127.0.0.12"))
		synctest.Wait()
		equal(t, "steps", f.did(), "put writes/n2 up")
		equal(t, "progress", f.said(), "routing: writes → n2 (127.0.0.12:5432)", "routing works again")
	})
}

func TestARestartedHAProxyIsToldEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{}
		f.becomes("n1", primary("n1", "127.0.0.11"))
		start(t, f, nil)
		f.did()
		f.said()
		f.happens(func() { f.servers = nil })
		f.wake <- struct{}{}
		synctest.Wait()
		equal(t, "steps", f.did(), "add writes/n1 at 127.0.0.11:5432, checked at 127.0.0.11:8008, up")
		equal(t, "progress", f.said())
	})
}

func TestAFormerLeaderThatItsCheckLikesGoesDownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{}
		f.becomes("n1", primary("n1", "127.0.0.11"), replica("n2", "127.0.0.12"))
		start(t, f, nil)
		f.did()
		f.happens(func() { f.server("writes", "n2").Up = true })
		f.wake <- struct{}{}
		synctest.Wait()
		equal(t, "steps", f.did(), "take writes/n2 down", "close the sessions of writes/n2")
		// A report that got lost is made up for by the regular comparison.
		f.happens(func() { f.server("writes", "n2").Up = true })
		time.Sleep(checkEvery)
		synctest.Wait()
		equal(t, "steps", f.did(), "take writes/n2 down", "close the sessions of writes/n2")
		// The leader's failed check is left alone.
		f.happens(func() { f.server("writes", "n1").Up = false })
		time.Sleep(checkEvery)
		synctest.Wait()
		equal(t, "steps", f.did())
	})
}

// The new leader never comes up after the old one could not be taken down.
func TestAFailedStepBreaksTheRunOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{}
		f.becomes("n1", primary("n1", "127.0.0.11"), replica("n2", "127.0.0.12"))
		start(t, f, nil)
		f.did()
		f.said()
		f.happens(func() { f.refuse = "take writes/n1 down" })
		f.becomes("n2", replica("n1", "127.0.0.11"), primary("n2", "127.0.0.12"))
		synctest.Wait()
		equal(t, "steps", f.did())
		f.happens(func() { f.refuse = "" })
		time.Sleep(retryAfter)
		synctest.Wait()
		equal(t, "steps", f.did(), "take writes/n1 down", "close the sessions of writes/n1", "put writes/n2 up")
		equal(t, "progress", f.said(), "routing is not as it should be: refused",
			"routing: writes → n2 (127.0.0.12:5432)", "routing works again")
	})
}

func TestABrokenWatchIsBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{store: store{breaks: true}}
		f.becomes("n1", primary("n1", "127.0.0.11"))
		start(t, f, nil)
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		if loads, watches := f.counts(); loads > 22 || watches < 9 || watches > 11 {
			t.Errorf("in 10 s of a watch that breaks at once: %d watches, %d loads", watches, loads)
		}
	})
}

func TestNothingIsPolledBesidesTheRegularComparison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{}
		f.becomes("n1", primary("n1", "127.0.0.11"))
		start(t, f, nil)
		time.Sleep(time.Minute + time.Millisecond)
		synctest.Wait()
		if loads, watches := f.counts(); loads != 7 || watches != 1 {
			t.Errorf("in a quiet minute: %d watches, %d loads", watches, loads)
		}
	})
}

// book is a resolver.
type book map[string][]netip.Addr

func (b book) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := b[host]; ok {
		return a, nil
	}
	return nil, errors.New("no such host")
}

func TestMembersAnnouncedByNameAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := netip.MustParseAddr
		f := &fixture{}
		f.becomes("n1", primary("n1", "one.example"), replica("n2", "nowhere.example"))
		start(t, f, book{"one.example": {at("::1"), at("127.0.0.3"), at("127.0.0.2")}})
		equal(t, "steps", f.did(), "add writes/n1 at 127.0.0.2:5432, checked at 127.0.0.2:8008, up")
	})
}
