package mesostest

import (
	"net/http"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// faults are what is going to happen to calls.
type faults struct {
	lose     map[wire.CallType]int // answers that get lost after the call was carried out
	drop     map[wire.CallType]int // calls that get lost before it is
	slow     time.Duration
	withdraw int // ACCEPTs that come when their offers have been taken back
	status   int // of every answer, 0 for none
	location string
}

// LoseAnswers lets the next n calls of a kind be carried out without an answer.
func (m *Master) LoseAnswers(kind wire.CallType, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.faults.lose == nil {
		m.faults.lose = map[wire.CallType]int{}
	}
	m.faults.lose[kind] = n
}

// LoseCalls lets the next n calls of a kind get lost on the way.
func (m *Master) LoseCalls(kind wire.CallType, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.faults.drop == nil {
		m.faults.drop = map[wire.CallType]int{}
	}
	m.faults.drop[kind] = n
}

// Slow delays every answer from now on.
func (m *Master) Slow(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults.slow = d
}

// Withdraw takes the offers back that the next n ACCEPTs are for, in the moment before these come.
func (m *Master) Withdraw(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults.withdraw = n
}

// withdrawn takes back what an ACCEPT is for, where that is to happen.
func (m *Master) withdrawn(call wire.Accept) {
	if m.faults.withdraw == 0 {
		return
	}
	m.faults.withdraw--
	for _, id := range call.OfferIDs {
		if o := m.offers[id.Value]; o != nil {
			m.rescind(o.agent)
		}
	}
}

// Unmet is how many calls are still to meet what LoseAnswers, LoseCalls and Withdraw have prepared for them.
func (m *Master) Unmet() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.faults.withdraw
	for _, prepared := range []map[wire.CallType]int{m.faults.lose, m.faults.drop} {
		for _, more := range prepared {
			n += more
		}
	}
	return n
}

// Framework is the id of a framework that is subscribed, empty where none is.
func (m *Master) Framework() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, f := range m.frameworks {
		if f.stream != nil {
			return id
		}
	}
	return ""
}

// HangUp breaks the event streams, in the middle of an event where half is set. The frameworks stay what they are.
func (m *Master) HangUp(half bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.frameworks {
		if f.stream != nil && half {
			f.stream.tear()
		}
		f.hangUp()
	}
}

// Hush lets the event streams be silent for a while, without heartbeats and with their connections open. What happens
// meanwhile is told afterwards.
func (m *Master) Hush(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.frameworks {
		if f.stream != nil {
			f.stream.hush(time.Now().Add(d))
		}
	}
}

// Estrange makes the event streams others than frameworks know: calls that name them are refused from now on.
func (m *Master) Estrange() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.frameworks {
		if f.stream != nil {
			f.stream.id = uuid()
		}
	}
}

// Answer lets every call be answered with a status, 503 for one that recovers; 0 ends it. Subscriptions that are there stay.
func (m *Master) Answer(status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults.status = status
}

// Follow makes the master one that does not lead: it names the leader at that address. Empty: it leads again. Where it is
// reached at the leader's address, it is the leader there: one master then plays both.
func (m *Master) Follow(leader string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults.status, m.faults.location = 0, ""
	if leader != "" {
		m.faults.status, m.faults.location = http.StatusTemporaryRedirect, "//"+leader+"/master/api/v1/scheduler"
		for _, f := range m.frameworks {
			f.hangUp()
		}
	}
}

// Repeat sends again what was not acknowledged, as agents do that wait for that too long.
func (m *Master) Repeat() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.frameworks {
		m.repeat(f)
	}
}

// meet lets a call meet its fault. lost means that it is to be carried out and not answered.
func (f *faults) meet(m *Master, r *http.Request, call wire.Call) (lost bool, status int, text string) {
	m.mu.Lock()
	slow, status, text := f.slow, f.status, f.location
	if text != "" && strings.HasPrefix(text, "//"+r.Host+"/") {
		status, text = 0, ""
	}
	dropped := f.drop[call.Type] > 0
	if dropped {
		f.drop[call.Type]--
	} else if lost = f.lose[call.Type] > 0; lost {
		f.lose[call.Type]--
	}
	m.mu.Unlock()
	if dropped {
		panic(http.ErrAbortHandler)
	}
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
		}
	}
	return lost, status, text
}

// Remove tears a framework down, as an operator or its failover timeout does: its tasks end, and its id is of no use any more.
// What is reserved for it stays.
func (m *Master) Remove(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.frameworks[id]
	f.removed = true
	f.hangUp()
	for _, a := range m.agents {
		for _, t := range a.living() {
			if t.framework == id {
				t.kill("REASON_FRAMEWORK_REMOVED", 0)
			}
		}
	}
}
