package health

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// values are the samples by their names, after the form of all lines was looked at.
func values(t *testing.T, s Snapshot) map[string]string {
	t.Helper()
	a := Get("/metrics", nil, s, now)
	if a.Code != ok || a.Type != "text/plain" || !strings.HasSuffix(string(a.Body), "\n") {
		t.Errorf("%d %s", a.Code, a.Type)
	}
	labels := `{scope="` + label(s.Scope) + `",name="` + label(s.Name) + `"} `
	all := map[string]string{}
	described := ""
	for line := range strings.Lines(string(a.Body)) {
		line = strings.TrimSuffix(line, "\n")
		if of, help, isHelp := strings.Cut(strings.TrimPrefix(line, "# HELP "), " "); isHelp && strings.HasPrefix(line, "# HELP ") {
			if described = of; help == "" {
				t.Errorf("%s: no words", of)
			}
			continue
		}
		if strings.HasPrefix(line, "#") {
			if !strings.HasPrefix(line, "# Values: 0=initdb, ") && line != "# TYPE "+described+" gauge" {
				t.Errorf("%s: %s", described, line)
			}
			continue
		}
		name, value, isSample := strings.Cut(line, labels)
		if !isSample || name != described || all[name] != "" {
			t.Errorf("after %s: %s", described, line)
		}
		all[name] = value
	}
	return all
}

func TestMetricsOfALeader(t *testing.T) {
	s := leaderSnapshot()
	s.Began = now.Add(-1500 * time.Millisecond)
	s.Server.Standbys = []Standby{{State: "streaming"}, {State: "startup"}}
	s.Settings.FailsafeMode, s.Cluster.Failsafe = true, map[string]string{"n1": "http://n1:8008/patroni"}
	want := map[string]string{
		"patroni_version": "040100", "patroni_postgres_running": "1", "patroni_postmaster_start_time": "1767222100", "patroni_primary": "1",
		"patroni_xlog_location": "50331744", "patroni_xlog_received_location": "0", "patroni_xlog_replayed_location": "0",
		"patroni_xlog_replayed_timestamp": "0", "patroni_xlog_paused": "0", "patroni_postgres_streaming": "0", "patroni_postgres_in_archive_recovery": "0",
		"patroni_postgres_server_version": "150018", "patroni_postgres_timeline": "1", "patroni_standby_leader": "0", "patroni_replica": "0",
		"patroni_sync_standby": "0", "patroni_quorum_standby": "0", "patroni_cluster_unlocked": "0", "patroni_failsafe_mode_is_active": "0",
		"patroni_failsafe_mode_enabled": "1", "patroni_failsafe_member": "1", "patroni_dcs_last_seen": "1767225700", "patroni_pending_restart": "0",
		"patroni_is_paused": "0", "patroni_postgres_state": "5", "patroni_failover_priority": "1",
		"pgbaton_is_leader": "1", "pgbaton_lease_seconds_left": "20", "pgbaton_loop_seconds": "1.5", "pgbaton_job_running": "0",
		"pgbaton_watchdog_failed": "0", "pgbaton_members": "2", "pgbaton_streaming_standbys": "1",
	}
	if diff := cmp.Diff(want, values(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestMetricsOfOthers(t *testing.T) {
	replica := promised(cluster.SyncQuorum)
	replica.Tags = cluster.Tags{"nofailover": true}
	replica.Settings.Pause, replica.Server.ReplayPaused = true, true
	replica.Server.ReplayedAt = time.Unix(1767225699, 250_000_000)
	silent := leaderSnapshot()
	silent.Server.Known, silent.Seen = false, time.Time{}
	stopped := replicaSnapshot()
	stopped.State, stopped.Server = cluster.StateStopped, Server{}
	cases := []struct {
		name string
		s    Snapshot
		want map[string]string
	}{
		{"a replica", replica, map[string]string{
			"patroni_replica": "1", "patroni_xlog_location": "0", "patroni_xlog_received_location": "50331648", "patroni_xlog_replayed_location": "49283328",
			"patroni_xlog_replayed_timestamp": "1767225699.25", "patroni_xlog_paused": "1", "patroni_postgres_streaming": "1", "patroni_quorum_standby": "1",
			"patroni_sync_standby": "0", "patroni_is_paused": "1", "patroni_failover_priority": "0", "pgbaton_is_leader": "0", "pgbaton_lease_seconds_left": "0",
		}},
		{"a server that does not answer", silent, map[string]string{
			"patroni_postgres_running": "0", "patroni_postgres_state": "-1", "patroni_xlog_location": "0", "patroni_postgres_server_version": "0",
			"patroni_dcs_last_seen": "0", "patroni_cluster_unlocked": "1", "patroni_postgres_streaming": "",
		}},
		{"no server", stopped, map[string]string{"patroni_postgres_running": "0", "patroni_postgres_state": "12", "patroni_postmaster_start_time": "0"}},
	}
	for _, c := range cases {
		got := values(t, c.s)
		for name, want := range c.want {
			if got[name] != want {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got[name], want)
			}
		}
	}
}

func TestLabelsAreEscaped(t *testing.T) {
	s := leaderSnapshot()
	s.Scope = "a\"b\\c\nd"
	if got := values(t, s); got["patroni_primary"] != "1" {
		t.Errorf("%v", got)
	}
}
