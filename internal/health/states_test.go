package health

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// The codes of the states that an operator or a lost DCS brings about.
func TestCodesOfSpecialStates(t *testing.T) {
	standbyLeader := leaderSnapshot()
	standbyLeader.Role, standbyLeader.Server.InRecovery = cluster.RoleStandbyLeader, true
	pausedPrimary := leaderSnapshot()
	pausedPrimary.Settings.Pause, pausedPrimary.Leading = true, false
	pausedBlind := pausedPrimary
	pausedBlind.Seen = now.Add(-time.Minute)
	pausedBlindReplica := replicaSnapshot()
	pausedBlindReplica.Settings.Pause, pausedBlindReplica.Seen = true, now.Add(-time.Minute)
	stuckInPause := replicaSnapshot()
	stuckInPause.Settings.Pause, stuckInPause.Next = true, now.Add(-time.Hour)
	failsafe := replicaSnapshot()
	failsafe.Seen, failsafe.FailsafeActive = time.Time{}, true
	blind := failsafe
	blind.FailsafeActive = false

	snapshots := map[string]Snapshot{
		"standby-leader": standbyLeader, "paused": pausedPrimary, "paused-blind": pausedBlind, "paused-blind-replica": pausedBlindReplica,
		"paused-stuck": stuckInPause, "failsafe": failsafe, "blind": blind,
	}
	for path, good := range map[string]string{
		"/standby-leader": "standby-leader",
		"/leader":         "standby-leader paused-blind",
		"/primary":        "paused-blind",
		"/replica":        "paused-blind-replica paused-stuck failsafe blind",
		"/read-only":      "standby-leader paused-blind paused-blind-replica paused-stuck failsafe blind",
		"/liveness":       "standby-leader paused paused-blind paused-blind-replica paused-stuck failsafe blind",
		"/readiness":      "standby-leader paused-blind paused-blind-replica paused-stuck failsafe",
	} {
		for name, s := range snapshots {
			want := 503
			if strings.Contains(" "+good+" ", " "+name+" ") {
				want = 200
			}
			if got := Get(path, url.Values{}, s, now).Code; got != want {
				t.Errorf("%s of the %s member: %d, want %d", path, name, got, want)
			}
		}
	}
}

func TestStatusOfSpecialStates(t *testing.T) {
	s := replicaSnapshot()
	s.Server, s.Tags = Server{}, nil
	s.Settings.Pause, s.FailsafeActive, s.WatchdogFailed = true, true, true
	s.Restart = &cluster.ScheduledRestart{Schedule: "2030-01-01T00:00:00Z", Started: "2025-12-31 23:01:40.000000+00:00", Version: "15.3", RestartPending: true}
	got := string(Get("/patroni", nil, s, now).Body)
	want := `{"state": "unknown", "role": "replica", "pause": true, "failsafe_mode_is_active": true, "dcs_last_seen": 1767225700, ` +
		`"patroni": {"version": "4.1.0", "scope": "s", "name": "n2"}, ` +
		`"scheduled_restart": {"schedule": "2030-01-01T00:00:00Z", "postgres_version": "15.3", "restart_pending": true}, "watchdog_failed": true}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s.Restart.Started == "" {
		t.Error("the snapshot was changed")
	}
}

func TestClusterDocumentInPause(t *testing.T) {
	s := leaderSnapshot()
	s.Settings.Pause = true
	s.Cluster.Members[1].Restart = &cluster.ScheduledRestart{Schedule: "2030-01-01T00:00:00Z"}
	s.Cluster.Failover = cluster.Failover{Leader: "n1", ScheduledAt: "2030-01-02T00:00:00Z"}
	got := string(Get("/cluster", nil, s, now).Body)
	for _, want := range []string{
		`"scheduled_restart": {"schedule": "2030-01-01T00:00:00Z"}`,
		`"pause": true, "scheduled_switchover": {"at": "2030-01-02T00:00:00Z", "from": "n1"}, "scope": "s"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

func TestDocumentsOfTheDCS(t *testing.T) {
	full, empty := leaderSnapshot(), leaderSnapshot()
	full.Cluster.Config.Data = map[string]any{"ttl": 30, "a": "b, c: d"}
	full.Cluster.Failsafe = map[string]string{"n1": "http://n1:8008/patroni"}
	full.Cluster.History = cluster.History{Present: true, Lines: []cluster.HistoryLine{
		{Switch: wal.Switch{Timeline: 1, End: 24, Reason: "no recovery target specified"}, At: "2026-01-01T00:00:00+00:00", Leader: "n1"},
	}}
	cases := []struct {
		path  string
		s     Snapshot
		code  int
		wants string
	}{
		{"/config", full, 200, `{"a": "b, c: d", "ttl": 30}`},
		{"/config", empty, 502, "the DCS holds no configuration\n"},
		{"/failsafe", full, 200, `{"n1": "http://n1:8008/patroni"}`},
		{"/failsafe", empty, 502, "the DCS holds no failsafe members\n"},
		{"/history", full, 200, `[[1, 24, "no recovery target specified", "2026-01-01T00:00:00+00:00", "n1"]]`},
		{"/history", empty, 200, `[]`},
	}
	for _, c := range cases {
		a := Get(c.path, url.Values{}, c.s, now)
		if a.Code != c.code || string(a.Body) != c.wants {
			t.Errorf("%s: %d %s, want %d %s", c.path, a.Code, a.Body, c.code, c.wants)
		}
	}
}

// Lines of the log that wait are told of once they are more than usual.
func TestStatusTellsOfALogThatIsStuck(t *testing.T) {
	s := replicaSnapshot()
	for queued, want := range map[int]string{0: "", 2: "", 3: `"logger_queue_size": 3, "logger_records_lost": 4`} {
		s.LogQueued, s.LogLost = queued, 4
		text := string(Status(s, now))
		if want == "" && strings.Contains(text, "logger") || !strings.Contains(text, want) {
			t.Errorf("%d lines: %s", queued, text)
		}
	}
}
