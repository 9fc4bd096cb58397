package simulated

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// errRefused is what a dial says when nothing listens.
var errRefused = errors.New("connection refused")

// Dial connects a health check with a task. A plain task answers every request with 200, or with 503 while it is unwell; an
// agent answers /liveness with 200, and everything else as long as its server leads or streams.
func (f *Fleet) Dial(_ context.Context, _, address string) (net.Conn, error) {
	f.mu.Lock()
	t := f.listener(address)
	silent := t != nil && t.server != serverNone && f.cluster(t.spec.App.ID).silent[t.spec.Instance]
	f.mu.Unlock()
	if t == nil || silent {
		return nil, errRefused
	}
	client, end := net.Pipe()
	l := &oneConn{conn: end, closed: make(chan struct{})}
	server := &http.Server{ //nolint:gosec // both ends are ours
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(f.health(t, r.URL.Path)) }),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				l.end()
			}
		},
	}
	go func() { _ = server.Serve(l) }()
	return client, nil
}

func (f *Fleet) health(t *task, path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	well := !t.unwell
	if t.server != serverNone && !strings.HasPrefix(path, "/liveness") {
		well = well && f.serves(f.cluster(t.spec.App.ID), t)
	}
	t.passed = well
	if well {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// Passed reports whether a task has answered a check over the network, and the last of them well. More than that no
// scheduler can know.
func (f *Fleet) Passed(id app.TaskID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tasks[id]
	return t != nil && t.passed
}

// SetPassing decides whether a task passes the checks that reach it over the network.
func (f *Fleet) SetPassing(id app.TaskID, passes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.tasks[id]; t != nil {
		t.unwell = !passes
	}
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, io.EOF
}

func (l *oneConn) end() { l.once.Do(func() { close(l.closed) }) }

// Close implements net.Listener.
func (l *oneConn) Close() error { l.end(); return nil }

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
