package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are made by tests, in a bubble where time costs nothing.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// serve runs the API in a bubble, and what a client does to it.
func serve(t *testing.T, o Options, client func(t *testing.T, dial func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := New(agentLedBy("n1"), slog.New(slog.DiscardHandler))
		s.Configure(o)
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Serve(ctx, l) }()
		client(t, l.dial)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// closes reads until the server ends the connection, and returns what it said and how long it took.
func closes(t *testing.T, c net.Conn) (string, time.Duration) {
	t.Helper()
	began := time.Now()
	text, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return string(text), time.Since(began)
}

func TestSlowClients(t *testing.T) {
	cases := []struct {
		name, sends string
		// says is the beginning of the answer, and within is when the server ends the connection.
		says   string
		within time.Duration
	}{
		{"nothing", "", "", headerTimeout},
		{"a header without end", "GET /primary HTTP/1.1\r\nHost: x\r\nX: y", "", headerTimeout},
		{"a body without end", "POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", "HTTP/1.1 202", requestTimeout},
		{"a wanted body without end", "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", "HTTP/1.1 408", requestTimeout},
		{"a body of a read", "GET /patroni HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 200", requestTimeout},
		{"chunks without end", "PATCH /config HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "HTTP/1.1 408", requestTimeout},
		{"no second request", "GET /liveness HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 ", idleTimeout},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			serve(t, Options{Open: true}, func(t *testing.T, dial func() net.Conn) {
				conn := dial()
				go io.WriteString(conn, c.sends)
				text, took := closes(t, conn)
				if !strings.HasPrefix(text, c.says) || took > c.within+time.Second {
					t.Errorf("got %q after %v, want %q within %v", text, took, c.says, c.within)
				}
			})
		})
	}
}

// One byte now and then keeps no connection open.
func TestSlowloris(t *testing.T) {
	serve(t, Options{}, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for _, b := range []byte("GET / HTTP/1.1\r\n" + strings.Repeat("X-Header: value\r\n", 10)) {
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		if _, took := closes(t, conn); took > headerTimeout {
			t.Errorf("it took %v", took)
		}
		<-sent
	})
}

func TestRefusedRequests(t *testing.T) {
	big := strings.Repeat("x", maxBody)
	cases := []struct{ name, sends, says string }{
		{"a huge header", "GET / HTTP/1.1\r\nHost: x\r\nX: " + big + "\r\n\r\n", "HTTP/1.1 431"},
		{"a huge body, announced", "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n", "HTTP/1.1 413"},
		{
			"a huge body, in chunks",
			"PATCH /config HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n1\r\nx\r\n0\r\n\r\n", maxBody, big), "HTTP/1.1 413",
		},
		{"no length", "PATCH /config HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 411"},
		{"two lengths", "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 400"},
		{"a length that is none", "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}", "HTTP/1.1 400"},
		{"a length and chunks", "PATCH /config HTTP/1.0\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400"},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "HTTP/1.1 400"},
		{"another method", "BREW /coffee HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 501"},
		{"a body that nobody wants", "POST /coffee HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 501"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			serve(t, Options{Open: true}, func(t *testing.T, dial func() net.Conn) {
				conn := dial()
				go io.WriteString(conn, c.sends)
				if text, took := closes(t, conn); !strings.HasPrefix(text, c.says) || took > requestTimeout+time.Second {
					t.Errorf("got %.200q after %v, want %q", text, took, c.says)
				}
			})
		})
	}
}

// A body that ends before the length that was announced is none.
func TestShortBody(t *testing.T) {
	l := listen(t)
	a := agentLedBy("n1")
	start(t, a, Options{}, l)
	conn := dial(t, l)
	io.WriteString(conn, "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"ttl\":20}")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil { //nolint:errcheck // it is one
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 400") || len(a.configured) > 0 {
		t.Errorf("%.200q, %v, written %v", text, err, a.configured)
	}
}

func TestPipelining(t *testing.T) {
	serve(t, Options{}, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		go io.WriteString(conn, strings.Repeat("GET /patroni HTTP/1.1\r\nHost: x\r\n\r\n", 50)+"GET /leader HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		answers := bufio.NewReader(conn)
		for i := range 51 {
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || (resp.StatusCode == http.StatusOK) != (i < 50) {
				t.Errorf("answer %d: %d, %v", i, resp.StatusCode, err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Who asks and never reads is left alone after a while.
func TestAnswersThatNobodyReads(t *testing.T) {
	serve(t, Options{}, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		began := time.Now()
		for {
			if _, err := io.WriteString(conn, "GET /patroni HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				break
			}
		}
		if took := time.Since(began); took > 2*answerTimeout {
			t.Errorf("it took %v", took)
		}
		conn.Close() //nolint:errcheck // the server has closed it
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// start serves until the test ends.
func start(t *testing.T, a Agent, o Options, l net.Listener) *Server {
	t.Helper()
	s := New(a, slog.New(slog.DiscardHandler))
	s.Configure(o)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // it may be closed
	return c
}

// One host gets so many connections and no more, and gets others for those that it gives back.
func TestTooManyConnections(t *testing.T) {
	l := listen(t)
	start(t, agentLedBy("n1"), Options{}, l)
	var held []net.Conn
	for range maxConnectionsFrom {
		c := dial(t, l)
		io.WriteString(c, "GET /patroni HTTP/1.1\r\nHost: x\r\n\r\n")
		if status := statusLine(t, c); status != "HTTP/1.1 200 OK" {
			t.Fatalf("connection %d: %s", len(held), status)
		}
		held = append(held, c)
	}
	if status := statusLine(t, dial(t, l)); status != "HTTP/1.1 503 Service Unavailable" {
		t.Errorf("one more: %s", status)
	}
	if err := held[0].Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		c := dial(t, l)
		io.WriteString(c, "GET /patroni HTTP/1.1\r\nHost: x\r\n\r\n")
		if statusLine(t, c) == "HTTP/1.1 200 OK" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a connection that was given back is not to be had")
		}
	}
}

func statusLine(t *testing.T, c net.Conn) string {
	t.Helper()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}
