package app

import (
	"bytes"
	"encoding/json"
)

// ExecutorResources is what an executor of its own takes beside its task.
type ExecutorResources struct {
	CPUs float64 `json:"cpus"`
	Mem  float64 `json:"mem"`  // MiB
	Disk float64 `json:"disk"` // MiB
}

// ResourceLimits are what a task may take at most where its host has more to give than was asked for.
type ResourceLimits struct {
	CPUs *Limit `json:"cpus,omitempty"`
	Mem  *Limit `json:"mem,omitempty"` // MiB
}

// Limit is an amount, or no limit at all.
type Limit struct {
	Unlimited bool // Amount is 0 then
	Amount    float64
}

const unlimited = "unlimited"

// MarshalJSON writes a number or the string "unlimited".
func (l Limit) MarshalJSON() ([]byte, error) {
	if l.Unlimited {
		return json.Marshal(unlimited)
	}
	return json.Marshal(l.Amount)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Limit) UnmarshalJSON(b []byte) error {
	*l = Limit{}
	if string(bytes.TrimSpace(b)) == `"`+unlimited+`"` {
		l.Unlimited = true
		return nil
	}
	return json.Unmarshal(b, &l.Amount)
}

func (r *ResourceLimits) clone() *ResourceLimits {
	if r == nil {
		return nil
	}
	return &ResourceLimits{CPUs: clonePtr(r.CPUs), Mem: clonePtr(r.Mem)}
}

// Residency is what Marathon was once told about tasks with volumes. It is kept and has no effect, as in Marathon.
type Residency struct {
	RelaunchEscalationTimeoutSeconds int    `json:"relaunchEscalationTimeoutSeconds"`
	TaskLostBehavior                 string `json:"taskLostBehavior"` // WAIT_FOREVER or RELAUNCH_AFTER_TIMEOUT
}

// Secret is where the value of a secret comes from; its name is what the definition calls it.
type Secret struct {
	Source string `json:"source"`
}
