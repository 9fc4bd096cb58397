package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// pipes is a listener whose connections are pipes, so that servers and clients live in one bubble of virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func listenPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// serving runs a server until the test ends or stop is called; stop returns what Serve returned.
func serving(t *testing.T, sched Scheduler) (l *pipes, stop func() error) {
	t.Helper()
	l = listenPipes()
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- newServer(sched, nil).Serve(ctx, l) }()
	return l, func() error {
		cancel(errors.New("the test is over"))
		return <-ended
	}
}

func request(t *testing.T, c net.Conn, method, path, body string) {
	t.Helper()
	_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	if err != nil {
		t.Fatal(err)
	}
}

func response(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestServeAnswersUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := serving(t, newFake())
		c := l.dial()
		for range 2 { // the connection stays open between requests
			request(t, c, "GET", "/ping", "")
			if status, body := response(t, c); status != http.StatusOK || body != "pong" {
				t.Errorf("got %d %q", status, body)
			}
		}
		if err := stop(); err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
	})
}

func TestSlowClientsAreDropped(t *testing.T) {
	for name, tt := range map[string]struct {
		sent  string
		limit time.Duration
	}{
		"in the headers": {"GET /ping HTTP/1.1\r\nHost: x\r\nX-", headerTimeout},
		"in the body":    {"POST /v2/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"id\"", readTimeout},
		"between two":    {"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", idleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sched := newFake()
				l, stop := serving(t, sched)
				c := l.dial()
				start := time.Now()
				if _, err := io.WriteString(c, tt.sent); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, c); err != nil { // until the server hangs up
					t.Fatal(err)
				}
				if took := time.Since(start); took < tt.limit || took > tt.limit+time.Second {
					t.Errorf("dropped after %v, want %v", took, tt.limit)
				}
				if len(sched.Apps()) != 0 {
					t.Error("half a body made an app")
				}
				if err := stop(); err != nil {
					t.Errorf("Serve = %v, want nil", err)
				}
			})
		})
	}
}

// slowScheduler takes its time for every change.
type slowScheduler struct {
	*fake
	takes time.Duration
}

func (s slowScheduler) Apply(ctx context.Context, change func(*app.Definitions) error, o app.ApplyOptions) (app.Deployment, error) {
	select {
	case <-time.After(s.takes):
		return s.fake.Apply(ctx, change, o)
	case <-ctx.Done():
		return app.Deployment{}, fmt.Errorf("wait for the store: %w", context.Cause(ctx))
	}
}

func TestRequestsUnderWayAreFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := serving(t, slowScheduler{newFake(), drainTimeout / 2})
		c := l.dial()
		request(t, c, "POST", "/v2/apps", `{"id": "/x", "cmd": "y"}`)
		synctest.Wait()
		ended := make(chan error, 1)
		go func() { ended <- stop() }()
		if status, body := response(t, c); status != http.StatusCreated {
			t.Errorf("got %d %s", status, body)
		}
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
	})
}

func TestRequestsThatTakeTooLongAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := serving(t, slowScheduler{newFake(), time.Hour})
		c := l.dial()
		request(t, c, "POST", "/v2/apps", `{"id": "/x", "cmd": "y"}`)
		synctest.Wait()
		start := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		if took := time.Since(start); took != drainTimeout {
			t.Errorf("Serve ended after %v, want %v", took, drainTimeout)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the connection still answers")
		}
	})
}

func TestChangesHaveATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := serving(t, slowScheduler{newFake(), time.Hour})
		c := l.dial()
		start := time.Now()
		request(t, c, "POST", "/v2/apps", `{"id": "/x", "cmd": "y"}`)
		status, body := response(t, c)
		if status != http.StatusServiceUnavailable || time.Since(start) != changeTimeout {
			t.Errorf("got %d after %v: %s", status, time.Since(start), body)
		}
		if err := stop(); err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
	})
}

// deafListener cannot accept.
type deafListener struct{ *pipes }

func (deafListener) Accept() (net.Conn, error) { return nil, errors.New("no more files") }

func TestServeReportsABrokenListener(t *testing.T) {
	err := newServer(newFake(), nil).Serve(t.Context(), deafListener{listenPipes()})
	if err == nil || err.Error() != "no more files" {
		t.Errorf("Serve = %v, want the listener's error", err)
	}
}

// TestGoingBackToTheVersionThatIsThere: the only version kept is the current one, and going back to it does nothing.
func TestGoingBackToTheVersionThatIsThere(t *testing.T) {
	sched := newFake()
	s := newServer(sched, nil)
	call(t, s, "POST /v2/apps\n{\"id\": \"/x\", \"cmd\": \"y\"}")
	before, _ := sched.App("/x")
	res := call(t, s, fmt.Sprintf("PUT /v2/apps/x?force=true\n{\"version\": %q}", before.Version))
	if res.Code != http.StatusOK {
		t.Errorf("status = %d, want 200", res.Code)
	}
	if after, _ := sched.App("/x"); after.Version != before.Version {
		t.Errorf("version = %v, want %v", after.Version, before.Version)
	}
}
