package cluster

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// settings reads the settings of a dynamic configuration as it stands in the DCS.
func settings(t *testing.T, document string) Settings {
	t.Helper()
	c := ParseConfig(document)
	if c.Data == nil {
		t.Fatalf("%s is no document", document)
	}
	return c.Settings()
}

func TestSynchronousMode(t *testing.T) {
	cases := []struct {
		document string
		want     SyncMode
	}{
		{`{}`, SyncOff},
		{`{"synchronous_mode": true}`, SyncOn},
		{`{"synchronous_mode": false}`, SyncOff},
		{`{"synchronous_mode": "on"}`, SyncOn},
		{`{"synchronous_mode": "Yes"}`, SyncOn},
		{`{"synchronous_mode": "off"}`, SyncOff},
		{`{"synchronous_mode": 1}`, SyncOn},
		{`{"synchronous_mode": 0}`, SyncOff},
		{`{"synchronous_mode": "quorum"}`, SyncQuorum},
		{`{"synchronous_mode": "Quorum"}`, SyncQuorum},
		{`{"synchronous_mode": "sometimes"}`, SyncOff},
		{`{"synchronous_mode": null}`, SyncOff},
		{`{"synchronous_mode": ["quorum"]}`, SyncOff},
		{`{"synchronous_mode": true, "standby_cluster": {"host": "elsewhere"}}`, SyncOff},
		{`{"synchronous_mode": "quorum", "standby_cluster": {"restore_command": "cp"}}`, SyncOff},
		{`{"synchronous_mode": "quorum", "standby_cluster": {"primary_slot_name": "s"}}`, SyncQuorum}, // that is none
	}
	for _, c := range cases {
		if got := settings(t, c.document).Sync(); got != c.want {
			t.Errorf("%s: %q, want %q", c.document, got, c.want)
		}
	}
}

func TestSynchronousNodes(t *testing.T) {
	cases := []struct {
		document string
		nodes    int
		strict   bool
	}{
		{`{}`, 1, false},
		{`{"synchronous_node_count": 3}`, 3, false},
		{`{"synchronous_node_count": "2"}`, 2, false},
		{`{"synchronous_node_count": 0}`, 1, false},
		{`{"synchronous_node_count": -1}`, 1, false},
		{`{"synchronous_node_count": 0, "synchronous_mode_strict": true}`, 1, true},
		{`{"synchronous_node_count": 2, "synchronous_mode_strict": "on"}`, 2, true},
		{`{"synchronous_node_count": "two", "synchronous_mode_strict": "nonsense"}`, 1, false},
	}
	for _, c := range cases {
		s := settings(t, c.document)
		if s.SynchronousNodes != c.nodes || s.SynchronousStrict != c.strict {
			t.Errorf("%s: %d, strict %v", c.document, s.SynchronousNodes, s.SynchronousStrict)
		}
	}
}

func TestLagOfSyncStandbys(t *testing.T) {
	for document, want := range map[string]uint64{
		`{}`:                                    0,
		`{"maximum_lag_on_syncnode": -1}`:       0,
		`{"maximum_lag_on_syncnode": 0}`:        0,
		`{"maximum_lag_on_syncnode": 1048576}`:  1 << 20,
		`{"maximum_lag_on_syncnode": "1MB"}`:    0, // Patroni reads no units here either
		`{"maximum_lag_on_syncnode": -1048576}`: 0,
	} {
		if got := settings(t, document).MaximumLagOnSyncNode; got != want {
			t.Errorf("%s: %d, want %d", document, got, want)
		}
	}
}

func TestTimesOfSynchronousModeAndSlots(t *testing.T) {
	cases := []struct {
		document  string
		stop, ttl time.Duration
	}{
		{`{}`, 0, 30 * time.Minute},
		{`{"primary_stop_timeout": 20, "member_slots_ttl": 60}`, 20 * time.Second, time.Minute},
		{`{"master_stop_timeout": 20, "member_slots_ttl": "30min"}`, 20 * time.Second, 30 * time.Minute},
		{`{"primary_stop_timeout": 3, "master_stop_timeout": 20, "member_slots_ttl": "60"}`, 3 * time.Second, time.Minute},
		{`{"primary_stop_timeout": -3, "member_slots_ttl": -1}`, 0, 0},
		{`{"primary_stop_timeout": "x", "member_slots_ttl": 0}`, 0, 0},
		{`{"member_slots_ttl": "1 d"}`, 0, 24 * time.Hour},
		{`{"member_slots_ttl": "1.5h"}`, 0, 90 * time.Minute},
		{`{"member_slots_ttl": "2500ms"}`, 0, 2 * time.Second},
		{`{"member_slots_ttl": "0"}`, 0, 0},
		{`{"member_slots_ttl": "-5min"}`, 0, 0},
		{`{"member_slots_ttl": "5 parsecs"}`, 0, 30 * time.Minute},
		{`{"member_slots_ttl": "5MB"}`, 0, 30 * time.Minute},
		{`{"member_slots_ttl": ""}`, 0, 30 * time.Minute},
		{`{"member_slots_ttl": true}`, 0, 30 * time.Minute},
		{`{"member_slots_ttl": 1e12}`, 0, (1<<31 - 1) * time.Second},
	}
	for _, c := range cases {
		s := settings(t, c.document)
		if s.PrimaryStopTimeout != c.stop || s.MemberSlotsTTL != c.ttl {
			t.Errorf("%s: %v, %v", c.document, s.PrimaryStopTimeout, s.MemberSlotsTTL)
		}
	}
}

func TestUseSlots(t *testing.T) {
	for document, want := range map[string]bool{
		`{}`: true, `{"postgresql": {"use_slots": false}}`: false, `{"postgresql": {"use_slots": "off"}}`: false, `{"postgresql": {"use_slots": true}}`: true,
		`{"use_slots": false}`: true, // it belongs into the section
	} {
		if got := settings(t, document).UseSlots; got != want {
			t.Errorf("%s: %v", document, got)
		}
	}
}

func TestPermanentSlots(t *testing.T) {
	cases := []struct {
		document string
		want     map[string]Slot
	}{
		{`{}`, nil},
		{`{"slots": {}}`, nil},
		{`{"slots": []}`, nil},
		{`{"slots": {"a": null, "b": {}, "c": 0, "d": "", "e": false}}`, map[string]Slot{
			"a": {Name: "a", Type: "physical"}, "b": {Name: "b", Type: "physical"}, "c": {Name: "c", Type: "physical"},
			"d": {Name: "d", Type: "physical"}, "e": {Name: "e", Type: "physical"},
		}},
		{`{"slots": {"a": {"type": "physical", "cluster_type": "standby"}}}`, map[string]Slot{"a": {Name: "a", Type: "physical", ClusterType: "standby"}}},
		{`{"slots": {"a": {"cluster_type": "primary"}}}`, map[string]Slot{"a": {Name: "a", Type: "physical", ClusterType: "primary"}}},
		{`{"slots": {"a": {"type": "logical", "database": "app", "plugin": "pgoutput"}}}`, map[string]Slot{
			"a": {Name: "a", Type: "logical", Database: "app", Plugin: "pgoutput"},
		}},
		{`{"slots": {"a": {"database": "app", "plugin": "pgoutput"}, "b": {"database": "app"}}}`, map[string]Slot{
			"a": {Name: "a", Type: "logical", Database: "app", Plugin: "pgoutput"}, "b": {Name: "b", Type: "physical"},
		}},
		{`{"slots": {"a": {"type": "physical", "database": "app", "plugin": "pgoutput", "name": "b"}}}`, map[string]Slot{"a": {Name: "a", Type: "physical"}}},
		// What cannot be read is left out, and nothing else.
		{`{"slots": {"A": null, "a-b": null, "": null, "a": 1, "b": true, "c": [], "d": "physical", "z": null}}`, map[string]Slot{"z": {Name: "z", Type: "physical"}}},
		{`{"slots": {"a": {"type": "logical"}, "b": {"type": "logical", "database": "app"}, "c": {"type": "temporary"}, "d": {"cluster_type": "both"},
			"e": {"type": 1}, "f": {"type": "logical", "database": 1, "plugin": "p"}}}`, map[string]Slot{}},
		// Of the three names the longest counts.
		{`{"slots": {"a": null}, "permanent_slots": {"b": null}, "permanent_replication_slots": {"c": null}}`, map[string]Slot{"c": {Name: "c", Type: "physical"}}},
		{`{"slots": {"a": null}, "permanent_slots": {"b": null}}`, map[string]Slot{"b": {Name: "b", Type: "physical"}}},
		{`{"slots": {"a": null}, "permanent_slots": {}, "permanent_replication_slots": null}`, map[string]Slot{"a": {Name: "a", Type: "physical"}}},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, settings(t, c.document).Slots); diff != "" {
			t.Errorf("%s: %s", c.document, diff)
		}
	}
}

func TestIgnoredSlots(t *testing.T) {
	s := settings(t, `{"ignore_slots": [{"name": "mine"}, {"type": "logical", "plugin": "wal2json"}, {"name": "x", "type": "logical", "database": "app", "plugin": "pgoutput"},
		null, "mine", {"name": 5}, {"colour": "red"}]}`)
	want := []Slot{
		{Name: "mine"},
		{Type: "logical", Plugin: "wal2json"},
		{Name: "x", Type: "logical", Database: "app", Plugin: "pgoutput"},
		{},
	}
	if diff := cmp.Diff(want, s.IgnoreSlots); diff != "" {
		t.Error(diff)
	}
	if got := settings(t, `{"ignore_slots": {"name": "mine"}}`).IgnoreSlots; got != nil {
		t.Errorf("a section was read as a list: %v", got)
	}
}

func TestSlotsFitPatterns(t *testing.T) {
	slot := Slot{Name: "x", Type: LogicalSlot, Database: "app", Plugin: "pgoutput"}
	cases := []struct {
		pattern Slot
		want    bool
	}{
		{Slot{Name: "x"}, true},
		{Slot{Type: LogicalSlot, Database: "app"}, true},
		{Slot{Name: "x", Type: LogicalSlot, Database: "app", Plugin: "pgoutput"}, true},
		{Slot{Name: "y"}, false},
		{Slot{Name: "x", Type: PhysicalSlot}, false},
		{Slot{Name: "x", Database: "other"}, false},
		{Slot{Name: "x", Plugin: "wal2json"}, false},
	}
	for _, c := range cases {
		if got := slot.Fits(c.pattern); got != c.want {
			t.Errorf("%+v: %v", c.pattern, got)
		}
	}
}

func TestSlotName(t *testing.T) {
	for member, want := range map[string]string{
		"n1":             "n1",
		"Patroni-Node1":  "patroni_node1",
		"db.example.org": "db_example_org",
		"a_b":            "a_b",
		"a b":            "au0032b",
		"é":              "u0233",
		"日":              "u26085",
		"":               "",
		"a123456789b123456789c123456789d123456789e123456789f123456789-.-.": "a123456789b123456789c123456789d123456789e123456789f123456789___",
	} {
		got := SlotName(member)
		if got != want {
			t.Errorf("%q: %q, want %q", member, got, want)
		}
		if got != "" && !ValidSlotName(got) {
			t.Errorf("%q: PostgreSQL does not take %q", member, got)
		}
	}
}

func TestSyncTags(t *testing.T) {
	cases := []struct {
		tags     string
		noSync   bool
		priority int
	}{
		{`{}`, false, 1},
		{`{"nosync": true}`, true, 0},
		{`{"nosync": "yes"}`, true, 0},
		{`{"nosync": false}`, false, 1},
		{`{"sync_priority": 0}`, true, 0},
		{`{"sync_priority": -1}`, true, 0},
		{`{"sync_priority": 5}`, false, 5},
		{`{"sync_priority": "5"}`, false, 5},
		{`{"sync_priority": "high"}`, false, 1},
		// Where both are given nosync decides.
		{`{"nosync": true, "sync_priority": 5}`, true, 0},
		{`{"nosync": false, "sync_priority": 0}`, false, 1},
		{`{"nosync": false, "sync_priority": 5}`, false, 5},
		// One pair has nothing to do with the other.
		{`{"nofailover": true, "failover_priority": 0}`, false, 1},
	}
	for _, c := range cases {
		var tags Tags
		if err := json.Unmarshal([]byte(c.tags), &tags); err != nil {
			t.Fatal(err)
		}
		if tags.NoSync() != c.noSync || tags.SyncPriority() != c.priority {
			t.Errorf("%s: nosync %v, priority %d", c.tags, tags.NoSync(), tags.SyncPriority())
		}
	}
}
