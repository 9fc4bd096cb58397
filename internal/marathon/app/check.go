package app

import (
	"slices"
	"strings"
	"time"
)

// HealthCheck is a probe of a running task that repeats for its whole life.
type HealthCheck struct {
	Protocol               Protocol `json:"protocol"`
	Path                   string   `json:"path,omitempty"`
	Port                   *int     `json:"port,omitempty"`      // a fixed number; excludes PortIndex
	PortIndex              *int     `json:"portIndex,omitempty"` // index into [App.Ports]
	Command                *Command `json:"command,omitempty"`
	GracePeriodSeconds     int      `json:"gracePeriodSeconds"`
	IntervalSeconds        int      `json:"intervalSeconds"`
	TimeoutSeconds         int      `json:"timeoutSeconds"`
	MaxConsecutiveFailures int      `json:"maxConsecutiveFailures"` // 0: never kill
	DelaySeconds           int      `json:"delaySeconds"`
	IgnoreHTTP1xx          bool     `json:"ignoreHttp1xx"`
	IPProtocol             string   `json:"ipProtocol"` // IPv4 or IPv6
}

// Command is a shell command.
type Command struct {
	Value string `json:"value"`
}

// Protocol is the kind of a health check.
type Protocol string

// The protocols of health checks; those with MESOS_ and COMMAND run beside the task, the others in the scheduler.
const (
	ProtocolHTTP       Protocol = "HTTP"
	ProtocolHTTPS      Protocol = "HTTPS"
	ProtocolTCP        Protocol = "TCP"
	ProtocolCommand    Protocol = "COMMAND"
	ProtocolMesosHTTP  Protocol = "MESOS_HTTP"
	ProtocolMesosHTTPS Protocol = "MESOS_HTTPS"
	ProtocolMesosTCP   Protocol = "MESOS_TCP"
)

// ReadinessCheck is a probe that only holds up a deployment.
type ReadinessCheck struct {
	Name                    string `json:"name"`
	Protocol                string `json:"protocol"` // HTTP or HTTPS
	Path                    string `json:"path"`
	PortName                string `json:"portName"`
	IntervalSeconds         int    `json:"intervalSeconds"`
	TimeoutSeconds          int    `json:"timeoutSeconds"`
	HTTPStatusCodesForReady []int  `json:"httpStatusCodesForReady"`
	PreserveLastResponse    bool   `json:"preserveLastResponse"`
}

func (h HealthCheck) clone() HealthCheck {
	h.Port, h.PortIndex, h.Command = clonePtr(h.Port), clonePtr(h.PortIndex), clonePtr(h.Command)
	return h
}

// Interval is the time between two probes, never less than a second whatever the definition says.
func (h HealthCheck) Interval() time.Duration { return seconds(max(h.IntervalSeconds, 1)) }

// Timeout is the time one probe may take, never less than a second.
func (h HealthCheck) Timeout() time.Duration { return seconds(max(h.TimeoutSeconds, 1)) }

// Grace is the time after TASK_RUNNING in which failures before the first success are ignored.
func (h HealthCheck) Grace() time.Duration { return seconds(h.GracePeriodSeconds) }

// Target is the host port to probe of a task with those host ports; false when the task has no such port.
func (h HealthCheck) Target(ports []int) (int, bool) {
	switch {
	case h.Port != nil:
		return *h.Port, true
	case h.PortIndex != nil && *h.PortIndex >= 0 && *h.PortIndex < len(ports):
		return ports[*h.PortIndex], true
	}
	return 0, false
}

// EffectiveHealthChecks are the checks of the app with an absolute path wherever one is requested, in the order of the
// definition. They share no memory with the app.
func (a App) EffectiveHealthChecks() []HealthCheck {
	checks := slices.Clone(a.HealthChecks)
	for i := range checks {
		checks[i] = checks[i].clone()
		if strings.Contains(string(checks[i].Protocol), "HTTP") {
			checks[i].Path = "/" + strings.TrimPrefix(checks[i].Path, "/")
		}
	}
	return checks
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
