package configure

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/peer"
)

// run runs one of PostgreSQL's programs.
func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil { //nolint:gosec // also when the test is over
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// serve starts a server of a person who never heard of us, and returns its data directory.
func serve(t *testing.T, settings, hba string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	word := filepath.Join(t.TempDir(), "word")
	if err := os.WriteFile(word, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	programs := installed(t)
	run(t, programs.Path("initdb"), "-D", dir, "-U", "boss", "-A", "scram-sha-256", "--pwfile", word, "-N", "-k")
	for name, text := range map[string]string{"postgresql.conf": settings, "pg_hba.conf": hba, "pg_ident.conf": "# nobody\nmap a b\n"} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	run(t, programs.Path("pg_ctl"), "-D", dir, "-w", "-l", filepath.Join(dir, "log"), "start")
	t.Cleanup(func() { run(t, programs.Path("pg_ctl"), "-D", dir, "-w", "-m", "immediate", "stop") })
	return dir
}

// A server that runs is asked for everything that a member needs to take it over.
func TestServerThatRuns(t *testing.T) {
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSFILE", "PGSSLMODE"} {
		t.Setenv(name, "")
		os.Unsetenv(name) //nolint:errcheck // it is put back by the line above
	}
	at := peer.Address()
	dir := serve(t, `
listen_addresses = '`+at+`'
unix_socket_directories = ''
cluster_name = 'accounts'
work_mem = 8MB
max_connections = 123
shared_buffers = 128MB  # what is built in
archive_mode = on
archive_command = 'test -f %p'
restore_command = 'fetch --key s3cret %f %p'
primary_conninfo = 'host=nowhere password=s3cret'
`, "# a comment\nhost all boss \\\n  samenet scram-sha-256\n")
	t.Setenv("PGPASSWORD", "s3cret")
	to := "host=" + at + " user=boss dbname=postgres port=5432"
	db, err := pgx.Connect(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context()) //nolint:errcheck // the server ends, too
	if _, err := db.Exec(t.Context(), "CREATE ROLE streamer LOGIN REPLICATION; CREATE ROLE guest LOGIN PASSWORD 'g'"); err != nil {
		t.Fatal(err)
	}
	text, err := Running(t.Context(), to, map[string]string{"PGPASSWORD": "s3cret", "PATRONI_NAME": "first"})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Source{Path: "generated.yml", Text: text})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	pg := cfg.Postgres
	shared, _ := cfg.Dynamic()["postgresql"].(map[string]any)
	common, _ := shared["parameters"].(map[string]any)
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"scope and name", []string{cfg.Scope, cfg.Name}, []string{"accounts", "first"}},
		{"places", []string{pg.DataDir, pg.BinDir, pg.ConfigDir}, []string{dir, installed(t).Dir, ""}},
		{"listen", []any{pg.Hosts, pg.Port}, []any{[]string{at}, 5432}},
		{"superuser", pg.Superuser, config.Login{Username: "boss", Password: "s3cret"}},
		{"replication", pg.Replication, config.Login{Username: "streamer", Password: blank}},
		{"own parameters", pg.Parameters, map[string]any{"archive_command": "test -f %p", "unix_socket_directories": ""}},
		{"recovery", pg.Recovery, map[string]any{"restore_command": "fetch --key s3cret %f %p"}},
		{"pg_ident", pg.Ident, []string{"map a b"}},
		{"the last line of pg_hba", pg.HBA[len(pg.HBA)-1], "host all boss    samenet scram-sha-256"},
		{
			"common parameters",
			[]any{common["work_mem"], common["max_connections"], common["shared_buffers"], common["archive_mode"], common["wal_level"]},
			[]any{"8MB", "123", nil, "on", "replica"},
		},
		{"use_pg_rewind", shared["use_pg_rewind"], true},
		{"warnings", cfg.Warnings, []string(nil)},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
	if strings.Contains(string(text), "nowhere") {
		t.Error("whom the server followed is in the configuration")
	}
	if _, err := Running(t.Context(), "host="+at+" user=guest password=g dbname=postgres", nil); err == nil || !strings.Contains(err.Error(), "guest is no superuser") {
		t.Errorf("no superuser: %v", err)
	}
	if _, err := Running(t.Context(), "host="+at+" user=boss password=wr0ng", nil); err == nil || strings.Contains(err.Error(), "wr0ng") || !strings.Contains(err.Error(), "--dsn") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestPasswordsOfConnectionStrings(t *testing.T) {
	for dsn, want := range map[string]string{
		"host=h password=a":                  "a",
		"password = 'a b' host=h":            "a b",
		`password='it\'s \\'`:                `it's \`,
		"postgres://u:p%40@h/db?sslmode=off": "p@",
		"postgres://h":                       "",
		"host=h":                             "",
	} {
		if got := inDSN(dsn, "password"); got != want {
			t.Errorf("%s: got %q, want %q", dsn, got, want)
		}
	}
	if got := inDSN("postgres://u:p@h/db?sslmode=require", "sslmode"); got != "require" {
		t.Errorf("got %q", got)
	}
	if _, err := Running(t.Context(), "host=h password=s3cret port=x", nil); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
}

// On Debian the files of a server are elsewhere than its data.
func TestServerWithFilesElsewhere(t *testing.T) {
	s := server{set: map[string]string{
		"config_file": "/etc/postgresql/15/main/main.conf", "data_directory": "/var/lib/postgresql/15/main", "listen_addresses": "", "port": "5433",
		"hba_file": "/etc/postgresql/15/main/pg_hba.conf", "ident_file": "/elsewhere/ident", "cluster_name": "15/main", "ssl_cert_file": "/c",
	}, hba: []string{"local all boss peer"}, login: section("username", "u")}
	var got map[string]any
	if err := s.section(machine{"n", "10.0.0.1"}).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"listen": "localhost:5433", "connect_address": "10.0.0.1:5433", "data_dir": "/var/lib/postgresql/15/main", "bin_dir": "",
		"config_dir": "/etc/postgresql/15/main", "config_base_name": "main", "pg_hba": []any{"local all boss peer"},
		"parameters":     map[string]any{"ident_file": "/elsewhere/ident", "ssl_cert_file": "/c"},
		"authentication": map[string]any{"superuser": map[string]any{"username": "u"}, "replication": map[string]any{"username": "", "password": blank}},
	}
	if diff := cmp.Diff(want, got); diff != "" || s.scope() != sampleScope {
		t.Errorf("%s %s", s.scope(), diff)
	}
}
