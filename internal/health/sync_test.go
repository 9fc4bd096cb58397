package health

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// promised is a replica on which the promise of synchronous mode counts.
func promised(mode cluster.SyncMode) Snapshot {
	s := replicaSnapshot()
	s.Settings.Synchronous = mode
	s.Cluster.Config.Data = map[string]any{"synchronous_mode": string(mode)}
	s.Cluster.Sync = cluster.Sync{Leader: "n1", Voters: []string{"N2"}}
	return s
}

// with is a snapshot with something else about it.
func with(s Snapshot, change func(*Snapshot)) Snapshot {
	change(&s)
	return s
}

func TestCodesOfSynchronousMode(t *testing.T) {
	sync, quorum := promised(cluster.SyncOn), promised(cluster.SyncQuorum)
	unnamed := func(s *Snapshot) { s.Cluster.Sync.Voters = []string{"n3"} }
	snapshots := map[string]Snapshot{
		"sync":    sync,
		"quorum":  quorum,
		"async":   with(sync, unnamed),
		"plain":   with(quorum, unnamed),
		"off":     promised(cluster.SyncOff), // the promise was not deleted yet
		"hidden":  with(sync, func(s *Snapshot) { s.Tags = cluster.Tags{"noloadbalance": true} }),
		"cloning": with(sync, func(s *Snapshot) { s.State, s.Server = cluster.StateCreatingReplica, Server{} }),
		"blind":   with(sync, func(s *Snapshot) { s.Seen = time.Time{} }),
		"stale":   with(quorum, func(s *Snapshot) { s.Seen = now.Add(-31 * time.Second) }),
		"leader": with(leaderSnapshot(), func(s *Snapshot) {
			s.Settings.Synchronous, s.Cluster.Sync = cluster.SyncOn, cluster.Sync{Leader: "n2", Voters: []string{"n1"}}
		}),
		"standby-leader": with(leaderSnapshot(), func(s *Snapshot) { s.Role, s.Server.InRecovery = cluster.RoleStandbyLeader, true }),
	}
	cases := []struct {
		path string
		good string // the snapshots that get 200, all others get 503
	}{
		{"/sync", "sync"},
		{"/synchronous", "sync"},
		{"/quorum", "quorum"},
		{"/async", "async plain off"},
		{"/asynchronous", "async plain off"},
		{"/read-only-sync", "sync leader standby-leader"},
		{"/read-only-synchronous", "sync leader standby-leader"},
		{"/read-only-quorum", "quorum leader standby-leader"},
		{"/replica", "sync quorum async plain off blind stale"},
		{"/read-only", "sync quorum async plain off blind stale leader standby-leader"},
		// The paths are matched as a whole, after those that are matched by what they contain.
		{"/sync/", ""},
		{"/my-sync", ""},
		{"/read-only-syncs", ""},
		{"/read-only-async", ""},
		{"/sync-replica", "sync quorum async plain off blind stale"},
		{"/sync-health", "sync quorum async plain off hidden blind stale leader standby-leader"},
		{"/sync-standby-leader", "standby-leader"},
		{"/primary-quorum", "leader"},
		// The filters are those of /replica.
		{"/sync?lag=1MB", "sync"},
		{"/sync?lag=16kB", ""},
		{"/quorum?lag=16kB", ""},
		{"/async?lag=16kB", ""},
		{"/read-only-sync?lag=16kB", "leader standby-leader"},
		{"/sync?replication_state=streaming", "sync"},
		{"/quorum?replication_state=in+archive+recovery", ""},
		{"/sync?tag_zone=a", "sync"},
		{"/sync?tag_zone=b", ""},
		{"/async?tag_zone=a", "async plain off"},
		{"/read-only-quorum?tag_zone=a", "quorum"},
		{"/read-only-quorum?tag_zone=b", ""},
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

func TestStatusOfSynchronousStandbys(t *testing.T) {
	const sync, quorum = `"paused": false}, "sync_standby": true, "timeline"`, `"paused": false}, "quorum_standby": true, "timeline"`
	cases := []struct {
		name string
		s    Snapshot
		want string // "" for neither field
	}{
		{"on", promised(cluster.SyncOn), sync},
		{"quorum", promised(cluster.SyncQuorum), quorum},
		{"off", promised(cluster.SyncOff), ""},
		{"a standby cluster", with(promised(cluster.SyncOn), func(s *Snapshot) { s.Settings.Standby.Host = "elsewhere" }), ""},
		{"no voter", with(promised(cluster.SyncOn), func(s *Snapshot) { s.Cluster.Sync.Voters = nil }), ""},
		{"the promise's leader", with(promised(cluster.SyncOn), func(s *Snapshot) { s.Cluster.Sync = cluster.Sync{Leader: "n2"} }), ""},
		{"a primary", with(promised(cluster.SyncOn), func(s *Snapshot) { s.Role = cluster.RolePrimary }), ""},
		{"no server", with(promised(cluster.SyncOn), func(s *Snapshot) { s.Server = Server{} }), ""},
		{"the DCS is long gone", with(promised(cluster.SyncOn), func(s *Snapshot) { s.Seen = now.Add(-time.Minute) }), ""},
	}
	for _, c := range cases {
		got := string(Get("/patroni", nil, c.s, now).Body)
		if c.want == "" && strings.Contains(got, "_standby") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestRolesOfSynchronousModeInTheClusterDocument(t *testing.T) {
	for mode, want := range map[cluster.SyncMode]string{cluster.SyncOn: "sync_standby", cluster.SyncQuorum: "quorum_standby", cluster.SyncOff: "replica"} {
		got := string(Get("/cluster", nil, promised(mode), now).Body)
		if !strings.Contains(got, `{"name": "n2", "role": "`+want+`", "state": "streaming"`) || !strings.Contains(got, `"role": "leader"`) {
			t.Errorf("%q: %s", mode, got)
		}
	}
}
