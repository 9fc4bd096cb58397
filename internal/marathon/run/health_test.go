package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// wires connect the scheduler's health checks with handlers instead of a network.
type wires struct {
	mu     sync.Mutex
	behind map[string]http.HandlerFunc // by host:port; nothing listens elsewhere
}

func (w *wires) set(address string, h http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.behind[address] = h
}

func (w *wires) dial(_ context.Context, _, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.behind[address]
	if h == nil {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	go func() {
		l := &oneConn{conn: server, closed: make(chan struct{})}
		_ = (&http.Server{Handler: h, ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				l.end()
			}
		}}).Serve(l)
	}()
	return client, nil
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, io.EOF
}

func (l *oneConn) end()           { l.once.Do(func() { close(l.closed) }) }
func (l *oneConn) Close() error   { l.end(); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// withChecks runs a test with a network for health checks.
func withChecks(t *testing.T, test func(t *testing.T, w *world, net *wires)) {
	synctest.Test(t, func(t *testing.T) {
		root := memory.New()
		defer func() { _ = root.Close() }()
		network := &wires{behind: map[string]http.HandlerFunc{}}
		w := &world{t: t, db: root.Client(), cfg: Config{Dial: network.dial}}
		defer func() { _ = w.db.Close() }()
		w.m = newMachines(t, root)
		w.start()
		test(t, w, network)
		w.stop()
	})
}

// checked is the app with a check every ten seconds, thirty seconds of grace, and three failures allowed.
func checked(a app.App, path string, index int) app.App {
	a.HealthChecks = []app.HealthCheck{{
		Protocol: app.ProtocolHTTP, Path: path, PortIndex: &index, GracePeriodSeconds: 30, IntervalSeconds: 10,
		TimeoutSeconds: 5, MaxConsecutiveFailures: 3,
	}}
	return a
}

func TestUnhealthyPlainTaskIsReplaced(t *testing.T) {
	withChecks(t, func(t *testing.T, w *world, network *wires) {
		network.set("10.0.0.1:31000", status(http.StatusOK))
		w.put(checked(web(1), "/ok", 0))
		w.pass(4 * time.Second)
		if task := w.s.Tasks("/web")[0]; len(task.HealthCheckResults) > 0 || len(w.s.Deployments()) != 1 {
			t.Errorf("before the first probe: results %v, %d deployments", task.HealthCheckResults, len(w.s.Deployments()))
		}
		w.pass(2 * time.Second)
		if task := w.s.Tasks("/web")[0]; len(task.HealthCheckResults) != 1 || !task.HealthCheckResults[0].Alive {
			t.Errorf("after a good answer: %v", task.HealthCheckResults)
		}
		w.wantSettled()

		network.set("10.0.0.1:31000", status(http.StatusInternalServerError))
		w.pass(30 * time.Second) // three failures are allowed
		r := w.s.Tasks("/web")[0].HealthCheckResults[0]
		if r.Alive || r.ConsecutiveFailures != 3 || r.LastFailureCause != "HTTP status 500" || len(w.m.killed()) > 0 {
			t.Errorf("after three failures: %+v, kills %v", r, w.m.killed())
		}
		w.pass(15 * time.Second)
		if len(w.m.killed()) != 1 || w.m.on("node1").Incarnation() != 2 {
			t.Errorf("after four failures: kills %v, task %s", w.m.killed(), w.m.on("node1"))
		}
	})
}

// TestFailingDatabaseIsNotKilled says: a member whose health check fails for an hour, as one that copies its data does, is
// shown as unhealthy and left alone as long as its agent says anything at all.
func TestFailingDatabaseIsNotKilled(t *testing.T) {
	withChecks(t, func(t *testing.T, w *world, network *wires) {
		network.set("10.0.0.1:8008", status(http.StatusServiceUnavailable))
		w.put(checked(cluster(1), "/health", 1))
		w.pass(time.Hour)
		if len(w.m.killed()) > 0 {
			t.Errorf("it was killed: %v", w.m.killed())
		}
		r := w.s.Tasks("/pg")[0].HealthCheckResults[0]
		if r.Alive || r.ConsecutiveFailures < 100 {
			t.Errorf("it is shown as %+v", r)
		}
		w.wantSettled()

		network.set("10.0.0.1:8008", nil)
		quiet := w.m.on("node1").Instance()
		w.m.with(func() { w.m.silent[quiet] = true })
		w.pass(20 * time.Second)
		if len(w.m.killed()) > 0 {
			t.Error("killed after two questions without an answer")
		}
		w.pass(10 * time.Second)
		if len(w.m.killed()) != 1 {
			t.Errorf("after three questions without an answer: %v", w.m.killed())
		}
	})
}

// TestGraceOfASilentAgent says: an agent that has never answered is waited for until its grace is over.
func TestGraceOfASilentAgent(t *testing.T) {
	withChecks(t, func(t *testing.T, w *world, _ *wires) {
		w.put(checked(cluster(1), "/health", 1))
		w.pass(time.Second)
		quiet := w.m.on("node1").Instance()
		w.m.with(func() { w.m.silent[quiet] = true })
		w.pass(49 * time.Second)
		if len(w.m.killed()) > 0 {
			t.Error("killed in its grace")
		}
		w.pass(10 * time.Second)
		if len(w.m.killed()) != 1 {
			t.Errorf("after its grace and three more questions: %v", w.m.killed())
		}
	})
}

func TestProbes(t *testing.T) {
	withChecks(t, func(t *testing.T, w *world, network *wires) {
		const address = "10.0.0.9"
		network.set(address+":80", status(http.StatusNoContent))
		network.set(address+":81", status(http.StatusNotFound))
		network.set(address+":82", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://elsewhere/")
			w.WriteHeader(http.StatusFound)
		})
		network.set(address+":83", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusProcessing)
			<-r.Context().Done()
		})
		network.set(address+":84", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		for _, test := range []struct {
			name     string
			protocol app.Protocol
			port     int
			skip1xx  bool
			want     string
		}{
			{"no content", app.ProtocolHTTP, 80, false, "ok"},
			{"not found", app.ProtocolHTTP, 81, false, "HTTP status 404"},
			{"redirect", app.ProtocolHTTP, 82, false, "ok"},
			{"informational", app.ProtocolHTTP, 83, false, "HTTP status 102"},
			{"informational, ignored", app.ProtocolHTTP, 83, true, "skip"},
			{"no answer", app.ProtocolHTTP, 84, false, "no answer in time"},
			{"nothing listens", app.ProtocolHTTP, 85, false, "connection refused"},
			{"TCP", app.ProtocolTCP, 81, false, "ok"},
			{"TCP, nothing listens", app.ProtocolTCP, 85, false, "connection refused"},
		} {
			p := w.s.probe(t.Context(), target{
				check:   app.HealthCheck{Protocol: test.protocol, Path: "x", TimeoutSeconds: 5, IgnoreHTTP1xx: test.skip1xx},
				address: address, port: test.port,
			})
			got := p.Cause
			switch {
			case p.OK:
				got = "ok"
			case p.Skip:
				got = "skip"
			}
			if got != test.want {
				t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			}
		}
	})
}

// TestChangedChecksStartAnew says: with other health checks the old results mean nothing, and a database is not restarted
// for them.
func TestChangedChecksStartAnew(t *testing.T) {
	withChecks(t, func(t *testing.T, w *world, network *wires) {
		network.set("10.0.0.1:8008", status(http.StatusOK))
		w.put(checked(cluster(1), "/health", 1))
		w.pass(20 * time.Second)
		w.put(checked(cluster(1), "/primary", 1))
		w.pass(0)
		task := w.s.Tasks("/pg")[0]
		if len(task.HealthCheckResults) > 0 || task.ID.Incarnation() != 1 {
			t.Errorf("after the change: %v, %s", task.HealthCheckResults, task.ID)
		}
		w.pass(20 * time.Second)
		if got := fmt.Sprint(len(w.s.Tasks("/pg")[0].HealthCheckResults)); got != "1" {
			t.Errorf("%s results with the new check", got)
		}
	})
}
