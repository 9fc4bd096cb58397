package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// news is a feed that tests write.
type news chan app.Event

func (n news) Feed(context.Context) <-chan app.Event { return n }

// listening opens a stream on a server of pipes and hangs up when the test ends.
func listening(t *testing.T, s *Server, query string) (lines *bufio.Reader, hangUp func(), stop func() error) {
	t.Helper()
	l := listenPipes()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	c := l.dial()
	if _, err := fmt.Fprintf(c, "GET /v2/events%s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", query); err != nil {
		t.Fatal(err)
	}
	lines = bufio.NewReader(c)
	return lines, func() { _ = c.Close() }, func() error {
		cancel()
		return <-ended
	}
}

// find reads lines until one contains text.
func find(t *testing.T, lines *bufio.Reader, text string) string {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("no %q: %v", text, err)
		}
		if strings.Contains(line, text) {
			return line
		}
	}
}

// api.md §2.8: an event is two lines that begin exactly so, and the first is that of the stream itself.
func TestStreamOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := make(news, 1)
		s := configured(Config{}, Backend{Scheduler: newFake(), Feed: feed})
		lines, hangUp, stop := listening(t, s, "?plan-format=light")
		find(t, lines, "Content-Type: text/event-stream")
		if got := find(t, lines, "event: "); got != "event: event_stream_attached\r\n" {
			t.Errorf("the first event is %q", got)
		}
		feed <- app.TerminatedEvent{AppID: "/x"}
		if got := find(t, lines, "app_terminated_event"); got != "event: app_terminated_event\r\n" {
			t.Errorf("got %q", got)
		}
		if got := find(t, lines, "data: "); !strings.Contains(got, `{"eventType":"app_terminated_event","timestamp":"2000-01-01T00:00:00.000Z","appId":"/x"}`) {
			t.Errorf("got %q", got)
		}
		hangUp()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if n := s.streams.count(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

// clients.md §0 row 12: bytes flow on an idle stream, far beyond the limits of ordinary requests.
func TestIdleStreamsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := configured(Config{}, Backend{Scheduler: newFake(), Feed: make(news)})
		lines, hangUp, stop := listening(t, s, "")
		find(t, lines, "event_stream_attached")
		start, last := time.Now(), time.Now()
		for time.Since(start) < 10*writeTimeout {
			if got := find(t, lines, ":"); strings.HasPrefix(got, "data:") {
				continue
			}
			if silent := time.Since(last); silent > 15*time.Second {
				t.Fatalf("nothing came for %v", silent)
			}
			last = time.Now()
		}
		hangUp()
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// api.md §2.8: who does not read is dropped, and holds up nobody.
func TestSlowReadersAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := make(news, 3)
		s := configured(Config{}, Backend{Scheduler: newFake(), Feed: feed})
		lines, hangUp, stop := listening(t, s, "")
		find(t, lines, "event_stream_attached")
		for range 3 {
			feed <- app.TerminatedEvent{AppID: app.ID("/" + strings.Repeat("x", 1<<16))}
		}
		time.Sleep(eventTimeout + time.Second)
		if n := s.streams.count(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
		if _, err := io.Copy(io.Discard, lines); err != nil && !strings.Contains(err.Error(), "EOF") {
			t.Error(err)
		}
		hangUp()
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A stream ends with the lead, and with the server at once: neither waits for a client to go.
func TestStreamsEndInOrder(t *testing.T) {
	for name, end := range map[string]func(feed news, stop func() error) error{
		"the feed ends":   func(feed news, _ func() error) error { close(feed); return nil },
		"the server ends": func(_ news, stop func() error) error { return stop() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				feed := make(news)
				s := configured(Config{}, Backend{Scheduler: newFake(), Feed: feed})
				lines, hangUp, stop := listening(t, s, "")
				defer hangUp()
				find(t, lines, "event_stream_attached")
				start := time.Now()
				rest := make(chan error, 1)
				go func() {
					_, err := io.Copy(io.Discard, lines)
					rest <- err
				}()
				if err := end(feed, stop); err != nil {
					t.Error(err)
				}
				if err := stopped(name, stop, rest, hangUp); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// stopped waits for the end of the stream, and of the server where it still runs.
func stopped(name string, stop func() error, rest <-chan error, hangUp func()) error {
	if name == "the server ends" {
		return <-rest
	}
	synctest.Wait()
	hangUp()
	<-rest //nolint:errcheck // we hung up ourselves
	return stop()
}

// One client that is far behind is dropped; the others hear everything.
func TestStreamsThatFallBehind(t *testing.T) {
	var s streams
	slow, leave := s.join()
	defer leave()
	for range streamBacklog + 1 {
		s.tell(app.TerminatedEvent{AppID: "/x"})
	}
	if s.count() != 0 {
		t.Error("the slow one is still there")
	}
	n := 0
	for range slow {
		n++
	}
	if n != streamBacklog {
		t.Errorf("it got %d events, want %d", n, streamBacklog)
	}
	s.close()
	late, leaveLate := s.join()
	defer leaveLate()
	if _, open := <-late; open {
		t.Error("a stream was opened after the end")
	}
}
