package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

var check = app.HealthCheck{Protocol: app.ProtocolHTTP, GracePeriodSeconds: 30, MaxConsecutiveFailures: 3}

// tally runs probes ten seconds apart, the first ten seconds after the start.
func tally(probes ...Probe) app.HealthResult {
	var r app.HealthResult
	for n, p := range probes {
		r = Tally(r, check, p, app.At(noon), noon.Add(time.Duration(n+1)*10*time.Second))
	}
	return r
}

func TestTally(t *testing.T) {
	good, bad, skip := Probe{OK: true}, Probe{Cause: "no"}, Probe{Skip: true}
	at := func(seconds int) app.Timestamp { return app.At(noon.Add(time.Duration(seconds) * time.Second)) }
	for name, test := range map[string]struct {
		probes []Probe
		want   app.HealthResult
	}{
		"good":                 {[]Probe{good, good}, app.HealthResult{Alive: true, FirstSuccess: at(10), LastSuccess: at(20)}},
		"bad within its grace": {[]Probe{bad, bad}, app.HealthResult{}},
		"bad after its grace":  {[]Probe{bad, bad, bad}, app.HealthResult{ConsecutiveFailures: 1, LastFailure: at(30), LastFailureCause: "no"}},
		"the first success ends its grace": {[]Probe{good, bad}, app.HealthResult{
			FirstSuccess: at(10), LastSuccess: at(10), ConsecutiveFailures: 1, LastFailure: at(20), LastFailureCause: "no",
		}},
		"well again": {[]Probe{good, bad, good}, app.HealthResult{
			Alive: true, FirstSuccess: at(10), LastSuccess: at(30), LastFailure: at(20), LastFailureCause: "no",
		}},
		"says nothing": {[]Probe{good, skip}, app.HealthResult{Alive: true, FirstSuccess: at(10), LastSuccess: at(10)}},
	} {
		if diff := cmp.Diff(test.want, tally(test.probes...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestExhausted(t *testing.T) {
	for failures, want := range map[int]bool{0: false, 3: false, 4: true} {
		r := app.HealthResult{ConsecutiveFailures: failures, LastFailureCause: "no"}
		if got := Exhausted(r, check); (got != "") != want {
			t.Errorf("after %d failures: %q", failures, got)
		}
		if never := Exhausted(r, app.HealthCheck{}); never != "" {
			t.Errorf("a check that never kills: %q", never)
		}
	}
}

func TestSilence(t *testing.T) {
	var s Silence
	for n := range 5 { // at 10, 20, 30, 40 and 50 seconds, 30 of them grace
		s = s.Next(false, check, app.At(noon), noon.Add(time.Duration(n+1)*10*time.Second))
	}
	if s.Missed != 3 || !strings.Contains(s.TooLong(check), "3 questions in a row") {
		t.Errorf("never answered: %+v, %q", s, s.TooLong(check))
	}
	s = s.Next(true, check, app.At(noon), noon.Add(time.Hour))
	if s.TooLong(check) != "" || s.Missed != 0 {
		t.Errorf("answered: %+v", s)
	}
	// Once it has answered its grace is over.
	early := Silence{Answered: true}.Next(false, check, app.At(noon), noon.Add(time.Second))
	if early.Missed != 1 {
		t.Errorf("silent again within its grace: %+v", early)
	}
	if s := (Silence{Missed: 99}); s.TooLong(app.HealthCheck{}) != "" {
		t.Error("a check that never kills has killed")
	}
}

func TestProbed(t *testing.T) {
	for protocol, want := range map[app.Protocol]bool{
		app.ProtocolHTTP: true, app.ProtocolHTTPS: true, app.ProtocolTCP: true, app.ProtocolCommand: false,
		app.ProtocolMesosHTTP: false, app.ProtocolMesosHTTPS: false, app.ProtocolMesosTCP: false, "?": false,
	} {
		if got := ProbedHere(app.HealthCheck{Protocol: protocol}); got != want {
			t.Errorf("%s: %v", protocol, got)
		}
	}
}
