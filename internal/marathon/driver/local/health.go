package local

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// check is one health check that runs beside its task, as it is recorded with it.
type check struct {
	Protocol app.Protocol  `json:"protocol"`
	Command  string        `json:"command,omitempty"`
	Address  string        `json:"address,omitempty"` // host:port
	Path     string        `json:"path,omitempty"`
	Skip1xx  bool          `json:"skip_1xx,omitempty"`
	Delay    time.Duration `json:"delay"`
	Interval time.Duration `json:"interval"`
	Timeout  time.Duration `json:"timeout"`
	Grace    time.Duration `json:"grace"`
	Failures int           `json:"failures"` // in a row make the task unhealthy, at least 1
}

// checksOf are the checks of the task that are the driver's.
func checksOf(s driver.Spec, h Host) []check {
	var list []check
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	for _, c := range s.App.HealthChecks {
		out := check{
			Protocol: c.Protocol, Path: "/" + strings.TrimPrefix(c.Path, "/"), Skip1xx: c.IgnoreHTTP1xx, Delay: seconds(c.DelaySeconds),
			Interval: max(seconds(c.IntervalSeconds), time.Second), Timeout: max(seconds(c.TimeoutSeconds), time.Second), Grace: seconds(c.GracePeriodSeconds),
			Failures: max(c.MaxConsecutiveFailures, 1),
		}
		switch c.Protocol {
		case app.ProtocolCommand:
			if c.Command != nil {
				out.Command = c.Command.Value
			}
		case app.ProtocolMesosHTTP, app.ProtocolMesosHTTPS, app.ProtocolMesosTCP:
			out.Address = fmt.Sprintf("%s:%d", bracketed(h.Address), checkPort(s, c))
		case app.ProtocolHTTP, app.ProtocolHTTPS, app.ProtocolTCP:
			continue // the scheduler's
		}
		list = append(list, out)
	}
	return list
}

// bracketed is an address as it stands before a port.
func bracketed(address string) string {
	if strings.Contains(address, ":") {
		return "[" + address + "]"
	}
	return address
}

// checkPort is the host port behind the port of a check: by its index, or by the number it has inside a container.
func checkPort(s driver.Spec, c app.HealthCheck) int {
	index := 0
	if c.PortIndex != nil {
		index = *c.PortIndex
	}
	if c.Port != nil {
		found, ok := s.App.PortIndex(*c.Port)
		if s.App.HostNetwork() || !ok {
			return *c.Port
		}
		index = found
	}
	if index < 0 || index >= len(s.Ports) {
		return 0
	}
	return s.Ports[index]
}

// environOf is the environment that a running process was started with: a check sees what its task sees, and nothing of it
// is written down for that.
func environOf(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil
	}
	var list []string
	for variable := range bytes.SplitSeq(b, []byte{0}) {
		if bytes.ContainsRune(variable, '=') {
			list = append(list, string(variable))
		}
	}
	return list
}

// verdicts are what the checks of one task have found so far.
type verdicts struct {
	began  time.Time
	checks []check
	passed []bool // the check has passed once, which ends its grace period
	failed []int  // times in a row
	last   []*bool
}

// newVerdicts begins with what was known before: a task that was healthy is so until a check says otherwise.
func newVerdicts(checks []check, began time.Time, known *bool) *verdicts {
	v := &verdicts{began: began, checks: checks, passed: make([]bool, len(checks)), failed: make([]int, len(checks)), last: make([]*bool, len(checks))}
	for i := range checks {
		v.passed[i] = known != nil
		v.last[i] = known
	}
	return v
}

// take adds one result and returns what it makes of the task; nil while nobody can say.
func (v *verdicts) take(i int, ok bool, now time.Time) *bool {
	switch {
	case ok:
		v.passed[i], v.failed[i], v.last[i] = true, 0, new(true)
	case !v.passed[i] && now.Before(v.began.Add(v.checks[i].Grace)):
	default:
		v.failed[i]++
		if v.failed[i] >= v.checks[i].Failures {
			v.last[i] = new(false)
		}
	}
	return v.whole()
}

func (v *verdicts) whole() *bool {
	unknown := false
	for _, last := range v.last {
		if last != nil && !*last {
			return new(false)
		}
		unknown = unknown || last == nil
	}
	if unknown {
		return nil
	}
	return new(true)
}

// result is what one run of a check has found.
type result struct {
	index int
	ok    bool
	why   string
}

// watchHealth runs the checks of a task until it ends or the driver is closed.
func (d *Driver) watchHealth(t *handle) {
	d.mu.Lock()
	checks, began, known := slices.Clone(t.rec.Checks), t.rec.Status.Time, t.rec.Status.Healthy
	prober := prober{dir: d.dir.work(t.rec), env: append([]string{}, t.environ...), credential: d.cfg.Credential}
	d.mu.Unlock()
	if len(checks) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(d.life)
	defer cancel()
	results := make(chan result)
	for i, c := range checks {
		d.work.Go(func() { prober.repeat(ctx, i, c, results) })
	}
	v := newVerdicts(checks, began, known)
	for {
		select {
		case <-t.done:
			return
		case <-ctx.Done():
			return
		case r := <-results:
			d.noteHealth(t, v.take(r.index, r.ok, time.Now()), r)
		}
	}
}

// noteHealth makes a status of a change.
func (d *Driver) noteHealth(t *handle, healthy *bool, r result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := t.rec.Status.Healthy
	if healthy == nil || before != nil && *before == *healthy || t.rec.Status.State != app.TaskRunning {
		return
	}
	message := "all health checks pass"
	if !*healthy {
		message = "health check failed: " + r.why
	}
	t.rec.Status = status{Seq: t.rec.Status.Seq + 1, State: app.TaskRunning, Message: message, Time: time.Now().UTC(), Healthy: healthy}
	d.report("record task", d.write(t))
	d.emit(t)
}
