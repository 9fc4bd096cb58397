package mesostest

import (
	b64 "encoding/base64"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// task is a task on an agent, until its end was acknowledged.
type task struct {
	a         *agent
	framework string
	info      wire.TaskInfo
	state     string // newest
	healthy   *bool
	over      bool
	killing   string // the reason, where there is one
	waiting   []wire.TaskStatus
	repeating string   // UUID of the status that is sent again until it is acknowledged
	acks      []func() // for each of waiting what hears of its acknowledgement, nil for nothing
	taken     func()   // the one of the status that is being told
	proc      process
}

func base64(s string) string { return b64.StdEncoding.EncodeToString([]byte(s)) }

func update(s wire.TaskStatus) wire.Event {
	s.Timestamp = float64(time.Now().UnixMicro()) / 1e6
	return wire.Event{Type: wire.EventUpdate, Update: &wire.Update{Status: s}}
}

// launch starts tasks on resources, and returns what is left of these.
func (m *Master) launch(f *framework, a *agent, left []wire.Resource, infos []wire.TaskInfo) []wire.Resource {
	for _, info := range infos {
		info.Resources = wire.Allocated(info.Resources, "")
		rest, ok := wire.Subtract(left, info.Resources...)
		if !ok || m.taskOf(info.TaskID.Value) != nil {
			f.send(update(wire.TaskStatus{
				TaskID: info.TaskID, AgentID: &wire.ID{Value: a.id}, State: "TASK_ERROR", Source: "SOURCE_MASTER", Reason: "REASON_TASK_INVALID",
				Message: "Total resources required by task and its executor is more than available",
			}))
			continue
		}
		left = rest
		t := &task{a: a, framework: f.id, info: info, state: "TASK_STAGING"}
		a.tasks[info.TaskID.Value] = t
		t.start()
	}
	return left
}

func (m *Master) taskOf(id string) *task {
	for _, a := range m.agents {
		if t := a.tasks[id]; t != nil {
			return t
		}
	}
	return nil
}

// start lets a task run: as a process, or played.
func (t *task) start() {
	if t.a.m.cfg.Play != nil {
		t.play() // before anybody hears of it
		t.tell("TASK_STARTING", "", "")
		return
	}
	t.tell("TASK_STARTING", "", "")
	if t.a.m.cfg.Run == nil {
		t.tell("TASK_RUNNING", "", "")
		return
	}
	var err error
	t.proc, err = t.a.m.run(t)
	if err != nil {
		t.end("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED", err.Error())
		return
	}
	t.tell("TASK_RUNNING", "", "")
}

// tell reports a state by the executor: with an uuid, in order, again until it is acknowledged.
func (t *task) tell(state, reason, message string) {
	t.state = state
	s := wire.TaskStatus{
		TaskID: t.info.TaskID, State: state, Message: message, Reason: reason, Source: "SOURCE_EXECUTOR", AgentID: &wire.ID{Value: t.a.id},
		ExecutorID: &wire.ID{Value: t.info.TaskID.Value}, UUID: base64(uuid()), Healthy: t.healthy,
		ContainerStatus: &wire.ContainerStatus{NetworkInfos: []wire.NetworkInfo{{
			IPAddresses: []wire.IPAddress{{Protocol: "IPv4", IPAddress: t.a.cfg.IP}},
		}}},
	}
	t.waiting, t.acks = append(t.waiting, s), append(t.acks, t.taken)
	if len(t.waiting) == 1 {
		t.resend()
	}
}

// resend sends the oldest status that is not acknowledged.
func (t *task) resend() {
	if len(t.waiting) == 0 {
		return
	}
	if !t.a.away {
		t.a.m.send(t.framework, update(t.waiting[0]))
	}
	if uuid := t.waiting[0].UUID; t.repeating != uuid {
		t.repeating = uuid
		t.repeatLater(uuid, leastRepeat)
	}
}

// leastRepeat and mostRepeat bound the pause after which an agent sends a status again that nobody has acknowledged.
const leastRepeat, mostRepeat = 10 * time.Second, 10 * time.Minute

func (t *task) repeatLater(uuid string, pause time.Duration) {
	t.a.m.after(pause, func() {
		if len(t.waiting) == 0 || t.waiting[0].UUID != uuid {
			return
		}
		t.resend()
		t.repeatLater(uuid, min(2*pause, mostRepeat))
	})
}

func (m *Master) send(framework string, e wire.Event) {
	if f := m.frameworks[framework]; f != nil {
		f.send(e)
	}
}

// tellMaster reports a state by the master: nobody acknowledges it.
func (t *task) tellMaster(state, reason, message string) {
	t.a.m.send(t.framework, update(wire.TaskStatus{
		TaskID: t.info.TaskID, State: state, Message: message, Reason: reason, Source: "SOURCE_MASTER", AgentID: &wire.ID{Value: t.a.id}, Healthy: t.healthy,
	}))
}

func (t *task) tellUnreachable() {
	t.a.m.send(t.framework, update(wire.TaskStatus{
		TaskID: t.info.TaskID, State: "TASK_UNREACHABLE", Message: "health check timed out", Reason: "REASON_AGENT_REMOVED", Source: "SOURCE_MASTER",
		AgentID: &wire.ID{Value: t.a.id}, UnreachableTime: &wire.Duration{Nanoseconds: time.Now().UnixNano()},
	}))
}

// end ends a task. What it used is free again.
func (t *task) end(state, reason, message string) {
	if t.over {
		return
	}
	t.over = true
	t.a.free = wire.Add(t.a.free, t.info.Resources...)
	t.tell(state, reason, message)
}

// living are the tasks of an agent that have not ended, in the order of their ids.
func (a *agent) living() []*task {
	var list []*task
	for _, t := range a.tasks {
		if !t.over {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(x, y *task) int {
		if x.info.TaskID.Value < y.info.TaskID.Value {
			return -1
		}
		return 1
	})
	return list
}

func (m *Master) kill(f *framework, call wire.Kill) {
	t := m.taskOf(call.TaskID.Value)
	if t == nil {
		f.send(update(wire.TaskStatus{
			TaskID: call.TaskID, AgentID: call.AgentID, State: "TASK_UNKNOWN", Source: "SOURCE_MASTER", Reason: "REASON_RECONCILIATION",
			Message: "Reconciliation: Task is unknown",
		}))
		return
	}
	if t.over || t.a.away {
		return
	}
	t.kill("", t.grace(call.KillPolicy))
	m.offer()
}

// grace is how long a task may take to end: the last policy that says so counts.
func (t *task) grace(others ...*wire.KillPolicy) time.Duration {
	grace := 5 * time.Second
	for _, policy := range append([]*wire.KillPolicy{t.info.KillPolicy}, others...) {
		if policy != nil && policy.GracePeriod != nil {
			grace = time.Duration(policy.GracePeriod.Nanoseconds)
		}
	}
	return grace
}

// kill asks a task to end. A played one does at once.
func (t *task) kill(reason string, grace time.Duration) {
	if t.state == "TASK_KILLING" {
		return
	}
	t.killing = reason
	t.tell("TASK_KILLING", reason, "")
	if t.proc.end(grace) {
		return // its process says when it has ended
	}
	t.end("TASK_KILLED", reason, "Command terminated with signal Terminated")
}

// End ends a played task by itself, "TASK_FINISHED" or "TASK_FAILED" for example.
func (m *Master) End(id, state, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.taskOf(id); t != nil {
		t.end(state, "", message)
		m.offer()
	}
}

// Healthy is a health check beside a played task that passes or fails from now on.
func (m *Master) Healthy(id string, healthy bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.taskOf(id); t != nil && !t.over {
		t.healthy = &healthy
		t.tell("TASK_RUNNING", "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED", "")
	}
}

func (m *Master) acknowledge(call wire.Acknowledge) {
	t := m.taskOf(call.TaskID.Value)
	if t == nil || len(t.waiting) == 0 || t.waiting[0].UUID != call.UUID {
		return
	}
	taken := t.acks[0]
	t.waiting, t.acks = t.waiting[1:], t.acks[1:]
	if taken != nil {
		taken()
	}
	t.resend()
	if t.over && len(t.waiting) == 0 {
		delete(t.a.tasks, call.TaskID.Value)
	}
}

// repeat sends a framework that subscribed again what it has not acknowledged.
func (m *Master) repeat(f *framework) {
	for _, a := range m.agents {
		for _, t := range a.tasks {
			if t.framework == f.id {
				t.resend()
			}
		}
	}
}

// reconcile answers for the tasks named, or for all the framework has.
func (m *Master) reconcile(f *framework, call wire.Reconcile) {
	for _, named := range call.Tasks {
		m.reconcileTask(f, named)
	}
	if len(call.Tasks) > 0 {
		return
	}
	for _, a := range m.agents {
		for _, t := range a.living() {
			if t.framework == f.id {
				m.reconcileTask(f, wire.ReconcileTask{TaskID: t.info.TaskID})
			}
		}
	}
}

func (m *Master) reconcileTask(f *framework, named wire.ReconcileTask) {
	s := wire.TaskStatus{
		TaskID: named.TaskID, AgentID: named.AgentID, Source: "SOURCE_MASTER", Reason: "REASON_RECONCILIATION",
		State: "TASK_UNKNOWN", Message: "Reconciliation: Task is unknown",
	}
	t := m.taskOf(named.TaskID.Value)
	switch {
	case t != nil && t.a.away && !t.a.cut:
		return // its agent has not registered again: nobody can say
	case t != nil && t.a.away:
		s.State, s.Message, s.AgentID = "TASK_UNREACHABLE", "Reconciliation: Task is unreachable", &wire.ID{Value: t.a.id}
	case t != nil:
		s.State, s.Message, s.AgentID, s.Healthy = t.state, "Reconciliation: Latest task state", &wire.ID{Value: t.a.id}, t.healthy
	case named.AgentID != nil && m.gone[named.AgentID.Value]:
		s.State, s.Message = "TASK_GONE_BY_OPERATOR", "Reconciliation: Task's agent is gone"
	case named.AgentID != nil && m.registered(named.AgentID.Value):
		s.State, s.Message = "TASK_GONE", "Reconciliation: Task is unknown to the agent"
	}
	f.send(update(s))
}

func (m *Master) registered(id string) bool {
	return slices.ContainsFunc(m.agents, func(a *agent) bool { return a.id == id && !a.away })
}
