package acceptance

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
)

// api.md §1: headers of every answer.
func headersOnEveryAnswer(s *session) {
	for _, path := range []string{"/v2/apps", "/v2/apps/none", "/ping", "/v2/info", "/nowhere"} {
		h := s.get(path).header
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-XSS-Protection": "1; mode=block", "Cache-Control": "no-cache, no-store, must-revalidate",
			"Pragma": "no-cache", "Expires": "0",
		} {
			if got := h.Get(name); got != want {
				s.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if h.Get("X-Marathon-Leader") == "" {
			s.Errorf("%s: no X-Marathon-Leader", path)
		}
	}
}

// api.md §1 and clients.md §0 row 1: doubled and trailing slashes, answered directly.
func pathsAsClientsSendThem(s *session) {
	s.runs(plain("/shop/web", 1))
	for _, path := range []string{"/v2/apps/", "//v2//apps", "/v2/apps//shop/web", "/v2/apps/shop/web/", "/v2/apps/%2Fshop%2Fweb", "/v2/apps//shop//web//tasks/"} {
		s.get(path).is(http.StatusOK)
	}
	if a := s.do(http.MethodHead, "/v2/apps", "").is(http.StatusOK); a.body != "" {
		s.Errorf("HEAD has a body: %s", a.body)
	}
}

// api.md §1 and clients.md §0 row 17: gzip for who asks.
func compressedWhenAsked(s *session) {
	for n := range 4 {
		s.ok(http.MethodPost, "/v2/apps", plain(fmt.Sprintf("/app%d", n), 0))
	}
	resp := s.open(http.MethodGet, "/v2/apps?embed=apps.tasks", "", "Accept-Encoding: gzip")
	defer resp.Body.Close() //nolint:errcheck // only read
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		s.Fatalf("Content-Encoding is %q: %v", resp.Header.Get("Content-Encoding"), err)
	}
	var list struct{ Apps []json.RawMessage }
	if err := json.NewDecoder(z).Decode(&list); err != nil || len(list.Apps) != 4 {
		s.Errorf("%d apps, %v", len(list.Apps), err)
	}
}

// api.md §2.1, filters: cmd and id contain, labels select.
func appsListFilters(s *session) {
	s.ok(http.MethodPost, "/v2/apps", plain("/shop/web", 0, `"labels": {"consul": "", "tier": "front"}`))
	s.ok(http.MethodPost, "/v2/apps", `{"id": "/shop/db", "cmd": "SLEEP", "instances": 0, "labels": {"tier": "back"}}`)
	for query, want := range map[string]string{
		"": "/shop/db /shop/web", "cmd=sleep": "/shop/db", "cmd=WORK": "/shop/web", "id=WEB": "/shop/web", "id=shop": "/shop/db /shop/web",
		"label=consul": "/shop/web", "label=tier==back": "/shop/db", "label=tier!=back": "/shop/web",
		"label=tier%20in%20(front,back)": "/shop/db /shop/web", "label=tier%20notin%20(front)": "/shop/db",
		"label=consul,tier==back": "", "id=shop&label=consul": "/shop/web",
	} {
		a := s.get("/v2/apps?" + query).is(http.StatusOK)
		var got string
		for n := range a.count("apps") {
			if got != "" {
				got += " "
			}
			got += a.text(fmt.Sprintf("apps.%d.id", n))
		}
		if got != want {
			s.Errorf("?%s finds %q, want %q", query, got, want)
		}
	}
	s.get("/v2/apps?label=a%20b").is(http.StatusUnprocessableEntity)
}

// api.md §2.1, embeds, and clients.md §0 rows 2 and 4 to 8: what tasks must have, and nothing is null.
func appsEmbeds(s *session) {
	s.runs(plain("/web", 2, `"portDefinitions": [{"port": 0, "name": "a"}, {"port": 0, "name": "b"}]`))
	s.ok(http.MethodPost, "/v2/apps", plain("/idle", 0))
	s.settled()
	for _, embed := range []string{"apps.tasks", "app.tasks", "tasks", "group.apps.tasks", "apps.failures"} {
		a := s.get("/v2/apps?embed=" + embed + "&embed=unknown&embed=apps.deployments").is(http.StatusOK)
		a.has("apps.0.id", `"/idle"`).has("apps.0.tasks", "[]").has("apps.1.tasks.1.state", `"TASK_RUNNING"`)
		if p, sp := a.count("apps.1.tasks.0.ports"), a.count("apps.1.tasks.0.servicePorts"); p != 2 || sp != 2 {
			s.Errorf("a task with two ports has %d ports and %d service ports", p, sp)
		}
		if a.text("apps.1.tasks.0.host") == "" || a.text("apps.1.tasks.0.startedAt") == "" || a.text("apps.1.tasks.0.slaveId") == "" {
			s.Errorf("a task lacks host, startedAt or slaveId: %v", a.at("apps.1.tasks.0"))
		}
		a.has("apps.1.tasks.0.healthCheckResults", "null")
	}
	a := s.get("/v2/apps/web?embed=app.taskStats&embed=app.readiness").is(http.StatusOK)
	for _, name := range []string{"tasksStats", "taskStats"} {
		a.has("app."+name+".totalSummary.stats.counts.running", "2").has("app."+name+".withOutdatedConfig", "null")
	}
	a.has("app.readinessCheckResults", "[]")
}
