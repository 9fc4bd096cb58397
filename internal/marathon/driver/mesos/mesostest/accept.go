package mesostest

import (
	"fmt"
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// accept carries out operations on offers of one agent, in order. A failed one does not keep those after it from being
// tried, as a launch on what was not reserved shows.
func (m *Master) accept(f *framework, call wire.Accept) {
	var a *agent
	var left []wire.Resource
	for _, id := range call.OfferIDs {
		o := m.offers[id.Value]
		if o == nil || o.framework != f.id || a != nil && o.agent != a {
			m.invalidOffers(f, call, id.Value)
			return
		}
		a, left = o.agent, wire.Add(left, o.resources...)
	}
	for _, id := range call.OfferIDs {
		delete(m.offers, id.Value)
	}
	left = wire.Allocated(left, "")
	for _, op := range call.Operations {
		if op.Type == wire.OpLaunch {
			left = m.launch(f, a, left, op.Launch.TaskInfos)
			continue
		}
		next, err := operate(left, op)
		m.operated(f, a, op, err)
		if err != nil {
			continue
		}
		left = next
		if op.Type == wire.OpDestroy {
			m.erase(a, op.Destroy.Volumes)
		}
		if op.Type == wire.OpCreate && m.cfg.Play != nil {
			for _, v := range op.Create.Volumes {
				m.cfg.Play.Created(a.cfg.Hostname, v)
			}
		}
	}
	a.free = wire.Add(a.free, left...)
	m.refuse(f, a, call.Filters)
	m.offer()
}

// invalidOffers is what becomes of an accept with an offer that is not held any more.
func (m *Master) invalidOffers(f *framework, call wire.Accept, bad string) {
	for _, id := range call.OfferIDs {
		if o := m.offers[id.Value]; o != nil && o.framework == f.id {
			delete(m.offers, id.Value)
			o.agent.free = wire.Add(o.agent.free, o.resources...)
		}
	}
	for _, op := range call.Operations {
		if op.Type != wire.OpLaunch {
			m.operated(f, nil, op, fmt.Errorf("Offer %s is no longer valid", bad)) //nolint:staticcheck // as recorded
			continue
		}
		for _, info := range op.Launch.TaskInfos {
			f.send(update(wire.TaskStatus{
				TaskID: info.TaskID, State: "TASK_DROPPED", AgentID: &info.AgentID, Source: "SOURCE_MASTER", Reason: "REASON_INVALID_OFFERS",
				Message: "Task launched with invalid offers: Offer " + bad + " is no longer valid",
			}))
		}
	}
}

// operate is what an operation makes of resources.
func operate(left []wire.Resource, op wire.Operation) ([]wire.Resource, error) {
	switch op.Type {
	case wire.OpReserve:
		return reserve(left, op.Reserve.Resources)
	case wire.OpUnreserve:
		return unreserve(left, op.Unreserve.Resources)
	case wire.OpCreate:
		return create(left, op.Create.Volumes)
	case wire.OpDestroy:
		return destroy(left, op.Destroy.Volumes)
	case wire.OpLaunch:
	}
	return nil, fmt.Errorf("operation %s is not played", op.Type)
}

func reserve(left, wanted []wire.Resource) ([]wire.Resource, error) {
	wanted = wire.Allocated(wanted, "")
	before, ok := wire.Unreserved(wanted)
	if !ok {
		return nil, fmt.Errorf("%v has no reservation", wanted)
	}
	next, ok := wire.Subtract(left, before...)
	if !ok {
		return nil, fmt.Errorf("%v does not contain %v", left, before)
	}
	return wire.Add(next, wanted...), nil
}

func unreserve(left, given []wire.Resource) ([]wire.Resource, error) {
	given = wire.Allocated(given, "")
	after, ok := wire.Unreserved(given)
	if !ok || slices.ContainsFunc(given, func(r wire.Resource) bool { return r.Disk != nil && r.Disk.Persistence != nil }) {
		return nil, fmt.Errorf("%v cannot be unreserved", given)
	}
	next, ok := wire.Subtract(left, given...)
	if !ok {
		return nil, fmt.Errorf("%v does not contain %v", left, given)
	}
	return wire.Add(next, after...), nil
}

func create(left, volumes []wire.Resource) ([]wire.Resource, error) {
	volumes = wire.Allocated(volumes, "")
	for _, v := range volumes {
		if v.Disk == nil || v.Disk.Persistence == nil || len(v.Reservations) == 0 || hasVolume(left, v.Disk.Persistence.ID) {
			return nil, fmt.Errorf("%v cannot be created", v)
		}
		next, ok := wire.Subtract(left, bare(v))
		if !ok {
			return nil, fmt.Errorf("%v does not contain %v", left, bare(v))
		}
		left = wire.Add(next, v)
	}
	return left, nil
}

func destroy(left, volumes []wire.Resource) ([]wire.Resource, error) {
	for _, v := range wire.Allocated(volumes, "") {
		next, ok := wire.Subtract(left, v)
		if !ok || v.Disk == nil || v.Disk.Persistence == nil {
			return nil, fmt.Errorf("%v does not contain %v", left, v)
		}
		left = wire.Add(next, bare(v))
	}
	return left, nil
}

// bare is a volume as the disk it lies on.
func bare(v wire.Resource) wire.Resource {
	source := v.Disk.Source
	v.Disk = nil
	if source != nil {
		v.Disk = &wire.Disk{Source: source}
	}
	return v
}

func hasVolume(list []wire.Resource, id string) bool {
	return slices.ContainsFunc(list, func(r wire.Resource) bool {
		return r.Disk != nil && r.Disk.Persistence != nil && r.Disk.Persistence.ID == id
	})
}

// operated remembers and tells what became of an operation that has an id.
func (m *Master) operated(f *framework, a *agent, op wire.Operation, err error) {
	if op.ID == nil {
		return
	}
	s := wire.OperationStatus{OperationID: op.ID, State: "OPERATION_FINISHED"}
	if a != nil {
		s.AgentID = &wire.ID{Value: a.id}
	}
	if err != nil {
		s.State, s.Message = "OPERATION_ERROR", err.Error()
	} else {
		s.UUID = &wire.ID{Value: base64(uuid())}
		a.operations[op.ID.Value] = s
	}
	f.send(wire.Event{Type: wire.EventUpdateOperationStatus, UpdateOperationStatus: &wire.UpdateOperationStatus{Status: s}})
}

func (m *Master) reconcileOperations(f *framework, call wire.ReconcileOperations) {
	for _, op := range call.Operations {
		s := wire.OperationStatus{
			OperationID: &wire.ID{Value: op.OperationID.Value}, State: "OPERATION_UNKNOWN", Message: "Reconciliation: Operation is unknown", AgentID: op.AgentID,
		}
		for _, a := range m.agents {
			if known, ok := a.operations[op.OperationID.Value]; ok {
				s = known
				s.UUID = nil
			}
		}
		f.send(wire.Event{Type: wire.EventUpdateOperationStatus, UpdateOperationStatus: &wire.UpdateOperationStatus{Status: s}})
	}
}
