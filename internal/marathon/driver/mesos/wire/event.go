package wire

// Event is what the master says on the stream. Exactly the part that Type names is set.
type Event struct {
	Type EventType `json:"type"`

	Subscribed            *Subscribed            `json:"subscribed,omitempty"`
	Offers                *Offers                `json:"offers,omitempty"`
	InverseOffers         *InverseOffers         `json:"inverse_offers,omitempty"`
	Rescind               *Rescind               `json:"rescind,omitempty"`
	RescindInverseOffer   *RescindInverseOffer   `json:"rescind_inverse_offer,omitempty"`
	Update                *Update                `json:"update,omitempty"`
	UpdateOperationStatus *UpdateOperationStatus `json:"update_operation_status,omitempty"`
	Failure               *Failure               `json:"failure,omitempty"`
	Error                 *Error                 `json:"error,omitempty"`
}

// EventType is the kind of an event. Others than these may come and are passed over.
type EventType string

// The events.
const (
	EventSubscribed            EventType = "SUBSCRIBED"
	EventOffers                EventType = "OFFERS"
	EventInverseOffers         EventType = "INVERSE_OFFERS"
	EventRescind               EventType = "RESCIND"
	EventRescindInverseOffer   EventType = "RESCIND_INVERSE_OFFER"
	EventUpdate                EventType = "UPDATE"
	EventUpdateOperationStatus EventType = "UPDATE_OPERATION_STATUS"
	EventMessage               EventType = "MESSAGE"
	EventFailure               EventType = "FAILURE"
	EventError                 EventType = "ERROR"
	EventHeartbeat             EventType = "HEARTBEAT"
)

// Subscribed answers a SUBSCRIBE.
type Subscribed struct {
	FrameworkID              ID          `json:"framework_id"`
	HeartbeatIntervalSeconds float64     `json:"heartbeat_interval_seconds"`
	MasterInfo               *MasterInfo `json:"master_info,omitempty"`
}

// MasterInfo is a master, as it says itself and as it stands in ZooKeeper.
type MasterInfo struct {
	ID       string   `json:"id"`
	Hostname string   `json:"hostname,omitempty"`
	Port     int      `json:"port,omitempty"`
	Version  string   `json:"version,omitempty"`
	Address  *Address `json:"address,omitempty"`
	Domain   *Domain  `json:"domain,omitempty"`
}

// Address is where a process listens.
type Address struct {
	Hostname string `json:"hostname,omitempty"`
	IP       string `json:"ip,omitempty"`
	Port     int    `json:"port"`
}

// Offers are resources the framework may use.
type Offers struct {
	Offers []Offer `json:"offers"`
}

// Offer is what one agent offers to one role.
type Offer struct {
	ID             ID              `json:"id"`
	FrameworkID    ID              `json:"framework_id"`
	AgentID        ID              `json:"agent_id"`
	Hostname       string          `json:"hostname"`
	URL            *URL            `json:"url,omitempty"`
	Resources      []Resource      `json:"resources"`
	Attributes     []Attribute     `json:"attributes,omitempty"`
	ExecutorIDs    []ID            `json:"executor_ids,omitempty"`
	Unavailability *Unavailability `json:"unavailability,omitempty"`
	AllocationInfo *AllocationInfo `json:"allocation_info,omitempty"`
	Domain         *Domain         `json:"domain,omitempty"`
}

// URL is where an agent is reached.
type URL struct {
	Scheme  string  `json:"scheme"`
	Address Address `json:"address"`
	Path    string  `json:"path,omitempty"`
}

// Attribute is something the administrator says of an agent.
type Attribute struct {
	Name   string  `json:"name"`
	Type   string  `json:"type"` // SCALAR, RANGES, SET or TEXT
	Scalar *Scalar `json:"scalar,omitempty"`
	Ranges *Ranges `json:"ranges,omitempty"`
	Set    *Set    `json:"set,omitempty"`
	Text   *ID     `json:"text,omitempty"` // of the same shape
}

// Unavailability is a time in which an agent is to be maintained; without a duration, from Start on.
type Unavailability struct {
	Start    Duration  `json:"start"` // since 1970
	Duration *Duration `json:"duration,omitempty"`
}

// Domain is where an agent or master stands.
type Domain struct {
	FaultDomain *FaultDomain `json:"fault_domain,omitempty"`
}

// FaultDomain is a region and a zone in it.
type FaultDomain struct {
	Region Named `json:"region"`
	Zone   Named `json:"zone"`
}

// Named has a name.
type Named struct {
	Name string `json:"name"`
}

// InverseOffers ask the framework to leave agents.
type InverseOffers struct {
	InverseOffers []InverseOffer `json:"inverse_offers"`
}

// InverseOffer asks to leave one.
type InverseOffer struct {
	ID             ID             `json:"id"`
	FrameworkID    ID             `json:"framework_id"`
	AgentID        *ID            `json:"agent_id,omitempty"`
	URL            *URL           `json:"url,omitempty"`
	Unavailability Unavailability `json:"unavailability"`
	Resources      []Resource     `json:"resources,omitempty"`
}

// Rescind takes an offer back.
type Rescind struct {
	OfferID ID `json:"offer_id"`
}

// RescindInverseOffer takes an inverse offer back.
type RescindInverseOffer struct {
	InverseOfferID ID `json:"inverse_offer_id"`
}

// Update brings a status.
type Update struct {
	Status TaskStatus `json:"status"`
}

// TaskStatus is what became of a task. One with a UUID comes again until it is acknowledged.
type TaskStatus struct {
	TaskID          ID               `json:"task_id"`
	State           string           `json:"state"`
	Message         string           `json:"message,omitempty"`
	Source          string           `json:"source,omitempty"`
	Reason          string           `json:"reason,omitempty"`
	Data            string           `json:"data,omitempty"` // base64
	AgentID         *ID              `json:"agent_id,omitempty"`
	ExecutorID      *ID              `json:"executor_id,omitempty"`
	Timestamp       float64          `json:"timestamp,omitempty"` // seconds since 1970
	UUID            string           `json:"uuid,omitempty"`      // base64
	Healthy         *bool            `json:"healthy,omitempty"`
	Labels          *Labels          `json:"labels,omitempty"`
	ContainerStatus *ContainerStatus `json:"container_status,omitempty"`
	UnreachableTime *Duration        `json:"unreachable_time,omitempty"`
}

// ContainerStatus is what a container got.
type ContainerStatus struct {
	NetworkInfos []NetworkInfo `json:"network_infos,omitempty"`
}

// UpdateOperationStatus brings the status of an operation that has an id.
type UpdateOperationStatus struct {
	Status OperationStatus `json:"status"`
}

// OperationStatus is what became of an operation.
type OperationStatus struct {
	OperationID        *ID        `json:"operation_id,omitempty"`
	State              string     `json:"state"`
	Message            string     `json:"message,omitempty"`
	ConvertedResources []Resource `json:"converted_resources,omitempty"`
	UUID               *ID        `json:"uuid,omitempty"` // an object, unlike that of a task
	AgentID            *ID        `json:"agent_id,omitempty"`
}

// Failure says that an agent or an executor is gone. It may be wrong, or not come at all.
type Failure struct {
	AgentID    *ID  `json:"agent_id,omitempty"`
	ExecutorID *ID  `json:"executor_id,omitempty"`
	Status     *int `json:"status,omitempty"`
}

// Error ends the subscription.
type Error struct {
	Message string `json:"message"`
}
