package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// election is a leadership that tests decide.
type election struct {
	mu      sync.Mutex
	leader  string
	self    bool
	changed chan struct{}
}

func (e *election) Leader() (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leader, e.leader != ""
}

func (e *election) Leads() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.self
}

func (e *election) Changed() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.changed == nil {
		e.changed = make(chan struct{})
	}
	return e.changed
}

func (e *election) Abdicate(context.Context) error {
	e.elect("", false)
	return nil
}

func (e *election) elect(leader string, self bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leader, e.self = leader, self
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}

const (
	leaderAddress   = "10.0.0.1:8080"
	followerAddress = "10.0.0.2:8080"
)

// wire carries what a follower passes on to a leader in the same process.
type wire struct {
	leader http.Handler
	asked  *http.Request
	err    error
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.err != nil {
		return nil, w.err
	}
	w.asked = r
	in := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), r.Body)
	in.Header, in.Host, in.RemoteAddr = r.Header.Clone(), r.Host, "10.0.0.2:40000"
	rec := httptest.NewRecorder()
	w.leader.ServeHTTP(rec, in)
	return rec.Result(), nil
}

// twoSchedulers are one that leads and one that follows it.
func twoSchedulers(sched Scheduler) (follower *Server, who *election, between *wire) {
	log := slog.New(slog.DiscardHandler)
	leads := New(Config{Address: leaderAddress}, Backend{Scheduler: sched, Leadership: &election{leader: leaderAddress, self: true}}, log)
	who, between = &election{leader: leaderAddress}, &wire{leader: leads}
	follower = New(Config{Address: followerAddress}, Backend{Scheduler: newFake(), Leadership: who, Feed: silence{}}, log)
	follower.transport = between
	return follower, who, between
}

// silence is a feed in which nothing happens.
type silence struct{}

func (silence) Feed(ctx context.Context) <-chan app.Event {
	c := make(chan app.Event)
	context.AfterFunc(ctx, func() { close(c) })
	return c
}

// api.md §1, leadership: a follower answers with what the leader says, status, body and headers.
func TestFollowersPassOn(t *testing.T) {
	sched := newFake()
	follower, _, between := twoSchedulers(sched)
	res := call(t, follower, "POST /v2/apps?force=true X-Forwarded-For=10.9.9.9\n{\"id\": \"/x\", \"cmd\": \"y\"}")
	if res.Code != http.StatusCreated || res.Header().Get("Location") != "/v2/apps/x" || len(sched.Apps()) != 1 {
		t.Errorf("got %d %v %s", res.Code, res.Header(), res.Body)
	}
	if got := res.Header().Values("X-Marathon-Leader"); len(got) != 1 || got[0] != "http://"+leaderAddress {
		t.Errorf("X-Marathon-Leader = %q", got)
	}
	asked := between.asked
	if got := asked.Header.Get("X-Marathon-Via"); got != "1.1 "+followerAddress {
		t.Errorf("X-Marathon-Via = %q", got)
	}
	if got := asked.Header.Get("X-Forwarded-For"); got != "10.9.9.9, 192.0.2.1" {
		t.Errorf("X-Forwarded-For = %q", got)
	}
	if asked.URL.Host != leaderAddress || asked.URL.RawQuery != "force=true" {
		t.Errorf("asked %v", asked.URL)
	}
	for _, path := range []string{"/v2/apps//x/", "/v2/apps/%2Fx"} {
		if res := call(t, follower, "GET "+path); res.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, res.Code, res.Body)
		}
	}
	if res := call(t, follower, "GET /v2/apps/none"); res.Code != http.StatusNotFound || !strings.Contains(res.Body.String(), "App '/none'") {
		t.Errorf("got %d %s", res.Code, res.Body)
	}
	if res := call(t, follower, "POST /v2/apps\n"+strings.Repeat(" ", maxBody+1)); res.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too large: %d %s", res.Code, res.Body)
	}
}

// api.md §1, leadership: what any scheduler answers for itself.
func TestFollowersAnswerForThemselves(t *testing.T) {
	follower, _, between := twoSchedulers(newFake())
	between.err = errors.New("nobody may ask the leader")
	for _, path := range []string{"/ping", "/metrics", "/metrics/prometheus", "/config", "/v2/leader"} {
		if res := call(t, follower, "GET "+path); res.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, res.Code, res.Body)
		}
	}
	if got := call(t, follower, "GET /v2/leader").Body.String(); got != "{\"leader\":\""+leaderAddress+"\"}\n" {
		t.Errorf("the leader is %s", got)
	}
}

// api.md §1, leadership: loops and a leader that is out of reach are 502.
func TestFollowersThatCannotPassOn(t *testing.T) {
	follower, _, between := twoSchedulers(newFake())
	for through, want := range map[string]int{"1.1 10.0.0.3:8080": http.StatusOK, "1.1 " + followerAddress: http.StatusBadGateway} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/apps", nil)
		r.Header.Set("X-Marathon-Via", through)
		rec := httptest.NewRecorder()
		follower.ServeHTTP(rec, r)
		if rec.Code != want {
			t.Errorf("through %s: %d %s", through, rec.Code, rec.Body)
		}
	}
	between.err = errors.New("connection refused")
	if res := call(t, follower, "GET /v2/apps"); res.Code != http.StatusBadGateway || !strings.Contains(res.Body.String(), leaderAddress) {
		t.Errorf("an unreachable leader: %d %s", res.Code, res.Body)
	}
}

// api.md §1, leadership: without a leader a request waits for one, 2.5 s at most.
func TestRequestsWaitForALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		follower, who, _ := twoSchedulers(newFake())
		who.elect("", false)
		start := time.Now()
		res := call(t, follower, "GET /v2/apps")
		if res.Code != http.StatusBadGateway || res.Body.String() != "{\"message\":\"Could not determine the current leader\"}\n" {
			t.Errorf("got %d %s", res.Code, res.Body)
		}
		if took := time.Since(start); took != leaderPatience {
			t.Errorf("it took %v, want %v", took, leaderPatience)
		}
		if res := call(t, follower, "GET /v2/leader"); res.Code != http.StatusNotFound || !strings.Contains(res.Body.String(), "There is no leader") {
			t.Errorf("the leader: %d %s", res.Code, res.Body)
		}
		for leader, self := range map[string]bool{leaderAddress: false, followerAddress: true} {
			who.elect("", false)
			time.AfterFunc(time.Second, func() { who.elect(leader, self) })
			start = time.Now()
			if res := call(t, follower, "GET /v2/apps"); res.Code != http.StatusOK || time.Since(start) != time.Second {
				t.Errorf("%s was elected: %d after %v", leader, res.Code, time.Since(start))
			}
		}
	})
}

// api.md §1 and §2.8, clients.md §0 row 13: the stream is redirected, once.
func TestFollowersRedirectStreams(t *testing.T) {
	follower, _, _ := twoSchedulers(newFake())
	res := call(t, follower, "GET /v2/events?event_type=x Accept=text/event-stream")
	if got := res.Header().Get("Location"); res.Code != http.StatusFound || got != "http://"+leaderAddress+"/v2/events?event_type=x" {
		t.Errorf("got %d to %q", res.Code, got)
	}
}

func TestAbdication(t *testing.T) {
	who := &election{leader: leaderAddress, self: true}
	s := New(Config{Address: leaderAddress}, Backend{Scheduler: newFake(), Leadership: who}, slog.New(slog.DiscardHandler))
	if got := show(call(t, s, "DELETE /v2/leader"), false); got != "200\n{\"message\":\"Leadership abdicated\"}\n" {
		t.Errorf("got %s", got)
	}
	if who.Leads() {
		t.Error("it leads still")
	}
}

// The real transport connects, and says so when it cannot.
func TestForwarderReachesALeader(t *testing.T) {
	leads := httptest.NewServer(New(Config{Address: leaderAddress}, Backend{Scheduler: newFake()}, slog.New(slog.DiscardHandler)))
	defer leads.Close()
	address := leads.Listener.Addr().String()
	follower := New(Config{Address: followerAddress}, Backend{Scheduler: newFake(), Leadership: &election{leader: address}}, slog.New(slog.DiscardHandler))
	defer follower.transport.(interface{ CloseIdleConnections() }).CloseIdleConnections() //nolint:errcheck // it is an http.Transport
	if res := call(t, follower, "GET /v2/info"); res.Code != http.StatusOK {
		t.Errorf("got %d %s", res.Code, res.Body)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	follower.Leadership = &election{leader: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	res := call(t, follower, "GET /v2/info")
	if body, _ := io.ReadAll(res.Body); res.Code != http.StatusBadGateway {
		t.Errorf("nobody listens: %d %s", res.Code, body)
	}
}
