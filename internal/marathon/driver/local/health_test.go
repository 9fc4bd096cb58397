package local

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// TestVerdicts says what a row of results makes of a task: one failure of many allowed ones changes nothing, failures in the
// grace period do not count until the check has passed once.
func TestVerdicts(t *testing.T) {
	began := time.Unix(1000, 0)
	for _, test := range []struct {
		name    string
		grace   time.Duration
		allowed int
		known   *bool
		results string // + and -, one a second
		want    string // what is known after each: +, - or ?
	}{
		{"nothing is known before the first result that counts", 5 * time.Second, 1, nil, "---+", "???+"},
		{"grace ends with the first success", 60 * time.Second, 1, nil, "-+-", "?+-"},
		{"grace ends by itself", 2 * time.Second, 1, nil, "----", "?---"},
		{"as many failures in a row as allowed", 0, 3, nil, "+--+---", "+++++" + "+-"},
		{"it recovers", 0, 1, nil, "-+-+", "-+-+"},
		{"an adopted task is what it was until a check says otherwise", 60 * time.Second, 2, new(true), "--", "+-"},
	} {
		v := newVerdicts([]check{{Grace: test.grace, Failures: test.allowed}}, began, test.known)
		var got strings.Builder
		for i, r := range test.results {
			switch verdict := v.take(0, r == '+', began.Add(time.Duration(i+1)*time.Second)); {
			case verdict == nil:
				got.WriteString("?")
			case *verdict:
				got.WriteString("+")
			default:
				got.WriteString("-")
			}
		}
		if got.String() != test.want {
			t.Errorf("%s: %s gives %s, want %s", test.name, test.results, got.String(), test.want)
		}
	}
}

// TestVerdictOfTwoChecks says: a task is healthy when every check is, and not when one is not.
func TestVerdictOfTwoChecks(t *testing.T) {
	began := time.Unix(1000, 0)
	v := newVerdicts([]check{{Failures: 1}, {Failures: 1}}, began, nil)
	if got := v.take(0, true, began); got != nil {
		t.Errorf("one of two has passed: %v", *got)
	}
	if got := v.take(1, true, began); got == nil || !*got {
		t.Error("both have passed and the task is not healthy")
	}
	if got := v.take(0, false, began); got == nil || *got {
		t.Error("one fails and the task is not unhealthy")
	}
}

// healthy waits for the next word about the health of a task.
func (b *bench) healthy(s driver.Spec, want bool) driver.Status {
	b.t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case e := <-b.Events():
			if c, ok := e.(driver.StatusChanged); ok && c.Status.Task == s.Task && c.Status.Healthy != nil && *c.Status.Healthy == want {
				return c.Status
			}
		case <-deadline:
			b.t.Fatalf("the health of %s never was %v", s.Task, want)
		}
	}
}

// commandCheck asks every second and believes the first failure.
func commandCheck(line string) []app.HealthCheck {
	return []app.HealthCheck{{Protocol: app.ProtocolCommand, Command: &app.Command{Value: line}, IntervalSeconds: 1, TimeoutSeconds: 1, MaxConsecutiveFailures: 1}}
}

// TestCommandCheckSeesWhatItsTaskSees says: folder, environment and user are the task's, and a failure tells why.
func TestCommandCheckSeesWhatItsTaskSees(t *testing.T) {
	b := newBench(t)
	s := task(1, "echo here >file; "+untilTERM)
	s.Env = map[string]string{"GREETING": "hello"}
	s.App.HealthChecks = commandCheck(`test "$GREETING" = hello && test "$(cat file)" = here && id -u >user && test ! -e bad || { echo it is bad; exit 7; }`)
	b.launch(s)
	b.healthy(s, true)
	if got := b.said("user"); got != strconv.Itoa(b.cfg.uid()) {
		t.Errorf("the check runs as user %s, the task as %d", got, b.cfg.uid())
	}
	if err := os.WriteFile(filepath.Join(b.dir.volume(string(instance)), "bad"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := b.healthy(s, false); !strings.Contains(got.Message, "it is bad") || got.State != app.TaskRunning {
		t.Errorf("the status is %s %q", got.State, got.Message)
	}
	b.reopen()
	if got := b.healthy(s, false); got.State != app.TaskRunning {
		t.Errorf("the next driver says %s", got.State)
	}
	if err := os.Remove(filepath.Join(b.dir.volume(string(instance)), "bad")); err != nil {
		t.Fatal(err)
	}
	b.healthy(s, true)
}

// TestCommandCheckThatHangs says: it fails after its timeout and leaves nothing behind.
func TestCommandCheckThatHangs(t *testing.T) {
	b := newBench(t)
	s := task(1, untilTERM)
	s.App.HealthChecks = commandCheck("echo $$ >pid; sleep 1000 & wait")
	b.launch(s)
	if got := b.healthy(s, false); !strings.Contains(got.Message, errTooLong.Error()) {
		t.Errorf("the message is %q", got.Message)
	}
}

// TestChecksOfThePlatformsKinds says: MESOS_HTTP and MESOS_TCP ask the address of the host, by index or by container port.
func TestChecksOfThePlatformsKinds(t *testing.T) {
	b := newBench(t)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort(b.cfg.Hosts[0].Address, "31007"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}}
	server.Start()
	defer server.Close()
	s := driver.Spec{Ports: []int{31006, 31007}}
	s.App.Networks = []app.Network{{Mode: app.NetworkBridge}}
	s.App.Container = &app.Container{PortMappings: []app.PortMapping{{ContainerPort: 5432, HostPort: new(0)}, {ContainerPort: 8008, HostPort: new(0)}}}
	for _, test := range []struct {
		check app.HealthCheck
		ok    bool
	}{
		{app.HealthCheck{Protocol: app.ProtocolMesosHTTP, Path: "/health", PortIndex: new(1)}, true},
		{app.HealthCheck{Protocol: app.ProtocolMesosHTTP, Path: "health", Port: new(8008)}, true},
		{app.HealthCheck{Protocol: app.ProtocolMesosHTTP, Path: "/else", PortIndex: new(1)}, false},
		{app.HealthCheck{Protocol: app.ProtocolMesosTCP, PortIndex: new(1)}, true},
		{app.HealthCheck{Protocol: app.ProtocolMesosTCP, PortIndex: new(0)}, false},
		{app.HealthCheck{Protocol: app.ProtocolMesosHTTPS, PortIndex: new(1)}, false},
	} {
		s.App.HealthChecks = []app.HealthCheck{test.check, {Protocol: app.ProtocolHTTP}}
		checks := checksOf(s, b.cfg.Hosts[0])
		if len(checks) != 1 {
			t.Fatalf("%d checks are the driver's, want 1", len(checks))
		}
		if err := (prober{}).probe(t.Context(), checks[0]); (err == nil) != test.ok {
			t.Errorf("%+v: %v", checks[0], err)
		}
	}
}
