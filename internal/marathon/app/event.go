package app

// Event is something that `GET /v2/events` tells. Its JSON is Marathon's payload but for eventType and timestamp, which
// [EncodeEvent] adds.
type Event interface {
	// Type is Marathon's eventType.
	Type() string
}

// APIPostEvent is a definition that was posted.
type APIPostEvent struct {
	ClientIP   string `json:"clientIp"`
	URI        string `json:"uri"`
	Definition App    `json:"appDefinition"`
}

// StatusUpdateEvent is a new state of a task.
type StatusUpdateEvent struct {
	SlaveID     string      `json:"slaveId"`
	TaskID      TaskID      `json:"taskId"`
	State       TaskState   `json:"taskStatus"`
	Message     string      `json:"message"`
	AppID       ID          `json:"appId"`
	Host        string      `json:"host"`
	IPAddresses []IPAddress `json:"ipAddresses"`
	Ports       Ports       `json:"ports"`
	Version     Timestamp   `json:"version"`
}

// InstanceChangedEvent is a new condition of an instance.
type InstanceChangedEvent struct {
	InstanceID InstanceID `json:"instanceId"`
	Condition  string     `json:"condition"` // Scheduled, Provisioned, Staging, Running, Unreachable, …
	RunSpecID  ID         `json:"runSpecId"`
	AgentID    string     `json:"agentId"`
	Host       string     `json:"host"`
	Version    Timestamp  `json:"runSpecVersion"`
}

// InstanceHealthChangedEvent is a new health of an instance; Healthy is nil when it is not known.
type InstanceHealthChangedEvent struct {
	InstanceID InstanceID `json:"instanceId"`
	RunSpecID  ID         `json:"runSpecId"`
	Healthy    *bool      `json:"healthy"`
	Version    Timestamp  `json:"runSpecVersion"`
}

// UnknownInstanceTerminatedEvent is the end of an instance that nobody wanted.
type UnknownInstanceTerminatedEvent struct {
	InstanceID InstanceID `json:"instanceId"`
	RunSpecID  ID         `json:"runSpecId"`
	Condition  string     `json:"condition"`
}

// HealthStatusChangedEvent is a health check that passes or fails from now on.
type HealthStatusChangedEvent struct {
	AppID      ID         `json:"appId"`
	InstanceID InstanceID `json:"instanceId"`
	TaskID     TaskID     `json:"taskId"`
	Version    Timestamp  `json:"version"`
	Alive      bool       `json:"alive"`
}

// FailedHealthCheckEvent is one failed probe.
type FailedHealthCheckEvent struct {
	AppID       ID          `json:"appId"`
	TaskID      TaskID      `json:"taskId"`
	HealthCheck HealthCheck `json:"healthCheck"`
}

// UnhealthyKillEvent is a task that is killed because it failed its health check too often.
type UnhealthyKillEvent struct {
	AppID      ID         `json:"appId"`
	TaskID     TaskID     `json:"taskId"`
	InstanceID InstanceID `json:"instanceId"`
	Version    Timestamp  `json:"version"`
	Reason     string     `json:"reason"`
	Host       string     `json:"host"`
	SlaveID    string     `json:"slaveId"`
}

// AddHealthCheckEvent is a check that begins with a definition.
type AddHealthCheckEvent struct {
	AppID       ID          `json:"appId"`
	Version     Timestamp   `json:"version"`
	HealthCheck HealthCheck `json:"healthCheck"`
}

// RemoveHealthCheckEvent is a check that ends with a definition.
type RemoveHealthCheckEvent struct {
	AppID ID `json:"appId"`
}

// TerminatedEvent is an app that is gone, its last task included.
type TerminatedEvent struct {
	AppID ID `json:"appId"`
}

// GroupChangeEvent is a change of a group that was made, or with Reason could not be.
type GroupChangeEvent struct {
	GroupID ID        `json:"groupId"`
	Version Timestamp `json:"version"`
	Reason  string    `json:"reason,omitempty"`
}

// PlanEvent is what deployment events show of a plan.
type PlanEvent struct {
	ID      string    `json:"id"`
	Version Timestamp `json:"version"`
	Steps   []Step    `json:"steps"`
}

// DeploymentInfoEvent is a step of a deployment that begins.
type DeploymentInfoEvent struct {
	Plan        PlanEvent `json:"plan"`
	CurrentStep Step      `json:"currentStep"`
}

// DeploymentStepEvent is a step of a deployment that has ended, well or not.
type DeploymentStepEvent struct {
	Plan        PlanEvent `json:"plan"`
	CurrentStep Step      `json:"currentStep"`
	Failed      bool      `json:"-"`
}

// DeploymentEndEvent is a deployment that has ended.
type DeploymentEndEvent struct {
	ID     string    `json:"id"`
	Plan   PlanEvent `json:"plan"`
	Reason string    `json:"reason,omitempty"` // why it failed; empty when it did not
}

// SchedulerEvent is a change in the connection to the platform.
type SchedulerEvent struct {
	Kind        string `json:"-"` // registered, reregistered or disconnected
	FrameworkID string `json:"frameworkId,omitempty"`
	Master      string `json:"master,omitempty"`
}

// StreamEvent is a client of the event stream that came or went.
type StreamEvent struct {
	RemoteAddress string `json:"remoteAddress"`
	Detached      bool   `json:"-"`
}

// Type implements [Event].
func (APIPostEvent) Type() string { return "api_post_event" }

// Type implements [Event].
func (StatusUpdateEvent) Type() string { return "status_update_event" }

// Type implements [Event].
func (InstanceChangedEvent) Type() string { return "instance_changed_event" }

// Type implements [Event].
func (InstanceHealthChangedEvent) Type() string { return "instance_health_changed_event" }

// Type implements [Event].
func (UnknownInstanceTerminatedEvent) Type() string { return "unknown_instance_terminated_event" }

// Type implements [Event].
func (HealthStatusChangedEvent) Type() string { return "health_status_changed_event" }

// Type implements [Event].
func (FailedHealthCheckEvent) Type() string { return "failed_health_check_event" }

// Type implements [Event].
func (UnhealthyKillEvent) Type() string { return "unhealthy_instance_kill_event" }

// Type implements [Event].
func (AddHealthCheckEvent) Type() string { return "add_health_check_event" }

// Type implements [Event].
func (RemoveHealthCheckEvent) Type() string { return "remove_health_check_event" }

// Type implements [Event].
func (TerminatedEvent) Type() string { return "app_terminated_event" }

// Type implements [Event].
func (e GroupChangeEvent) Type() string {
	if e.Reason != "" {
		return "group_change_failed"
	}
	return "group_change_success"
}

// Type implements [Event].
func (DeploymentInfoEvent) Type() string { return "deployment_info" }

// Type implements [Event].
func (e DeploymentStepEvent) Type() string {
	if e.Failed {
		return "deployment_step_failure"
	}
	return "deployment_step_success"
}

// Type implements [Event].
func (e DeploymentEndEvent) Type() string {
	if e.Reason != "" {
		return "deployment_failed"
	}
	return "deployment_success"
}

// Type implements [Event].
func (e SchedulerEvent) Type() string { return "scheduler_" + e.Kind + "_event" }

// Type implements [Event].
func (e StreamEvent) Type() string {
	if e.Detached {
		return "event_stream_detached"
	}
	return "event_stream_attached"
}
