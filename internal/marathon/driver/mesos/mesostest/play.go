package mesostest

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// Player plays the tasks of agents. Its methods are called while the master stands still: they must not wait for it.
type Player interface {
	// Launch starts a task. tell reports what becomes of it, from another goroutine.
	Launch(hostname string, info wire.TaskInfo, tell func(Report))
	Kill(task string, grace time.Duration)
	// Created and Destroyed say that a persistent volume was made or removed.
	Created(hostname string, volume wire.Resource)
	Destroyed(hostname string, volume wire.Resource)
}

// Report is what became of a task that is played by somebody else.
type Report struct {
	State   string // TASK_RUNNING or one that is terminal
	Message string
	Healthy *bool
	// Taken is called when the scheduler has acknowledged the report, while the master stands still; it may be nil.
	Taken func()
}

// play has a task played.
func (t *task) play() {
	m, player, id := t.a.m, t.a.m.cfg.Play, t.info.TaskID.Value
	t.proc = process{
		stop:    func(grace time.Duration) { player.Kill(id, grace) },
		running: func() bool { return !t.over },
	}
	player.Launch(t.a.cfg.Hostname, t.info, func(r Report) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if t.over || m.closed {
			return
		}
		t.reported(r)
		m.offer()
	})
}

// reported passes on what a player says.
func (t *task) reported(r Report) {
	t.taken = r.Taken
	defer func() { t.taken = nil }()
	switch {
	case r.State != "TASK_RUNNING":
		t.end(r.State, t.killing, r.Message)
	case t.state == "TASK_KILLING":
		return // it ran before it heard of its end
	case r.Healthy != nil:
		t.healthy = r.Healthy
		t.tell(r.State, "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED", r.Message)
	default:
		t.tell(r.State, "", r.Message)
	}
}
