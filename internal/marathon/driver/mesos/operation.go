package mesos

import (
	"crypto/rand"
	"fmt"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// newOperation names an attempt: an id is used once.
func newOperation(kind, volume string) string {
	return kind + "-" + volume + "-" + rand.Text()[:8]
}

// operated hears what became of an operation. One that failed late is a volume that was not made.
func (d *Driver) operated(s wire.OperationStatus) {
	if s.OperationID == nil {
		return
	}
	if s.UUID != nil {
		d.background(wire.Call{Type: wire.CallAcknowledgeOperationStatus, AcknowledgeOperationStatus: &wire.AcknowledgeOperationStatus{
			UUID: s.UUID.Value, OperationID: *s.OperationID, AgentID: s.AgentID,
		}})
	}
	switch s.State {
	case "OPERATION_PENDING", "OPERATION_RECOVERING", "OPERATION_UNREACHABLE":
		return // it is not decided
	}
	for _, v := range d.volumes {
		switch s.OperationID.Value {
		case v.making:
			d.operatedMaking(v, s)
		case v.undoing:
			d.operatedUndoing(v, s)
		}
	}
}

func (d *Driver) operatedMaking(v *volume, s wire.OperationStatus) {
	if s.State == "OPERATION_FINISHED" {
		d.made(v)
		return
	}
	d.unmade(v, fmt.Sprintf("Mesos did not make it: %s: %s", s.State, s.Message))
}

// operatedUndoing: an operation that is unknown was never heard of, or has been answered for before; what is offered tells.
// One that failed is not repeated by itself: whoever wants the volume destroyed asks again.
func (d *Driver) operatedUndoing(v *volume, s wire.OperationStatus) {
	switch v.undoing = ""; s.State {
	case "OPERATION_FINISHED":
		d.unmadeAsWanted(v)
	case "OPERATION_UNKNOWN":
		d.unmake(d.agentOf(v.agent), v)
	default:
		v.unmaking = false
	}
}

// askOperations asks what became of operations that were under way when a subscription ended.
func (d *Driver) askOperations() {
	var ask wire.ReconcileOperations
	for _, v := range d.volumes {
		for _, id := range []string{v.making, v.undoing} {
			if id != "" {
				ask.Operations = append(ask.Operations, wire.ReconcileOperation{OperationID: wire.ID{Value: id}, AgentID: &wire.ID{Value: v.agent}})
			}
		}
	}
	if d.feedback && len(ask.Operations) > 0 {
		d.background(wire.Call{Type: wire.CallReconcileOperations, ReconcileOperations: &ask})
	}
}
