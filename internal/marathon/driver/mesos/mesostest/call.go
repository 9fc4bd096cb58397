package mesostest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// call carries out everything but SUBSCRIBE. What a call asks for may still fail: then an event says so.
func (m *Master) call(stream string, call wire.Call) (status int, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, status, text := m.caller(stream, call)
	if status != 0 {
		return status, text
	}
	switch call.Type {
	case wire.CallAccept:
		m.withdrawn(*call.Accept)
		m.accept(f, *call.Accept)
	case wire.CallDecline:
		m.decline(f, *call.Decline)
	case wire.CallRevive:
		f.silent, f.refused = map[string]bool{}, map[string]time.Time{}
		m.offer()
	case wire.CallSuppress:
		f.suppress(f.info.Roles)
		if call.Suppress != nil && len(call.Suppress.Roles) > 0 {
			f.suppress(call.Suppress.Roles)
		}
	case wire.CallKill:
		m.kill(f, *call.Kill)
	case wire.CallAcknowledge:
		m.acknowledge(*call.Acknowledge)
	case wire.CallReconcile:
		m.reconcile(f, *call.Reconcile)
	case wire.CallReconcileOperations:
		m.reconcileOperations(f, *call.ReconcileOperations)
	case wire.CallUpdateFramework:
		f.info = call.UpdateFramework.FrameworkInfo
		f.suppress(call.UpdateFramework.SuppressedRoles)
		m.offer()
		return http.StatusOK, ""
	case wire.CallAcceptInverseOffers, wire.CallDeclineInverseOffers, wire.CallAcknowledgeOperationStatus, wire.CallSubscribe:
	default:
		return http.StatusBadRequest, "Failed to validate scheduler::Call: Expecting 'type' to be present"
	}
	return http.StatusAccepted, ""
}

// caller is the framework that makes a call, on the subscription it has.
func (m *Master) caller(stream string, call wire.Call) (f *framework, status int, text string) {
	if stream == "" {
		return nil, http.StatusBadRequest, "All non-subscribe calls should include the 'Mesos-Stream-Id' header"
	}
	if call.FrameworkID == nil {
		return nil, http.StatusBadRequest, "Failed to validate scheduler::Call: Expecting 'framework_id' to be present"
	}
	id := call.FrameworkID.Value
	switch f = m.frameworks[id]; {
	case f == nil:
		return nil, http.StatusBadRequest, "Framework cannot be found"
	case f.stream == nil:
		return nil, http.StatusForbidden, "Framework is not subscribed"
	case f.stream.id != stream:
		return nil, http.StatusBadRequest, fmt.Sprintf(
			"The stream ID '%s' included in this request didn't match the stream ID currently associated with framework ID %s", stream, id,
		)
	}
	return f, 0, ""
}
