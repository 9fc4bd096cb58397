package api

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func configured(c Config, b Backend) *Server {
	c.Address = "127.0.0.1:8080"
	return New(c, b, slog.New(slog.DiscardHandler))
}

// api.md §1, auth: basic, realm Mesosphere. clients.md §0 row 16: other schemes are not taken for a login.
func TestLogin(t *testing.T) {
	s := configured(Config{User: "ops", Password: "secret"}, Backend{Scheduler: newFake()})
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	for header, want := range map[string]int{
		"": http.StatusUnauthorized, basic("ops:secret"): http.StatusOK, basic("ops:wrong"): http.StatusUnauthorized,
		basic("opss:ecret"): http.StatusUnauthorized, basic(":"): http.StatusUnauthorized, "Bearer secret": http.StatusUnauthorized, "token=secret": http.StatusUnauthorized,
	} {
		for _, path := range []string{"/v2/apps", "/ping", "/nowhere", "/v2/events"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Header.Set("Authorization", header)
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, r)
			if (rec.Code == http.StatusUnauthorized) != (want == http.StatusUnauthorized) {
				t.Errorf("%s with %q: %d", path, header, rec.Code)
			}
			if got := rec.Header().Get("WWW-Authenticate"); rec.Code == http.StatusUnauthorized && got != `Basic realm="Mesosphere", charset="UTF-8"` {
				t.Errorf("WWW-Authenticate = %q", got)
			}
		}
	}
	open := configured(Config{}, Backend{Scheduler: newFake()})
	if res := call(t, open, "GET /v2/apps Authorization=token=abc"); res.Code != http.StatusOK {
		t.Errorf("without a login a token is no fault: %d", res.Code)
	}
}

// api.md §1: CORS only where it was asked for.
func TestPagesOfAllowedOrigins(t *testing.T) {
	const page, body = "http://ui.example", "\n{\"id\": \"/x\", \"cmd\": \"y\"}"
	for _, tt := range []struct {
		allowed []string
		posts   int
		header  string
	}{
		{nil, http.StatusForbidden, ""},
		{[]string{"http://other.example"}, http.StatusForbidden, ""},
		{[]string{page}, http.StatusCreated, page},
		{[]string{"*"}, http.StatusCreated, page},
	} {
		s := configured(Config{AllowOrigins: tt.allowed}, Backend{Scheduler: newFake()})
		res := call(t, s, "POST /v2/apps Origin="+page+" Sec-Fetch-Site=cross-site"+body)
		if got := res.Header().Get("Access-Control-Allow-Origin"); res.Code != tt.posts || got != tt.header {
			t.Errorf("allowed %v: %d, Access-Control-Allow-Origin %q", tt.allowed, res.Code, got)
		}
	}
	s := configured(Config{AllowOrigins: []string{page}, Password: "x"}, Backend{Scheduler: newFake()})
	res := call(t, s, "OPTIONS /v2/apps Origin="+page+" Access-Control-Request-Method=PUT Access-Control-Request-Headers=authorization")
	if res.Code != http.StatusNoContent || res.Header().Get("Access-Control-Allow-Headers") != "authorization" {
		t.Errorf("preflight: %d %v", res.Code, res.Header())
	}
}

// api.md §1: more requests at once than there may be are 503. Streams do not count.
func TestConcurrentRequestsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := configured(Config{Concurrent: 1}, Backend{Scheduler: slowScheduler{newFake(), time.Second}, Feed: silence{}})
		done := make(chan int)
		go func() { done <- call(t, s, "POST /v2/apps\n{\"id\": \"/x\", \"cmd\": \"y\"}").Code }()
		synctest.Wait()
		if res := call(t, s, "GET /v2/apps"); res.Code != http.StatusServiceUnavailable || res.Header().Get("Retry-After") == "" {
			t.Errorf("the second: %d", res.Code)
		}
		if res := call(t, s, "HEAD /v2/events Accept=text/event-stream"); res.Code != http.StatusOK {
			t.Errorf("a stream: %d", res.Code)
		}
		if code := <-done; code != http.StatusCreated {
			t.Errorf("the first: %d", code)
		}
		if res := call(t, s, "GET /v2/apps"); res.Code != http.StatusOK {
			t.Errorf("after it: %d", res.Code)
		}
	})
}

// Nothing is told before the state is read: an empty list would be taken for the truth.
func TestNothingIsToldBeforeTheStateIsRead(t *testing.T) {
	loaded := false
	s := configured(Config{}, Backend{Scheduler: newFake(), Loaded: func() bool { return loaded }})
	for path, want := range map[string]int{"/v2/apps": 503, "/v2/tasks": 503, "/v2/groups": 503, "/ping": 200, "/metrics": 200, "/v2/leader": 200} {
		if got := call(t, s, "GET "+path).Code; got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	loaded = true
	if got := call(t, s, "GET /v2/apps").Code; got != http.StatusOK {
		t.Errorf("after it: %d", got)
	}
}

// api.md §2.5: the level of the log, for a while or for good.
func TestLogLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var level slog.LevelVar
		s := configured(Config{Level: &level}, Backend{Scheduler: newFake()})
		if got := show(call(t, s, "GET /logging"), false); got != "200\n{\"ROOT\":\"INFO\"}\n" {
			t.Errorf("got %s", got)
		}
		call(t, s, "POST /logging\n{\"logger\": \"ROOT\", \"level\": \"debug\", \"durationSeconds\": 60}")
		if level.Level() != slog.LevelDebug {
			t.Errorf("the level is %v", level.Level())
		}
		time.Sleep(30 * time.Second)
		call(t, s, "POST /logging\n{\"logger\": \"ROOT\", \"level\": \"ERROR\", \"durationSeconds\": 60}")
		time.Sleep(61 * time.Second)
		if level.Level() != slog.LevelInfo {
			t.Errorf("after a minute the level is %v", level.Level())
		}
		for _, body := range []string{`{"logger": "x", "level": "INFO"}`, `{"logger": "ROOT", "level": "loud"}`, `{"logger": "ROOT", "level": "INFO", "durationSeconds": -1}`} {
			if got := call(t, s, "POST /logging\n"+body).Code; got != http.StatusUnprocessableEntity {
				t.Errorf("%s: %d", body, got)
			}
		}
	})
	if got := call(t, configured(Config{}, Backend{Scheduler: newFake()}), "GET /logging").Code; got != http.StatusNotFound {
		t.Errorf("without a level: %d", got)
	}
}
