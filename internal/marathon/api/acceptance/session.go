package acceptance

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// patience is how long anything may take that has to happen.
const patience = 3 * time.Minute

// session is a client of a platform.
type session struct {
	*testing.T

	p Platform
}

// reply is an answer that was read whole.
type reply struct {
	*testing.T

	request string
	status  int
	header  http.Header
	body    string
}

// do asks. Headers are given as "Name: value".
func (s *session) do(method, path, body string, headers ...string) reply {
	s.Helper()
	resp := s.open(method, path, body, headers...)
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatalf("%s %s: %v", method, path, err)
	}
	if err := resp.Body.Close(); err != nil {
		s.Fatal(err)
	}
	return reply{s.T, method + " " + path, resp.StatusCode, resp.Header, string(text)}
}

// open asks and leaves the body to be read. Nothing follows redirects by itself.
func (s *session) open(method, path, body string, headers ...string) *http.Response {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.p.URL+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	client := *s.p.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(r)
	if err != nil {
		s.Fatalf("%s %s: %v", method, path, err)
	}
	return resp
}

func (s *session) get(path string, headers ...string) reply {
	s.Helper()
	return s.do(http.MethodGet, path, "", headers...)
}

// ok asks for something that has to succeed.
func (s *session) ok(method, path, body string) reply {
	s.Helper()
	a := s.do(method, path, body)
	if a.status < 200 || a.status > 299 {
		s.Fatalf("%s: %d %s", a.request, a.status, a.body)
	}
	return a
}

// is checks the status.
func (a reply) is(status int) reply {
	a.Helper()
	if a.status != status {
		a.Fatalf("%s: status %d, want %d; body %s", a.request, a.status, status, a.body)
	}
	return a
}

// says checks the whole body, of which the message is the only member.
func (a reply) says(message string) {
	a.Helper()
	if got := a.text("message"); got != message {
		a.Errorf("%s: message %q, want %q", a.request, got, message)
	}
}

// at is the value at a path of names and indices, "apps.0.id"; nil when there is none. Dots in names are not needed.
func (a reply) at(path string) any {
	a.Helper()
	var tree any
	if err := json.Unmarshal([]byte(a.body), &tree); err != nil {
		a.Fatalf("%s: no JSON: %v\n%s", a.request, err, a.body)
	}
	for step := range strings.SplitSeq(path, ".") {
		if path == "" {
			break
		}
		switch node := tree.(type) {
		case map[string]any:
			tree = node[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n >= len(node) {
				return nil
			}
			tree = node[n]
		default:
			return nil
		}
	}
	return tree
}

// decode reads the body into to.
func (a reply) decode(to any) {
	a.Helper()
	if err := json.Unmarshal([]byte(a.body), to); err != nil {
		a.Fatalf("%s: %v", a.request, err)
	}
}

// has checks one value, compared as JSON.
func (a reply) has(path, want string) reply {
	a.Helper()
	got, err := json.Marshal(a.at(path))
	if err != nil {
		a.Fatal(err)
	}
	if string(got) != want {
		a.Errorf("%s: %s is %s, want %s", a.request, path, got, want)
	}
	return a
}

// text is a string at a path, empty when there is none.
func (a reply) text(path string) string {
	a.Helper()
	text, _ := a.at(path).(string)
	return text
}

// count is the length of a list at a path, −1 when there is none.
func (a reply) count(path string) int {
	a.Helper()
	list, ok := a.at(path).([]any)
	if !ok {
		return -1
	}
	return len(list)
}

// number is a number at a path, −1 when there is none.
func (a reply) number(path string) float64 {
	a.Helper()
	n, ok := a.at(path).(float64)
	if !ok {
		return -1
	}
	return n
}

// await asks until an answer is as wanted.
func (s *session) await(what, path string, wanted func(reply) bool) reply {
	s.Helper()
	for waited := time.Duration(0); ; waited += 100 * time.Millisecond {
		a := s.get(path)
		if wanted(a) {
			return a
		}
		if waited > patience {
			s.Fatalf("%s did not happen; %s answers %d %s", what, path, a.status, a.body)
		}
		s.p.Pass(100 * time.Millisecond)
	}
}

// settled waits until no deployment runs.
func (s *session) settled() {
	s.Helper()
	s.await("the end of all deployments", "/v2/deployments", func(a reply) bool { return a.body == "[]\n" })
}

// encode is a value as the body of a request.
func (s *session) encode(v any) string {
	s.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

// plain is the definition of an app that is no database.
func plain(id string, instances int, more ...string) string {
	fields := append([]string{
		fmt.Sprintf(`"id": %q, "cmd": "work", "cpus": 0.1, "mem": 16, "instances": %d`, id, instances),
	}, more...)
	return "{" + strings.Join(fields, ", ") + "}"
}

// runs makes an app and waits until it runs.
func (s *session) runs(definition string) {
	s.Helper()
	s.ok(http.MethodPost, "/v2/apps", definition)
	s.settled()
}

// tasks are the ids of an app's running tasks.
func (s *session) tasks(id string) []app.TaskID {
	s.Helper()
	a := s.get("/v2/apps" + id + "/tasks").is(http.StatusOK)
	var ids []app.TaskID
	for n := range a.count("tasks") {
		if a.text(fmt.Sprintf("tasks.%d.state", n)) == string(app.TaskRunning) {
			ids = append(ids, app.TaskID(a.text(fmt.Sprintf("tasks.%d.id", n))))
		}
	}
	return ids
}

// awaitTasks waits until so many tasks of an app run, none of which is one of those.
func (s *session) awaitTasks(id string, n int, but ...app.TaskID) []app.TaskID {
	s.Helper()
	for waited := time.Duration(0); ; waited += 100 * time.Millisecond {
		ids := s.tasks(id)
		if len(ids) == n && !share(ids, but) {
			return ids
		}
		if waited > patience {
			s.Fatalf("%s runs as %v; %d tasks are wanted, none of %v", id, ids, n, but)
		}
		s.p.Pass(100 * time.Millisecond)
	}
}

func share(a, b []app.TaskID) bool {
	return slices.ContainsFunc(a, func(id app.TaskID) bool { return slices.Contains(b, id) })
}
