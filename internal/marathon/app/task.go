package app

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Task is one run of an instance, as `GET /v2/apps/{id}/tasks` shows it.
type Task struct {
	ID           TaskID        `json:"id"`
	AppID        ID            `json:"appId"`
	Host         string        `json:"host"`  // what clients connect to
	Ports        Ports         `json:"ports"` // host ports, one for each of [App.Ports], in that order
	ServicePorts Ports         `json:"servicePorts"`
	IPAddresses  []IPAddress   `json:"ipAddresses,omitempty"`
	SlaveID      string        `json:"slaveId"`
	State        TaskState     `json:"state"`
	StagedAt     Timestamp     `json:"stagedAt,omitzero"`
	StartedAt    Timestamp     `json:"startedAt,omitzero"`
	Version      Timestamp     `json:"version,omitzero"` // of the definition it was started with
	LocalVolumes []LocalVolume `json:"localVolumes,omitempty"`
	Region       string        `json:"region,omitempty"`
	Zone         string        `json:"zone,omitempty"`
	Role         string        `json:"role,omitempty"`
	// HealthCheckResults is empty until the first probe has ended: clients read a missing key as "unknown" and
	// alive:false as "take it out of the pool".
	HealthCheckResults []HealthResult `json:"healthCheckResults,omitempty"`
}

// Ports are port numbers. Clients count them, so nil is written as [].
type Ports []int

// MarshalJSON writes a list, also for nil.
func (p Ports) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, port := range p {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(port), 10)
	}
	return append(b, ']'), nil
}

// IPAddress is an address of a task.
type IPAddress struct {
	IPAddress string `json:"ipAddress"`
	Protocol  string `json:"protocol"` // IPv4 or IPv6
}

// LocalVolume is a persistent volume of the instance a task runs for.
type LocalVolume struct {
	RunSpecID     ID     `json:"runSpecId"`
	ContainerPath string `json:"containerPath"`
	UUID          string `json:"uuid"`
	PersistenceID string `json:"persistenceId"`
}

// HealthResult is what one health check of the app found at one task so far.
type HealthResult struct {
	Alive               bool       `json:"alive"`
	ConsecutiveFailures int        `json:"consecutiveFailures"`
	FirstSuccess        Timestamp  `json:"firstSuccess,omitzero"`
	LastSuccess         Timestamp  `json:"lastSuccess,omitzero"`
	LastFailure         Timestamp  `json:"lastFailure,omitzero"`
	LastFailureCause    string     `json:"lastFailureCause,omitempty"`
	InstanceID          InstanceID `json:"instanceId"`
}

// TaskState is Mesos' state of a task.
type TaskState string

// The task states.
const (
	TaskStaging     TaskState = "TASK_STAGING"
	TaskStarting    TaskState = "TASK_STARTING"
	TaskRunning     TaskState = "TASK_RUNNING"
	TaskKilling     TaskState = "TASK_KILLING"
	TaskFinished    TaskState = "TASK_FINISHED"
	TaskFailed      TaskState = "TASK_FAILED"
	TaskKilled      TaskState = "TASK_KILLED"
	TaskError       TaskState = "TASK_ERROR"
	TaskLost        TaskState = "TASK_LOST"
	TaskUnreachable TaskState = "TASK_UNREACHABLE"
	TaskGone        TaskState = "TASK_GONE"
	TaskDropped     TaskState = "TASK_DROPPED"
)

// Terminal reports whether the task can never run again. TASK_LOST and TASK_UNREACHABLE are not terminal: an
// unreachable host is not a dead one (rule S7), and its task may come back.
func (s TaskState) Terminal() bool {
	switch s {
	case TaskFinished, TaskFailed, TaskKilled, TaskError, TaskGone, TaskDropped:
		return true
	case TaskStaging, TaskStarting, TaskRunning, TaskKilling, TaskLost, TaskUnreachable:
		return false
	}
	return false
}

// Counts are the task numbers Marathon adds to an app.
type Counts struct {
	Staged    int `json:"tasksStaged"`
	Running   int `json:"tasksRunning"`
	Healthy   int `json:"tasksHealthy"`
	Unhealthy int `json:"tasksUnhealthy"`
}

// Count counts tasks: healthy when every check of the app says alive, unhealthy when any says it is not, neither
// before the first probe.
func Count(tasks []Task) Counts {
	var c Counts
	for _, t := range tasks {
		if t.State == TaskStaging || t.State == TaskStarting {
			c.Staged++
		}
		if t.State == TaskRunning {
			c.Running++
			countHealth(&c, t.HealthCheckResults)
		}
	}
	return c
}

func countHealth(c *Counts, results []HealthResult) {
	if len(results) == 0 {
		return
	}
	for _, r := range results {
		if !r.Alive {
			c.Unhealthy++
			return
		}
	}
	c.Healthy++
}

// InstanceID names an instance for life, across restarts of its task: "postgresql_patroni.instance-<uuid>".
type InstanceID string

// TaskID names one run of an instance: "<instance id>._app.<incarnation>".
type TaskID string

var (
	instancePattern = regexp.MustCompile(`^(.+)\.instance-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)
	taskPattern     = regexp.MustCompile(`^(.+)\._app\.([1-9][0-9]{0,8})$`)
	// oldTaskPattern is what Marathon called tasks before it had instances, and what clients still make of their ids.
	oldTaskPattern = regexp.MustCompile(`^([^_]+(?:_[^_]+)*)\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:\.([1-9][0-9]{0,8}))?$`)
)

// NewInstanceID names an instance of app; uuid is the lower-case text of one.
func NewInstanceID(app ID, uuid string) InstanceID {
	return InstanceID(app.Safe() + ".instance-" + uuid)
}

// ParseInstanceID checks the form of an instance id.
func ParseInstanceID(s string) (InstanceID, error) {
	m := instancePattern.FindStringSubmatch(s)
	if m == nil {
		return "", fmt.Errorf("%q is not an instance id like app.instance-<uuid>", s)
	}
	if _, err := fromSafe(m[1]); err != nil {
		return "", fmt.Errorf("%q is not an instance id: %w", s, err)
	}
	return InstanceID(s), nil
}

// App is the app the instance belongs to.
func (i InstanceID) App() ID {
	safe, _, _ := strings.Cut(string(i), ".instance-")
	id, _ := fromSafe(safe)
	return id
}

// UUID is the part that no other instance of any app shares.
func (i InstanceID) UUID() string {
	_, uuid, _ := strings.Cut(string(i), ".instance-")
	return uuid
}

// NewTaskID names a run of an instance; incarnations count from 1.
func NewTaskID(instance InstanceID, incarnation int) TaskID {
	return TaskID(string(instance) + "._app." + strconv.Itoa(incarnation))
}

// ParseTaskID checks the form of a task id. The old forms app.<uuid> and app.<uuid>.<attempt> are taken too; they become
// the present form, the first run where they name none.
func ParseTaskID(s string) (TaskID, error) {
	if old := oldTaskPattern.FindStringSubmatch(s); old != nil {
		s = old[1] + ".instance-" + old[2] + "._app." + cmp.Or(old[3], "1")
	}
	m := taskPattern.FindStringSubmatch(s)
	if m == nil {
		return "", fmt.Errorf("%q is not a task id like app.instance-<uuid>._app.1", s)
	}
	if _, err := ParseInstanceID(m[1]); err != nil {
		return "", fmt.Errorf("%q is not a task id: %w", s, err)
	}
	return TaskID(s), nil
}

// Instance is the instance the task is a run of.
func (t TaskID) Instance() InstanceID {
	instance, _, _ := strings.Cut(string(t), "._app.")
	return InstanceID(instance)
}

// Incarnation is the number of the run, 0 when the id is malformed.
func (t TaskID) Incarnation() int {
	_, n, _ := strings.Cut(string(t), "._app.")
	incarnation, err := strconv.Atoi(n)
	if err != nil {
		return 0
	}
	return incarnation
}
