package wire

// Call is what a framework says to the master. Exactly the part that Type names is set.
type Call struct {
	FrameworkID *ID      `json:"framework_id,omitempty"` // absent in the first SUBSCRIBE only
	Type        CallType `json:"type"`

	Subscribe                  *Subscribe                  `json:"subscribe,omitempty"`
	Accept                     *Accept                     `json:"accept,omitempty"`
	Decline                    *Decline                    `json:"decline,omitempty"`
	AcceptInverseOffers        *InverseAnswer              `json:"accept_inverse_offers,omitempty"`
	DeclineInverseOffers       *InverseAnswer              `json:"decline_inverse_offers,omitempty"`
	Revive                     *Roles                      `json:"revive,omitempty"`
	Suppress                   *Roles                      `json:"suppress,omitempty"`
	Kill                       *Kill                       `json:"kill,omitempty"`
	Acknowledge                *Acknowledge                `json:"acknowledge,omitempty"`
	AcknowledgeOperationStatus *AcknowledgeOperationStatus `json:"acknowledge_operation_status,omitempty"`
	Reconcile                  *Reconcile                  `json:"reconcile,omitempty"`
	ReconcileOperations        *ReconcileOperations        `json:"reconcile_operations,omitempty"`
	UpdateFramework            *Subscribe                  `json:"update_framework,omitempty"`
}

// CallType is the kind of a call.
type CallType string

// The calls this program makes. TEARDOWN is not among them: it kills everything.
const (
	CallSubscribe                  CallType = "SUBSCRIBE"
	CallAccept                     CallType = "ACCEPT"
	CallDecline                    CallType = "DECLINE"
	CallAcceptInverseOffers        CallType = "ACCEPT_INVERSE_OFFERS"
	CallDeclineInverseOffers       CallType = "DECLINE_INVERSE_OFFERS"
	CallRevive                     CallType = "REVIVE"
	CallSuppress                   CallType = "SUPPRESS"
	CallKill                       CallType = "KILL"
	CallAcknowledge                CallType = "ACKNOWLEDGE"
	CallAcknowledgeOperationStatus CallType = "ACKNOWLEDGE_OPERATION_STATUS"
	CallReconcile                  CallType = "RECONCILE"
	CallReconcileOperations        CallType = "RECONCILE_OPERATIONS"
	CallUpdateFramework            CallType = "UPDATE_FRAMEWORK"
)

// ID is the name of anything.
type ID struct {
	Value string `json:"value"`
}

// Subscribe introduces a framework, or changes what is known of it.
type Subscribe struct {
	FrameworkInfo   FrameworkInfo `json:"framework_info"`
	SuppressedRoles []string      `json:"suppressed_roles,omitempty"`
}

// FrameworkInfo is what a framework says of itself. User, principal and checkpoint can never be changed.
type FrameworkInfo struct {
	User            string       `json:"user"`
	Name            string       `json:"name"`
	ID              *ID          `json:"id,omitempty"`
	Roles           []string     `json:"roles,omitempty"`
	FailoverTimeout float64      `json:"failover_timeout"` // seconds; its tasks are killed when it is away for longer
	Checkpoint      bool         `json:"checkpoint"`       // tasks outlive a restart of their agent
	Principal       string       `json:"principal,omitempty"`
	Hostname        string       `json:"hostname,omitempty"`
	WebUIURL        string       `json:"webui_url,omitempty"`
	Capabilities    []Capability `json:"capabilities,omitempty"`
	Labels          *Labels      `json:"labels,omitempty"`
}

// Capability is something a framework can deal with.
type Capability struct {
	Type string `json:"type"`
}

// Labels are pairs of text.
type Labels struct {
	Labels []Label `json:"labels"`
}

// Label is one of them.
type Label struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

// Accept uses offers of one agent: the operations are done in order, what is left is declined with the filters.
type Accept struct {
	OfferIDs   []ID        `json:"offer_ids"`
	Operations []Operation `json:"operations,omitempty"`
	Filters    *Filters    `json:"filters,omitempty"`
}

// Filters say how long what was not used is not to be offered again.
type Filters struct {
	RefuseSeconds float64 `json:"refuse_seconds"`
}

// Operation is one thing done with an offer. One with an id is answered with UPDATE_OPERATION_STATUS, LAUNCH never.
type Operation struct {
	Type      OperationType `json:"type"`
	ID        *ID           `json:"id,omitempty"`
	Reserve   *Resources    `json:"reserve,omitempty"`
	Unreserve *Resources    `json:"unreserve,omitempty"`
	Create    *Volumes      `json:"create,omitempty"`
	Destroy   *Volumes      `json:"destroy,omitempty"`
	Launch    *Launch       `json:"launch,omitempty"`
}

// OperationType is the kind of an operation.
type OperationType string

// The operations this program uses.
const (
	OpReserve   OperationType = "RESERVE"
	OpUnreserve OperationType = "UNRESERVE"
	OpCreate    OperationType = "CREATE"
	OpDestroy   OperationType = "DESTROY"
	OpLaunch    OperationType = "LAUNCH"
)

// Resources, Volumes and Launch are the bodies of operations.
type (
	// Resources are to be reserved, or not any more.
	Resources struct {
		Resources []Resource `json:"resources"`
	}
	// Volumes are disk resources with a persistence, to be made or destroyed.
	Volumes struct {
		Volumes []Resource `json:"volumes"`
	}
	// Launch starts tasks.
	Launch struct {
		TaskInfos []TaskInfo `json:"task_infos"`
	}
)

// Decline gives offers back.
type Decline struct {
	OfferIDs []ID     `json:"offer_ids"`
	Filters  *Filters `json:"filters,omitempty"`
}

// InverseAnswer accepts or declines to leave an agent.
type InverseAnswer struct {
	InverseOfferIDs []ID     `json:"inverse_offer_ids"`
	Filters         *Filters `json:"filters,omitempty"`
}

// Roles are the roles a REVIVE or SUPPRESS is about.
type Roles struct {
	Roles []string `json:"roles,omitempty"`
}

// Kill ends a task.
type Kill struct {
	TaskID     ID          `json:"task_id"`
	AgentID    *ID         `json:"agent_id,omitempty"`
	KillPolicy *KillPolicy `json:"kill_policy,omitempty"`
}

// KillPolicy is how long a task has between SIGTERM and SIGKILL.
type KillPolicy struct {
	GracePeriod *Duration `json:"grace_period,omitempty"`
}

// Duration is a span of time.
type Duration struct {
	Nanoseconds int64 `json:"nanoseconds"`
}

// Acknowledge says that a status is stored. UUID is the base64 text of the status.
type Acknowledge struct {
	AgentID ID     `json:"agent_id"`
	TaskID  ID     `json:"task_id"`
	UUID    string `json:"uuid"`
}

// AcknowledgeOperationStatus does the same for an operation. UUID is the bare text, not the object it came in.
type AcknowledgeOperationStatus struct {
	UUID        string `json:"uuid"`
	OperationID ID     `json:"operation_id"`
	AgentID     *ID    `json:"agent_id,omitempty"`
}

// Reconcile asks for the states of tasks; of all that are known when it names none.
type Reconcile struct {
	Tasks []ReconcileTask `json:"tasks"`
}

// ReconcileTask is one of them.
type ReconcileTask struct {
	TaskID  ID  `json:"task_id"`
	AgentID *ID `json:"agent_id,omitempty"`
}

// ReconcileOperations asks for the states of operations.
type ReconcileOperations struct {
	Operations []ReconcileOperation `json:"operations"`
}

// ReconcileOperation is one of them.
type ReconcileOperation struct {
	OperationID ID  `json:"operation_id"`
	AgentID     *ID `json:"agent_id,omitempty"`
}
