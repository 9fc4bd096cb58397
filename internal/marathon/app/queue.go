package app

// Queued is an app of which instances are wanted that do not run yet, and why.
type Queued struct {
	App   App
	Count int // instances to be launched
	Since Timestamp
	// DelayUntil is the end of the pause after tasks that ended too soon; zero or past: it waits for an offer that fits.
	DelayUntil Timestamp
	Processed  int // offers looked at since then
	Unused     int // of those, offers that did not fit
	LastUnused Timestamp
	LastUsed   Timestamp
	// Rejected counts the reasons for which offers did not fit, since Since and in the last round.
	Rejected     []Rejection
	RejectedLast []Rejection
	// Offers are the last offers that did not fit.
	Offers []UnusedOffer
	// Why is one sentence for people.
	Why string
}

// Rejection counts the offers that one reason kept from being used, in the order in which reasons are looked at.
type Rejection struct {
	Reason    RejectReason `json:"reason"`
	Declined  int          `json:"declined"`
	Processed int          `json:"processed"` // offers that came as far as this reason
}

// RejectReason is Marathon's word for why an offer does not fit.
type RejectReason string

// The reasons, in the order in which an offer passes them.
const (
	UnfulfilledRole         RejectReason = "UnfulfilledRole"
	UnfulfilledConstraint   RejectReason = "UnfulfilledConstraint"
	NoReservationFound      RejectReason = "NoCorrespondingReservationFound"
	AgentMaintenance        RejectReason = "AgentMaintenance"
	InsufficientCPUs        RejectReason = "InsufficientCpus"
	InsufficientMemory      RejectReason = "InsufficientMemory"
	InsufficientDisk        RejectReason = "InsufficientDisk"
	InsufficientGPUs        RejectReason = "InsufficientGpus"
	InsufficientPorts       RejectReason = "InsufficientPorts"
	DeclinedScarceResources RejectReason = "DeclinedScarceResources"
)

// RejectReasons are all reasons in their order.
func RejectReasons() []RejectReason {
	return []RejectReason{
		UnfulfilledRole, UnfulfilledConstraint, NoReservationFound, AgentMaintenance, InsufficientCPUs, InsufficientMemory,
		InsufficientDisk, InsufficientGPUs, InsufficientPorts, DeclinedScarceResources,
	}
}

// UnusedOffer is an offer that did not fit, for people who ask why.
type UnusedOffer struct {
	ID         string
	Host       string
	AgentID    string
	Attributes map[string]string
	CPUs       float64
	Mem        float64
	Disk       float64
	GPUs       int
	Ports      [][2]int // ranges, both ends included
	Reasons    []RejectReason
	Why        string
	At         Timestamp
}
