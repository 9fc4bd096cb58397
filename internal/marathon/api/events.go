package api

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Bounds of event streams.
const (
	heartbeat     = 10 * time.Second // clients and load balancers drop streams on which nothing moves
	eventTimeout  = 10 * time.Second // for a client to take what is written
	streamBacklog = 1024             // events a client may be behind
)

// events is the stream of what happens. It is no answer like the others: it ends when the client goes, falls behind, or
// this scheduler does not lead any more.
func (s *Server) events(r *http.Request) (answer, error) {
	if !strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/event-stream") {
		return answer{}, &methodError{method: r.Method, path: r.URL.Path + " without Accept: text/event-stream", allowed: []string{http.MethodGet}}
	}
	return answer{status: http.StatusOK, stream: s.stream}, nil
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	feed := s.Feed.Feed(r.Context())
	own, leave := s.streams.join()
	defer leave()
	out := openStream(w, r)
	defer out.close()
	attached := app.StreamEvent{RemoteAddress: r.RemoteAddr}
	defer s.streams.tell(app.StreamEvent{RemoteAddress: r.RemoteAddr, Detached: true})
	s.streams.tell(attached) // to this stream, too
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for alive := out.beat(); alive; {
		select {
		case <-r.Context().Done():
			return
		case e, open := <-own:
			alive = open && out.event(e)
		default:
			select {
			case <-r.Context().Done():
				return
			case e, open := <-own:
				alive = open && out.event(e)
			case e, open := <-feed:
				alive = open && out.event(e)
			case <-beat.C:
				alive = out.beat()
			}
		}
	}
}

// eventStream writes events to one client.
type eventStream struct {
	to       io.Writer
	zip      *gzip.Writer // nil when the client takes none
	control  *http.ResponseController
	eventsOf []string // the types the client wants; empty for all
}

func openStream(w http.ResponseWriter, r *http.Request) *eventStream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies that collect what they pass on
	h.Add("Vary", "Accept-Encoding")
	s := &eventStream{to: w, control: http.NewResponseController(w), eventsOf: r.URL.Query()["event_type"]}
	if takesGzip(r.Header) {
		h.Set("Content-Encoding", "gzip")
		s.zip = gzip.NewWriter(w)
		s.to = s.zip
	}
	// The limits of ordinary requests do not hold here. Recorders of tests have none.
	_ = s.control.SetReadDeadline(time.Time{})
	w.WriteHeader(http.StatusOK)
	return s
}

func (s *eventStream) event(e app.Event) bool {
	if len(s.eventsOf) > 0 && !slices.Contains(s.eventsOf, e.Type()) {
		return true
	}
	data := app.EncodeEvent(e, app.At(time.Now()))
	return s.write("event: " + e.Type() + "\r\ndata: " + string(data) + "\r\n\r\n")
}

// beat is a comment, which clients skip.
func (s *eventStream) beat() bool { return s.write(":\r\n") }

// write reports whether the client has taken it.
func (s *eventStream) write(text string) bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(eventTimeout))
	if _, err := io.WriteString(s.to, text); err != nil {
		return false
	}
	if s.zip != nil && s.zip.Flush() != nil {
		return false
	}
	return s.control.Flush() == nil
}

func (s *eventStream) close() {
	_ = s.control.SetWriteDeadline(time.Now().Add(eventTimeout))
	if s.zip != nil {
		_ = s.zip.Close() // the client may be gone
	}
}

// streams are the clients that listen, for what the API itself has to tell.
type streams struct {
	mu     sync.Mutex
	all    map[chan app.Event]bool
	closed bool
}

// join makes a channel for a client; leave ends it.
func (s *streams) join() (events <-chan app.Event, leave func()) {
	c := make(chan app.Event, streamBacklog)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		close(c)
		return c, func() {}
	}
	if s.all == nil {
		s.all = map[chan app.Event]bool{}
	}
	s.all[c] = true
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, c)
	}
}

// tell hands an event to all clients. Those that are too far behind are dropped.
func (s *streams) tell(e app.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		select {
		case c <- e:
		default:
			delete(s.all, c)
			close(c)
		}
	}
}

// close ends all streams, and every one that is opened after it.
func (s *streams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.all {
		close(c)
	}
	clear(s.all)
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// posted tells what a client made of apps.
func (s *Server) posted(r *http.Request, apps ...app.App) {
	client := s.clientIP(r)
	for _, a := range apps {
		s.streams.tell(app.APIPostEvent{ClientIP: client, URI: r.URL.Path, Definition: a})
	}
}
