package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// enters reports whether a role gets in over TCP with its password.
func enters(t *testing.T, s *Server, login Login) bool {
	t.Helper()
	cfg, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d dbname=postgres sslmode=disable", s.cfg.Port))
	if err != nil {
		t.Fatal(err)
	}
	cfg.User, cfg.Password = login.Username, login.Password.Reveal()
	conn, err := pgx.ConnectConfig(within(t), cfg)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "28000" {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	conn.Close(within(t)) //nolint:errcheck // nothing can be lost
	return true
}

var client = Login{Username: "client", Password: "let me in"} //nolint:gochecknoglobals // a role of the tests

// admitted waits until a client gets in: a reload is nothing that anybody tells of.
func admitted(t *testing.T, s *Server) {
	t.Helper()
	await(t, s, "lets clients in", func(Status) bool { return enters(t, s, client) })
}

// strict starts a primary that holds clients out, with a role that is one.
func strict(t *testing.T) *Server {
	t.Helper()
	s := primary(t, "n1")
	run(t, s, "CREATE ROLE client LOGIN PASSWORD 'let me in'")
	if !enters(t, s, client) {
		t.Fatal("the client does not get in at all")
	}
	again(t, s, StartOptions{Hold: true})
	return s
}

// again starts a server after a crash.
func again(t *testing.T, s *Server, o StartOptions) {
	t.Helper()
	if _, err := s.Stop(within(t), StopOptions{Mode: Immediate}); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(within(t), o); err != nil {
		t.Fatal(err)
	}
}

func TestClientsStayOutUntilTheyAreAdmitted(t *testing.T) {
	n1 := primary(t, "n1")
	n2 := standby(t, "n2", n1)
	await(t, n2, "streams", streaming(n1))
	run(t, n1, "CREATE ROLE client LOGIN PASSWORD 'let me in'")
	original := readText(t, filepath.Join(n1.dir, hbaName))
	again(t, n1, StartOptions{Hold: true})
	if st := n1.Status(within(t)); !st.Held || !st.Answers {
		t.Errorf("%+v", st)
	}
	if enters(t, n1, client) {
		t.Error("a client gets in")
	}
	for _, login := range []Login{n1.cfg.Superuser, n1.cfg.Rewind} {
		if !enters(t, n1, login) {
			t.Errorf("%s does not get in", login.Username)
		}
	}
	await(t, n2, "streams again", streaming(n1))
	if _, err := n2.IdentifySource(within(t), address(n1)); err != nil {
		t.Error(err)
	}

	// It outlives a restart, a crash and the agent, and new lines are for later.
	if err := n1.Restart(within(t), RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	again(t, n1, StartOptions{})
	if !n1.Status(within(t)).Held || enters(t, n1, client) {
		t.Error("a client gets in after a restart")
	}
	if err := n1.AdmitClients(within(t)); err != nil {
		t.Fatal(err)
	}
	admitted(t, n1)
	if n1.Status(within(t)).Held || readText(t, filepath.Join(n1.dir, hbaName)) != original {
		t.Error("it is not as it was")
	}
	if err := n1.AdmitClients(within(t)); err != nil {
		t.Errorf("once more: %v", err)
	}
}

func TestRulesThatChangeMeanwhileAreForLater(t *testing.T) {
	s := strict(t)
	settings := s.cfg.Settings
	settings.HBA = []string{
		`host all client,postgres 127.0.0.1/32 scram-sha-256`, `local all all scram-sha-256`, //nolint:dupword // a rule for all users
		`host "some db",postgres "rewind user", +pg_monitor 10.0.0.0 255.0.0.0 ldap ldapserver=here \`, `  ldapprefix="cn=, " # a comment`,
	}
	path := filepath.Join(s.dir, hbaName)
	before := readText(t, path)
	if changed, err := s.Reload(within(t), settings); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	if !holds(path, before) || enters(t, s, client) {
		t.Error("new rules let a client in")
	}
	again(t, s, StartOptions{})
	if text := readText(t, path); !strings.Contains(text, `host all "postgres" 127.0.0.1/32 scram-sha-256`) || enters(t, s, client) {
		t.Errorf("after the next start:\n%s", text)
	}
	const read = "SELECT string_agg(type || ' ' || user_name::text || ' ' || COALESCE(error, ''), ';' ORDER BY line_number) FROM pg_hba_file_rules"
	if got := one(t, s, read); got != `host {postgres} ;local {postgres,replicator,"rewind user"} ;host {"rewind user"} ` {
		t.Errorf("the server reads the derived rules as %s", got)
	}
	if err := s.AdmitClients(within(t)); err != nil {
		t.Fatal(err)
	}
	admitted(t, s)
	if text := readText(t, path); text != hbaHeader+strings.Join(settings.HBA, "\n")+"\n" {
		t.Errorf("got\n%s", text)
	}
}

// However far holding or admitting came: whoever finds the server next finds it held, and can admit, or as it was.
func TestHoldingAndAdmittingMayEndAnywhere(t *testing.T) {
	s := primary(t, "n1")
	run(t, s, "CREATE ROLE client LOGIN PASSWORD 'let me in'")
	path, kept := filepath.Join(s.dir, hbaName), filepath.Join(s.dir, unheldName)
	original := readText(t, path)
	sound := func(what string, done int) {
		t.Helper()
		text := readText(t, path)
		if isHeldFile(text) && !holds(kept, original) || !isHeldFile(text) && text != original {
			t.Fatalf("%s ended after %d steps: the original is lost", what, done)
		}
	}
	next := func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, s.cfg)
	}
	for done := range 5 {
		if _, err := s.Stop(within(t), StopOptions{Mode: Immediate}); err != nil {
			t.Fatal(err)
		}
		todo, err := s.holding()
		if err != nil || len(todo) != 4 {
			t.Fatalf("%d steps, %v", len(todo), err)
		}
		if err := todo[:done].run(); err != nil {
			t.Fatal(err)
		}
		sound("holding", done)
		next()
		if err := s.Start(within(t), StartOptions{}); err != nil {
			t.Fatal(err)
		}
		is := s.Status(within(t)).Held
		if is == enters(t, s, client) || is != (done > 0) {
			t.Errorf("holding ended after %d steps: held %v, a client gets in %v", done, is, !is)
		}
		if err := s.AdmitClients(within(t)); err != nil {
			t.Fatal(err)
		}
		admitted(t, s)
		sound("admitting", 5)
	}
	for done := range 6 {
		again(t, s, StartOptions{Hold: true})
		pid := s.Status(within(t)).PID
		todo, err := s.admitting(func() error { return unix.Kill(pid, unix.SIGHUP) })
		if err != nil || len(todo) != 5 {
			t.Fatalf("%d steps, %v", len(todo), err)
		}
		if err := todo[:done].run(); err != nil {
			t.Fatal(err)
		}
		sound("admitting", done)
		next()
		if is := s.Status(within(t)).Held; is != (done < 4) {
			t.Errorf("admitting ended after %d steps: held %v", done, is)
		}
		if err := s.AdmitClients(within(t)); err != nil {
			t.Fatal(err)
		}
		admitted(t, s)
		sound("admitting", 5)
	}
	// Between the steps the server itself may crash too, and what is not admitted stays out.
	again(t, s, StartOptions{Hold: true})
	todo, err := s.admitting(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := todo[:1].run(); err != nil {
		t.Fatal(err)
	}
	again(t, s, StartOptions{})
	if !s.Status(within(t)).Held || enters(t, s, client) {
		t.Error("a client gets in although nobody finished admitting")
	}
}

// Somebody removed the original: nobody knows it any more, and nobody is kept out for ever.
func TestHeldServerWithoutItsOriginal(t *testing.T) {
	s := strict(t)
	if err := os.Remove(filepath.Join(s.dir, unheldName)); err != nil {
		t.Fatal(err)
	}
	again(t, s, StartOptions{Hold: true})
	if !s.Status(within(t)).Held || enters(t, s, client) {
		t.Error("a client gets in")
	}
	if err := s.AdmitClients(within(t)); err != nil {
		t.Fatal(err)
	}
	admitted(t, s)
}

// A copy of a server that was held is a standby like any other, even where its original rules were not copied.
func TestCopyOfAHeldServerKeepsNobodyOut(t *testing.T) {
	n1 := strict(t)
	for _, lost := range []bool{false, true} {
		n2 := open(t, describe(t, "n2"))
		if err := n2.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
			t.Fatal(err)
		}
		if !isHeldFile(readText(t, filepath.Join(n2.dir, hbaName))) || n2.Status(within(t)).Held {
			t.Error("the copy is not as it was meant to be for this test")
		}
		if lost {
			if err := os.Remove(filepath.Join(n2.dir, unheldName)); err != nil {
				t.Fatal(err)
			}
		}
		if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
			t.Fatal(err)
		}
		if !enters(t, n2, client) || n2.files(n2.dir).held() {
			t.Errorf("original lost: %v; a client does not get in", lost)
		}
	}
}

func TestNobodyIsKeptOutWhereTheRulesLieElsewhere(t *testing.T) {
	s := primary(t, "n1")
	run(t, s, "CREATE ROLE client LOGIN PASSWORD 'let me in'")
	run(t, s, "ALTER SYSTEM SET hba_file = '"+filepath.Join(s.dir, hbaName)+"'")
	again(t, s, StartOptions{Hold: true})
	if s.Status(within(t)).Held || !enters(t, s, client) {
		t.Error("clients are held out by a file that the server may not read")
	}
	run(t, s, "ALTER SYSTEM RESET hba_file")
	elsewhere := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(elsewhere, []byte(readText(t, filepath.Join(s.dir, hbaName))), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reload(within(t), with(s.cfg.Settings, map[string]any{"hba_file": elsewhere})); err != nil {
		t.Fatal(err)
	}
	again(t, s, StartOptions{Hold: true})
	if s.Status(within(t)).Held || !enters(t, s, client) {
		t.Error("clients are held out by a file that the server does not read")
	}
}

func TestRulesForTheAgentsRoles(t *testing.T) {
	//nolint:dupword // rules for all users
	const original = `# TYPE  DATABASE  USER  ADDRESS  METHOD
local   all   all   peer map=x   # a comment
local   replication, "all"   "postgres", bob   md5
host    all   "rewind ""user""",+dba   10.0.0.0/8   scram-sha-256 clientcert="verify full"
host    all   "all"   ::1/128   trust
hostssl all   +postgres,/^post,@users   0.0.0.0/0   md5
host    all   bob,alice   0.0.0.0/0   trust
host    all   all   192.168.0.0 255.255.0.0   reject
include_if_exists more.conf
host    "db#1"   all   all   ldap ldapserver=a ldapprefix="cn=" \
  ldapsuffix=", dc=x"
host    replication   replicator   samenet   md5
broken  line
`
	roles := []string{"postgres", "replicator", `rewind "user"`}
	got := rulesFor(roles, original, 15)
	want := []string{
		`local all "postgres","replicator","rewind ""user""" peer map=x`,
		`local replication, "all" "postgres" md5`,
		`host all "rewind ""user""" 10.0.0.0/8 scram-sha-256 clientcert="verify full"`,
		`host all "postgres","replicator","rewind ""user""" 192.168.0.0 255.255.0.0 reject`,
		`host "db#1" "postgres","replicator","rewind ""user""" all ldap ldapserver=a ldapprefix="cn=" ldapsuffix=", dc=x"`,
		`host replication "replicator" samenet md5`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s := &Server{settings: Settings{Logins: Logins{
		Superuser: Login{Username: "postgres", Password: "x"}, Replication: Login{Username: "r"}, Rewind: Login{Username: "postgres"},
	}}}
	rules := "local all \"postgres\" scram-sha-256\nhost all \"postgres\",\"r\" all md5\n"
	if got := s.heldRules("local all +dba md5\nhost all all all md5\n"); got != heldHeader+rules { //nolint:dupword // a rule for all users
		t.Errorf("where no rule lets the superuser in over the socket:\n%s", got)
	}
	for rule, admits := range map[string]bool{
		`local all "postgres" peer`:             true,
		`local all "postgres" reject`:           false,
		`local a,postgres "postgres" md5`:       true,
		`local sameuser "postgres" md5`:         true,
		`local "all" "postgres" md5`:            false,
		`local replication "postgres" md5`:      false,
		`local @dbs,/post "postgres" md5`:       false,
		`host all "postgres" all scram-sha-256`: false,
	} {
		if got := admitsLocally("postgres", "postgres", []string{rule}); got != admits {
			t.Errorf("%s: %v", rule, got)
		}
	}
}
