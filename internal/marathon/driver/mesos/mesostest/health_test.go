package mesostest_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// portOf is the port of an address.
func portOf(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Executors knock at the loopback address, tell what they find, and end a task that fails too often.
func TestChecksOfExecutors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/well" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	elsewhere, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.9:0")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close() //nolint:errcheck // a test's
	served := portOf(t, server.Listener.Addr().String())
	for name, c := range map[string]struct {
		check wire.HealthCheck
		well  bool
	}{
		"a page":                  {wire.HealthCheck{HTTP: &wire.HTTPProbe{Port: served, Path: "well"}}, true},
		"another page":            {wire.HealthCheck{HTTP: &wire.HTTPProbe{Port: served, Path: "/"}}, false},
		"a port":                  {wire.HealthCheck{TCP: &wire.TCPProbe{Port: served}}, true},
		"a port of the host only": {wire.HealthCheck{TCP: &wire.TCPProbe{Port: portOf(t, elsewhere.Addr().String())}}, false},
		"a command":               {wire.HealthCheck{Command: &wire.Command{Shell: true, Value: `test "$MESOS_EXECUTOR_ID" = t1`}}, true},
		"a command with a list":   {wire.HealthCheck{Command: &wire.Command{Value: "test", Arguments: []string{"test", "a", "=", "b"}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			config := one("a1")
			config.Run = shell{t.TempDir()}
			f := subscribe(t, mesostest.New(t, config))
			o := f.offer()
			launch := launchOf(o, "t1", 1)
			c.check.DelaySeconds, c.check.IntervalSeconds, c.check.TimeoutSeconds, c.check.ConsecutiveFailures = 0.01, 0.01, 5, 2
			launch.Launch.TaskInfos[0].HealthCheck = &c.check
			f.accept(o, launch)
			s := f.awaitState("TASK_RUNNING")
			if s.Healthy != nil {
				t.Error("it was asked too early")
			}
			if s = f.awaitState("TASK_RUNNING"); s.Healthy == nil || *s.Healthy != c.well || s.Reason != "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED" {
				t.Errorf("%+v", s)
			}
			if !c.well {
				if s = f.awaitState("TASK_KILLED"); s.Healthy == nil || *s.Healthy {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}
