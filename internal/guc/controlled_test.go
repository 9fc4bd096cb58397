package guc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var self = Endpoint{ListenAddresses: "10.0.0.1", Port: 5432, ClusterName: "demo"}

func TestDefaultsOfControlledSettings(t *testing.T) {
	plan, warnings := Prepare(nil, self, 15)
	want := []Pair{
		{"listen_addresses", "10.0.0.1"},
		{"port", "5432"},
		{"cluster_name", "demo"},
		{"wal_level", "replica"},
		{"hot_standby", "on"},
		{"max_connections", "100"},
		{"max_wal_senders", "10"},
		{"max_prepared_transactions", "0"},
		{"max_locks_per_transaction", "64"},
		{"track_commit_timestamp", "off"},
		{"max_replication_slots", "10"},
		{"max_worker_processes", "8"},
		{"wal_log_hints", "on"},
	}
	if diff := cmp.Diff(want, plan.Arguments); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Settings{"wal_keep_size": "128MB"}, plan.File); diff != "" {
		t.Error(diff)
	}
	if len(warnings) != 0 {
		t.Errorf("warned of %q", warnings)
	}
}

func TestControlledValuesAreCheckedAndNormalised(t *testing.T) {
	cases := []struct {
		name    string
		value   any
		want    string
		refused bool
	}{
		{"max_connections", "200", "200", false},
		{"max_connections", float64(200), "200", false},
		{"max_connections", "0x80", "128", false},
		{"MAX_CONNECTIONS", 200, "200", false},
		{"max_connections", 24, "100", true},
		{"max_connections", 300000, "100", true},
		{"max_connections", "many", "100", true},
		{"wal_level", "hot_standby", "replica", false},
		{"wal_level", "logical", "logical", false},
		{"wal_level", "minimal", "replica", true},
		{"hot_standby", "true", "on", false},
		{"hot_standby", false, "on", true},
		{"max_wal_senders", 2, "10", true},
		{"max_prepared_transactions", 50, "50", false},
		{"max_locks_per_transaction", 31, "64", true},
		{"max_replication_slots", 3, "10", true},
		{"max_worker_processes", 2, "2", false},
		{"track_commit_timestamp", "yes", "on", false},
		{"wal_log_hints", false, "off", false},
		{"wal_log_hints", "perhaps", "on", true},
	}
	for _, c := range cases {
		plan, warnings := Prepare(map[string]any{c.name: c.value}, self, 15)
		got, ok := plan.Argument(strings.ToLower(c.name))
		if !ok || got != c.want || (len(warnings) == 1) != c.refused {
			t.Errorf("%s = %v: %q, %q", c.name, c.value, got, warnings)
		}
	}
}

func TestOwnSettingsAreNeverTakenFromParameters(t *testing.T) {
	plan, warnings := Prepare(map[string]any{
		"port": 1, "listen_addresses": "*", "cluster_name": "x",
		"primary_conninfo": "host=elsewhere", "recovery_target_lsn": "0/1", "data_directory": "/x",
		"work_mem": "8MB", "TimeZone": "UTC", "maybe": nil, "list": []any{1}, "x\ny": "z",
	}, self, 15)
	if port, _ := plan.Argument("port"); port != "5432" {
		t.Errorf("port %s", port)
	}
	if diff := cmp.Diff(Settings{"wal_keep_size": "128MB", "work_mem": "8MB", "timezone": "UTC"}, plan.File); diff != "" {
		t.Error(diff)
	}
	if len(warnings) != 5 {
		t.Errorf("warnings %q", warnings)
	}
}

func TestWALRetentionAcrossMajorVersions(t *testing.T) {
	cases := []struct {
		name       string
		parameters map[string]any
		major      int
		want       Settings
		refused    bool
	}{
		{"default before 13", nil, 12, Settings{"wal_keep_segments": "8"}, false},
		{"default since 13", nil, 13, Settings{"wal_keep_size": "128MB"}, false},
		{"segments on 15", map[string]any{"wal_keep_segments": 10}, 15, Settings{"wal_keep_size": "160MB"}, false},
		{"size on 12", map[string]any{"wal_keep_size": "1GB"}, 12, Settings{"wal_keep_segments": "64"}, false},
		{"size rounded on 12", map[string]any{"wal_keep_size": "40MB"}, 12, Settings{"wal_keep_segments": "3"}, false},
		{"the version's own name wins on 15", map[string]any{"wal_keep_segments": 10, "wal_keep_size": "32MB"}, 15, Settings{"wal_keep_size": "32MB"}, false},
		{"the version's own name wins on 12", map[string]any{"wal_keep_segments": 10, "wal_keep_size": "32MB"}, 12, Settings{"wal_keep_segments": "10"}, false},
		{"too little", map[string]any{"wal_keep_size": "1MB"}, 15, Settings{"wal_keep_size": "128MB"}, true},
		{"none", map[string]any{"wal_keep_segments": 0}, 12, Settings{"wal_keep_segments": "8"}, true},
	}
	for _, c := range cases {
		plan, warnings := Prepare(c.parameters, self, c.major)
		if diff := cmp.Diff(c.want, plan.File); diff != "" || (len(warnings) == 1) != c.refused {
			t.Errorf("%s: %s %q", c.name, diff, warnings)
		}
	}
}

func TestStandbyNeedsAtLeastWhatThePrimaryHad(t *testing.T) {
	plan, _ := Prepare(map[string]any{"max_connections": 50, "max_worker_processes": 16}, self, 15)
	raised := plan.AtLeast(map[string]int64{"max_connections": 200, "max_worker_processes": 8, "max_wal_senders": 10})
	for name, want := range map[string]string{"max_connections": "200", "max_worker_processes": "16", "max_wal_senders": "10"} {
		if got, _ := raised.Argument(name); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	if got, _ := plan.Argument("max_connections"); got != "50" {
		t.Errorf("the plan itself was changed to %s", got)
	}
}

func TestMembersOwnParametersWinExceptControlledOnes(t *testing.T) {
	dynamic := map[string]any{"max_connections": 200, "work_mem": "4MB", "Shared_Buffers": "1GB"}
	local := map[string]any{"max_connections": 10, "wal_level": "minimal", "Work_Mem": "8MB"}
	want := map[string]any{"max_connections": 200, "work_mem": "8MB", "shared_buffers": "1GB"}
	if diff := cmp.Diff(want, Merge(dynamic, local)); diff != "" {
		t.Error(diff)
	}
}
