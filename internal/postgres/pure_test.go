package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

func TestPidFile(t *testing.T) {
	const whole = "4711\n/data/postgres\n1700000000\n5432\n/data/postgres.run\n10.0.0.1\n  5432001    65539\nready   \n"
	cases := []struct {
		name, content string
		want          pidFile
		host          string
	}{
		{"complete", whole, pidFile{4711, time.Unix(1700000000, 0), 5432, "/data/postgres.run", "10.0.0.1", "ready"}, "/data/postgres.run"},
		{"just made", "4711\n", pidFile{pid: 4711}, ""},
		{"single user", "-4711\n/data\n1700000000\n", pidFile{pid: -4711, started: time.Unix(1700000000, 0)}, ""},
		{"no socket", "1\n/d\n1\n5433\n\n*\n\nstarting\n", pidFile{1, time.Unix(1, 0), 5433, "", "*", "starting"}, "127.0.0.1"},
		{"no socket, IPv6", "1\n/d\n1\n5433\n\n::\n\nstopping\n", pidFile{1, time.Unix(1, 0), 5433, "", "::", "stopping"}, "::1"},
		{"no socket, one address", "1\n/d\n1\n5433\n\n10.0.0.9\n\nready\n", pidFile{1, time.Unix(1, 0), 5433, "", "10.0.0.9", "ready"}, "10.0.0.9"},
	}
	for _, c := range cases {
		got, err := parsePidFile(c.content)
		if err != nil || got != c.want || got.hosts()[0] != c.host {
			t.Errorf("%s: %+v (host %q), %v", c.name, got, got.hosts(), err)
		}
	}
	for _, bad := range []string{"", "\n", "x\n"} {
		if f, err := parsePidFile(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, f)
		}
	}
}

func FuzzPidFile(f *testing.F) {
	f.Add("4711\n/data/postgres\n1700000000\n5432\n/data/postgres.run\n10.0.0.1\n  5432001    65539\nready   \n")
	f.Add("-1\n\n\n\n")
	f.Fuzz(func(_ *testing.T, content string) {
		if file, err := parsePidFile(content); err == nil {
			file.hosts()
		}
	})
}

const controlOutput = `pg_control version number:            1300
Database system identifier:           7710995989476186977
Database cluster state:               in archive recovery
pg_control last modified:             Sun Nov 22 14:02:39 2026
Latest checkpoint location:           0/1742D60
Latest checkpoint's TimeLineID:       3
Minimum recovery ending location:     16/B374D848
Min recovery ending loc's timeline:   4
wal_log_hints setting:                on
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           2
max_locks_per_xact setting:           64
WAL block size:                       8192
Bytes per WAL segment:                16777216
Data page checksum version:           1
`

func TestControlFile(t *testing.T) {
	got, err := parseControl(controlOutput)
	if err != nil {
		t.Fatal(err)
	}
	want := Control{
		SystemID: "7710995989476186977", State: StateInArchiveRecovery, Checkpoint: 0x1742D60, CheckpointTimeline: 3,
		MinRecoveryEnd: 0x16_B374D848, MinRecoveryEndTimeline: 4, DataChecksums: true, WALLogHints: true,
		SegmentSize: 16 << 20, WALBlockSize: 8192,
		Limits: map[string]int64{
			"max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10,
			"max_prepared_transactions": 2, "max_locks_per_transaction": 64,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, output := range map[string]string{
		"nothing":     "",
		"no state":    "Database system identifier:           7710995989476186977\n",
		"bad LSN":     strings.Replace(controlOutput, "0/1742D60", "here", 1),
		"bad number":  strings.Replace(controlOutput, "16777216", "many", 1),
		"bad limit":   strings.Replace(controlOutput, "setting:              100", "setting:              x", 1),
		"short ident": strings.Replace(controlOutput, "7710995989476186977", "77", 1),
	} {
		if c, err := parseControl(output); err == nil {
			t.Errorf("%s was read as %+v", name, c)
		}
	}
}

func FuzzControlFile(f *testing.F) {
	f.Add(controlOutput)
	f.Fuzz(func(t *testing.T, output string) {
		if c, err := parseControl(output); err == nil && !c.SystemID.Valid() {
			t.Fatalf("%+v has no system identifier", c)
		}
	})
}

func TestControlStates(t *testing.T) {
	for state, clean := range map[ControlState]bool{
		StateShutDown: true, StateShutDownInRecovery: true, StateShuttingDown: false, StateInCrashRecovery: false,
		StateInArchiveRecovery: false, StateInProduction: false, "": false,
	} {
		if state.Clean() != clean {
			t.Errorf("%q clean: %v", state, !clean)
		}
	}
}

func TestRecordAsPgWaldumpShowsIt(t *testing.T) {
	got, err := parseRecord("rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/0404C3D8, prev 0/0404C3A0, desc: CHECKPOINT_SHUTDOWN redo 0/404C3D8; tli 1\n")
	want := record{manager: "XLOG", length: 114, at: 0x404C3D8, previous: 0x404C3A0, description: "CHECKPOINT_SHUTDOWN"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = parseRecord("rmgr: XLOG        len (rec/tot):     24/    24, tx:          0, lsn: 0/04000148, prev 0/040000D0, desc: SWITCH \n")
	if err != nil || got.description != "SWITCH" || got.length != 24 {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{"", "pg_waldump: error: x"} {
		if _, err := parseRecord(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestRecordEndGoesAroundPageHeaders(t *testing.T) {
	const block, segment = 8192, 16 << 20
	cases := []struct {
		name   string
		at     wal.LSN
		length uint64
		want   wal.LSN
	}{
		{"aligned to eight bytes", 0x1000028, 114, 0x1000028 + 120},
		{"ends exactly at the page's end", 0x1001FF8 - 112, 120, 0x1002000},
		{"crosses into the next page", 0x1001FC0, 114, 0x1002000 + 24 + (120 - 0x40)},
		{"crosses into the next segment", 0x1FFFFC0, 114, 0x2000000 + 40 + (120 - 0x40)},
		{"crosses two pages", 0x1001FC0, 0x40 + (8192 - 24) + 8, 0x1004000 + 24 + 8},
	}
	for _, c := range cases {
		if got := recordEnd(c.at, c.length, block, segment); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestConninfoSurvivesQuoting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-zA-Z0-9 '\\=._-]{1,20}`).Draw(t, "name")
		cfg, err := pgconn.ParseConfig(conninfo(pair{"host", "h"}, pair{"password", ""}, pair{"user", name}, pair{"dbname", "d"}))
		if err != nil || cfg.User != name || cfg.Host != "h" || cfg.Database != "d" {
			t.Fatalf("%q came back as %+v, %v", name, cfg, err)
		}
	})
}

func TestPasswordFileLine(t *testing.T) {
	got := passLines(Upstream{Host: "fe80::1", Port: 5432}, Login{Username: `a:b`, Password: `c\d`})
	if want := `fe80\:\:1:5432:*:a\:b:c\\d` + "\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestDefaultAccessNeedsAPassword(t *testing.T) {
	file := defaultHBA(Login{Username: "postgres", Password: "x"}, Login{Username: `re"pl`})
	methods := 0
	for line := range strings.Lines(file) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "#") || len(fields) == 0 {
			continue
		}
		methods++
		if method := fields[len(fields)-1]; method != "scram-sha-256" {
			t.Errorf("method %s in %q", method, line)
		}
	}
	if methods != 4 || !strings.Contains(file, `"re""pl"`) {
		t.Errorf("got\n%s", file)
	}
	if trusting := defaultHBA(Login{Username: "postgres"}, Login{Username: "r"}); !strings.Contains(trusting, "peer") || strings.Contains(trusting, "trust") {
		t.Errorf("without a password:\n%s", trusting)
	}
}

func TestEnvironmentOfPostgreSQL(t *testing.T) {
	got := cleanEnv([]string{
		"PATH=/bin", "PATRONI_SUPERUSER_PASSWORD=x", "PGBATON_X=1", "KUBERNETES_PORT=1", "NOTIFY_SOCKET=/x", "PGPASSWORD=x", "PGHOST=h",
		"PGOPTIONS=-c fsync=off", "PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj", "PG_MALLOC_ARENA_MAX=1", "PG_GRANDPARENT_PID=1", "LANG=C",
	})
	want := []string{"PATH=/bin", "PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj", "MALLOC_ARENA_MAX=1", "LANG=C"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTailKeepsTheLastLines(t *testing.T) {
	var seen []string
	last := tail{line: func(l string) { seen = append(seen, l) }}
	for i := range 20 {
		fmt.Fprintf(&last, "line %d\r\n", i)
	}
	fmt.Fprint(&last, "unfini")
	fmt.Fprint(&last, "shed")
	if got := last.String(); !strings.HasPrefix(got, "line 11; ") || !strings.HasSuffix(got, "line 19; unfinished") {
		t.Errorf("got %q", got)
	}
	if len(seen) != 21 || seen[0] != "line 0" {
		t.Errorf("saw %q", seen)
	}
}

func TestProgressOfAClone(t *testing.T) {
	var got [][2]int64
	note := func(done, total int64) { got = append(got, [2]int64{done, total}) }
	for _, line := range []string{"waiting for checkpoint", "0/31265 kB (0%), 0/1 tablespace", "2048/31265 kB (6%), 0/1 tablespace (…ata/base/5/1)", "x/1 kB (0%)"} {
		report(note, line)
		report(nil, line)
	}
	if diff := cmp.Diff([][2]int64{{0, 31265 << 10}, {2048 << 10, 31265 << 10}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTimelineOfAWALFile(t *testing.T) {
	if tl, err := walFileTimeline("0000000A00000001000000FF"); err != nil || tl != 10 {
		t.Errorf("got %d, %v", tl, err)
	}
	for _, bad := range []string{"", "0000000A", "X000000A00000001000000FF"} {
		if _, err := walFileTimeline(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestMajorVersion(t *testing.T) {
	for text, want := range map[string]int{"15.4 (Debian 15.4-1)": 15, "18beta1": 18, "9.6.1": 9} {
		if got, err := majorOf(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	if _, err := majorOf("devel"); err == nil {
		t.Error("devel is no version")
	}
}

// PostgreSQL 12 does not tell written from flushed WAL of the receiver.
func TestQuestionFitsTheVersion(t *testing.T) {
	if q := question(12); strings.Contains(q, "written_lsn") || !strings.Contains(q, "r.received_lsn") {
		t.Error("12 is asked for a column it lacks")
	}
	if q := question(13); !strings.Contains(q, "r.written_lsn") || strings.Contains(q, "r.received_lsn") {
		t.Error("13 is asked for a column it lacks")
	}
}

func TestSocketPath(t *testing.T) {
	if got := socketDir("", "/data/postgres", 7); got != "/data/postgres.run" {
		t.Errorf("got %s", got)
	}
	if got := socketDir("/run/x", "/data/postgres", 7); got != "/run/x" {
		t.Errorf("got %s", got)
	}
	for name, dir := range map[string]string{"long": "/" + strings.Repeat("x", 100), "comma": "/data,1/postgres"} {
		got := socketDir("", dir, 7)
		if !strings.HasPrefix(got, "/tmp/pgbaton-7-") || len(got)+len("/.s.PGSQL.65535") > longestSocket {
			t.Errorf("%s: %s", name, got)
		}
		if other := socketDir("", dir+"2", 7); other == got {
			t.Errorf("%s: two data directories share %s", name, got)
		}
	}
	if got := socketList(`/a b/"c"`); got != `"/a b/""c"""` {
		t.Errorf("got %s", got)
	}
}

func TestInitdbOptions(t *testing.T) {
	cfg, superuser := Config{}, Login{Username: "postgres", Password: "x"}
	want := []string{"--pgdata=/d", "--username=postgres", "--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=scram-sha-256", "--auth-host=scram-sha-256"}
	if diff := cmp.Diff(want, initdbArgs(cfg, superuser, "/d")); diff != "" {
		t.Error(diff)
	}
	superuser = Login{Username: "root"}
	cfg = Config{Initdb: []Option{{"E", "LATIN1"}, {"no-data-checksums", ""}, {"auth-host", "md5"}, {"locale", "C"}}}
	want = []string{"--pgdata=/d", "--username=root", "-ELATIN1", "--no-data-checksums", "--auth-host=md5", "--locale=C", "--auth-local=peer"}
	if diff := cmp.Diff(want, initdbArgs(cfg, superuser, "/d")); diff != "" {
		t.Error(diff)
	}
}

func TestRolesOfANewCluster(t *testing.T) {
	super := Login{Username: "postgres"}
	cases := []struct {
		name                string
		replication, rewind Login
		want                []string
	}{
		{"one role for all", super, super, nil},
		{"two roles", Login{Username: "repl", Password: "it's"}, super, []string{`CREATE ROLE "repl" LOGIN REPLICATION PASSWORD 'it''s'`}},
		{"three roles", Login{Username: "repl"}, Login{Username: `re"w`, Password: "x"}, []string{
			`CREATE ROLE "repl" LOGIN REPLICATION`, `CREATE ROLE "re""w" LOGIN PASSWORD 'x'`,
			`GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean) TO "re""w"`,
			`GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text, boolean) TO "re""w"`,
			`GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text) TO "re""w"`,
			`GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO "re""w"`, //nolint:dupword // two arguments of one type
		}},
	}
	for _, c := range cases {
		got := strings.Split(strings.TrimSuffix(roleStatements(Logins{Superuser: super, Replication: c.replication, Rewind: c.rewind}), "\n"), "\n")
		if c.want == nil {
			c.want = []string{""}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	both := roleStatements(Logins{Superuser: super, Replication: Login{Username: "r"}, Rewind: Login{Username: "r"}})
	if strings.Count(both, "CREATE ROLE") != 1 || strings.Count(both, "GRANT") != 4 {
		t.Errorf("one role for replication and rewind:\n%s", both)
	}
}

func TestConfigurationFile(t *testing.T) {
	plan := guc.Plan{File: guc.Settings{"work_mem": "4MB"}, Arguments: []guc.Pair{{Name: "port", Value: "5432"}}}
	primary := confHeader("postgresql.base.conf") + renderConf(plan, following{conninfo: "left over"})
	if !strings.HasSuffix(primary, "include 'postgresql.base.conf'\n\nport = '5432'\nwork_mem = '4MB'\n") {
		t.Errorf("got\n%s", primary)
	}
	dir := t.TempDir()
	want := following{
		standby: true, conninfo: `host=a user='it\'s'`, slot: "n1",
		recovery: guc.Settings{"restore_command": "cp '/a b/%f' %p", "recovery_min_apply_delay": "5min"},
	}
	if _, err := writeFile(filepath.Join(dir, confName), renderConf(plan, want)); err != nil {
		t.Fatal(err)
	}
	if got := current(dir, filepath.Join(dir, confName)); got.standby || got.conninfo != "" {
		t.Errorf("a primary's directory follows %+v", got)
	}
	if err := setSignal(dir, true); err != nil {
		t.Fatal(err)
	}
	if got := current(dir, filepath.Join(dir, confName)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := renderConf(plan, want); !strings.Contains(got, "\nwal_retrieve_retry_interval = '500ms'\n") {
		t.Errorf("a broken stream is not tried again soon:\n%s", got)
	}
	plan.File["wal_retrieve_retry_interval"] = "7s"
	if got := renderConf(plan, want); strings.Contains(got, "500ms") || !strings.Contains(got, "\nwal_retrieve_retry_interval = '7s'\n") {
		t.Errorf("what is configured does not stand:\n%s", got)
	}
	if err := setSignal(dir, false); err != nil {
		t.Fatal(err)
	}
	if current(dir, filepath.Join(dir, confName)).standby {
		t.Error("it is still a standby's directory")
	}
}

func TestOriginalConfigurationIsKeptOnce(t *testing.T) {
	cases := []struct{ name, conf, base, wantBase string }{
		{"of initdb", "port = 1\n", "", "port = 1\n"},
		{"kept already", confHeader("postgresql.base.conf"), "port = 1\n", "port = 1\n"},
		{"somebody's beside a kept one", "port = 2\n", "port = 1\n", "port = 1\n"},
		{"ours without its base", confHeader("postgresql.base.conf") + "port = 2\n", "", ""},
		{"none", "", "", ""},
	}
	for _, c := range cases {
		dir := t.TempDir()
		for name, text := range map[string]string{confName: c.conf, "postgresql.base.conf": c.base} {
			if text == "" {
				continue
			}
			if _, err := writeFile(filepath.Join(dir, name), text); err != nil {
				t.Fatal(err)
			}
		}
		if err := filesIn(dir, "").keepBase(dir); err != nil || !holds(filesIn(dir, "").base, c.wantBase) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestFilesAreWrittenOnlyWhenTheyChange(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for _, step := range []struct {
		text    string
		changed bool
	}{{"", true}, {"", false}, {"a", true}, {"a", false}, {"", true}} {
		if changed, err := writeFile(path, step.text); err != nil || changed != step.changed {
			t.Errorf("%q: %v, %v", step.text, changed, err)
		}
	}
	mode := func() os.FileMode {
		at, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return at.Mode().Perm()
	}
	if mode() != 0o600 {
		t.Errorf("mode %o", mode())
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("15\n"), 0o600), os.Chmod(dir, 0o750)); err != nil { //nolint:gosec // a group readable data directory
		t.Fatal(err)
	}
	if _, err := writeFile(path, "b"); err != nil || mode() != 0o640 {
		t.Errorf("in a group readable data directory: mode %o, %v", mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestContentOfADataDirectory(t *testing.T) {
	put := func(t *testing.T, dir string, names ...string) {
		t.Helper()
		for _, name := range names {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("15\n"), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := []struct {
		name   string
		make   func(t *testing.T, dir string)
		want   Data
		reason string
	}{
		{"absent", func(*testing.T, string) {}, DataEmpty, ""},
		{"empty", func(t *testing.T, dir string) { put(t, dir, ".hidden", "lost+found/x") }, DataEmpty, ""},
		{"unfinished", func(t *testing.T, dir string) { put(t, dir+".incomplete", "PG_VERSION") }, DataEmpty, "not finished"},
		{"whole", func(t *testing.T, dir string) { put(t, dir, "PG_VERSION", "global/pg_control") }, DataCluster, ""},
		{"copy without control file", func(t *testing.T, dir string) { put(t, dir, "PG_VERSION", "base/1/1") }, DataIncomplete, "control file"},
		{"copy without version", func(t *testing.T, dir string) { put(t, dir, "base/1/1") }, DataIncomplete, "PG_VERSION"},
		{"rewinding", func(t *testing.T, dir string) {
			put(t, dir, "PG_VERSION", "global/pg_control")
			put(t, filepath.Dir(dir), "data.rewinding")
		}, DataIncomplete, "pg_rewind"},
		{"somebody else's files", func(t *testing.T, dir string) { put(t, dir, "photo.jpg") }, DataUnreadable, "photo.jpg"},
		{"too old", func(t *testing.T, dir string) {
			put(t, dir, "global/pg_control")
			if err := os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("11\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, DataUnreadable, "PostgreSQL 11"},
		{"very old", func(t *testing.T, dir string) {
			put(t, dir, "global/pg_control")
			if err := os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("9.6\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, DataUnreadable, "9.6"},
		{"a file", func(t *testing.T, dir string) { put(t, filepath.Dir(dir), "data") }, DataUnreadable, "not a directory"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			c.make(t, dir)
			got := inspect(dir)
			if got.data != c.want || !strings.Contains(got.reason, c.reason) || (c.reason == "") != (got.reason == "") {
				t.Errorf("got %+v", got)
			}
			if free := vacant(dir); (free == nil) != (c.want == DataEmpty && c.name != "empty") {
				t.Errorf("vacant: %v", free)
			}
		})
	}
}

func TestProgramsForADataDirectory(t *testing.T) {
	root := t.TempDir()
	install := func(version string) string {
		dir := filepath.Join(root, version, "bin")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + ".3 (Debian)'\n"
		if err := os.WriteFile(filepath.Join(dir, "postgres"), []byte(script), 0o700); err != nil { //nolint:gosec // it must be executable
			t.Fatal(err)
		}
		return dir
	}
	folders := []string{install("9"), install("14"), install("15"), install("13"), filepath.Join(root, "missing")}
	missing := filepath.Join(root, "12", "bin")
	cases := []struct {
		name, configured string
		major            int
		folders          []string
		want             int
		warns            []string
		refused          string
	}{
		{"the newest", "", 0, folders, 15, nil, ""},
		{"that of the data", "", 14, folders, 14, nil, ""},
		{"the configured", folders[1], 0, folders, 14, nil, ""},
		{"the configured for its data", folders[1], 14, folders, 14, nil, ""},
		{"the configured for other data", folders[1], 15, folders, 0, nil, "pg_upgrade"},
		{"the configured is missing", missing, 0, folders, 15, []string{missing, folders[2]}, ""},
		{"the configured is missing, data is there", missing, 13, folders, 13, []string{missing, folders[3]}, ""},
		{"the version of the data is missing", missing, 12, folders, 0, nil, "install postgresql-12"},
		{"nothing installed", "", 0, nil, 0, nil, "install postgresql"},
		{"too old", folders[0], 0, folders, 0, nil, "version 12 or later"},
	}
	for _, c := range cases {
		b, warning, err := search{folders: c.folders}.find(t.Context(), c.configured, c.major)
		if c.refused != "" {
			if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil || b.Major != c.want || (warning == "") != (c.warns == nil) {
			t.Errorf("%s: %+v, %q, %v", c.name, b, warning, err)
		}
		for _, w := range c.warns {
			if !strings.Contains(warning, w) {
				t.Errorf("%s: %q does not name %s", c.name, warning, w)
			}
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{
		DataDir: "/data/postgres", Port: 5432, ListenAddresses: []string{"*"}, MemberName: "n1",
		Settings: Settings{Logins: Logins{Superuser: Login{Username: "postgres"}, Replication: Login{Username: "r"}, Rewind: Login{Username: "w"}}},
	}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(*Config){
		"data_dir":          func(c *Config) { c.DataDir = "data" },
		"/\" is no":         func(c *Config) { c.DataDir = "/" },
		"port 0":            func(c *Config) { c.Port = 0 },
		"no address":        func(c *Config) { c.ListenAddresses = nil },
		"has no name":       func(c *Config) { c.MemberName = "" },
		"replication has":   func(c *Config) { c.Replication.Username = "" },
		"rewind has a line": func(c *Config) { c.Rewind.Password = "a\nb" },
		"pwfile":            func(c *Config) { c.Initdb = []Option{{"pwfile", "/x"}} },
	}
	for text, spoil := range cases {
		c := good
		c.Initdb = slices.Clone(good.Initdb)
		spoil(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "a\nb") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestErrorsAreSentences(t *testing.T) {
	if got := (&ExitError{Op: "run initdb", Outcome: "exit status 1"}).Error(); got != "run initdb: exit status 1" {
		t.Errorf("got %s", got)
	}
	if got := (&ExitError{Op: "run initdb", Outcome: "exit status 1", Tail: "no space"}).Error(); got != "run initdb: exit status 1: no space" {
		t.Errorf("got %s", got)
	}
	for _, w := range []struct{ got, want string }{
		{DataEmpty.String(), "empty"},
		{DataCluster.String(), "cluster"},
		{DataIncomplete.String(), "incomplete"},
		{DataUnreadable.String(), "unreadable"},
		{ProcessNone.String(), "none"},
		{ProcessStarting.String(), "starting"},
		{ProcessRunning.String(), "running"},
		{ProcessStopping.String(), "stopping"},
	} {
		if w.got != w.want {
			t.Errorf("%s, want %s", w.got, w.want)
		}
	}
}

func TestClockThatWasSet(t *testing.T) {
	if clockWasSet(time.Now().Add(-time.Minute)) {
		t.Error("nobody set the clock")
	}
	// Without its monotonic part an instant compares by the wall clock alone.
	if clockWasSet(time.Now().Round(0)) {
		t.Error("nobody set the clock")
	}
}

// TestMoveIntoPlace: a data directory that an administrator has made, and that is empty, gives way to the copy; one with
// something in it does not.
func TestMoveIntoPlace(t *testing.T) {
	for name, c := range map[string]struct {
		there []string
		want  bool
	}{
		"there is none":         {want: true},
		"it is empty":           {there: []string{"data/"}, want: true},
		"something lies inside": {there: []string{"data/lost+found/"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, dir := range append(c.there, "copy/base") {
				if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			err := moveIntoPlace(filepath.Join(root, "copy"), filepath.Join(root, "data"))
			if moved := exists(filepath.Join(root, "data", "base")); moved != c.want || (err == nil) != c.want {
				t.Errorf("moved: %v, %v", moved, err)
			}
		})
	}
}
