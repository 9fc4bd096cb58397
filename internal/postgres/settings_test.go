package postgres

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
)

// The server at hand has every parameter of the table, of the same kind and with the same bounds. The table is for the
// oldest minor version, which took less of some.
func TestTableOfParametersAgreesWithTheServer(t *testing.T) {
	s := primary(t, "n1")
	rows, err := session(t, s).Query(within(t), `SELECT name, vartype, COALESCE(unit, ''), COALESCE(min_val, ''), COALESCE(max_val, ''), COALESCE(enumvals, '{}')
FROM pg_settings WHERE context <> 'internal' AND name NOT LIKE '%.%' AND NOT name = ANY($1)`, []string{
		"recovery_target", // a text, of which it takes one
		// These are for developers, and not in a table for configuration files.
		"debug_deadlocks", "trace_lock_oidmin", "trace_lock_table", "trace_locks", "trace_lwlocks", "trace_userlocks", "wal_debug",
	})
	if err != nil {
		t.Fatal(err)
	}
	version := s.Status(within(t)).ServerVersion
	var name, unit, least, most string
	var kind guc.Kind
	var words []string
	seen := 0
	_, err = pgx.ForEachRow(rows, []any{&name, &kind, &unit, &least, &most, &words}, func() error {
		name = strings.ToLower(name)
		asked := false
		takes := func(text, want string) {
			got, problems := guc.Validate(version, guc.Settings{name: text}, func(string) bool { asked = true; return true })
			if got[name] != want || (text == want) != (problems == nil) {
				t.Errorf("%s = %q: %q, %q; want %q", name, text, got[name], problems, want)
			}
		}
		switch kind {
		case guc.Bool:
			takes("on", "on")
			takes("no such word", "")
		case guc.Enum:
			for _, word := range words {
				takes(word, word)
			}
			takes("no such word", "")
		case guc.Integer:
			takes(least, least)
			takes(most, most)
			takes("no such word", "")
		case guc.Real:
			takes(least, least)
			takes("no such word", "")
		case guc.String:
			takes("anything", "anything")
		}
		if asked {
			t.Errorf("%s is not in the table", name)
		}
		seen++
		return nil
	})
	if err != nil || seen < 300 {
		t.Errorf("%d parameters, %v", seen, err)
	}
}

// A parameter that the table does not know is one of the server's if the server says so, which is asked once.
func TestServerIsAskedForUnknownParameters(t *testing.T) {
	cfg := describe(t, "n1")
	s := open(t, cfg)
	listed := s.listed(within(t))
	if s.known != nil || !listed("work_mem") || !listed("datestyle") || listed("nonsense") || len(s.known) < 300 {
		t.Errorf("%d parameters are listed", len(s.known))
	}
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()
	at, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return at.ModTime()
}

// A reload touches what changed, and without a change nothing: not a file, and not the server.
func TestReloadTouchesWhatChanged(t *testing.T) {
	cfg := describe(t, "n1")
	cfg.HBA = []string{"local all all scram-sha-256", "host all all all scram-sha-256"} //nolint:dupword // rules for all users
	cfg.Ident = []string{"a b c"}
	cfg.ByRole = map[cluster.Role]Variant{cluster.RoleReplica: {Ident: []string{"d e f"}}}
	place(t, cfg)
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	files := s.files(s.dir)
	paths := []string{files.conf, files.base, files.hba, files.ident, filepath.Join(s.dir, autoName)}
	times := func() (all []time.Time) {
		for _, path := range paths {
			all = append(all, modified(t, path))
		}
		return all
	}
	before, loaded := times(), one(t, s, "SELECT pg_conf_load_time()")
	for range 3 {
		if changed, err := s.Reload(within(t), cfg.Settings); err != nil || changed {
			t.Fatalf("%v, %v", changed, err)
		}
	}
	if diff := cmp.Diff(before, times()); diff != "" {
		t.Error(diff)
	}
	if got := one(t, s, "SELECT pg_conf_load_time()"); got != loaded {
		t.Error("the server was told to read its files again")
	}
	next := cfg.Settings
	next.Ident = []string{"g h i"}
	if changed, err := s.Reload(within(t), next); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	after := times()
	if diff := cmp.Diff(before[:3], after[:3]); diff != "" || after[3].Equal(before[3]) {
		t.Errorf("%s, pg_ident.conf changed: %v", diff, !after[3].Equal(before[3]))
	}
	for deadline := time.Now().Add(patience); one(t, s, "SELECT pg_conf_load_time()") == loaded; {
		if time.Now().After(deadline) {
			t.Fatal("the server has not read the new file")
		}
	}
}

// What needs a restart is told in units that people read, whoever asks for it.
func TestReasonsOfARestart(t *testing.T) {
	s := primary(t, "n1")
	run(t, s, "ALTER SYSTEM SET wal_buffers = 64")
	settings := with(s.cfg.Settings, map[string]any{"shared_buffers": 1280, "max_worker_processes": "9", "huge_pages": false, "autovacuum_freeze_max_age": "100000"})
	if changed, err := s.Reload(within(t), settings); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	want := map[string]Pending{
		"shared_buffers":            {Running: "8MB", Wanted: "10MB"},
		"max_worker_processes":      {Running: "8", Wanted: "9"},
		"huge_pages":                {Running: "try", Wanted: "off"},
		"autovacuum_freeze_max_age": {Running: "200000000", Wanted: "100000"},
		"wal_buffers":               {Running: "256kB", Wanted: "512kB"},
	}
	st := await(t, s, "has read the files", func(st Status) bool { return len(st.PendingRestart) == len(want) })
	if diff := cmp.Diff(want, st.PendingRestart); diff != "" {
		t.Error(diff)
	}
	run(t, s, "ALTER SYSTEM RESET wal_buffers")
	if _, err := s.Reload(within(t), s.cfg.Settings); err != nil {
		t.Fatal(err)
	}
	await(t, s, "needs no restart any more", func(st Status) bool { return st.Answers && len(st.PendingRestart) == 0 })
}

// Settings that a standby needs as its primary has them grow on the standbys first and shrink on the primary first.
func TestLimitsOfAStandbyFollowThePrimary(t *testing.T) {
	n1 := primary(t, "n1")
	n2 := standby(t, "n2", n1)
	to := func(s *Server, value int) {
		t.Helper()
		if _, err := s.Reload(within(t), with(s.cfg.Settings, map[string]any{"max_connections": value})); err != nil {
			t.Fatal(err)
		}
	}
	restart := func(s *Server) {
		t.Helper()
		if err := s.Restart(within(t), RestartOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(s *Server, running string, pending map[string]Pending) {
		t.Helper()
		st := await(t, s, "answers", func(st Status) bool { return st.Answers && len(st.PendingRestart) == len(pending) })
		if diff := cmp.Diff(pending, st.PendingRestart); diff != "" || one(t, s, "SHOW max_connections") != running {
			t.Errorf("%s has %s: %s", s.cfg.MemberName, one(t, s, "SHOW max_connections"), diff)
		}
	}
	none := map[string]Pending{}
	to(n1, 40)
	to(n2, 40)
	restart(n2)
	shows(n2, "40", none)
	restart(n1)
	shows(n1, "40", none)
	await(t, n2, "streams", streaming(n1))

	to(n1, 30)
	to(n2, 30)
	restart(n2) // too early: it goes on with what its primary has
	shows(n2, "40", map[string]Pending{"max_connections": {Running: "40", Wanted: "30"}})
	restart(n1)
	shows(n1, "30", none)
	run(t, n1, "CREATE TABLE t ()")
	end := n1.Status(within(t)).Written
	await(t, n2, "has replayed the change", func(st Status) bool { return st.Replayed >= end })
	restart(n2)
	shows(n2, "30", none)
}

// Settings of a role come into force with the role.
func TestSettingsOfARole(t *testing.T) {
	variants := map[cluster.Role]Variant{
		cluster.RolePrimary:       {Parameters: map[string]any{"work_mem": "11MB", "max_connections": 99}, HBA: append(openDoors(), "# primary")},
		cluster.RoleReplica:       {Parameters: map[string]any{"work_mem": "12MB"}},
		cluster.RoleStandbyLeader: {Parameters: map[string]any{"work_mem": "13MB"}, Ident: []string{"# leads"}},
	}
	member := func(name string) Config {
		cfg := describe(t, name)
		cfg.Parameters["work_mem"], cfg.HBA, cfg.ByRole = "10MB", openDoors(), variants
		return cfg
	}
	cfg := member("n1")
	place(t, cfg)
	n1 := open(t, cfg)
	if err := n1.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	in := func(s *Server, work, hba string) {
		t.Helper()
		for deadline := time.Now().Add(patience); one(t, s, "SHOW work_mem") != work; {
			if time.Now().After(deadline) {
				t.Fatalf("%s has %s, want %s", s.cfg.MemberName, one(t, s, "SHOW work_mem"), work)
			}
		}
		if text := readText(t, s.files(s.dir).hba); strings.Contains(text, "# primary") != (hba == "primary") {
			t.Errorf("%s has pg_hba.conf\n%s", s.cfg.MemberName, text)
		}
	}
	in(n1, "11MB", "primary")
	if got := one(t, n1, "SHOW max_connections"); got != "25" {
		t.Errorf("max_connections %s", got)
	}
	if want := "parameter max_connections cannot differ with the role: what parameters_primary says of it is left out"; len(n1.warned) != 1 || n1.warned[0] != want {
		t.Errorf("warned of %q", n1.warned)
	}

	n2 := open(t, member("n2"))
	if err := n2.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
		t.Fatal(err)
	}
	in(n2, "12MB", "replica")
	await(t, n2, "streams", streaming(n1))
	remote := address(n1)
	remote.Remote = true
	if _, err := n2.Follow(within(t), remote); err != nil {
		t.Fatal(err)
	}
	in(n2, "13MB", "replica")
	if f := n2.current(); !f.leads || f.role() != cluster.RoleStandbyLeader {
		t.Errorf("%+v", f)
	}
	// An agent that begins anew knows it from the files.
	if changed, err := n2.Reload(within(t), n2.cfg.Settings); err != nil || changed {
		t.Errorf("%v, %v", changed, err)
	}
	if _, err := n2.Follow(within(t), address(n1)); err != nil {
		t.Fatal(err)
	}
	in(n2, "12MB", "replica")
	if _, err := n1.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := n2.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	in(n2, "11MB", "primary")
	if err := n1.Start(within(t), StartOptions{Standby: true, Upstream: address(n2)}); err != nil {
		t.Fatal(err)
	}
	in(n1, "12MB", "replica")
	// What differs with the role may be changed like anything else.
	settings := n1.cfg.Settings
	settings.ByRole = map[cluster.Role]Variant{cluster.RoleReplica: {Parameters: map[string]any{"work_mem": "14MB"}}}
	if changed, err := n1.Reload(within(t), settings); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	in(n1, "14MB", "replica")
}

// openDoors are rules that let everybody in who proves a password.
func openDoors() []string {
	return []string{"local all all scram-sha-256", "host all all all scram-sha-256", "host replication all all scram-sha-256"} //nolint:dupword // rules for all users
}

// New passwords come into force without a restart: those of the configuration are as good as those of the server.
func TestPasswordsChangeWithoutARestart(t *testing.T) {
	n1 := primary(t, "n1")
	n2 := standby(t, "n2", n1)
	await(t, n2, "streams", streaming(n1))
	pid, conf := n2.Status(within(t)).PID, n2.files(n2.dir).conf
	before := modified(t, conf)
	next := n2.cfg.Settings
	next.Superuser.Password, next.Replication.Password, next.Rewind.Password = "new super", "new: copier", `new\winder`
	run(t, n1, "ALTER ROLE replicator PASSWORD 'new: copier'; ALTER ROLE \"rewind user\" PASSWORD 'new\\winder'")
	for _, s := range []*Server{n2, n1} {
		if changed, err := s.Reload(within(t), next); err != nil || changed {
			t.Fatalf("%v, %v", changed, err)
		}
	}
	want := "127.0.0.1:" + strconv.Itoa(n1.cfg.Port) + ":*:replicator:new\\: copier\n127.0.0.1:" + strconv.Itoa(n1.cfg.Port) + ":*:rewind user:new\\\\winder\n"
	if got := readText(t, n2.cfg.PgPassFile); got != want {
		t.Errorf("the password file:\n%s", got)
	}
	run(t, n1, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
	run(t, n1, "CREATE TABLE t ()")
	end := n1.Status(within(t)).Written
	await(t, n2, "streams again", func(st Status) bool { return streaming(n1)(st) && st.Received >= end })
	if n2.Status(within(t)).PID != pid || !modified(t, conf).Equal(before) {
		t.Error("more changed than a password")
	}
	if _, err := n2.IdentifySource(within(t), address(n1)); err != nil {
		t.Error(err)
	}
	if err := n2.checkpointed(within(t), address(n1), 1); err != nil {
		t.Error(err)
	}
	// The connection that is there goes on; the next one needs the new password.
	run(t, n1, "ALTER ROLE postgres PASSWORD 'new super'")
	end = n1.Status(within(t)).Written
	await(t, n2, "has the new password", func(st Status) bool { return st.Replayed >= end })
	n2.query.close()
	await(t, n2, "answers", func(st Status) bool { return st.Answers })
	n1.cfg.Superuser.Password = "new super" // for those that look on
	if got := one(t, n1, "SELECT count(*) FROM pg_stat_replication"); got != "1" {
		t.Errorf("%s standbys", got)
	}
}

// Rules that the server cannot read are told before it needs them for a start.
func TestBrokenRulesAreTold(t *testing.T) {
	s := primary(t, "n1")
	var said lockedBuffer
	s.log = slog.New(slog.NewTextHandler(&said, nil))
	broken := s.cfg.Settings
	broken.HBA = append(openDoors(), "host all all nowhere") //nolint:dupword // a rule for all users
	if changed, err := s.Reload(within(t), broken); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	for range 3 {
		await(t, s, "answers", func(st Status) bool { return st.Answers })
	}
	if text := said.text.String(); strings.Count(text, "would not start") != 1 || !strings.Contains(text, "line 6: ") {
		t.Errorf("got\n%s", text)
	}
	if err := os.Remove(s.files(s.dir).hba); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reread(); err != nil {
		t.Fatal(err)
	}
	if st := await(t, s, "answers", func(st Status) bool { return st.Answers }); st.Err != nil || strings.Count(said.text.String(), "would not start") != 2 {
		t.Errorf("without a file: %v\n%s", st.Err, said.text.String())
	}
}
