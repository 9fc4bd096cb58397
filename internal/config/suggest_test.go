package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

func TestDynamicConfigurationBeforeItIsStored(t *testing.T) {
	for _, c := range []struct {
		name               string
		dynamic            map[string]any
		problems, warnings []string
	}{
		{"nothing", nil, nil, nil},
		{"defaults", map[string]any{"ttl": 30.0, "loop_wait": 10.0, "retry_timeout": 10.0}, nil, nil},
		{"what another version knows", map[string]any{"future": map[string]any{"a": 1.0}, "pause": nil}, nil, nil},
		{"words and lists", map[string]any{"ttl": "long", "synchronous_mode": "qourum", "slots": []any{"a"}, "pause": "maybe"}, []string{
			"pause: true or false is expected, not the text \"maybe\"",
			"slots: a section of slots by their names is expected, not a list",
			"synchronous_mode: one of on, off, quorum is expected, not the text \"qourum\"",
			"ttl: a whole number, 20 or more, is expected, not the text \"long\"",
		}, nil},
		{"bounds", map[string]any{"ttl": 5.0, "synchronous_node_count": 0.0}, nil, []string{
			"synchronous_node_count: a whole number, 1 or more, is expected, not 0; the nearest allowed value is used",
			"ttl: a whole number, 20 or more, is expected, not 5; the nearest allowed value is used",
			"ttl: loop_wait + 2 * retry_timeout may be 20, the ttl, at most; a loop_wait of 1 and a retry_timeout of 9 are used",
		}},
		{"times that do not fit", map[string]any{"ttl": 30.0, "loop_wait": "15"}, nil, []string{
			"ttl: loop_wait + 2 * retry_timeout may be 30, the ttl, at most; a loop_wait of 10 and a retry_timeout of 10 are used",
		}},
		{"what is each member's own", map[string]any{"postgresql": map[string]any{
			"data_dir": "/x", "bin_dir": nil, "use_slots": true, "use_pg_rewind": "sometimes", "copy": map[string]any{"command": "cp 'a"},
			"parameters": map[string]any{"port": 7.0, "max_connections": 1.0, "work_mem": "4MB"}, "parameters_primary": []any{"a"},
		}}, []string{
			"postgresql.copy.command: this cannot be split into a program and its arguments: a quote is not closed",
			"postgresql.parameters_primary: a section of name: value is expected, not a list",
			"postgresql.use_pg_rewind: true or false is expected, not the text \"sometimes\"",
		}, []string{
			"postgresql.data_dir is taken from each member's own file only",
			"postgresql.parameters: parameter max_connections = 1 cannot be used in a cluster, 100 is used instead",
			"postgresql.parameters: parameter port is left out: each agent sets its own",
		}},
	} {
		problems, warnings := CheckDynamic(c.dynamic)
		if diff := cmp.Diff(c.problems, problems); diff != "" {
			t.Errorf("%s: problems: %s", c.name, diff)
		}
		if diff := cmp.Diff(c.warnings, warnings); diff != "" {
			t.Errorf("%s: warnings: %s", c.name, diff)
		}
	}
}

// A change of any option of the surface is found, once, and comes into force while the agent runs.
func TestDiffOfTheSurface(t *testing.T) {
	plain := mustParse(t, surface, nil)
	for _, c := range []struct {
		from, to      string
		live, restart []string
	}{
		{"password: word", "password: sword", []string{"restapi.authentication", "ctl"}, nil},
		{"/rest.crt", "/new.crt", []string{"restapi.certfile, keyfile, cafile, verify_client"}, nil},
		{"Optional", "required", []string{"restapi.certfile, keyfile, cafile, verify_client"}, nil},
		{"10.0.0.0/8", "11.0.0.0/8", []string{"restapi.allowlist"}, nil},
		{"allowlist_include_members: 1", "allowlist_include_members: 0", []string{"restapi.allowlist_include_members"}, nil},
		{"allow_from_anywhere: true", "allow_from_anywhere: false", []string{"restapi.allow_from_anywhere"}, nil},
		{"X-A: 1", "X-A: 2", []string{"restapi.http_extra_headers"}, nil},
		{"X-C: c", "X-C: d", []string{"restapi.https_extra_headers"}, nil},
		{"ProductOnly", "minimal", []string{"restapi.server_tokens"}, nil},
		{"/ctl.ca", "/ctl2.ca", []string{"ctl"}, nil},
		{"level: warn", "level: info", []string{"log"}, nil},
		{"0640", "0600", []string{"log"}, nil},
		{"work_mem: 8MB", "work_mem: 9MB", []string{"postgresql.*_primary, *_replica, *_standby_leader"}, nil},
		{"sslmode: require", "sslmode: prefer", []string{"postgresql.authentication"}, nil},
		{"database: admin", "database: other", nil, []string{"postgresql.database"}},
		{"use_unix_socket_repl: yes", "use_unix_socket_repl: no", nil, []string{"postgresql.use_unix_socket_repl"}},
		{"cert: /cert", "cert: /cert2", nil, []string{"etcd"}},
		{"request_queue_size: 5", "request_queue_size: 6", nil, nil},
	} {
		d := Diff(plain, mustParse(t, replaceOnce(t, surface, c.from, c.to), nil))
		if diff := cmp.Diff(Difference{Live: c.live, Restart: c.restart}, d); diff != "" {
			t.Errorf("%s: %s", c.to, diff)
		}
	}
}

// What the cluster says of a role counts for a member that says nothing of its own about it.
func TestRolesOfTheDynamicConfiguration(t *testing.T) {
	own := replaceOnce(t, postgres0, "  parameters:", "  pg_hba_primary: [local all boss trust]\n  parameters:")
	cfg, warnings := mustParse(t, own, task()).With(map[string]any{"postgresql": map[string]any{
		"pg_hba_primary": []any{"theirs"}, "parameters_replica": map[string]any{"work_mem": "1MB"}, "pg_ident_standby_leader": "x",
		"bin_dir": "/elsewhere", "database": "other",
	}})
	want := map[cluster.Role]RoleSettings{
		cluster.RolePrimary: {HBA: []string{"local all boss trust"}},
		cluster.RoleReplica: {Parameters: map[string]any{"work_mem": "1MB"}},
	}
	if diff := cmp.Diff(want, cfg.Postgres.ByRole); diff != "" {
		t.Error(diff)
	}
	said := []string{`the cluster's configuration: postgresql.pg_ident_standby_leader: a list is expected, not the text "x"; it is not used`}
	if diff := cmp.Diff(said, warnings); diff != "" || cfg.Postgres.Database != "postgres" {
		t.Errorf("%s %s", cfg.Postgres.Database, diff)
	}
}
