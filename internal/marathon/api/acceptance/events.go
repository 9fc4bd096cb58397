package acceptance

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// listen opens the event stream and returns what reads the next event: its type and its data.
func (s *session) listen(query string, headers ...string) (next func() (string, map[string]any), end func()) {
	s.Helper()
	resp := s.stream(query, append(headers, "Accept: text/event-stream")...) //nolint:bodyclose // end closes it
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		s.Fatalf("the stream begins with %d as %q", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	var from io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			s.Fatal(err)
		}
		from = z
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	return func() (string, map[string]any) { return s.event(lines) }, func() { _ = resp.Body.Close() }
}

// stream opens the event stream, over the one redirect by which a scheduler that does not lead answers (clients.md §0 row 13).
func (s *session) stream(query string, headers ...string) *http.Response {
	s.Helper()
	resp := s.open(http.MethodGet, "/v2/events"+query, "", headers...)
	if resp.StatusCode != http.StatusFound {
		return resp
	}
	if err := resp.Body.Close(); err != nil {
		s.Error(err)
	}
	to := *s
	to.p.URL = strings.TrimSuffix(resp.Header.Get("Location"), "/v2/events"+query)
	return to.open(http.MethodGet, "/v2/events"+query, "", headers...)
}

// event reads one event the way marathon-lb does: by the exact beginnings of lines.
func (s *session) event(lines *bufio.Scanner) (kind string, data map[string]any) {
	s.Helper()
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if name, found := strings.CutPrefix(line, "event: "); found {
			kind = name
		}
		text, found := strings.CutPrefix(line, "data: ")
		if !found {
			continue
		}
		if err := json.Unmarshal([]byte(text), &data); err != nil {
			s.Fatalf("data is no JSON: %v: %s", err, text)
		}
		if stamp, ok := data["timestamp"].(string); data["eventType"] != kind || !ok || stamp == "" {
			s.Errorf("an event of type %q says %v", kind, data)
		}
		return kind, data
	}
	s.Fatalf("the stream ended: %v", lines.Err())
	return "", nil
}

// until reads events until one of a kind.
func (s *session) until(next func() (string, map[string]any), kind string) map[string]any {
	s.Helper()
	for start := time.Now(); time.Since(start) < patience; {
		if got, data := next(); got == kind {
			return data
		}
	}
	s.Fatalf("no %s came", kind)
	return nil
}

// api.md §2.8 and §1, error table: without the Accept it is 405.
func eventsNeedTheirAccept(s *session) {
	s.get("/v2/events").is(http.StatusMethodNotAllowed)
	s.get("/v2/events", "Accept: application/json").is(http.StatusMethodNotAllowed)
	s.do(http.MethodHead, "/v2/events", "", "Accept: text/event-stream").is(http.StatusOK)
}

// api.md §2.8: the first event, and those of the life of an app.
func eventsOfALife(s *session) {
	next, end := s.listen("?plan-format=light")
	defer end()
	if kind, data := next(); kind != "event_stream_attached" || data["remoteAddress"] == "" {
		s.Errorf("the first event is %s %v", kind, data)
	}
	s.ok(http.MethodPost, "/v2/apps", plain("/web", 1))
	var begun, posted, running bool
	for !begun || !posted || !running {
		switch kind, data := next(); kind {
		case "api_post_event":
			definition, _ := data["appDefinition"].(map[string]any)
			posted = definition["id"] == "/web" && data["uri"] != "" && data["clientIp"] != ""
		case "deployment_info":
			plan, _ := data["plan"].(map[string]any)
			begun = plan["id"] != "" && data["currentStep"] != nil
		case "status_update_event":
			running = running || data["taskStatus"] == "TASK_RUNNING" && data["appId"] == "/web" && data["host"] != "" && data["taskId"] != ""
		}
	}
	success := s.until(next, "deployment_success")
	if success["id"] == "" || success["plan"] == nil {
		s.Errorf("deployment_success says %v", success)
	}
	s.ok(http.MethodDelete, "/v2/apps/web", "")
	if data := s.until(next, "app_terminated_event"); data["appId"] != "/web" {
		s.Errorf("app_terminated_event says %v", data)
	}
}

// api.md §2.8: event_type repeats and lets nothing else through. clients.md §0 row 12: bytes flow on an idle stream.
func eventsFiltered(s *session) {
	next, end := s.listen("?event_type=deployment_success&event_type=deployment_failed")
	defer end()
	s.ok(http.MethodPost, "/v2/apps", plain("/web", 1))
	if kind, _ := next(); kind != "deployment_success" {
		s.Errorf("the stream carries %s", kind)
	}
	resp := s.stream("?event_type=nothing", "Accept: text/event-stream")
	defer resp.Body.Close() //nolint:errcheck // only read
	start := time.Now()
	lines := bufio.NewReader(resp.Body)
	for range 3 {
		if _, err := lines.ReadString('\n'); err != nil {
			s.Fatal(err)
		}
	}
	if took := time.Since(start); took > 45*time.Second {
		s.Errorf("three signs of life took %v, want 15 s each at most", took)
	}
}

// clients.md §0 row 17: a compressed stream is flushed after each event.
func eventsCompressed(s *session) {
	next, end := s.listen("?event_type=event_stream_attached&event_type=api_post_event", "Accept-Encoding: gzip")
	defer end()
	next()
	s.ok(http.MethodPost, "/v2/apps", plain("/web", 0))
	if kind, _ := next(); kind != "api_post_event" {
		s.Errorf("the stream carries %s", kind)
	}
}
