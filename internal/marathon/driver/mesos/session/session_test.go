package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/session"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// master answers as it is told, and remembers what it was asked.
type master struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request, call wire.Call)
	calls  []wire.Call
	heads  []http.Header
}

func newMaster(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, call wire.Call)) *master {
	t.Helper()
	m := &master{answer: answer}
	m.Server = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(m.Close)
	return m
}

func (m *master) serve(w http.ResponseWriter, r *http.Request) {
	var call wire.Call
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &call) != nil || r.Method != http.MethodPost || r.URL.Path != "/api/v1/scheduler" {
		http.Error(w, "bad call", http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	m.calls, m.heads = append(m.calls, call), append(m.heads, r.Header.Clone())
	answer := m.answer
	m.mu.Unlock()
	answer(w, r, call)
}

func (m *master) address() string { return strings.TrimPrefix(m.URL, "http://") }

func (m *master) asked() []wire.Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// stream begins an event stream and sends events, then waits for the client to go.
func stream(w http.ResponseWriter, r *http.Request, id string, events ...string) {
	w.Header().Set("Mesos-Stream-Id", id)
	w.WriteHeader(http.StatusOK)
	for _, e := range events {
		send(w, e)
	}
	<-r.Context().Done()
}

func send(w http.ResponseWriter, event string) {
	fmt.Fprintf(w, "%d\n%s", len(event), event)
	_ = http.NewResponseController(w).Flush()
}

func subscribed(heartbeat float64) string {
	return fmt.Sprintf(`{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"F-0000"},"heartbeat_interval_seconds":%g}}`, heartbeat)
}

// heard is what a session told.
type heard struct {
	subscribed chan wire.Subscribed
	events     chan wire.Event
	lost       chan error
	ended      chan error
	*session.Session
}

func start(t *testing.T, cfg session.Config) heard {
	t.Helper()
	cfg.LeastPause, cfg.MostPause = time.Millisecond, 10*time.Millisecond
	h := heard{
		subscribed: make(chan wire.Subscribed, 100), events: make(chan wire.Event, 100), lost: make(chan error, 100), ended: make(chan error, 1),
		Session: session.New(cfg, slog.New(slog.DiscardHandler)),
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		h.ended <- h.Run(ctx, session.Handler{
			Subscribed: func(s wire.Subscribed) { h.subscribed <- s },
			Event:      func(e wire.Event) { h.events <- e },
			Lost:       func(err error) { h.lost <- err },
		})
		close(h.ended)
	}()
	t.Cleanup(func() {
		stop()
		for range h.ended {
		}
	})
	return h
}

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came in 10 s")
		panic("unreachable")
	}
}

func TestTheFirstSubscriptionAndTheNext(t *testing.T) {
	again := make(chan struct{})
	m := newMaster(t, func(w http.ResponseWriter, r *http.Request, call wire.Call) {
		if call.FrameworkID == nil {
			w.Header().Set("Mesos-Stream-Id", "one")
			w.WriteHeader(http.StatusOK)
			send(w, subscribed(15))
			send(w, `{"type":"HEARTBEAT"}`)
			send(w, `{"type":"RESCIND","rescind":{"offer_id":{"value":"O1"}}}`)
			<-again // the stream ends with the handler
			return
		}
		stream(w, r, "two", subscribed(15))
	})
	s := start(t, session.Config{Masters: []string{m.address()}, Framework: wire.FrameworkInfo{User: "root", Name: "pgbaton"}})
	if got := next(t, s.subscribed).FrameworkID.Value; got != "F-0000" || s.Framework() != got {
		t.Errorf("framework %q, %q", got, s.Framework())
	}
	if e := next(t, s.events); e.Type != wire.EventRescind {
		t.Errorf("got %+v; heartbeats are nobody's business", e)
	}
	s.Suppress([]string{"*"})
	close(again)
	if err := next(t, s.lost); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("lost by %v", err)
	}
	next(t, s.subscribed)
	second := m.asked()[1]
	info := second.Subscribe.FrameworkInfo
	if second.FrameworkID.Value != "F-0000" || info.ID == nil || info.ID.Value != "F-0000" || !slices.Equal(second.Subscribe.SuppressedRoles, []string{"*"}) {
		t.Errorf("subscribed again with %+v", second)
	}
}

func TestCallsCarryTheStreamAndTheLogin(t *testing.T) {
	m := newMaster(t, func(w http.ResponseWriter, r *http.Request, call wire.Call) {
		if call.Type == wire.CallSubscribe {
			stream(w, r, "one", subscribed(15))
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	s := start(t, session.Config{Masters: []string{m.address()}, Principal: "pg", Secret: secret.Text("hidden")})
	next(t, s.subscribed)
	if err := s.Call(t.Context(), wire.Call{Type: wire.CallRevive}); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.heads[0].Get("Mesos-Stream-Id") != "" || m.heads[1].Get("Mesos-Stream-Id") != "one" || m.calls[1].FrameworkID.Value != "F-0000" {
		t.Errorf("asked %+v with %v", m.calls, m.heads)
	}
	for _, head := range m.heads {
		if head.Get("Authorization") == "" || head.Get("Accept") != "application/json" || head.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", head)
		}
	}
}

func TestAMasterThatDoesNotLeadNamesTheLeader(t *testing.T) {
	leader := newMaster(t, func(w http.ResponseWriter, r *http.Request, _ wire.Call) { stream(w, r, "one", subscribed(15)) })
	other := newMaster(t, func(w http.ResponseWriter, _ *http.Request, _ wire.Call) {
		w.Header().Set("Location", "//"+leader.address()+"/api/v1/scheduler")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	s := start(t, session.Config{Masters: []string{other.address()}})
	next(t, s.subscribed)
	if len(other.asked()) != 1 || len(leader.asked()) != 1 {
		t.Errorf("asked the first %d times, the leader %d times", len(other.asked()), len(leader.asked()))
	}
}

func TestMastersThatStartAreAskedAgain(t *testing.T) {
	answers := []int{http.StatusNotFound, http.StatusServiceUnavailable, http.StatusTooManyRequests}
	var mu sync.Mutex
	m := newMaster(t, func(w http.ResponseWriter, r *http.Request, _ wire.Call) {
		mu.Lock()
		if len(answers) > 0 {
			http.Error(w, "Master has not finished recovery", answers[0])
			answers = answers[1:]
			mu.Unlock()
			return
		}
		mu.Unlock()
		stream(w, r, "one", subscribed(15))
	})
	dead := httptest.NewServer(nil)
	dead.Close()
	s := start(t, session.Config{Masters: []string{strings.TrimPrefix(dead.URL, "http://"), m.address()}})
	next(t, s.subscribed)
	if n := len(m.asked()); n != 4 {
		t.Errorf("asked %d times", n)
	}
}

func TestAStreamThatFallsSilentIsDead(t *testing.T) {
	m := newMaster(t, func(w http.ResponseWriter, r *http.Request, _ wire.Call) { stream(w, r, "one", subscribed(0.02)) })
	s := start(t, session.Config{Masters: []string{m.address()}})
	next(t, s.subscribed)
	if err := next(t, s.lost); !strings.Contains(err.Error(), "silent") {
		t.Errorf("lost by %v", err)
	}
	next(t, s.subscribed)
}

func TestErrorsEndTheSession(t *testing.T) {
	for message, want := range map[string]error{
		"Framework failed over":      session.ErrFailedOver,
		"Framework has been removed": session.ErrRemoved,
		"'FrameworkInfo.roles' contains invalid role: Role '/bad role' cannot start with a slash": session.ErrRejected,
	} {
		m := newMaster(t, func(w http.ResponseWriter, r *http.Request, _ wire.Call) {
			stream(w, r, "one", `{"type":"ERROR","error":{"message":"`+message+`"}}`)
		})
		if err := next(t, start(t, session.Config{Masters: []string{m.address()}}).ended); !errors.Is(err, want) {
			t.Errorf("%s: ended with %v", message, err)
		}
	}
	login := newMaster(t, func(w http.ResponseWriter, _ *http.Request, _ wire.Call) {
		http.Error(w, "401 Unauthorized.", http.StatusUnauthorized)
	})
	if err := next(t, start(t, session.Config{Masters: []string{login.address()}}).ended); !errors.Is(err, session.ErrRejected) {
		t.Errorf("a login that is refused: ended with %v", err)
	}
}

func TestWhatAnAnswerToACallMeans(t *testing.T) {
	for _, c := range []struct {
		status int
		text   string
		want   error
		void   bool // the subscription ends
	}{
		{http.StatusBadRequest, "Failed to validate scheduler::Call: Expecting 'type' to be present", session.ErrRejected, false},
		{http.StatusBadRequest, "The stream ID 'x' included in this request didn't match the stream ID currently associated with framework ID F", session.ErrUnavailable, true},
		{http.StatusForbidden, "Framework is not subscribed", session.ErrUnavailable, true},
		{http.StatusTemporaryRedirect, "", session.ErrUnavailable, true},
		{http.StatusServiceUnavailable, "Master has not finished recovery", session.ErrUnavailable, false},
		{http.StatusInternalServerError, "", session.ErrUnavailable, false},
	} {
		t.Run(fmt.Sprint(c.status, c.void), func(t *testing.T) {
			m := newMaster(t, func(w http.ResponseWriter, r *http.Request, call wire.Call) {
				if call.Type == wire.CallSubscribe {
					stream(w, r, "one", subscribed(15))
					return
				}
				http.Error(w, c.text, c.status)
			})
			s := start(t, session.Config{Masters: []string{m.address()}})
			next(t, s.subscribed)
			if err := s.Call(t.Context(), wire.Call{Type: wire.CallRevive}); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
			if c.void {
				if err := next(t, s.lost); err == nil {
					t.Error("lost for no reason")
				}
				next(t, s.subscribed)
			}
		})
	}
}

func TestNoCallIsMadeWithoutASubscription(t *testing.T) {
	s := session.New(session.Config{Masters: []string{"127.0.0.1:1"}}, slog.New(slog.DiscardHandler))
	if err := s.Call(t.Context(), wire.Call{Type: wire.CallRevive}); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// A subscription that is renewed has another name: calls of the one before are refused from then on.
func TestRenewalIsAnotherSubscription(t *testing.T) {
	n := 0
	var mu sync.Mutex
	m := newMaster(t, func(w http.ResponseWriter, r *http.Request, call wire.Call) {
		if call.Type != wire.CallSubscribe {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		mu.Lock()
		n++
		id := fmt.Sprintf("stream-%d", n)
		mu.Unlock()
		stream(w, r, id, subscribed(15))
	})
	h := start(t, session.Config{Masters: []string{m.address()}})
	<-h.subscribed
	h.Renew()
	if err := <-h.lost; !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("lost: %v", err)
	}
	<-h.subscribed
	if err := h.Call(t.Context(), wire.Call{Type: wire.CallRevive}); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if got := m.heads[len(m.heads)-1].Get("Mesos-Stream-Id"); got != "stream-2" {
		t.Errorf("the call was made on %q", got)
	}
}

// A framework that was welcome once is not turned away for good by an answer 401: logins change.
func TestALoginThatFailsLaterIsTriedAgain(t *testing.T) {
	n := 0
	var mu sync.Mutex
	m := newMaster(t, func(w http.ResponseWriter, r *http.Request, _ wire.Call) {
		mu.Lock()
		n++
		now := n
		mu.Unlock()
		switch now {
		case 1:
			w.Header().Set("Mesos-Stream-Id", "s")
			send(w, subscribed(15)) // and its end
		case 2:
			http.Error(w, "401 Unauthorized.", http.StatusUnauthorized)
		default:
			stream(w, r, "s", subscribed(15))
		}
	})
	h := start(t, session.Config{Masters: []string{m.address()}})
	<-h.subscribed
	<-h.subscribed
	if got := len(m.asked()); got != 3 {
		t.Errorf("%d subscriptions", got)
	}
}
