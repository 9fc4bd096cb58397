package mesos

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// fencePrefix begins the ids of tasks that never were: their answer ends a reconciliation.
const fencePrefix = "pgbaton-fence-"

// report tells what became of a task.
func (d *Driver) report(s wire.TaskStatus) {
	if strings.HasPrefix(s.TaskID.Value, fencePrefix) {
		d.fenced(s.TaskID.Value)
		return
	}
	task := app.TaskID(s.TaskID.Value)
	status := driver.Status{
		Task: task, State: state(s), Message: message(s), Time: moment(s.Timestamp), Healthy: s.Healthy, Addresses: addresses(s),
	}
	d.mu.Lock()
	if s.AgentID != nil {
		d.tasks[task] = s.AgentID.Value
		if s.UUID != "" {
			status.ID = s.AgentID.Value + "/" + s.UUID
		}
	}
	status.Host = d.host(d.tasks[task])
	volume := string(task.Instance())
	lost := s.State == "TASK_GONE_BY_OPERATOR" && d.volumes[volume] != ""
	if lost {
		delete(d.volumes, volume)
	}
	if status.State.Terminal() {
		delete(d.tasks, task)
	}
	d.mu.Unlock()
	d.events.Add(driver.StatusChanged{Status: status})
	if lost {
		d.events.Add(driver.VolumeChanged{
			Volume: driver.Volume{ID: volume, Host: status.Host}, Why: "an operator has said that its agent is gone with everything on it",
		})
	}
}

// state is Mesos' state in the words of the port.
func state(s wire.TaskStatus) app.TaskState {
	switch {
	case s.State == "TASK_UNKNOWN":
		return app.TaskLost
	case s.State == "TASK_GONE_BY_OPERATOR":
		return app.TaskGone
	case s.State == "TASK_LOST" && s.Reason == "REASON_INVALID_OFFERS":
		return app.TaskDropped // by a master that does not know better words
	}
	return app.TaskState(s.State)
}

// message is one sentence for people, the reason behind it.
func message(s wire.TaskStatus) string {
	reason := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(s.Reason, "REASON_"), "_", " "))
	switch {
	case reason == "":
		return s.Message
	case s.Message == "":
		return reason
	}
	return s.Message + " (" + reason + ")"
}

func moment(seconds float64) time.Time {
	if seconds == 0 {
		return time.Now()
	}
	return time.UnixMicro(int64(seconds * 1e6))
}

func addresses(s wire.TaskStatus) []app.IPAddress {
	if s.ContainerStatus == nil {
		return nil
	}
	var list []app.IPAddress
	for _, network := range s.ContainerStatus.NetworkInfos {
		for _, a := range network.IPAddresses {
			list = append(list, app.IPAddress{IPAddress: a.IPAddress, Protocol: a.Protocol})
		}
	}
	return list
}

// Ack implements driver.Driver.
func (d *Driver) Ack(ctx context.Context, s driver.Status) error {
	agent, uuid, ok := strings.Cut(s.ID, "/")
	if !ok {
		return nil // it needs none
	}
	return d.call(ctx, wire.Call{Type: wire.CallAcknowledge, Acknowledge: &wire.Acknowledge{
		AgentID: wire.ID{Value: agent}, TaskID: wire.ID{Value: string(s.Task)}, UUID: uuid,
	}})
}

// Kill implements driver.Driver. A task that the master does not know is answered for by a reconciliation.
func (d *Driver) Kill(ctx context.Context, task app.TaskID, grace time.Duration) error {
	d.mu.Lock()
	agent := d.agentOf(task)
	d.mu.Unlock()
	return d.call(ctx, wire.Call{Type: wire.CallKill, Kill: &wire.Kill{
		TaskID: wire.ID{Value: string(task)}, AgentID: agent, KillPolicy: &wire.KillPolicy{GracePeriod: &wire.Duration{Nanoseconds: int64(grace)}},
	}})
}

// agentOf is the agent a task was last seen on, nil when nobody knows.
func (d *Driver) agentOf(task app.TaskID) *wire.ID {
	agent := d.tasks[task]
	if agent == "" {
		agent = d.agents[d.volumes[string(task.Instance())]]
	}
	if agent == "" {
		return nil
	}
	return &wire.ID{Value: agent}
}

// Reconcile implements driver.Driver: the tasks that are asked about, then all the master has, then the fence.
func (d *Driver) Reconcile(ctx context.Context, known []driver.Known) error {
	fence := fencePrefix + rand.Text()
	d.mu.Lock()
	d.fences[fence] = true
	var explicit wire.Reconcile
	for _, k := range known {
		task := wire.ReconcileTask{TaskID: wire.ID{Value: string(k.Task)}}
		if task.AgentID = d.agentOf(k.Task); task.AgentID == nil && d.agents[k.Host] != "" {
			task.AgentID = &wire.ID{Value: d.agents[k.Host]}
		}
		explicit.Tasks = append(explicit.Tasks, task)
	}
	d.mu.Unlock()
	questions := []wire.Reconcile{{Tasks: []wire.ReconcileTask{}}, {Tasks: []wire.ReconcileTask{{TaskID: wire.ID{Value: fence}}}}}
	if len(known) > 0 {
		questions = append([]wire.Reconcile{explicit}, questions...)
	}
	for _, q := range questions {
		if err := d.call(ctx, wire.Call{Type: wire.CallReconcile, Reconcile: &q}); err != nil {
			return fmt.Errorf("ask Mesos about tasks: %w", err)
		}
	}
	return nil
}

func (d *Driver) fenced(id string) {
	d.mu.Lock()
	ours := d.fences[id]
	delete(d.fences, id)
	d.mu.Unlock()
	if ours {
		d.events.Add(driver.Reconciled{})
	}
}
