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
	PortName               string   `json:"portName,omitempty"`  // name of one of [App.Ports]; excludes the other two
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

// Check is a probe beside the task whose result is only shown: nothing is killed for it.
type Check struct {
	HTTP            *CheckHTTP `json:"http,omitempty"`
	TCP             *CheckTCP  `json:"tcp,omitempty"`
	Exec            *CheckExec `json:"exec,omitempty"`
	IntervalSeconds int        `json:"intervalSeconds"`
	TimeoutSeconds  int        `json:"timeoutSeconds"`
	DelaySeconds    int        `json:"delaySeconds"`
}

// CheckHTTP asks for a page.
type CheckHTTP struct {
	PortIndex *int   `json:"portIndex,omitempty"`
	Path      string `json:"path,omitempty"`
	Scheme    string `json:"scheme"` // HTTP or HTTPS
}

// CheckTCP makes a connection.
type CheckTCP struct {
	PortIndex *int `json:"portIndex,omitempty"`
}

// CheckExec runs a command.
type CheckExec struct {
	Command CheckCommand `json:"command"`
}

// CheckCommand is a shell command or a program with its arguments.
type CheckCommand struct {
	Shell string   `json:"shell,omitempty"`
	Argv  []string `json:"argv,omitempty"`
}

func (c *Check) clone() *Check {
	if c == nil {
		return nil
	}
	out := *c
	if c.HTTP != nil {
		out.HTTP = &CheckHTTP{PortIndex: clonePtr(c.HTTP.PortIndex), Path: c.HTTP.Path, Scheme: c.HTTP.Scheme}
	}
	if c.TCP != nil {
		out.TCP = &CheckTCP{PortIndex: clonePtr(c.TCP.PortIndex)}
	}
	if c.Exec != nil {
		out.Exec = &CheckExec{Command: CheckCommand{Shell: c.Exec.Command.Shell, Argv: slices.Clone(c.Exec.Command.Argv)}}
	}
	return &out
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

// EffectiveHealthChecks are the checks of the app with an absolute path wherever one is requested and the index of the
// port wherever it is named, in the order of the definition. They share no memory with the app.
func (a App) EffectiveHealthChecks() []HealthCheck {
	checks := slices.Clone(a.HealthChecks)
	for i := range checks {
		checks[i] = checks[i].clone()
		if index := a.portNamed(checks[i].PortName); index >= 0 {
			checks[i].PortIndex = &index
		}
		if strings.Contains(string(checks[i].Protocol), "HTTP") {
			checks[i].Path = "/" + strings.TrimPrefix(checks[i].Path, "/")
		}
	}
	return checks
}

// portNamed is the index of the port with that name, -1 when none has it.
func (a App) portNamed(name string) int {
	if name == "" {
		return -1
	}
	return slices.IndexFunc(a.Ports(), func(p Port) bool { return p.Name == name })
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
