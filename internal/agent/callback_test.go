package agent

import (
	"testing"

	"github.com/pgbaton/pgbaton/internal/callback"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

func TestDueCallback(t *testing.T) {
	const (
		primary, replica = cluster.RolePrimary, cluster.RoleReplica
		standbyLeader    = cluster.RoleStandbyLeader
		demoted          = cluster.RoleDemoted
	)
	cases := []struct {
		name           string
		told, now      standing
		running, ended ha.JobKind
		event          callback.Event
		role           cluster.Role
	}{
		{name: "nothing runs yet"},
		{name: "nothing changed", told: standing{7, replica}, now: standing{7, replica}},
		{name: "first start of a replica", now: standing{7, replica}, ended: ha.JobStart, event: callback.OnStart, role: replica},
		{name: "start under way", now: standing{7, replica}, running: ha.JobStart},
		{name: "adopted by a new agent", now: standing{7, primary}, event: callback.OnStart, role: primary},
		{name: "started again", told: standing{0, replica}, now: standing{8, replica}, ended: ha.JobStart, event: callback.OnStart, role: replica},

		{name: "crash", told: standing{7, primary}, now: standing{0, primary}},
		{name: "started after a crash", told: standing{7, primary}, now: standing{8, primary}, ended: ha.JobStart, event: callback.OnStart, role: primary},
		{name: "crash and new role", told: standing{7, primary}, now: standing{8, replica}, ended: ha.JobStart, event: callback.OnRoleChange, role: replica},
		{name: "crash long after a promotion", told: standing{7, primary}, now: standing{0, primary}, ended: ha.JobPromote},

		{name: "promotion", told: standing{7, replica}, now: standing{7, primary}, ended: ha.JobPromote, event: callback.OnRoleChange, role: primary},
		{name: "promoted, the job not at its end", told: standing{7, replica}, now: standing{7, primary}, running: ha.JobPromote, event: callback.OnRoleChange, role: primary},
		{name: "promoted by an operator", told: standing{7, replica}, now: standing{7, primary}, event: callback.OnRoleChange, role: primary},
		{name: "standby leader", told: standing{7, replica}, now: standing{7, standbyLeader}, event: callback.OnRoleChange, role: standbyLeader},
		{name: "standby leader promoted", told: standing{7, standbyLeader}, now: standing{7, primary}, event: callback.OnRoleChange, role: primary},

		{name: "stop of a replica", told: standing{7, replica}, now: standing{0, replica}, running: ha.JobStop, event: callback.OnStop, role: replica},
		{name: "stop under way", told: standing{7, replica}, now: standing{7, replica}, running: ha.JobStop},
		{name: "stop of a leader", told: standing{7, primary}, now: standing{0, primary}, ended: ha.JobStop, event: callback.OnStop, role: primary},
		{name: "stop of a leader that gave up", told: standing{7, primary}, now: standing{0, demoted}, ended: ha.JobStop, event: callback.OnStop, role: demoted},
		{name: "stop of a standby leader", told: standing{7, standbyLeader}, now: standing{0, replica}, ended: ha.JobStop, event: callback.OnStop, role: standbyLeader},
		{name: "stopped by a job that was told of", told: standing{0, replica}, now: standing{0, replica}, ended: ha.JobStop},
		{name: "reinitialize", told: standing{7, replica}, now: standing{0, cluster.RoleUninitialized}, running: ha.JobReinitialize, event: callback.OnStop, role: replica},
		{name: "reinitialized, not started", told: standing{0, replica}, now: standing{0, replica}, ended: ha.JobReinitialize},

		{name: "demoted", told: standing{0, primary}, now: standing{8, replica}, ended: ha.JobStart, event: callback.OnRoleChange, role: replica},
		{name: "rewind of a demoted primary", told: standing{0, primary}, now: standing{8, replica}, running: ha.JobRewind},

		{name: "restart under way", told: standing{7, replica}, now: standing{0, replica}, running: ha.JobRestart},
		{name: "restart", told: standing{7, replica}, now: standing{8, replica}, ended: ha.JobRestart, event: callback.OnRestart, role: replica},
		{name: "restart that brought another role", told: standing{7, replica}, now: standing{8, primary}, ended: ha.JobRestart, event: callback.OnRoleChange, role: primary},
		{name: "restart failed", told: standing{7, primary}, now: standing{0, primary}, ended: ha.JobRestart},
		{name: "another upstream without a restart", told: standing{7, replica}, now: standing{7, replica}, ended: ha.JobFollow},
		{name: "another upstream with a restart", told: standing{7, replica}, now: standing{8, replica}, ended: ha.JobFollow, event: callback.OnRestart, role: replica},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			event, role, due := dueCallback(c.told, c.now, c.running, c.ended)
			if event != c.event || role != c.role || due != (c.event != "") {
				t.Errorf("got %q as %q, want %q as %q", event, role, c.event, c.role)
			}
		})
	}
}
