package api

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// FuzzRequests sends anything to every path: each answer has a status of HTTP's, is JSON where it says so, and no input is
// an internal error.
func FuzzRequests(f *testing.F) {
	for _, seed := range [][3]string{
		{"GET", "/v2/apps//a/*", ""},
		{"PUT", "/v2/apps/a?force", `{"instances": 2}`},
		{"POST", "/v2/apps", `{"id": "/a", "cmd": "x"}`},
		{"PATCH", "/v2/apps", `[{"id": "a"}]`},
		{"PUT", "/v2/groups/a?dryRun=1", `{"apps": [{"id": "b"}], "groups": [{"id": "c"}]}`},
		{"PUT", "/v2/groups", `{"scaleBy": 1e300}`},
		{"POST", "/v2/tasks/delete?scale=true", `{"ids": ["a._app.1"]}`},
		{"DELETE", "/v2/apps/%2e%2e/%00/tasks/x", ""},
		{"GET", "/v2/apps?label=a%20in%20(b", ""},
		{"DELETE", "/v2/queue/a/delay", ""},
		{"GET", "/v2/groups/a/versions/2001-01-01T00:00:00.000Z", ""},
		{"POST", "/pg/v1/clusters/a/switchover", `{"candidate": 1}`},
		{"PUT", "/v2/groups", strings.Repeat("[", 20000)},
		{"OPTIONS", "/v2/apps", ""},
		{"POST", "/logging", "null"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, method, target, body string) { ask(t, method, target, body) })
}

// ask sends one request as a server would hand it over, and looks at the answer.
func ask(t *testing.T, method, target, body string) {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil || !strings.HasPrefix(target, "/") {
		return // the HTTP server refuses it
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8080", strings.NewReader(body))
	if err != nil {
		return
	}
	r.URL = u
	var log bytes.Buffer
	sched := newFake()
	sched.apps["/a"] = app.App{ID: "/a", Labels: app.Labels{}, Instances: 1, Version: 1}
	rec := httptest.NewRecorder()
	var level slog.LevelVar
	New(Config{Address: "127.0.0.1:8080", Level: &level}, Backend{Scheduler: sched}, slog.New(slog.NewTextHandler(&log, nil))).ServeHTTP(rec, r)
	if rec.Code < 200 || rec.Code > 599 || rec.Code == http.StatusInternalServerError {
		t.Errorf("%s %s: %d %s; %s", method, target, rec.Code, rec.Body, log.String())
	}
	if rec.Header().Get("Content-Type") == "application/json" && rec.Body.Len() > 0 && !json.Valid(rec.Body.Bytes()) {
		t.Errorf("%s %s: no JSON: %s", method, target, rec.Body)
	}
}
