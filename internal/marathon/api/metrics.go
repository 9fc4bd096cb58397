package api

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// traffic counts requests.
type traffic struct {
	active  atomic.Int64
	classes [6]atomic.Int64 // by the first digit of the status
	methods map[string]*atomic.Int64
	nanos   atomic.Int64 // that requests took, event streams left out
}

func newTraffic() *traffic {
	t := &traffic{methods: map[string]*atomic.Int64{}}
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		t.methods[m] = &atomic.Int64{}
	}
	return t
}

// counted is a response of which the status is remembered.
type counted struct {
	http.ResponseWriter

	status int
}

// WriteHeader implements http.ResponseWriter.
func (c *counted) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// count passes a request on and counts it.
func (t *traffic) count(w http.ResponseWriter, r *http.Request, next http.Handler) {
	start := time.Now()
	t.active.Add(1)
	defer t.active.Add(-1)
	c := &counted{ResponseWriter: w}
	next.ServeHTTP(c, r)
	if class := c.status / 100; class >= 0 && class < len(t.classes) {
		t.classes[class].Add(1)
	}
	if m := t.methods[r.Method]; m != nil {
		m.Add(1)
	}
	if w.Header().Get("Content-Type") != "text/event-stream" {
		t.nanos.Add(int64(time.Since(start)))
	}
}

// numbers are the scheduler's and those of the API, by name.
func (s *Server) numbers() map[string]float64 {
	all := map[string]float64{}
	if s.Metrics != nil {
		maps.Copy(all, s.Metrics.Metrics())
	}
	all["marathon.http.requests.active.gauge"] = float64(s.traffic.active.Load())
	all["marathon.http.event-streams.active.gauge"] = float64(s.streams.count())
	all["marathon.http.requests.duration.seconds.counter"] = time.Duration(s.traffic.nanos.Load()).Seconds()
	for class := 1; class < len(s.traffic.classes); class++ {
		all["marathon.http.responses."+strconv.Itoa(class)+"xx.counter"] = float64(s.traffic.classes[class].Load())
	}
	for method, n := range s.traffic.methods {
		all["marathon.http.requests."+strings.ToLower(method)+".counter"] = float64(n.Load())
	}
	return all
}

type gauge struct {
	Value float64 `json:"value"`
}

type counter struct {
	Count float64 `json:"count"`
}

// metrics are the numbers in the shape Marathon gives them. The last three kinds are always empty here.
func (s *Server) metrics(*http.Request) (answer, error) {
	gauges, counters := map[string]gauge{}, map[string]counter{}
	for name, value := range s.numbers() {
		if strings.HasSuffix(name, ".counter") {
			counters[name] = counter{value}
			continue
		}
		gauges[name] = gauge{value}
	}
	const layout = "2006-01-02T15:04:05.000Z"
	now := time.Now().UTC()
	return ok(map[string]any{
		"start": s.since.UTC().Format(layout), "end": now.Format(layout), "gauges": gauges, "counters": counters,
		"histograms": struct{}{}, "meters": struct{}{}, "timers": struct{}{},
	})
}

// prometheus are the same numbers in Prometheus' text format.
func (s *Server) prometheus(*http.Request) (answer, error) {
	all := s.numbers()
	var out strings.Builder
	for _, name := range sortedKeys(all) {
		kind := "gauge"
		if strings.HasSuffix(name, ".counter") {
			kind = "counter"
		}
		plain := prometheusName(name)
		fmt.Fprintf(&out, "# TYPE %s %s\n%s %s\n", plain, kind, plain, strconv.FormatFloat(all[name], 'g', -1, 64))
	}
	return answer{status: http.StatusOK, text: out.String(), kind: "text/plain; version=0.0.4; charset=utf-8"}, nil
}

// prometheusName replaces what Prometheus does not allow in a name.
func prometheusName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == ':':
			return r
		}
		return '_'
	}, name)
}
