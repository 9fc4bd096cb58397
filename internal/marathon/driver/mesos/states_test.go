package mesos

import (
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// TestStates: what each of Mesos' states means to the scheduler. Only what has certainly ended is terminal: a task of which
// nothing is known, or that cannot be reached, may run.
func TestStates(t *testing.T) {
	for _, c := range []struct {
		state, reason string
		want          app.TaskState
		over          bool
	}{
		{"TASK_STAGING", "", app.TaskStaging, false},
		{"TASK_STARTING", "", app.TaskStarting, false},
		{"TASK_RUNNING", "", app.TaskRunning, false},
		{"TASK_KILLING", "", app.TaskKilling, false},
		{"TASK_UNREACHABLE", "REASON_AGENT_REMOVED", app.TaskUnreachable, false},
		{"TASK_UNKNOWN", "REASON_RECONCILIATION", app.TaskLost, false},
		{"TASK_LOST", "REASON_AGENT_DISCONNECTED", app.TaskLost, false},
		{"TASK_LOST", "REASON_INVALID_OFFERS", app.TaskDropped, true},
		{"TASK_DROPPED", "REASON_INVALID_OFFERS", app.TaskDropped, true},
		{"TASK_GONE", "REASON_AGENT_RESTARTED", app.TaskGone, true},
		{"TASK_GONE_BY_OPERATOR", "REASON_AGENT_REMOVED_BY_OPERATOR", app.TaskGone, true},
		{"TASK_ERROR", "REASON_TASK_INVALID", app.TaskError, true},
		{"TASK_FAILED", "REASON_COMMAND_EXECUTOR_FAILED", app.TaskFailed, true},
		{"TASK_FINISHED", "", app.TaskFinished, true},
		{"TASK_KILLED", "", app.TaskKilled, true},
	} {
		got := state(wire.TaskStatus{State: c.state, Reason: c.reason})
		if got != c.want || got.Terminal() != c.over {
			t.Errorf("%s (%s) is %s, over: %t; want %s, %t", c.state, c.reason, got, got.Terminal(), c.want, c.over)
		}
	}
}
