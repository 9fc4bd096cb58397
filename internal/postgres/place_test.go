package postgres

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// The configuration may lie outside of the data directory, under other names: the whole life of a cluster is led with it.
func TestConfigurationElsewhere(t *testing.T) {
	member := func(name string) Config {
		cfg := describe(t, name)
		cfg.ConfigDir, cfg.ConfigBase = filepath.Join(t.TempDir(), "etc", "postgresql"), "server"
		return cfg
	}
	n1 := open(t, member("n1"))
	if err := n1.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := n1.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	path := func(s *Server, name string) string { return filepath.Join(s.cfg.ConfigDir, name) }
	if got := one(t, n1, "SHOW config_file") + one(t, n1, "SHOW hba_file"); got != path(n1, "server.conf")+path(n1, "pg_hba.conf") {
		t.Errorf("the server reads %s", got)
	}
	if got := one(t, n1, "SHOW data_directory"); got != n1.dir {
		t.Errorf("the server works in %s", got)
	}
	if base := readText(t, path(n1, "server.base.conf")); !strings.Contains(base, "datestyle") {
		t.Errorf("initdb's file is not the base:\n%s", base)
	}
	if exists(filepath.Join(n1.dir, "postgresql.base.conf")) {
		t.Error("there is a second base in the data directory")
	}

	n2 := open(t, member("n2"))
	// An administrator's file of the machine is the base, and what it says of the data directory does not count.
	if err := os.MkdirAll(n2.cfg.ConfigDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path(n2, "server.conf"), []byte("data_directory = '/elsewhere'\nmaintenance_work_mem = '77MB'\n"), 0o644); err != nil { //nolint:gosec // the mode is what is tested
		t.Fatal(err)
	}
	if err := n2.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
		t.Fatal(err)
	}
	await(t, n2, "streams", streaming(n1))
	if got := one(t, n2, "SHOW maintenance_work_mem"); got != "77MB" {
		t.Errorf("maintenance_work_mem %s", got)
	}
	if changed, err := n2.Reload(within(t), with(n2.cfg.Settings, map[string]any{"work_mem": "5MB"})); err != nil || !changed {
		t.Errorf("%v, %v", changed, err)
	}

	// Both write; the old primary is rewound and comes back.
	if err := n2.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := n2.Checkpoint(within(t)); err != nil {
		t.Fatal(err)
	}
	run(t, n1, "CREATE TABLE lost ()")
	run(t, n2, "CREATE TABLE kept ()")
	if err := n1.Rewind(within(t), RewindOptions{From: address(n2), Patience: patience}); err != nil {
		t.Fatal(err)
	}
	if err := n1.Start(within(t), StartOptions{Standby: true, Upstream: address(n2)}); err != nil {
		t.Fatal(err)
	}
	await(t, n1, "streams", streaming(n2))

	// Clients are kept out, and let in.
	if _, err := n2.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := n2.Start(within(t), StartOptions{Hold: true}); err != nil {
		t.Fatal(err)
	}
	if st := n2.Status(within(t)); !st.Held || !st.Answers || !exists(path(n2, unheldName)) {
		t.Errorf("%+v", st)
	}
	if err := n2.AdmitClients(within(t)); err != nil || n2.Status(within(t)).Held || exists(path(n2, unheldName)) {
		t.Errorf("%v", err)
	}
}

// Rules and identities may be read from files that somebody else looks after.
func TestRulesElsewhere(t *testing.T) {
	cfg := describe(t, "n1")
	place(t, cfg)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hba"), []byte(strings.Join(openDoors(), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.DataDir, "mine_ident"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.HBA, cfg.Ident = []string{"local all all reject"}, []string{"a b c"} //nolint:dupword // a rule for all users
	cfg.Parameters["hba_file"], cfg.Parameters["ident_file"] = filepath.Join(dir, "hba"), "mine_ident"
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := one(t, s, "SHOW hba_file") + " " + one(t, s, "SHOW ident_file"); got != filepath.Join(dir, "hba")+" "+filepath.Join(s.dir, "mine_ident") {
		t.Errorf("the server reads %s", got)
	}
	if strings.Contains(readText(t, filepath.Join(s.dir, hbaName)), "reject") || strings.Contains(readText(t, filepath.Join(s.dir, identName)), "a b c") {
		t.Error("files that nobody reads were written")
	}
}

// The file that an operator names is included in place of the original one.
func TestCustomConfiguration(t *testing.T) {
	cfg := describe(t, "n1")
	place(t, cfg)
	cfg.CustomConf = filepath.Join(t.TempDir(), "mine.conf")
	if err := os.WriteFile(cfg.CustomConf, []byte("maintenance_work_mem = '66MB'\nwork_mem = '1MB'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Parameters["work_mem"] = "2MB"
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := one(t, s, "SHOW maintenance_work_mem") + " " + one(t, s, "SHOW work_mem"); got != "66MB 2MB" {
		t.Errorf("got %s", got)
	}
	if got := guc.Quote(cfg.CustomConf); !strings.Contains(readText(t, s.files(s.dir).conf), "include "+got) {
		t.Error("it is not included")
	}
}

// PostgreSQL's programs may have other names.
func TestProgramsOfOtherNames(t *testing.T) {
	cfg := describe(t, "n1")
	found, _, err := FindBinaries(within(t), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	cfg.BinDir, cfg.Programs = t.TempDir(), map[string]string{}
	for _, name := range []string{"postgres", "initdb", "pg_controldata", "pg_ctl", "pg_basebackup", "pg_rewind", "pg_waldump"} {
		cfg.Programs[name] = "our_" + name
		// A program of PostgreSQL's looks for the others beside itself, by their own names.
		script := "#!/bin/sh\nexec " + found.Path(name) + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(cfg.BinDir, "our_"+name), []byte(script), 0o700); err != nil { //nolint:gosec // it must be executable
			t.Fatal(err)
		}
	}
	place(t, cfg)
	s := open(t, cfg)
	if b := s.binaries(); b.Dir != cfg.BinDir || b.Version != found.Version || b.Version/10000 != b.Major {
		t.Errorf("%+v", b)
	}
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
}

// The agent's own connections go to the configured database, and as long as that is missing to the one that is always there.
func TestOwnDatabase(t *testing.T) {
	cfg := describe(t, "n1")
	cfg.Database = "ours"
	place(t, cfg)
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	const where = "SELECT string_agg(datname, ',') FROM pg_stat_activity WHERE application_name = 'pgbaton'"
	if st := s.Status(within(t)); !st.Answers || one(t, s, where) != "postgres" {
		t.Errorf("%v, connected to %s", st.Err, one(t, s, where))
	}
	run(t, s, "CREATE DATABASE ours")
	s.query.close()
	if st := s.Status(within(t)); !st.Answers || one(t, s, where) != "ours" {
		t.Errorf("%v, connected to %s", st.Err, one(t, s, where))
	}
	if got := s.primaryConninfo(address(s)); !strings.HasPrefix(got, "dbname=ours ") {
		t.Errorf("primary_conninfo: %s", got)
	}
}

// The superuser comes in over the socket, or over TCP where only that is open; then the server is not asked in vain each time.
func TestWaysIn(t *testing.T) {
	way := "SELECT COALESCE(host(client_addr), 'socket') FROM pg_stat_activity WHERE application_name = 'pgbaton'"
	for _, c := range []struct {
		name, hba  string
		socketOnly bool
		want       string
	}{
		{"both", "local all all scram-sha-256", false, "socket"}, //nolint:dupword // a rule for all users
		{"network", "# nobody over the socket", false, "127.0.0.1"},
		{"peer", "local all all peer map=nobody", false, "127.0.0.1"}, //nolint:dupword // a rule for all users
		{"only the socket", "# nobody over the socket", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := describe(t, "n1")
			cfg.HBA, cfg.SocketOnly = []string{c.hba, "host all all 127.0.0.1/32 scram-sha-256"}, c.socketOnly //nolint:dupword // a rule for all users
			place(t, cfg)
			s := open(t, cfg)
			if err := s.Start(within(t), StartOptions{}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				st := s.Status(within(t))
				if st.Answers != (c.want != "") {
					t.Fatalf("%+v", st)
				}
				if c.want != "" && one(t, s, way) != c.want {
					t.Errorf("it came by %s", one(t, s, way))
				}
				s.query.close()
			}
			refused := strings.Count(readText(t, s.logPath()), "FATAL")
			if most := map[string]int{"socket": 0, "127.0.0.1": 1, "": 9}[c.want]; refused > most {
				t.Errorf("%d refusals, want at most %s", refused, strconv.Itoa(most))
			}
		})
	}
}

// The folder of the socket may be told from the data directory.
func TestSocketBesideTheDataDirectory(t *testing.T) {
	cfg := describe(t, "n1")
	place(t, cfg)
	cfg.Parameters["unix_socket_directories"], cfg.SocketOnly = "..", true
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(within(t)); !st.Answers || !exists(filepath.Join(filepath.Dir(s.dir), ".s.PGSQL."+itoa(s.cfg.Port))) {
		t.Errorf("%+v", st)
	}
}
