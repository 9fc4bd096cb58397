package acceptance

import (
	"net/http"
	"strings"
)

// api.md §2.5: what the server says about itself, and who leads.
func infoAndLeader(s *session) {
	a := s.get("/v2/info").is(http.StatusOK).has("name", `"marathon"`).has("elected", "true").has("marathon_config.local_port_min", "10000").
		has("marathon_config.local_port_max", "20000").has("zookeeper_config", "{}")
	leader := s.get("/v2/leader").is(http.StatusOK).text("leader")
	if leader == "" || a.text("leader") != leader || a.header.Get("X-Marathon-Leader") != "http://"+leader {
		s.Errorf("the leader is %q, info says %q, the header %q", leader, a.text("leader"), a.header.Get("X-Marathon-Leader"))
	}
	if a.text("version") == "" || a.text("frameworkId") == "" || a.number("http_config.http_port") <= 0 {
		s.Errorf("info says %s", a.body)
	}
}

// api.md §2.5: ping in both kinds, metrics as JSON and for Prometheus.
func pingAndMetrics(s *session) {
	s.runs(plain("/web", 2))
	if a := s.get("/ping").is(http.StatusOK); a.body != "pong" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		s.Errorf("ping answers %q as %q", a.body, a.header.Get("Content-Type"))
	}
	s.get("/ping", "Accept: application/json").is(http.StatusOK).has("", `"pong"`)
	a := s.get("/metrics").is(http.StatusOK)
	var metrics struct {
		Gauges map[string]struct{ Value float64 }
	}
	a.decode(&metrics)
	if metrics.Gauges["marathon.instances.running.gauge"].Value != 2 || metrics.Gauges["marathon.apps.active.gauge"].Value != 1 {
		s.Errorf("metrics say %s", a.body)
	}
	p := s.get("/metrics/prometheus").is(http.StatusOK)
	for _, line := range []string{"# TYPE marathon_instances_running_gauge gauge", "marathon_instances_running_gauge 2", "# TYPE marathon_http_responses_2xx_counter counter"} {
		if !strings.Contains(p.body, line+"\n") {
			s.Errorf("no line %q in\n%s", line, p.body)
		}
	}
	if kind := p.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		s.Errorf("Content-Type is %q", kind)
	}
	s.get("/config").is(http.StatusOK)
}

// api.md §2.7 and clients.md §0 row 15: no pods, said cleanly, to HEAD as well. api.md §2.5: no plugins.
func pluginsAndPods(s *session) {
	s.do(http.MethodHead, "/v2/pods", "").is(http.StatusNotFound)
	s.get("/v2/pods").is(http.StatusNotFound)
	s.do(http.MethodPost, "/v2/pods", "{}").is(http.StatusNotFound)
	s.get("/v2/pods/x::status").is(http.StatusNotFound)
	s.get("/v2/plugins").is(http.StatusOK).has("plugins", "[]")
	s.get("/v2/eventSubscriptions").is(http.StatusNotFound)
}
