package acceptance_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/api"
	"github.com/pgbaton/pgbaton/internal/marathon/api/acceptance"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/simulated"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// TestSimulated holds the scheduler to everything, over machines in memory and in virtual time.
func TestSimulated(t *testing.T) {
	acceptance.Run(t, func(t *testing.T, test func(*testing.T, acceptance.Platform)) {
		synctest.Test(t, func(t *testing.T) {
			p, end := platform(t, t.Errorf)
			defer end()
			test(t, p)
		})
	})
}

const prefix = "/acceptance/"

// platform is a scheduler over machines in memory, with its API on pipes. broken is told of rules that the scheduler breaks.
func platform(t *testing.T, broken func(format string, args ...any)) (p acceptance.Platform, end func()) {
	t.Helper()
	root, secrets := memory.New(), t.TempDir()
	machines := machines(broken)
	machines.Store = simulated.StoreIn(root, prefix)
	fleet := simulated.New(machines)
	db, conn := root.Client(), fleet.Open()
	s := run.New(run.Config{Dial: fleet.Dial, Secrets: secrets}, store.New(db, prefix), conn, fleet.Members(), slog.New(slog.DiscardHandler))
	p, stop := serve(t, s, s)
	overFleet(&p, fleet)
	p.KeepSecret = func(source, text string) { keep(t, secrets, source, text) }
	p.Lose, p.Find = func(host string) { _ = fleet.Cut(host) }, func(host string) { _ = fleet.Heal(host) }
	return p, func() {
		stop()
		if err := errors.Join(conn.Close(), db.Close(), root.Close()); err != nil {
			t.Error(err)
		}
	}
}

// machines are those of a platform.
func machines(broken func(format string, args ...any)) simulated.Config {
	return simulated.Config{
		Behaviour: func(s driver.Spec, _ simulated.Files) simulated.Behaviour {
			stops := 200 * time.Millisecond
			if s.Env["STUBBORN"] != "" {
				stops = time.Hour
			}
			return simulated.Behaviour{Starts: 500 * time.Millisecond, Stops: stops}
		},
		Hosts:    hosts(),
		Broken:   func(rule simulated.Rule, text string) { broken("%s: %s", rule, text) },
		Postgres: simulated.Pace{Bootstrap: 2 * time.Second, Clone: 3 * time.Second, Recover: time.Second, Lease: 3 * time.Second, Switchover: 300 * time.Millisecond},
	}
}

// overFleet has a platform play with the machines below it.
func overFleet(p *acceptance.Platform, fleet *simulated.Fleet) {
	p.End, p.SetPassing, p.SetHealthy, p.Given = fleet.End, fleet.SetPassing, fleet.SetHealthy, fleet.Given
	p.Leader = func(id app.ID) app.InstanceID {
		leader, _ := fleet.Leader(id)
		return leader
	}
}

// serve runs a scheduler with its API on pipes. hosts is nil where the machines cannot be switched on and off.
func serve(t *testing.T, s *run.Scheduler, hosts api.Hosts) (p acceptance.Platform, end func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	server := api.New(api.Config{Address: "127.0.0.1:8080", Version: "test", FrameworkID: s.FrameworkID}, api.Backend{
		Scheduler: s, History: s, Tasks: s, Feed: s, Clusters: s, Metrics: s, Hosts: hosts, Drains: s, Volumes: s, Waits: s, Groups: s, Loaded: s.Loaded,
	}, log)
	ctx, cancel := context.WithCancelCause(t.Context())
	l := listenPipes()
	var life sync.WaitGroup
	var failed [2]error
	life.Go(func() { failed[0] = s.Run(ctx) })
	life.Go(func() { failed[1] = server.Serve(ctx, l) })
	transport := &http.Transport{DialContext: l.dial, DisableCompression: true}
	synctest.Wait()
	p = acceptance.Platform{
		URL: "http://127.0.0.1:8080", Client: &http.Client{Transport: transport},
		Pass: func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		},
	}
	return p, func() {
		transport.CloseIdleConnections()
		cancel(errors.New("the test is over"))
		life.Wait()
		if err := errors.Join(failed[0], failed[1]); err != nil {
			t.Error(err)
		}
	}
}

// hosts are four, of which one has GPUs and another one something for the role "shop".
func hosts() []simulated.Host {
	all := simulated.Hosts(4)
	all[2].Resources.GPUs = 2
	all[3].Reserved = map[string]place.Resources{"shop": {CPUs: 1, Mem: 512}}
	return all
}

func keep(t *testing.T, folder, source, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, source), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func listenPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
