package mesostest

import (
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// AgentConfig is a machine.
type AgentConfig struct {
	Hostname, IP string
	Resources    []wire.Resource // nobody's; see Machine
	Attributes   []wire.Attribute
	Region, Zone string
}

// Machine are the usual resources of an agent: mem and disk in MiB, ports both ends included.
func Machine(cpus, mem, disk float64, firstPort, lastPort int) []wire.Resource {
	return []wire.Resource{
		{Name: "ports", Type: wire.TypeRanges, Ranges: &wire.Ranges{Range: []wire.Range{{Begin: firstPort, End: lastPort}}}},
		{Name: "cpus", Type: wire.TypeScalar, Scalar: wire.Amount(cpus)},
		{Name: "mem", Type: wire.TypeScalar, Scalar: wire.Amount(mem)},
		{Name: "disk", Type: wire.TypeScalar, Scalar: wire.Amount(disk)},
	}
}

// agent is a machine as the master knows it.
type agent struct {
	m          *Master
	cfg        AgentConfig
	id         string
	free       []wire.Resource // neither offered nor used
	tasks      map[string]*task
	operations map[string]wire.OperationStatus

	away     bool // partitioned, or not registered again yet
	cut      bool // partitioned
	draining bool
	window   *wire.Unavailability
}

func (m *Master) newAgent(cfg AgentConfig) *agent {
	return &agent{
		m: m, cfg: cfg, id: m.name("S%d"), free: slices.Clone(cfg.Resources), tasks: map[string]*task{}, operations: map[string]wire.OperationStatus{},
	}
}

func (a *agent) offering() bool { return !a.away && !a.draining }

func (a *agent) domain() *wire.Domain {
	if a.cfg.Region == "" {
		return nil
	}
	return &wire.Domain{FaultDomain: &wire.FaultDomain{Region: wire.Named{Name: a.cfg.Region}, Zone: wire.Named{Name: a.cfg.Zone}}}
}

func (a *agent) stopAll() {
	for _, t := range a.tasks {
		t.proc.end(0)
	}
}

// find is the agent of a host name.
func (m *Master) find(hostname string) *agent {
	i := slices.IndexFunc(m.agents, func(a *agent) bool { return a.cfg.Hostname == hostname })
	if i < 0 {
		panic("mesostest: there is no agent " + hostname)
	}
	return m.agents[i]
}

// change does something to an agent under the lock, and offers what that made free.
func (m *Master) change(hostname string, do func(a *agent)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do(m.find(hostname))
	m.offer()
}

// Partition cuts an agent off: its tasks go on, and the master cannot say how they are.
func (m *Master) Partition(hostname string) {
	m.change(hostname, func(a *agent) {
		a.away, a.cut = true, true
		m.rescind(a)
		for _, t := range a.living() {
			t.tellUnreachable()
		}
		for _, f := range m.frameworks {
			f.send(wire.Event{Type: wire.EventFailure, Failure: &wire.Failure{AgentID: &wire.ID{Value: a.id}}})
		}
	})
}

// Heal ends a partition.
func (m *Master) Heal(hostname string) {
	m.change(hostname, func(a *agent) {
		a.away, a.cut = false, false
		for _, t := range a.living() {
			t.tellMaster("TASK_RUNNING", "REASON_AGENT_REREGISTERED", "Unreachable agent re-reregistered")
		}
		for _, t := range a.tasks {
			t.resend()
		}
	})
}

// Restart ends an agent and starts it again after a while, within the time that the master gives it: tasks go on, and are
// spoken of again when it is back. It offers nothing meanwhile, and what is asked of it waits.
func (m *Master) Restart(hostname string, after time.Duration) {
	m.change(hostname, func(a *agent) {
		a.away = true
		m.rescind(a)
		m.after(after, func() {
			a.away = a.cut
			for _, t := range a.tasks {
				t.resend()
			}
			m.offer()
		})
	})
}

// Reboot is a power cut and a new start: tasks are dead, reservations and volumes are there. With another the agent comes
// back under another id.
func (m *Master) Reboot(hostname string, another bool) {
	m.change(hostname, func(a *agent) {
		m.rescind(a)
		for _, t := range a.living() {
			t.proc.end(0)
			t.end("TASK_GONE", "REASON_AGENT_RESTARTED", "Agent rebooted")
		}
		a.away, a.cut = false, false
		if another {
			a.id = m.name("S%d")
		}
	})
}

// Drain asks an agent to become empty, as an operator does: its tasks are killed and nothing is offered until Reactivate.
func (m *Master) Drain(hostname string) {
	m.change(hostname, func(a *agent) {
		a.draining = true
		m.rescind(a)
		for _, t := range a.living() {
			t.kill("REASON_AGENT_DRAINING", t.grace())
		}
	})
}

// Reactivate ends a drain.
func (m *Master) Reactivate(hostname string) {
	m.change(hostname, func(a *agent) { a.draining = false })
}

// Maintain announces that the agent is going to be maintained: its offers say so, and frameworks are asked to leave.
func (m *Master) Maintain(hostname string, start time.Time, d time.Duration) {
	m.change(hostname, func(a *agent) {
		a.window = &wire.Unavailability{Start: wire.Duration{Nanoseconds: start.UnixNano()}, Duration: &wire.Duration{Nanoseconds: int64(d)}}
		m.rescind(a)
		for _, f := range m.frameworks {
			f.send(wire.Event{Type: wire.EventInverseOffers, InverseOffers: &wire.InverseOffers{InverseOffers: []wire.InverseOffer{{
				ID: wire.ID{Value: m.name("O%d")}, FrameworkID: wire.ID{Value: f.id}, AgentID: &wire.ID{Value: a.id}, Unavailability: *a.window,
			}}}})
		}
	})
}

// Stay calls the maintenance off.
func (m *Master) Stay(hostname string) {
	m.change(hostname, func(a *agent) {
		a.window = nil
		m.rescind(a)
	})
}

// Crash kills the process of a task, as kill -9 does.
func (m *Master) Crash(task string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.taskOf(task); t != nil {
		t.proc.end(0)
	}
}

// Running are the tasks on an agent that have not ended, whoever can see them.
func (m *Master) Running(hostname string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for _, t := range m.find(hostname).living() {
		ids = append(ids, t.info.TaskID.Value)
	}
	return ids
}

// Gone is an operator's word that the agent and everything on it will never come back.
func (m *Master) Gone(hostname string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.find(hostname)
	m.rescind(a)
	for _, t := range a.living() {
		t.proc.end(0)
		t.tellMaster("TASK_GONE_BY_OPERATOR", "REASON_AGENT_REMOVED_BY_OPERATOR", "Agent has been marked gone")
	}
	m.agents = slices.DeleteFunc(m.agents, func(x *agent) bool { return x == a })
	m.gone[a.id] = true
	for _, f := range m.frameworks {
		f.send(wire.Event{Type: wire.EventFailure, Failure: &wire.Failure{AgentID: &wire.ID{Value: a.id}}})
	}
}

// Failover makes another master lead: subscriptions end, frameworks and offers are forgotten, and agents are away until they
// have registered again after delay.
func (m *Master) Failover(delay time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.id = uuid()
	for _, f := range m.frameworks {
		m.takeBack(f)
		f.hangUp()
	}
	m.frameworks = map[string]*framework{}
	for _, a := range m.agents {
		a.away = true
		m.after(delay, func() {
			a.away = false
			for _, t := range a.tasks {
				t.resend()
			}
			m.offer()
		})
	}
}

// Kept is what is reserved on an agent for somebody by a framework, volumes included, used or not.
func (m *Master) Kept(hostname string) []wire.Resource {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(m.find(hostname).all(), func(r wire.Resource) bool {
		return len(r.Reservations) == 0 || r.Reservations[len(r.Reservations)-1].Type != "DYNAMIC"
	})
}

// all is everything an agent has: what is free, what is offered and what tasks use.
func (a *agent) all() []wire.Resource {
	all := slices.Clone(a.free)
	for _, o := range a.m.offers {
		if o.agent == a {
			all = append(all, o.resources...)
		}
	}
	for _, t := range a.tasks {
		if !t.over {
			all = append(all, t.info.Resources...)
		}
	}
	return all
}

// Volumes are the ids of the persistent volumes on an agent, used or not, sorted.
func (m *Master) Volumes(hostname string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.find(hostname)
	var ids []string
	for _, r := range a.all() {
		if r.Disk != nil && r.Disk.Persistence != nil {
			ids = append(ids, r.Disk.Persistence.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
