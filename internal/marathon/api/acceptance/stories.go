package acceptance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// collect reads events until each of the kinds has come once, and returns the first of each.
func (s *session) collect(next func() (string, map[string]any), kinds ...string) map[string]map[string]any {
	s.Helper()
	got := map[string]map[string]any{}
	for len(got) < len(kinds) {
		kind, data := next()
		if _, seen := got[kind]; !seen && slices.Contains(kinds, kind) {
			got[kind] = data
		}
	}
	return got
}

// carries checks that an event has members that are not empty.
func (s *session) carries(kind string, data map[string]any, names ...string) {
	s.Helper()
	for _, name := range names {
		if value, there := data[name]; !there || value == "" || value == nil {
			s.Errorf("%s has no %s: %v", kind, name, data)
		}
	}
}

// api.md §2.8: the fields of each event that the life of a task brings about, and those of its health.
func eventsOfHealth(s *session) {
	next, end := s.listen("")
	defer end()
	s.ok(http.MethodPost, "/v2/apps", plain("/web", 1, `"healthChecks": [{"protocol": "HTTP", "portIndex": 0, "gracePeriodSeconds": 1,
		"intervalSeconds": 1, "timeoutSeconds": 1, "maxConsecutiveFailures": 1}]`))
	fields := map[string][]string{
		"add_health_check_event":        {"appId", "version", "healthCheck"},
		"group_change_success":          {"groupId", "version"},
		"instance_changed_event":        {"instanceId", "condition", "runSpecId", "agentId", "host", "runSpecVersion"},
		"status_update_event":           {"slaveId", "taskId", "taskStatus", "appId", "host", "ports", "version"},
		"instance_health_changed_event": {"instanceId", "runSpecId", "healthy", "runSpecVersion"},
		"health_status_changed_event":   {"appId", "instanceId", "taskId", "version", "alive"},
		"deployment_step_success":       {"plan", "currentStep"},
	}
	kinds := make([]string, 0, len(fields))
	for kind := range fields {
		kinds = append(kinds, kind)
	}
	for kind, data := range s.collect(next, kinds...) {
		s.carries(kind, data, fields[kind]...)
		for _, name := range []string{"appId", "runSpecId"} {
			if of, there := data[name]; there && of != "/web" {
				s.Errorf("%s is about %v", kind, of)
			}
		}
	}
	s.settled()
	task := s.awaitTasks("/web", 1)[0]
	s.p.SetPassing(task, false)
	bad := s.collect(next, "failed_health_check_event", "unhealthy_instance_kill_event")
	s.carries("failed_health_check_event", bad["failed_health_check_event"], "appId", "taskId", "healthCheck")
	kill := bad["unhealthy_instance_kill_event"]
	s.carries("unhealthy_instance_kill_event", kill, "appId", "taskId", "instanceId", "version", "reason", "host", "slaveId")
	if kill["taskId"] != string(task) || kill["instanceId"] != string(task.Instance()) {
		s.Errorf("%s was to be killed, the event says %v", task, kill)
	}
	s.ok(http.MethodPut, "/v2/apps/web?force=true", `{"healthChecks": []}`)
	s.carries("remove_health_check_event", s.until(next, "remove_health_check_event"), "appId")
}

// api.md §2.8: what is posted is told with who posted it and where, whatever the way it was posted in, and changes of groups
// with the group.
func eventsOfPosts(s *session) {
	next, end := s.listen("?event_type=api_post_event&event_type=group_change_success&plan-format=light")
	defer end()
	s.ok(http.MethodPost, "/v2/apps", plain("/shop/web", 0))
	s.posts(next, "/v2/apps", "/shop/web")
	s.ok(http.MethodPut, "/v2/apps//shop/web", `{"mem": 17}`)
	s.posts(next, "/v2/apps//shop/web", "/shop/web")
	s.ok(http.MethodPatch, "/v2/apps", `[{"id": "/shop/web", "mem": 18}]`)
	s.posts(next, "/v2/apps", "/shop/web")
	s.ok(http.MethodPost, "/v2/groups", `{"id": "/shop/db", "apps": [`+plain("main", 0)+`]}`)
	if data := s.until(next, "group_change_success"); !strings.HasPrefix(fmt.Sprint(data["groupId"]), "/") || data["version"] == "" {
		s.Errorf("group_change_success says %v", data)
	}
}

func (s *session) posts(next func() (string, map[string]any), uri string, id app.ID) {
	s.Helper()
	data := s.until(next, "api_post_event")
	definition, _ := data["appDefinition"].(map[string]any)
	if data["uri"] != uri || definition["id"] != string(id) || data["clientIp"] == "" {
		s.Errorf("api_post_event says %v, want %s by %s", data, id, uri)
	}
}

// api.md §2.8: who comes and who goes is told to the others, and filters know no wildcards.
func eventsOfStreams(s *session) {
	next, end := s.listen("?event_type=event_stream_attached&event_type=event_stream_detached")
	defer end()
	next() // this one itself
	_, leave := s.listen("?event_type=api_post")
	s.carries("event_stream_attached", s.until(next, "event_stream_attached"), "remoteAddress", "timestamp")
	leave()
	s.carries("event_stream_detached", s.until(next, "event_stream_detached"), "remoteAddress")
	a := s.stream("?event_type=x", "Accept: application/json, text/event-stream;q=0.9")
	if a.StatusCode != http.StatusOK || a.Header.Get("X-Marathon-Leader") == "" {
		s.Errorf("a stream among other things is answered with %d, leader %q", a.StatusCode, a.Header.Get("X-Marathon-Leader"))
	}
	if err := a.Body.Close(); err != nil {
		s.Error(err)
	}
}

// api.md §2.5: the numbers by Marathon's names.
func metricsByName(s *session) {
	s.runs(plain("/web", 2))
	s.ok(http.MethodPost, "/v2/apps", plain("/big", 1, tooBig))
	a := s.get("/metrics").is(http.StatusOK)
	var all struct {
		Start, End                 string
		Gauges                     map[string]struct{ Value float64 }
		Counters                   map[string]struct{ Count float64 }
		Histograms, Meters, Timers map[string]any
	}
	a.decode(&all)
	if all.Start == "" || all.End == "" || all.Histograms == nil || all.Meters == nil || all.Timers == nil {
		s.Errorf("/metrics lacks a part: %s", a.body)
	}
	for name, want := range map[string]float64{
		"marathon.apps.active.gauge": 2, "marathon.instances.running.gauge": 2, "marathon.instances.staged.gauge": 0,
		"marathon.deployments.active.gauge": 1,
	} {
		if got, there := all.Gauges[name]; !there || got.Value != want {
			s.Errorf("%s is %v, want %v", name, got.Value, want)
		}
	}
	for name, least := range map[string]float64{"marathon.mesos.offer-operations.launch.counter": 2, "marathon.mesos.offers.incoming.counter": 1} {
		if got := all.Counters[name].Count; got < least {
			s.Errorf("%s is %v, want at least %v", name, got, least)
		}
	}
	text := s.get("/metrics/prometheus").is(http.StatusOK).body
	for _, line := range []string{"marathon_deployments_active_gauge 1", "marathon_mesos_offer_operations_launch_counter 2"} {
		if !strings.Contains(text, "\n"+line+"\n") {
			s.Errorf("no line %q in\n%s", line, text)
		}
	}
}
