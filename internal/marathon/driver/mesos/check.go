package mesos

import (
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

const (
	// neverKill is more failures than there will be: the executor tells how the task is, and the scheduler, who knows what a
	// database is doing, decides what follows.
	neverKill = 1 << 30
	// usualFailures are how many failures in a row make a task ill of which the definition is not known any more: the
	// default of Marathon.
	usualFailures = 3
)

// beside are the checks that the executor runs.
func beside(a app.App) []app.HealthCheck {
	return slices.DeleteFunc(slices.Clone(a.HealthChecks), func(h app.HealthCheck) bool {
		return h.Protocol != app.ProtocolCommand && !strings.HasPrefix(string(h.Protocol), "MESOS_")
	})
}

// healthCheck is the one check of the definition that the executor runs. It asks the port inside the container.
func healthCheck(s driver.Spec) *wire.HealthCheck {
	checks := beside(s.App)
	if len(checks) == 0 {
		return nil
	}
	h := checks[0]
	check := &wire.HealthCheck{
		DelaySeconds: float64(h.DelaySeconds), IntervalSeconds: h.Interval().Seconds(), TimeoutSeconds: h.Timeout().Seconds(),
		ConsecutiveFailures: neverKill, GracePeriodSeconds: h.Grace().Seconds(),
	}
	switch h.Protocol {
	case app.ProtocolMesosHTTP, app.ProtocolMesosHTTPS:
		scheme := strings.ToLower(strings.TrimPrefix(string(h.Protocol), "MESOS_"))
		check.Type, check.HTTP = "HTTP", &wire.HTTPProbe{Scheme: scheme, Port: inside(s, h), Path: h.Path, Protocol: strings.ToUpper(h.IPProtocol)}
	case app.ProtocolMesosTCP:
		check.Type, check.TCP = "TCP", &wire.TCPProbe{Port: inside(s, h)}
	case app.ProtocolCommand:
		check.Type, check.Command = "COMMAND", &wire.Command{Shell: true, Value: h.Command.Value}
	case app.ProtocolHTTP, app.ProtocolHTTPS, app.ProtocolTCP: // the scheduler's
	}
	return check
}

// inside is the port of a check as the task itself sees it.
func inside(s driver.Spec, h app.HealthCheck) int {
	if h.Port != nil {
		return *h.Port
	}
	all := s.App.Ports()
	index := 0
	switch {
	case h.PortName != "":
		index = max(0, slices.IndexFunc(all, func(p app.Port) bool { return p.Name == h.PortName }))
	case h.PortIndex != nil:
		index = *h.PortIndex
	}
	if index < len(all) && !s.App.HostNetwork() && all[index].ContainerPort != 0 {
		return all[index].ContainerPort
	}
	if index < len(s.Ports) {
		return s.Ports[index]
	}
	return 0
}

// failuresOf is how often the check may fail in a row before the task counts as ill.
func failuresOf(a app.App) int {
	if checks := beside(a); len(checks) > 0 {
		return max(1, checks[0].MaxConsecutiveFailures)
	}
	return usualFailures
}

// health is what the check of a task means: executors tell of each failure, and one does not make it ill.
func (t *task) health(s wire.TaskStatus) *bool {
	if s.Healthy == nil {
		return t.healthy
	}
	if *s.Healthy {
		t.failures, t.healthy = 0, s.Healthy
		return t.healthy
	}
	if s.UUID != "" && s.UUID != t.told { // not one that is repeated or repeats what was asked
		t.failures, t.told = t.failures+1, s.UUID
	}
	limit := t.limit
	if limit == 0 {
		limit = usualFailures
	}
	if t.failures >= limit {
		t.healthy = s.Healthy
	}
	return t.healthy
}
