package api

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/health"
)

func TestHeaders(t *testing.T) {
	s := New(agentLedBy("n1"), quiet())
	s.Configure(Options{Product: "Patroni", Header: map[string]string{"x-frame-options": "DENY", "Content-Type": "text/other"}})
	for path, kind := range map[string]string{
		"/primary": "application/json", "/patroni": "application/json", "/cluster": "application/json", "/metrics": "text/plain", "/config": "text/html",
		"/history": "application/json",
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, local(t, http.MethodGet, path, ""))
		h := w.Header()
		if h.Get("Server") != "Patroni" || h.Get("X-Frame-Options") != "DENY" || h.Get("Content-Type") != kind || h.Get("Content-Length") != lengthOf(w) {
			t.Errorf("%s: %v", path, h)
		}
	}
}

// The status document is written anew for each snapshot, and when what stood in the DCS is too old to be told.
func TestStatusIsOfTheLastSnapshot(t *testing.T) {
	a := agentLedBy("n1")
	s := New(a, quiet())
	get := func() string {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, local(t, http.MethodGet, "/patroni", ""))
		return w.Body.String()
	}
	first := get()
	next := *a.now
	next.Reason = "for another reason"
	a.now = &next
	if got := get(); got == first || !strings.Contains(got, "for another reason") || got != get() {
		t.Errorf("got %s", got)
	}
	now := time.Now()
	w := httptest.NewRecorder()
	s.answerStatus(w, http.StatusOK, a.now, now.Add(time.Hour))
	if w.Body.String() != string(health.Status(next, now.Add(time.Hour))) {
		t.Errorf("later: %s", w.Body)
	}
}

// broken is an agent of which nobody thought.
type broken struct{ *fakeAgent }

func (broken) Snapshot() *health.Snapshot { panic("nobody thought of it") }

func TestARequestThatNobodyThoughtOf(t *testing.T) {
	var log bytes.Buffer
	s := New(broken{agentLedBy("n1")}, slog.New(slog.NewTextHandler(&log, nil)))
	defer func() {
		if why, _ := recover().(error); !errors.Is(why, http.ErrAbortHandler) {
			t.Errorf("it ends with %v", why)
		}
		for _, part := range []string{"level=ERROR", "nobody thought of it", "path=/primary", "ServeHTTP"} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("the log has no %s: %s", part, log.String())
			}
		}
	}()
	s.ServeHTTP(httptest.NewRecorder(), local(t, http.MethodGet, "/primary", ""))
}
