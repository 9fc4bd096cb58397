package postgres

import (
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// The cluster's configuration can be written by everybody who can write the DCS. Whatever it says, the running server goes
// on, and what it keeps of that starts again: nothing that is no setting gets into its file.
func TestHostileSettings(t *testing.T) {
	s := primary(t, "n1")
	long := strings.Repeat("x", 1<<13)
	hostile := map[string]any{
		"work_mem": "\x00", "maintenance_work_mem": "1MB\nport = 1", "temp_buffers": []any{1, 2}, "statement_timeout": map[string]any{"a": 1},
		"fsync": "'; on", "wal_level": "minimal", "max_connections": 1e300, "max_wal_senders": -1, "port": 1, "listen_addresses": "", "hot_standby": "off",
		"include": "/etc/passwd", "include_dir": "/etc", "include_if_exists": "x", "a\nport": "1", "": "x", "x y": "z", "\x00": "1", "ü": "1",
		"data_directory": "/", "config_file": "/etc/passwd", "primary_conninfo": "host=stranger", "recovery_target": "immediate",
		"search_path": `a'b\c` + "\nport=1", "log_filename": "'\\", "my.setting": "'\\\n\x01", "my.": "1", ".my": "1", "a.b.c": nil,
		"log_timezone": "no such zone", "timezone": "nowhere", "datestyle": "no such style", "default_text_search_config": long,
		"log_line_prefix": long, "autovacuum_vacuum_cost_delay": "1e999", "effective_cache_size": "-0", "checkpoint_timeout": "0x",
		"synchronous_standby_names": "ANY 99999999999 (", "restrict_nonsystem_relation_kind": "nothing", "no_such_parameter": "1",
	}
	settings := with(s.cfg.Settings, hostile)
	settings.Recovery = map[string]any{"restore_command": []any{"x"}, "recovery_min_apply_delay": "banana", "primary_slot_name": "x"}
	settings.ByRole = map[cluster.Role]Variant{
		cluster.RolePrimary: {Parameters: map[string]any{"wal_level": "minimal", "\n": 1, "deadlock_timeout": "never"}},
		"no such role":      {Parameters: map[string]any{"port": 2}, HBA: []string{"nobody"}},
	}
	settings.Ident = []string{"\x00", "a b", long}
	pid := s.Status(within(t)).PID
	if _, err := s.Reload(within(t), settings); err != nil {
		t.Fatal(err)
	}
	if st := await(t, s, "answers", func(st Status) bool { return st.Answers }); st.PID != pid || st.InRecovery {
		t.Errorf("%+v", st)
	}
	if changed, err := s.Reload(within(t), settings); err != nil || changed {
		t.Errorf("once more: %v, %v", changed, err)
	}
	if err := s.Restart(within(t), RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"port": itoa(s.cfg.Port), "wal_level": "replica", "hot_standby": "on", "fsync": "on", "work_mem": "4MB", "my.setting": "'\\\n\x01",
		"data_directory": s.dir, "log_line_prefix": long,
	} {
		if got := one(t, s, "SELECT current_setting('"+name+"')"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// What an upstream brings, of another cluster or of a configuration, keeps no standby from starting.
func TestHostileUpstream(t *testing.T) {
	n1 := primary(t, "n1")
	n2 := open(t, describe(t, "n2"))
	up := address(n1)
	if err := n2.Clone(within(t), CloneOptions{From: up}); err != nil {
		t.Fatal(err)
	}
	up.ApplyDelay, up.RestoreCommand = "banana", "exit 1 #'\\\n"
	if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: up}); err != nil {
		t.Fatal(err)
	}
	await(t, n2, "streams", streaming(n1))
	if got := one(t, n2, "SHOW restore_command"); got != up.RestoreCommand {
		t.Errorf("restore_command %q", got)
	}
}
