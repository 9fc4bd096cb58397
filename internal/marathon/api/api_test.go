package api

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newServer(sched Scheduler, hosts Hosts) *Server {
	config := Config{Address: "127.0.0.1:8080", Version: "0.1", FrameworkID: func() string { return "f-1" }}
	return New(config, Backend{Scheduler: sched, Hosts: hosts}, slog.New(slog.DiscardHandler))
}

var times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)

// TestRequests runs testdata/*.txt. Commands:
//
//	http                  METHOD PATH [Header=value …], then the body: status, headers that matter and body of the answer
//	finish                all deployments are done
//	task app=A state=S [alive=bool]   a task of app A, numbered
//	fail with=WORD        the next change fails: unavailable, deadline or bug
//
// Times are shown as <time>.
func TestRequests(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		sched := newFake()
		s := newServer(sched, &fakeHosts{stopped: map[string]bool{}})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "http":
				return show(call(t, s, d.Input), d.HasArg("indent"))
			case "finish":
				sched.finish()
			case "task":
				putTask(t, d, sched)
			case "fail":
				var with string
				d.ScanArgs(t, "with", &with)
				sched.fail = map[string]error{
					"unavailable": fmt.Errorf("store the change: %w", app.ErrUnavailable),
					"deadline":    errTooSlow, "bug": errors.New("secret details"),
				}[with]
			default:
				return "unknown command " + d.Cmd
			}
			return ""
		})
	})
}

// call sends what a request of a test file says.
func call(t *testing.T, h http.Handler, input string) *httptest.ResponseRecorder {
	t.Helper()
	line, body, _ := strings.Cut(input, "\n")
	words := strings.Fields(line)
	r := httptest.NewRequestWithContext(t.Context(), words[0], "http://127.0.0.1:8080"+words[1], strings.NewReader(body))
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func show(res *httptest.ResponseRecorder, indent bool) string {
	var out strings.Builder
	fmt.Fprintln(&out, res.Code)
	for _, name := range []string{"Location", "Marathon-Deployment-Id", "Allow"} {
		if v := res.Header().Get(name); v != "" {
			fmt.Fprintf(&out, "%s: %s\n", name, v)
		}
	}
	body := res.Body.Bytes()
	var tree any
	if indent && json.Unmarshal(body, &tree) == nil {
		body, _ = json.MarshalIndent(tree, "", "  ")
	}
	if text := strings.TrimSuffix(string(body), "\n"); text != "" {
		out.WriteString(times.ReplaceAllString(text, "<time>") + "\n")
	}
	return out.String()
}

func putTask(t *testing.T, d *datadriven.TestData, f *fake) {
	t.Helper()
	var id, state string
	d.ScanArgs(t, "app", &id)
	d.ScanArgs(t, "state", &state)
	appID := app.ID(id)
	n := len(f.tasks[appID]) + 1
	instance := app.NewInstanceID(appID, fmt.Sprintf("00000000-0000-0000-0000-%012d", n))
	task := app.Task{
		ID: app.NewTaskID(instance, 1), AppID: appID, Host: fmt.Sprintf("node%d", n), Ports: app.Ports{5432, 8008},
		SlaveID: fmt.Sprintf("node%d", n), State: app.TaskState(state), StagedAt: 1000, Version: 1000,
	}
	if d.HasArg("alive") {
		var alive bool
		d.ScanArgs(t, "alive", &alive)
		task.HealthCheckResults = []app.HealthResult{{Alive: alive, InstanceID: instance}}
	}
	f.tasks[appID] = append(f.tasks[appID], task)
}

// Every answer has the headers that clients of Marathon rely on.
func TestHeadersOnEveryAnswer(t *testing.T) {
	s := newServer(newFake(), nil)
	for _, request := range []string{"GET /ping", "GET /v2/apps", "GET /v2/apps/x", "PUT /v2/info", "GET /nowhere"} {
		h := call(t, s, request).Header()
		for name, want := range map[string]string{
			"X-Marathon-Leader": "http://127.0.0.1:8080", "X-Frame-Options": "DENY", "X-XSS-Protection": "1; mode=block",
			"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache", "Expires": "0",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: header %s = %q, want %q", request, name, got, want)
			}
		}
	}
}

func TestContentTypes(t *testing.T) {
	s := newServer(newFake(), nil)
	for request, want := range map[string]string{
		"GET /ping":                         "text/plain; charset=utf-8",
		"GET /ping Accept=application/json": "application/json",
		"GET /v2/apps":                      "application/json",
		"GET /v2/apps/x":                    "application/json",
	} {
		if got := call(t, s, request).Header().Get("Content-Type"); got != want {
			t.Errorf("%s: Content-Type = %q, want %q", request, got, want)
		}
	}
}

func TestLargeAnswersAreCompressedWhenAsked(t *testing.T) {
	s := newServer(newFake(), nil)
	for i := range 5 {
		call(t, s, fmt.Sprintf("POST /v2/apps\n{\"id\": \"/a%d\", \"cmd\": \"x\"}", i))
	}
	for accept, want := range map[string]bool{
		"gzip": true, "deflate,gzip;q=0.5": true, "": false, "gzip;q=0": false, "br": false,
	} {
		res := call(t, s, "GET /v2/apps Accept-Encoding="+accept)
		zipped := res.Header().Get("Content-Encoding") == "gzip"
		if zipped != want {
			t.Errorf("Accept-Encoding %q: compressed = %v, want %v", accept, zipped, want)
		}
		body := io.Reader(res.Body)
		if zipped {
			z, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		var list struct{ Apps []json.RawMessage }
		if err := json.NewDecoder(body).Decode(&list); err != nil || len(list.Apps) != 5 {
			t.Errorf("Accept-Encoding %q: %d apps, %v", accept, len(list.Apps), err)
		}
	}
	if got := call(t, s, "GET /ping Accept-Encoding=gzip").Header().Get("Content-Encoding"); got != "" {
		t.Errorf("a pong came as %q", got)
	}
}

func TestBodiesAreLimited(t *testing.T) {
	sched := newFake()
	s := newServer(sched, nil)
	body := `{"id": "/x", "cmd": "` + strings.Repeat("x", maxBody) + `"}`
	res := call(t, s, "POST /v2/apps\n"+body)
	if got, want := show(res, false), "413\n{\"message\":\"the body is larger than 1048576 bytes\"}\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(sched.apps) != 0 {
		t.Error("the app was made nevertheless")
	}
}

func TestPagesOfOtherSitesCannotSteer(t *testing.T) {
	sched := newFake()
	s := newServer(sched, nil)
	const body = "\n{\"id\": \"/x\", \"cmd\": \"x\"}"
	for request, want := range map[string]int{
		"POST /v2/apps Sec-Fetch-Site=cross-site" + body:       http.StatusForbidden,
		"POST /v2/apps Origin=http://evil.example" + body:      http.StatusForbidden,
		"DELETE /v2/apps/x Sec-Fetch-Site=same-site":           http.StatusForbidden,
		"GET /v2/apps Sec-Fetch-Site=cross-site":               http.StatusOK,
		"PATCH /v2/apps/x Sec-Fetch-Site=same-origin\n{}":      http.StatusNotFound,
		"PATCH /v2/apps/x Origin=http://127.0.0.1:8080\n{}":    http.StatusNotFound,
		"POST /v2/apps Content-Type=text/plain\n{\"cmd\": 1}}": http.StatusBadRequest,
	} {
		if got := call(t, s, request).Code; got != want {
			t.Errorf("%s: %d, want %d", request, got, want)
		}
	}
	if len(sched.apps) != 0 {
		t.Error("an app was made nevertheless")
	}
}

func TestDriverWithoutHosts(t *testing.T) {
	got := show(call(t, newServer(newFake(), nil), "GET /pg/v1/hosts"), false)
	if want := "404\n{\"message\":\"this scheduler's driver has no virtual hosts\"}\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSelectors(t *testing.T) {
	labels := app.Labels{"env": "prod", "tier": "front end", "empty": ""}
	for text, want := range map[string]bool{
		"":                                true,
		" ":                               true,
		"env":                             true,
		"nope":                            false,
		"env==prod":                       true,
		"env == prod , tier":              true,
		"env!=prod":                       false,
		"env!=test":                       true,
		"nope!=test":                      false,
		`tier==front\ end`:                true,
		"env in (test, prod)":             true,
		"env in (test)":                   false,
		"env notin (test,dev)":            true,
		"env notin(prod)":                 false,
		"nope notin (x)":                  false,
		"env, tier, empty":                true,
		"env, nope":                       false,
		"env in (prod), tier notin (foo)": true,
	} {
		selectors, err := parseSelectors(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got := true
		for _, s := range selectors {
			got = got && s.matches(labels)
		}
		if got != want {
			t.Errorf("%q matches = %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{",", "a,", "a==", "a in", "a in ()", "a in (b", "a in (b c)", "a = b", "a b", "==b", "(", `a==\`} {
		if _, err := parseSelectors(text); err == nil {
			t.Errorf("%q was read without an error", text)
		}
	}
}
