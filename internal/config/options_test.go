package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// everything uses each option that is acted on.
const everything = `
scope: s
name: n1
guard: off
restapi: {listen: 127.0.0.1:8008}
etcd: {hosts: [127.0.0.1:2379]}
watchdog: {mode: required, device: /dev/watchdog1, safety_margin: -1}
tags:
  nofailover: no
  failover_priority: 3
  clonefrom: yes
  noloadbalance: false
  nosync: "off"
  nostream: off
  replicatefrom: n2
  rack: 7
bootstrap:
  method: restore
  restore:
    command: /usr/bin/restore --from "the archive"
    keep_existing_recovery_conf: no
    recovery_conf: {recovery_target_action: promote, restore_command: cp %f %p, recovery_target_inclusive: no}
    stanza: main
    full: yes
  post_init: /bin/after 'all is done'
  initdb: [data-checksums, {encoding: UTF8}, {wal-segsize: 1}]
  dcs:
    ttl: 30
    failsafe_mode: on
    synchronous_mode: quorum
    primary_start_timeout: 0
    standby_cluster: {host: "a,b", port: 5432, primary_slot_name: s, create_replica_methods: [copy]}
postgresql:
  listen: 127.0.0.1:5432
  data_dir: /data
  authentication: {superuser: {password: s}, replication: {password: r}}
  custom_conf: /etc/my.conf
  pg_ctl_timeout: "90"
  use_pg_rewind: no
  rewind: [debug, {progress: }]
  remove_data_directory_on_rewind_failure: 1
  remove_data_directory_on_diverged_timelines: TRUE
  pre_promote: /bin/fence --now
  before_stop: sh -c 'pause; wait'
  recovery_conf: {restore_command: "cp /a/%f %p"}
  callbacks: {on_role_change: /bin/told 'a b'}
  create_replica_methods: [archive, basebackup, bare]
  archive: {command: fetch, no_leader: 1, keep_data: yes, threads: 4}
  copy: {command: cp, no_params: true, from: there, no_leader: true}
  basebackup:
    max-rate: 100M
    checkpoint: fast
    verbose:
`

func TestEveryOption(t *testing.T) {
	cfg := mustParse(t, everything, nil)
	pg := cfg.Postgres
	archive := Method{
		Name: "archive", Command: Command{"fetch"}, NoLeader: true, KeepData: true,
		Options: []Option{{"no_leader", "True"}, {"keep_data", "True"}, {"threads", "4"}},
	}
	base := Method{Name: BaseBackup, Options: []Option{{"max-rate", "100M"}, {"checkpoint", "fast"}}}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"warnings", cfg.Warnings, []string(nil)},
		{"guard", cfg.Guard, false},
		{"watchdog", cfg.Watchdog, Watchdog{WatchdogRequired, "/dev/watchdog1", "", -time.Second}},
		{"tags", cfg.Tags, cluster.Tags{"nofailover": false, "failover_priority": 3, "clonefrom": true, "replicatefrom": "n2", "rack": 7}},
		{"bootstrap method", cfg.Bootstrap.Method, Method{
			Name: "restore", Command: Command{"/usr/bin/restore", "--from", "the archive"},
			Options:  []Option{{"stanza", "main"}, {"full", "True"}},
			Recovery: map[string]any{"recovery_target_action": "promote", "restore_command": "cp %f %p", "recovery_target_inclusive": false},
		}},
		{"post_init", cfg.Bootstrap.Post, Command{"/bin/after", "all is done"}},
		{"initdb", cfg.Bootstrap.Initdb, []Option{{"data-checksums", ""}, {"encoding", "UTF8"}, {"wal-segsize", "1"}}},
		{"failsafe_mode", cfg.Dynamic()["failsafe_mode"], true},
		{"synchronous_mode", cfg.Dynamic()["synchronous_mode"], "quorum"},
		{"custom_conf", pg.CustomConf, "/etc/my.conf"},
		{"pg_ctl_timeout", pg.StartTimeout, 90 * time.Second},
		{"use_pg_rewind", pg.UseRewind, false},
		{"rewind", pg.RewindOptions, []Option{{"debug", ""}, {"progress", ""}}},
		{"remove", []bool{pg.RemoveFailed, pg.RemoveDiverged}, []bool{true, true}},
		{"pre_promote", pg.PrePromote, Command{"/bin/fence", "--now"}},
		{"before_stop", pg.BeforeStop, Command{"sh", "-c", "pause; wait"}},
		{"recovery_conf", pg.Recovery, map[string]any{"restore_command": "cp /a/%f %p"}},
		{"callbacks", pg.Callbacks, map[string]Command{"on_role_change": {"/bin/told", "a b"}}},
		{"methods", pg.CloneMethods, []Method{archive, base, {Name: "bare", Command: Command{"bare"}}}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
}

func TestDefaults(t *testing.T) {
	cfg := mustParse(t, postgres0, task())
	if !cfg.Guard || cfg.Postgres.StartTimeout != time.Minute || cfg.Tags != nil || cfg.Bootstrap.Post != nil {
		t.Errorf("%+v", cfg)
	}
	if diff := cmp.Diff(Watchdog{WatchdogAutomatic, "/dev/watchdog", "", 5 * time.Second}, cfg.Watchdog); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Method{{Name: BaseBackup}}, cfg.Postgres.CloneMethods); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Method{Name: Initdb}, cfg.Bootstrap.Method); diff != "" {
		t.Error(diff)
	}
}

func TestWatchdogModes(t *testing.T) {
	for text, want := range map[string]WatchdogMode{
		"off": WatchdogOff, "no": WatchdogOff, "false": WatchdogOff, "disabled": WatchdogOff, "disable": WatchdogOff, `"off"`: WatchdogOff,
		"auto": WatchdogAutomatic, "automatic": WatchdogAutomatic, "": WatchdogAutomatic,
		"require": WatchdogRequired, "Required": WatchdogRequired,
	} {
		if got := mustParse(t, postgres0+"watchdog:\n  mode: "+text+"\n", task()).Watchdog.Mode; got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// Each wrong value is one sentence that names the option, its line and what is expected.
func TestWrongValues(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"postgresql: 7", "line 1: postgresql: a section with options of its own is expected, not the number 7"},
		{"- a", "line 1: the file: a section with options of its own is expected, not a list"},
		{"tags: {nofailover: maybe}", `line 1: tags.nofailover: true or false is expected, not the text "maybe"`},
		{"tags: {failover_priority: -1}", "tags.failover_priority: a whole number, 0 or more, is expected, not -1"},
		{"tags: {sync_priority: high}", `tags.sync_priority: a whole number, 0 or more, is expected, not the text "high"`},
		{"tags: {replicatefrom: [n2]}", "tags.replicatefrom: a single value is expected, not a list"},
		{"watchdog: {mode: sometimes}", `watchdog.mode: one of off, automatic, required, disable, disabled, auto, require is expected, not the text "sometimes"`},
		{"watchdog: {safety_margin: -2}", "watchdog.safety_margin: a whole number, -1 or more, is expected, not -2"},
		{"postgresql:\n  pg_ctl_timeout: 60s", `line 2: postgresql.pg_ctl_timeout: a whole number, 1 or more, is expected, not the text "60s"`},
		{"postgresql: {pre_promote: [a]}", "postgresql.pre_promote: a command on one line is expected, not a list"},
		{"postgresql: {before_stop: \"a 'b\"}", "postgresql.before_stop: this cannot be split into a program and its arguments: a quote is not closed"},
		{"postgresql: {callbacks: {on_start: {a: b}}}", "postgresql.callbacks.on_start: a command on one line is expected, not a section"},
		{"postgresql: {callbacks: on_start}", `postgresql.callbacks: a section with options of its own is expected, not the text "on_start"`},
		{"postgresql: {create_replica_methods: basebackup}", `postgresql.create_replica_methods: a list is expected, not the text "basebackup"`},
		{"postgresql: {create_replica_methods: [x], x: {no_leader: 3}}", "postgresql.x.no_leader: true or false is expected, not the number 3"},
		{"postgresql: {create_replica_methods: [x], x: {a: [1]}}", "postgresql.x.a: a single value is expected, not a list"},
		{"postgresql: {basebackup: fast}", `postgresql.basebackup: a list of options, or of option: value, is expected, not the text "fast"`},
		{"postgresql: {basebackup: [{a: {b: c}}]}", "postgresql.basebackup[1].a: a single value is expected, not a section"},
		{"postgresql: {parameters: {work_mem: [1]}}", "postgresql.parameters.work_mem: a single value is expected, not a list"},
		{"postgresql: {pg_hba: [{local: all}]}", "postgresql.pg_hba[1]: a single value is expected, not a section"},
		{"postgresql: {use_pg_rewind: 2}", "postgresql.use_pg_rewind: true or false is expected, not the number 2"},
		{"postgresql: {authentication: {rewind: {password: [hidden]}}}", "password: a single value is expected, not a list"},
		{"postgresql: {authentication: {superuser: hidden}}", "superuser: a section with options of its own is expected, not what stands there"},
		{"bootstrap: {dcs: {ttl: long}}", `bootstrap.dcs.ttl: a whole number, 20 or more, is expected, not the text "long"`},
		{"bootstrap: {dcs: {synchronous_mode: sometimes}}", "bootstrap.dcs.synchronous_mode: one of on, off, quorum is expected"},
		{"bootstrap: {dcs: {synchronous_mode: [quorum]}}", "bootstrap.dcs.synchronous_mode: one of on, off, quorum is expected, not a list"},
		{"bootstrap: {dcs: {synchronous_mode_strict: very}}", `bootstrap.dcs.synchronous_mode_strict: true or false is expected, not the text "very"`},
		{"bootstrap: {dcs: {synchronous_node_count: two}}", `bootstrap.dcs.synchronous_node_count: a whole number, 1 or more, is expected, not the text "two"`},
		{"bootstrap: {dcs: {maximum_lag_on_syncnode: 1MB}}", `bootstrap.dcs.maximum_lag_on_syncnode: a whole number, -1 or more, is expected, not the text "1MB"`},
		{"bootstrap: {dcs: {primary_stop_timeout: 1.5}}", "bootstrap.dcs.primary_stop_timeout: a whole number, 0 or more, is expected, not the number 1.5"},
		{"bootstrap: {dcs: {member_slots_ttl: 5MB}}", `bootstrap.dcs.member_slots_ttl: a number of seconds, or a time as 30min, is expected, not the text "5MB"`},
		{"bootstrap: {dcs: {member_slots_ttl: {a: b}}}", "bootstrap.dcs.member_slots_ttl: a number of seconds, or a time as 30min, is expected, not a section"},
		{"bootstrap: {dcs: {slots: [a]}}", "bootstrap.dcs.slots: a section of slots by their names is expected, not a list"},
		{"bootstrap: {dcs: {slots: a}}", `bootstrap.dcs.slots: a section of slots by their names is expected, not the text "a"`},
		{"bootstrap: {dcs: {slots: {a-b: }}}", "bootstrap.dcs.slots.a-b: the name of a slot has small letters, digits and underscores, 63 at most"},
		{"bootstrap: {dcs: {slots: {a: physical}}}", `bootstrap.dcs.slots.a: a section with the properties of a slot is expected, not the text "physical"`},
		{"bootstrap: {dcs: {slots: {a: '0'}}}", `bootstrap.dcs.slots.a: a section with the properties of a slot is expected, not the text "0"`},
		{"bootstrap: {dcs: {permanent_slots: {a: {type: Logical}}}}", `bootstrap.dcs.permanent_slots.a.type: physical or logical is expected, not the text "Logical"`},
		{"bootstrap: {dcs: {slots: {a: {type: logical, database: app}}}}", "bootstrap.dcs.slots.a: a logical slot needs a database and a plugin"},
		{"bootstrap: {dcs: {slots: {a: {type: logical, database: 5, plugin: p}}}}", "bootstrap.dcs.slots.a.database: a text is expected, not the number 5"},
		{"bootstrap: {dcs: {slots: {a: {cluster_type: both}}}}", `bootstrap.dcs.slots.a.cluster_type: primary or standby is expected, not the text "both"`},
		{"bootstrap: {dcs: {ignore_slots: {name: a}}}", "bootstrap.dcs.ignore_slots: a list of sections with the properties of slots is expected, not a section"},
		{"bootstrap: {dcs: {ignore_slots: [a]}}", `bootstrap.dcs.ignore_slots[1]: a section with the properties of a slot is expected, not the text "a"`},
		{"bootstrap: {dcs: {ignore_slots: [{name: a}, {type: both}]}}", `bootstrap.dcs.ignore_slots[2].type: physical or logical is expected, not the text "both"`},
		{"bootstrap: {dcs: {failsafe_mode: 5}}", "bootstrap.dcs.failsafe_mode: true or false is expected, not the number 5"},
		{"bootstrap: {dcs: {standby_cluster: [a]}}", "bootstrap.dcs.standby_cluster: a section with options of its own is expected, not a list"},
		{"bootstrap: {method: x, x: {keep_existing_recovery_conf: perhaps}}", "bootstrap.x.keep_existing_recovery_conf: true or false is expected"},
		{"tags: {x: &a {y: *a}}", "anchor 'a' value contains itself"},
		{"scope: a\nscope: b", "line 2: scope: it is given twice, first in line 1"},
	} {
		_, err := parse("f", c.text, Source{Env: task()})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s\n got: %v\nwant: %s", c.text, err, c.want)
		}
	}
}

// These are checked after the types are right.
func TestValuesThatMakeNoSense(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"bootstrap: {method: restore}", "bootstrap.method: there is no bootstrap.restore.command"},
		{"bootstrap: {initdb: [pwfile: x]}", "bootstrap.initdb: pwfile is set by the agent itself; remove it"},
		{"  custom_conf: my.conf", `postgresql.custom_conf: "my.conf" is not an absolute path`},
		{"  basebackup: [{dbname: x}]", "postgresql.basebackup: dbname is set by the agent itself"},
		{"  rewind: [dry-run]", "postgresql.rewind: dry-run is set by the agent itself"},
	} {
		text := strings.Replace(postgres0, "  parameters:", c.text+"\n  parameters:", 1)
		if !strings.HasPrefix(c.text, " ") {
			text = postgres0 + c.text
		}
		_, err := parse("f", text, Source{Env: task()})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got: %v\nwant: %s", c.text, err, c.want)
		}
	}
}

func TestWhatIsWorthAWarning(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"tags: {nofailover: true, failover_priority: 0}", nil},
		{"tags: {nofailover: false, failover_priority: 2}", nil},
		{"tags: {nofailover: true, failover_priority: 1}", []string{
			"tags.nofailover is true and tags.failover_priority is 1, which contradict each other: nofailover counts; remove one of them",
		}},
		{"tags: {nosync: false, sync_priority: 0}", []string{
			"tags.nosync is false and tags.sync_priority is 0, which contradict each other: nosync counts; remove one of them",
		}},
		{"bootstrap: {dcs: {ttl: 5}}", []string{
			"line 21: bootstrap.dcs.ttl: a whole number, 20 or more, is expected, not 5; the nearest allowed value is used",
		}},
		{"bootstrap: {dcs: {new_option: {a: b}}}", nil},
		{"tags: {nosync: true, sync_priority: 2}", []string{
			"tags.nosync is true and tags.sync_priority is 2, which contradict each other: nosync counts; remove one of them",
		}},
		{"tags: {nosync: true, sync_priority: 0}", nil},
		{"bootstrap: {dcs: {synchronous_node_count: 0}}", []string{
			"line 21: bootstrap.dcs.synchronous_node_count: a whole number, 1 or more, is expected, not 0; the nearest allowed value is used",
		}},
		{"bootstrap: {dcs: {maximum_lag_on_syncnode: -1, member_slots_ttl: 30min, slots: , ignore_slots: []}}", nil},
		{"bootstrap: {dcs: {member_slots_ttl: -1}}", []string{
			"line 21: bootstrap.dcs.member_slots_ttl: a time from 0 on is expected, not -1; the nearest allowed value is used",
		}},
		{"bootstrap: {dcs: {slots: {a: , b: {}, c: 0, d: no, e: {type: logical, database: app, plugin: pgoutput}, f: {cluster_type: standby, failover: true}}}}", nil},
		{"bootstrap: {dcs: {ignore_slots: [{name: a, database: b}, {colour: red}]}}", []string{
			"line 21: bootstrap.dcs.ignore_slots[2]: it has none of name, type, database and plugin, so every slot is left alone",
		}},
		{"bootstrap: {users: {a: b}}", []string{"bootstrap.users is not acted on by this version"}},
	} {
		if diff := cmp.Diff(c.want, mustParse(t, postgres0+c.text, task()).Warnings); diff != "" {
			t.Errorf("%s: %s", c.text, diff)
		}
	}
}

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                           nil,
		" a  b\tc ":                  {"a", "b", "c"},
		`a 'b c' "d e"`:              {"a", "b c", "d e"},
		`a''b ""`:                    {"ab", ""},
		`'a\b' "a\b" a\b`:            {`a\b`, `a\b`, "ab"},
		`"a\"b\\c\$d"`:               {`a"b\c$d`},
		`a\ b`:                       {"a b"},
		`sh -c 'echo "$1" | wc' -- `: {"sh", "-c", `echo "$1" | wc`, "--"},
	} {
		if got, err := Words(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q %v, want %q", line, got, err, want)
		}
	}
	for _, broken := range []string{`'a`, `"a`, `a\`, `"a\`} {
		if got, err := Words(broken); err == nil {
			t.Errorf("%q: got %q", broken, got)
		}
	}
}

// The cluster's configuration lies below the member's own.
func TestWithADynamicConfiguration(t *testing.T) {
	own := strings.Replace(postgres0, "  parameters:", "  pre_promote: own\n  create_replica_methods: [basebackup]\n  copy: {command: cp}\n  parameters:", 1)
	cfg, warnings := mustParse(t, own, task()).With(map[string]any{
		"postgresql": map[string]any{
			"parameters":  map[string]any{"shared_buffers": "2GB", "work_mem": "8MB", "max_connections": 7},
			"pre_promote": "theirs", "before_stop": "theirs --now", "data_dir": "/elsewhere", "use_pg_rewind": false,
			"pg_hba": []any{"local all postgres peer"}, "pg_ctl_timeout": "soon", "use_slots": true,
			"authentication": map[string]any{"superuser": map[string]any{"password": "x"}},
			"basebackup":     []any{map[string]any{"max-rate": "1M"}},
		},
		"standby_cluster": map[string]any{"host": "h", "create_replica_methods": []any{"copy", "basebackup"}},
	})
	pg := cfg.Postgres
	if diff := cmp.Diff(map[string]any{"shared_buffers": "1GB", "work_mem": "8MB", "max_connections": 7}, pg.Parameters); diff != "" {
		t.Error(diff)
	}
	base := Method{Name: BaseBackup, Options: []Option{{"max-rate", "1M"}}}
	if diff := cmp.Diff([]Method{base}, pg.CloneMethods); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Method{{Name: "copy", Command: Command{"cp"}}, base}, pg.RemoteMethods); diff != "" {
		t.Error(diff)
	}
	if pg.PrePromote[0] != "own" || len(pg.BeforeStop) != 2 || pg.DataDir != "/state/volumes/v1/data/postgres" || pg.UseRewind ||
		len(pg.HBA) != 1 || pg.StartTimeout != time.Minute || pg.Superuser.Password.Reveal() != "s" {
		t.Errorf("%+v", pg)
	}
	want := []string{`the cluster's configuration: postgresql.pg_ctl_timeout: a whole number, 1 or more, is expected, not the text "soon"; it is not used`}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Error(diff)
	}
	bare := mustParse(t, "scope: s\nname: n\netcd: {host: 127.0.0.1}\n", task("PATRONI_POSTGRESQL_DATA_DIR=/d"))
	if all, _ := bare.With(map[string]any{"postgresql": map[string]any{"pre_promote": "x"}}); all.Postgres.PrePromote == nil {
		t.Error("where the member says nothing of its own, nothing is used")
	}
	again, _ := cfg.With(nil)
	if diff := cmp.Diff(map[string]any{"shared_buffers": "1GB"}, again.Postgres.Parameters); diff != "" || again.Postgres.BeforeStop != nil {
		t.Errorf("what is gone is still there: %s %v", diff, again.Postgres.BeforeStop)
	}
}

// What is wrong with the cluster's configuration is said by every member, and ends none of them.
func TestMisspeltDynamicOptions(t *testing.T) {
	_, warnings := mustParse(t, postgres0, task()).With(map[string]any{
		"ttl": 30.0, "maximum_lag_on_failover": 1048576.0, "maximum_lag_on_syncnode": -1.0, "primary_stop_timeout": 1.5, "loop_wait": 0.0, "pause": false, "synchronous_mode": "qourum", "synchronous_node_count": 2.0, "member_slots_ttl": "1 parsec",
		"slots": map[string]any{"a": nil, "b": map[string]any{"type": "logical"}}, "ignore_slots": []any{map[string]any{"name": 5.0}},
		"standby_cluster": map[string]any{"port": 5432.0}, "future": map[string]any{"slots": 1.0},
	})
	want := []string{
		"the cluster's configuration: ignore_slots[1].name: a text is expected, not the number 5",
		`the cluster's configuration: member_slots_ttl: a number of seconds, or a time as 30min, is expected, not the text "1 parsec"`,
		"the cluster's configuration: primary_stop_timeout: a whole number, 0 or more, is expected, not the number 1.5",
		"the cluster's configuration: slots.b: a logical slot needs a database and a plugin",
		`the cluster's configuration: synchronous_mode: one of on, off, quorum is expected, not the text "qourum"`,
		"the cluster's configuration: loop_wait: a whole number, 1 or more, is expected, not 0; the nearest allowed value is used",
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Error(diff)
	}
}

// A tag that is off is not published, unless it overrules a priority that is given.
func TestPublishedSyncTags(t *testing.T) {
	for text, want := range map[string]cluster.Tags{
		"tags: {nosync: false}":                   {},
		"tags: {nosync: false, sync_priority: 3}": {"nosync": false, "sync_priority": 3},
		"tags: {nosync: yes}":                     {"nosync": true},
		"tags: {sync_priority: 0}":                {"sync_priority": 0},
	} {
		if diff := cmp.Diff(want, mustParse(t, postgres0+text, task()).Tags); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// A word that YAML 1.1 takes for a boolean is one for other members too.
func TestWordsThatAreBooleans(t *testing.T) {
	cfg := mustParse(t, postgres0+"bootstrap:\n  dcs:\n    pause: yes\n    future: {a: on, b: 'on'}\ntags: {own: No}\n", task())
	want := map[string]any{"pause": true, "future": map[string]any{"a": true, "b": "on"}}
	if diff := cmp.Diff(want, cfg.Dynamic()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(cluster.Tags{"own": false}, cfg.Tags); diff != "" {
		t.Error(diff)
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	text := postgres0 + "x-login: &login {password: p}\nbootstrap:\n  dcs: {<<: &d {ttl: 25}, loop_wait: 3}\n"
	text = strings.Replace(text, "  parameters:", "  authentication: {superuser: &s {username: a, password: b}, rewind: *s}\n  parameters:", 1)
	cfg := mustParse(t, text, task())
	if diff := cmp.Diff(map[string]any{"ttl": 25, "loop_wait": 3}, cfg.Dynamic()); diff != "" {
		t.Error(diff)
	}
	if cfg.Postgres.Rewind.Username != "a" {
		t.Errorf("%+v", cfg.Postgres.Rewind)
	}
}

func TestDiff(t *testing.T) {
	plain := mustParse(t, everything, nil)
	for _, c := range []struct {
		from, to      string
		live, restart []string
	}{
		{"name: n1", "name: n1", nil, nil},
		{"replicatefrom: n2", "replicatefrom: n3", []string{"tags"}, nil},
		{"mode: required", "mode: off", []string{"watchdog"}, nil},
		{"guard: off", "guard: on", nil, []string{"guard"}},
		{"/bin/fence", "/bin/wall", []string{"postgresql.pre_promote"}, nil},
		{"'a b'", "'a  b'", []string{"postgresql.callbacks"}, nil},
		{"cp /a/%f", "cp /b/%f", []string{"postgresql.recovery_conf"}, nil},
		{"threads: 4", "threads: 5", []string{"postgresql.create_replica_methods"}, nil},
		{"max-rate: 100M", "max-rate: 10M", []string{"postgresql.create_replica_methods"}, nil},
		{"  custom_conf:", "  pg_hba: [local all postgres peer]\n  custom_conf:", []string{"postgresql.pg_hba"}, nil},
		{"  custom_conf:", "  parameters: {work_mem: 1MB}\n  custom_conf:", []string{"postgresql.parameters"}, nil},
		{"ttl: 30", "ttl: 60", []string{"bootstrap"}, nil},
		{"127.0.0.1:8008", "127.0.0.1:8009", nil, []string{"restapi.listen", "restapi.connect_address"}},
		{"{password: s}", "{password: other}", []string{"postgresql.authentication"}, nil},
		{"data_dir: /data", "data_dir: /data2", nil, []string{"postgresql.data_dir"}},
		{"127.0.0.1:2379", "127.0.0.1:2378", nil, []string{"etcd"}},
	} {
		d := Diff(plain, mustParse(t, strings.Replace(everything, c.from, c.to, 1), nil))
		if diff := cmp.Diff(Difference{Live: c.live, Restart: c.restart}, d); diff != "" {
			t.Errorf("%s: %s", c.to, diff)
		}
		if len(d.Warnings()) != len(c.restart) {
			t.Errorf("%s: %v", c.to, d.Warnings())
		}
	}
	if d := (Difference{Live: []string{"postgresql.pg_hba"}}); !d.Has("postgresql") || d.Has("tags") || !d.Has("postgresql.pg_hba") {
		t.Error("Has")
	}
}

// What other members are told of goes into documents of the DCS, which hold no infinity and no names that are numbers.
func TestValuesThatNobodyCouldBeToldOf(t *testing.T) {
	for value, fine := range map[string]bool{
		"text": true, "1.5": true, "{a: [1, yes]}": true, ".inf": false, ".nan": false, "{1: 2}": false, "[{a: .inf}]": false,
	} {
		for _, where := range []string{"tags", "bootstrap: {dcs"} {
			text := postgres0 + "\n" + where + ": {custom: " + value + "}"
			if strings.HasPrefix(where, "bootstrap") {
				text += "}"
			}
			_, err := parse("f.yml", text, Source{Env: task()})
			if told := err != nil && strings.Contains(err.Error(), "custom"); told == fine {
				t.Errorf("%s: %s: %v", where, value, err)
			}
		}
	}
}
