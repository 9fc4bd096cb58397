package mesos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// update takes a status. That of a failure is told with the end of its log, which its agent is asked for.
func (d *Driver) update(s wire.TaskStatus) {
	if s.State != string(app.TaskFailed) || s.AgentID == nil || s.UUID == "" || d.ctx.Err() != nil {
		d.report(s)
		return
	}
	a := d.agents[s.AgentID.Value]
	if a == nil || a.url == nil {
		d.report(s)
		return
	}
	at, framework := a.url, d.framework
	d.work.Go(func() {
		s := d.explain(s, at, framework)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.report(s)
	})
}

// report tells what became of a task.
func (d *Driver) report(s wire.TaskStatus) {
	if strings.HasPrefix(s.TaskID.Value, fencePrefix) {
		d.passed(s.TaskID.Value, s.State)
		return
	}
	t := d.mention(app.TaskID(s.TaskID.Value))
	status := driver.Status{
		Task: t.id, State: state(s), Message: message(s), Time: moment(s.Timestamp), Healthy: t.health(s), Addresses: addresses(s),
	}
	if s.AgentID != nil {
		d.located(t, s)
		if s.UUID != "" {
			status.ID = s.AgentID.Value + "/" + s.UUID
		}
	}
	if t.ended != nil && !status.State.Terminal() && status.ID == "" {
		return // the master answers from before the end
	}
	if s.State == unknown && t.killed && t.agent == "" && t.host == "" {
		status.State = app.TaskGone // nobody has ever heard of it
	}
	status.Host = t.host
	d.settle(t, status)
	d.insist(t, s)
	d.events.Add(driver.StatusChanged{Status: status})
	if s.State == goneByOperator {
		d.goneByOperator(t, status.Host)
	}
}

// unknown and goneByOperator are states that the port has no name for.
const (
	unknown        = "TASK_UNKNOWN"
	goneByOperator = "TASK_GONE_BY_OPERATOR"
)

// located learns where a task is. An answer about a task that is unknown repeats what was asked.
func (d *Driver) located(t *task, s wire.TaskStatus) {
	if a := d.agents[s.AgentID.Value]; a != nil {
		t.host = a.host
	} else if t.host == "" {
		t.host = s.AgentID.Value
	}
	if s.State != unknown {
		t.agent = s.AgentID.Value
	}
}

// settle remembers a status.
func (d *Driver) settle(t *task, s driver.Status) {
	switch {
	case s.State.Terminal():
		d.finish(t, s)
	case s.State == app.TaskLost || s.State == app.TaskUnreachable:
		t.doubt = true
	default:
		t.heard, t.doubt, t.ended = true, false, nil // what runs has not ended, whoever said so
	}
}

// goneByOperator is the end of everything on an agent, for an operator has said so. A volume that was in use since before this
// driver came is named like the instance of its task.
func (d *Driver) goneByOperator(t *task, host string) {
	own := string(t.id.Instance())
	for _, v := range d.volumes {
		if v.agent == t.agent && v.agent != "" {
			d.lose(v.name())
			if v.id == own {
				own = ""
			}
		}
	}
	if own != "" && t.volume == "" {
		d.lose(driver.Volume{ID: own, Host: host})
	}
}

// state is Mesos' state in the words of the port.
func state(s wire.TaskStatus) app.TaskState {
	switch {
	case s.State == unknown:
		return app.TaskLost
	case s.State == goneByOperator:
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
	err := d.call(ctx, wire.Call{Type: wire.CallAcknowledge, Acknowledge: &wire.Acknowledge{
		AgentID: wire.ID{Value: agent}, TaskID: wire.ID{Value: string(s.Task)}, UUID: uuid,
	}})
	if err != nil {
		return fmt.Errorf("acknowledge a status: %w", err)
	}
	return nil
}

// Kill implements driver.Driver. A task that has ended is answered for from memory, and one that the master does not know by
// a reconciliation, which is what it makes of such a request.
func (d *Driver) Kill(ctx context.Context, id app.TaskID, grace time.Duration) error {
	d.cancel(id)
	if err := d.awaitLaunch(ctx, id); err != nil {
		return err
	}
	d.mu.Lock()
	t := d.mention(id)
	if t.ended != nil {
		d.events.Add(driver.StatusChanged{Status: *t.ended})
		d.mu.Unlock()
		return nil
	}
	t.killed, t.grace = true, grace
	kill := d.kill(t)
	d.mu.Unlock()
	if err := d.call(ctx, kill); err != nil {
		return fmt.Errorf("end task %s: %w", id, err)
	}
	return nil
}

// kill is the call that asks a task to end.
func (d *Driver) kill(t *task) wire.Call {
	return wire.Call{Type: wire.CallKill, Kill: &wire.Kill{
		TaskID: wire.ID{Value: string(t.id)}, AgentID: d.where(t), KillPolicy: &wire.KillPolicy{GracePeriod: &wire.Duration{Nanoseconds: int64(t.grace)}},
	}}
}

// insist asks again for the end of a task of which the master says that it runs as if nobody had asked: it keeps no request for
// an agent that is out of reach, or has not come back to a new master.
func (d *Driver) insist(t *task, s wire.TaskStatus) {
	if t.killed && s.UUID == "" && (s.State == string(app.TaskRunning) || s.State == string(app.TaskStarting)) {
		d.background(d.kill(t))
	}
}

// awaitLaunch waits while the launch of a task is on the way: a request to end it must not overtake it.
func (d *Driver) awaitLaunch(ctx context.Context, id app.TaskID) error {
	d.mu.Lock()
	var sent chan struct{}
	if t := d.tasks[id]; t != nil {
		sent = t.sent
	}
	d.mu.Unlock()
	if sent == nil {
		return nil
	}
	select {
	case <-sent:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: its launch has not been answered: %w", driver.ErrUnavailable, context.Cause(ctx))
	}
}

// cancel ends a launch that still waits for an offer.
func (d *Driver) cancel(id app.TaskID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tasks[id]
	if t == nil {
		return
	}
	if a := d.agents[t.agent]; a != nil && a.unpark(t) {
		close(t.sent)
		d.say(t, driver.Status{State: app.TaskKilled, Message: "it was not launched yet"})
	}
}
