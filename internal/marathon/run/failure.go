package run

import (
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// Failure is how the last task of the app that failed has ended; false when none has. It is as old as the instances that
// are kept: an instance that was forgotten takes its failure with it when the scheduler starts anew.
func (s *Scheduler) Failure(id app.ID) (app.TaskFailure, bool) {
	f, ok := s.picture.Load().failures[id]
	return f, ok
}

// noteFailure remembers the end of a task that was not asked for.
func (l *loop) noteFailure(old, now deploy.Instance) {
	if old.State == now.State && old.Incarnation == now.Incarnation || !failed(now) || now.EndedAt < l.failures[now.App].Timestamp {
		return
	}
	l.failures[now.App] = app.TaskFailure{
		AppID: now.App, Host: now.Host, Message: now.Message, State: now.State, TaskID: now.Task(), Timestamp: now.EndedAt,
		Version: now.Version, SlaveID: now.AgentID,
	}
}

// failed reports whether the latest task ended badly, as Marathon counts it.
func failed(i deploy.Instance) bool {
	switch i.State {
	case app.TaskFailed, app.TaskError, app.TaskLost, app.TaskGone, app.TaskDropped:
		return i.EndedAt != 0
	case app.TaskStaging, app.TaskStarting, app.TaskRunning, app.TaskKilling, app.TaskFinished, app.TaskKilled, app.TaskUnreachable:
		return false
	}
	return false
}
