package agent

import (
	"github.com/pgbaton/pgbaton/internal/callback"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// standing is what scripts are told of a server.
type standing struct {
	// PID is the postmaster's; zero when none runs.
	PID int
	// Role is what the server is, or was last told to be while it ran.
	Role cluster.Role
}

// told is what scripts were told last, and the last job that ended since.
type toldScripts struct {
	standing

	ended ha.JobKind
}

// tellScripts tells what came of the server since the last look. Nothing is told of a cluster that is being made, nor of
// a server between two states: what it comes to is what counts.
func (a *Agent) tellScripts(v ha.View) {
	if v.Ended != nil {
		a.scripts.ended = v.Ended.Kind
	}
	st := a.server.status
	if a.mem.Bootstrap || v.Server.Process == ha.Starting || v.Server.Process == ha.Stopping {
		return
	}
	now := standing{PID: st.PID, Role: a.role(v, st, v.Job.Kind)}
	event, role, due := dueCallback(a.scripts.standing, now, v.Job.Kind, a.scripts.ended)
	if !due {
		return
	}
	a.scripts.PID, a.scripts.ended = now.PID, ""
	if now.PID != 0 {
		a.scripts.Role = now.Role
	}
	a.cfg.Callbacks.Call(event, role)
}

// dueCallback says which event a script is to be told of, and the role it is told with, when it was last told of one
// standing and the server now has another. running is the job under way, and ended the one that ended since.
//
//	told of       now                 because of           event
//	───────────   ─────────────────   ──────────────────   ───────────────────────────────────────────────────────
//	running       stopped             a job that stops it  on_stop: as primary while this member holds the leader key,
//	                                                       as demoted once it gave that up
//	running       stopped             nobody: it crashed   none: the start that follows is told
//	anything      running, new role   anything             on_role_change, in place of the start or restart it came by
//	running       another process     a restart            on_restart
//	else          another process     anything             on_start
//
// While a job moves the server, nothing but its stop is told.
func dueCallback(told, now standing, running, ended ha.JobKind) (callback.Event, cluster.Role, bool) {
	switch {
	case now.PID == 0 && told.PID != 0 && (stops(running) || running == "" && stops(ended)):
		return callback.OnStop, stoppedRole(told.Role, now.Role), true
	case now.PID == 0, moves(running):
		return "", "", false
	case told.Role != "" && told.Role != now.Role:
		return callback.OnRoleChange, now.Role, true
	case now.PID == told.PID:
		return "", "", false
	case told.PID != 0 && (ended == ha.JobRestart || ended == ha.JobFollow):
		return callback.OnRestart, now.Role, true
	}
	return callback.OnStart, now.Role, true
}

// stoppedRole is the role that a stop is told with.
func stoppedRole(was, now cluster.Role) cluster.Role {
	switch {
	case was != cluster.RolePrimary:
		return was
	case now == cluster.RolePrimary:
		return cluster.RolePrimary
	}
	return cluster.RoleDemoted
}

// stops reports whether a job takes the server down for good, or until it is decided on anew.
func stops(job ha.JobKind) bool {
	return job == ha.JobStop || job == ha.JobReinitialize || job == ha.JobReplace
}

// moves reports whether the server's state while the job runs is not its last.
func moves(job ha.JobKind) bool {
	switch job {
	case ha.JobBootstrap, ha.JobClone, ha.JobStart, ha.JobStop, ha.JobRestart, ha.JobFollow, ha.JobRewind, ha.JobReinitialize, ha.JobReplace,
		ha.JobCopySlots:
		return true
	case ha.JobPromote, ha.JobCheckpoint:
	}
	return false
}
