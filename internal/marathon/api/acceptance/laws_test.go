package acceptance_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/marathon/api/acceptance"
)

// TestAnyRequests: whatever clients ask in whatever order, nothing is an internal error, what says it is JSON is, and in the
// end everything can be deleted.
func TestAnyRequests(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		requests := rapid.SliceOfN(anyRequest(), 1, 25).Draw(rt, "requests")
		var faults []string
		broken := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
		synctest.Test(t, func(t *testing.T) {
			p, end := platform(t, broken)
			defer end()
			for _, r := range requests {
				r.ask(t, p, broken)
			}
			request{method: http.MethodDelete, path: "/v2/groups?force=true&wipe=true"}.ask(t, p, broken)
			p.Pass(10 * time.Minute)
			for path, want := range map[string]string{"/v2/tasks": `{"tasks":[]}`, "/v2/deployments": "[]", "/v2/queue": `{"queue":[]}`} {
				if got := (request{method: http.MethodGet, path: path}).ask(t, p, broken); strings.TrimSpace(got) != want {
					broken("at the end %s is %s", path, got)
				}
			}
		})
		if len(faults) > 0 {
			rt.Fatalf("%s\nafter\n%v", strings.Join(faults, "\n"), requests)
		}
	})
}

// request is one of a client, and how long it waits afterwards.
type request struct {
	method, path, body string
	pause              time.Duration
}

// String is the request on a line.
func (r request) String() string {
	return fmt.Sprintf("%s %s %s, then %s\n", r.method, r.path, r.body, r.pause)
}

// ask sends the request and looks at the answer.
func (r request) ask(t *testing.T, p acceptance.Platform, broken func(string, ...any)) string {
	t.Helper()
	list := func(path string) string { return first(request{method: http.MethodGet, path: path}.ask(t, p, broken)) }
	if before, after, found := strings.Cut(r.path, "{deployment}"); found {
		r.path = before + list("/v2/deployments") + after
	}
	if before, after, found := strings.Cut(r.body, "{task}"); found {
		r.body = before + list("/v2/tasks") + after
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, p.URL+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		broken("%s %s %s: %d %s", r.method, r.path, r.body, resp.StatusCode, body)
	}
	if resp.Header.Get("Content-Type") == "application/json" && len(body) > 0 && !json.Valid(body) {
		broken("%s %s: no JSON: %s", r.method, r.path, body)
	}
	p.Pass(r.pause)
	return string(body)
}

// anyRequest draws a request that mostly makes sense.
func anyRequest() *rapid.Generator[request] {
	return rapid.Custom(func(t *rapid.T) request {
		id := rapid.SampledFrom([]string{"/a", "/g/a", "/g/h/a"}).Draw(t, "id")
		group := rapid.SampledFrom([]string{"/g", "/g/h", ""}).Draw(t, "group")
		query := rapid.SampledFrom([]string{"", "?force=true", "?force=true", "?scale=true", "?wipe=true", "?dryRun=true", "?partialUpdate=false"}).Draw(t, "query")
		method := rapid.SampledFrom([]string{http.MethodPut, http.MethodPatch}).Draw(t, "change")
		r := rapid.SampledFrom([]request{
			{method: http.MethodPost, path: "/v2/apps" + query},
			{method: http.MethodPut, path: "/v2/apps" + id + query},
			{method: method, path: "/v2/apps" + query},
			{method: method, path: "/v2/apps" + id + query, body: `{"instances": 3}`},
			{method: method, path: "/v2/apps" + id + query, body: `{"env": {"Y": "2"}}`},
			{method: http.MethodPost, path: "/v2/apps" + id + "/restart" + query},
			{method: http.MethodDelete, path: "/v2/apps" + id + query},
			{method: http.MethodDelete, path: "/v2/apps" + id + "/tasks" + query},
			{method: http.MethodPost, path: "/v2/groups" + query},
			{method: method, path: "/v2/groups" + group + query},
			{method: http.MethodPut, path: "/v2/groups" + group + query, body: `{"scaleBy": 2}`},
			{method: http.MethodDelete, path: "/v2/groups" + group + query},
			{method: http.MethodDelete, path: "/v2/deployments/{deployment}" + query},
			{method: http.MethodPost, path: "/v2/tasks/delete" + query, body: `{"ids": ["{task}"]}`},
			{method: http.MethodDelete, path: "/v2/queue" + id + "/delay"},
			{method: http.MethodPost, path: "/pg/v1/hosts/node1/drain"},
			{method: http.MethodDelete, path: "/pg/v1/hosts/node1/drain"},
			{method: http.MethodGet, path: "/v2/groups" + group + "?embed=group.apps.tasks"},
			{method: http.MethodGet, path: "/v2/apps" + id + "/versions"},
		}).Draw(t, "request")
		if r.body == "" && r.method != http.MethodGet && r.method != http.MethodDelete {
			r.body = anyBody(strings.HasPrefix(r.path, "/v2/groups")).Draw(t, "body")
		}
		r.pause = rapid.SampledFrom([]time.Duration{0, 300 * time.Millisecond, 5 * time.Second, time.Minute}).Draw(t, "pause")
		return r
	})
}

// first is the id of the first thing in a list.
func first(list string) string {
	_, id, _ := strings.Cut(list, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

// anyBody draws a definition, a list of them, or a group.
func anyBody(ofGroup bool) *rapid.Generator[string] {
	id := rapid.SampledFrom([]string{"/a", "/g/a", "/g/h/a", "/g/h"})
	relative := rapid.SampledFrom([]string{"a", "b", "/g/a"})
	define := func(id *rapid.Generator[string]) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			more := rapid.SampledFrom([]string{
				"", "", "", `, "cpus": 5000`, `, "dependencies": ["/a"]`, `, "env": {"X": "1"}`, `, "gpus": 1`, `, "role": "g"`, `, "version": "2000-01-01T00:00:00.000Z"`,
				`, "constraints": [["hostname", "UNIQUE"]]`, `, "healthChecks": [{"intervalSeconds": 1}]`, `, "unreachableStrategy": "disabled"`,
				`, "container": {"type": "MESOS", "volumes": [{"containerPath": "d", "mode": "RW", "persistent": {"size": 10}}]}`,
				`, "networks": [{"mode": "container/bridge"}], "container": {"docker": {"image": "patroni:16"}, "portMappings": [{"containerPort": 5432}, {"containerPort": 8008}]}`,
			}).Draw(t, "more")
			return fmt.Sprintf(`{"id": %q, "cmd": "x", "mem": 16, "instances": %d%s}`, id.Draw(t, "id"), rapid.IntRange(0, 4).Draw(t, "instances"), more)
		})
	}
	definition, member := define(id), define(relative)
	group := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf(`{"id": "/g", "apps": [%s], "groups": [{"id": "h", "dependencies": [%q], "apps": [%s]}], "enforceRole": %t}`,
			member.Draw(t, "app"), id.Draw(t, "dependency"), member.Draw(t, "below"), rapid.Bool().Draw(t, "enforce"))
	})
	if ofGroup {
		return rapid.OneOf(group, group, rapid.SampledFrom([]string{"", `{"enforceRole": true}`, `{"id": "/g/h", "apps": []}`, "{"}))
	}
	list := rapid.Custom(func(t *rapid.T) string {
		return "[" + definition.Draw(t, "one") + ", " + definition.Draw(t, "other") + "]"
	})
	return rapid.OneOf(definition, definition, list, rapid.SampledFrom([]string{"", "[]", "{"}))
}
