package health

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

var now = time.Date(2026, 1, 1, 0, 1, 40, 0, time.UTC)

func leaderSnapshot() Snapshot {
	return Snapshot{
		Name: "n1", Scope: "s", AgentVersion: "4.1.0", State: cluster.StateRunning, Role: cluster.RolePrimary,
		Next: now.Add(10 * time.Second), Leading: true, LeaseEnds: now.Add(20 * time.Second), Seen: now,
		Settings: cluster.Config{}.Settings(),
		Server:   Server{Known: true, Running: true, Version: 150018, Started: now.Add(-time.Hour), Timeline: 1, Written: 0x3000060, SystemID: "7000000000000000001"},
		Cluster: cluster.Cluster{
			Leader: cluster.Leader{Name: "n1"}, Status: cluster.Status{Optime: 0x3000060},
			Members: []cluster.Member{
				{Name: "n1", ConnURL: "postgres://127.0.0.11:5432/postgres", APIURL: "http://127.0.0.11:8008/patroni", State: cluster.StateRunning, Role: cluster.RolePrimary, Timeline: 1},
				{
					Name: "n2", ConnURL: "postgres://127.0.0.12:5432/postgres", APIURL: "http://127.0.0.12:8008/patroni", State: cluster.StateRunning, Role: cluster.RoleReplica,
					ReplicationState: "streaming", Timeline: 1, Location: 0x3000000, Received: 0x3000000,
				},
			},
		},
	}
}

func replicaSnapshot() Snapshot {
	s := leaderSnapshot()
	s.Name, s.Role, s.Leading = "n2", cluster.RoleReplica, false
	s.Server.InRecovery, s.Server.Written = true, 0
	s.Server.Received, s.Server.Replayed, s.Server.ReplicationState = 0x3000000, 0x2F00100, "streaming"
	s.Tags = cluster.Tags{"clonefrom": true, "zone": "a", "rank": 3}
	return s
}

func TestCodes(t *testing.T) {
	promoting := leaderSnapshot()
	promoting.Server.InRecovery = true
	expired := leaderSnapshot()
	expired.LeaseEnds = now
	cloning := replicaSnapshot()
	cloning.State, cloning.Server = cluster.StateCreatingReplica, Server{}
	hidden := replicaSnapshot()
	hidden.Tags = cluster.Tags{"noloadbalance": true}
	stuck := leaderSnapshot()
	stuck.Next = now.Add(-31 * time.Second)

	snapshots := map[string]Snapshot{
		"leader": leaderSnapshot(), "replica": replicaSnapshot(), "promoting": promoting, "expired": expired,
		"cloning": cloning, "hidden": hidden, "stuck": stuck,
	}
	cases := []struct {
		path string
		good string // the snapshots that get 200, all others get 503
	}{
		{"/", "leader stuck"},
		{"/primary", "leader stuck"},
		{"/master", "leader stuck"},
		{"/leader", "leader promoting stuck"},
		{"/standby-leader", ""},
		{"/replica", "replica"},
		{"/replica?lag=1MB", "replica"},
		{"/replica?lag=16kB", ""},
		{"/replica?lag=nonsense", "replica"},
		{"/replica?replication_state=streaming", "replica"},
		{"/replica?replication_state=in+archive+recovery", ""},
		{"/replica?tag_zone=a", "replica"},
		{"/replica?tag_zone=b", ""},
		{"/replica?tag_clonefrom=true&tag_rank=3", "replica"},
		{"/read-only", "leader replica stuck"},
		{"/health", "leader replica promoting expired hidden stuck"},
		{"/liveness", "leader replica promoting expired cloning hidden"},
		{"/readiness", "leader replica promoting hidden stuck"},
		{"/readiness?lag=1", "leader promoting stuck"},
		{"/readiness?lag=96&mode=write", "leader replica promoting hidden stuck"},
		{"/patroni", "leader replica promoting expired cloning hidden stuck"},
		{"/no-such-thing", ""},
	}
	for _, c := range cases {
		u, err := url.Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range snapshots {
			want := 503
			if strings.Contains(" "+c.good+" ", " "+name+" ") {
				want = 200
			}
			if got := Get(u.Path, u.Query(), s, now).Code; got != want {
				t.Errorf("%s of the %s member: %d, want %d", c.path, name, got, want)
			}
		}
	}
}

func TestStatusDocument(t *testing.T) {
	s := replicaSnapshot()
	s.Tags = nil
	s.Reason = `following leader "n1", closely: yes`
	got := string(Get("/patroni", nil, s, now).Body)
	want := `{"state": "running", "postmaster_start_time": "2025-12-31 23:01:40.000000+00:00", "role": "replica", ` +
		`"server_version": 150018, "xlog": {"received_location": 50331648, "replayed_location": 49283328, "replayed_timestamp": null, ` +
		`"paused": false}, "timeline": 1, "replication_state": "streaming", "dcs_last_seen": 1767225700, ` +
		`"database_system_identifier": "7000000000000000001", "patroni": {"version": "4.1.0", "scope": "s", "name": "n2"}, ` +
		`"reason": "following leader \"n1\", closely: yes"}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestClusterDocument(t *testing.T) {
	got := string(Get("/cluster", nil, leaderSnapshot(), now).Body)
	want := `{"members": [{"name": "n1", "role": "leader", "state": "running", "api_url": "http://127.0.0.11:8008/patroni", ` +
		`"host": "127.0.0.11", "port": 5432, "timeline": 1}, {"name": "n2", "role": "replica", "state": "streaming", ` +
		`"api_url": "http://127.0.0.12:8008/patroni", "host": "127.0.0.12", "port": 5432, "timeline": 1, "receive_lag": 96, ` +
		`"receive_lsn": "0/3000000", "replay_lag": "unknown", "replay_lsn": "unknown", "lag": 96, "lsn": "0/3000000"}], ` +
		`"scope": "s", "leader": "n1"}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	never := leaderSnapshot()
	never.Seen = time.Time{}
	if a := Get("/cluster", nil, never, now); a.Code != 503 {
		t.Errorf("a picture that was never read: %d", a.Code)
	}
}
