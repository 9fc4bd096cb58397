package postgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/process"
)

// script writes a shell script of the operator's. In it $datadir and the like are what --datadir= and the like say.
func script(t testing.TB, text string) Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "method.sh")
	read := "for a in \"$@\"; do case $a in --*=*) a=${a#--}; eval \"$(echo ${a%%=*} | tr - _)=\\${a#*=}\";; esac; done\n"
	if err := os.WriteFile(path, []byte("#!/bin/sh\nset -e\n"+read+text), 0o700); err != nil { //nolint:gosec // it must be executable
		t.Fatal(err)
	}
	return Program{path}
}

// archiving is a primary that archives its WAL into a folder.
func archiving(t testing.TB, name string) (s *Server, archive string) {
	t.Helper()
	cfg := describe(t, name)
	archive = t.TempDir()
	cfg.Parameters["archive_mode"] = "on"
	cfg.Parameters["archive_command"] = "cp %p " + archive + "/%f"
	place(t, cfg)
	s = open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	return s, archive
}

// backup is a copy of a server, not a member.
func backup(t testing.TB, of *Server) string {
	t.Helper()
	s := open(t, describe(t, "backup"))
	if err := s.Clone(within(t), CloneOptions{From: address(of)}); err != nil {
		t.Fatal(err)
	}
	return s.dir
}

func wrote(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// nothingLeft fails when a program of a job still runs or an unfinished attempt can be seen.
func nothingLeft(t testing.TB, s *Server) {
	t.Helper()
	if files, err := os.ReadDir(s.dir + ".run"); err == nil && len(files) > 0 {
		t.Errorf("left beside the socket: %v", files)
	}
	for _, dir := range []string{fillingDir(s.dir), s.dir} {
		if left, err := process.In(dir); err != nil || len(left) > 0 {
			t.Errorf("still running in %s: %+v, %v", dir, left, err)
		}
	}
	if exists(fillingDir(s.dir)) || exists(s.dir) {
		t.Error("an unfinished attempt is left")
	}
	if st := s.Status(within(t)); st.Data != DataEmpty {
		t.Errorf("afterwards: %+v", st)
	}
}

// A cluster is restored from a backup up to a named moment, recovered to its end, and left stopped on a new timeline.
func TestBootstrapFromABackup(t *testing.T) {
	t.Parallel()
	n1, archive := archiving(t, "n1")
	run(t, n1, "CREATE TABLE t (n int); ALTER ROLE \"rewind user\" PASSWORD 'old'")
	from := backup(t, n1)
	run(t, n1, "INSERT INTO t VALUES (1)")
	run(t, n1, "SELECT pg_create_restore_point('here')")
	run(t, n1, "INSERT INTO t VALUES (2)")
	run(t, n1, "SELECT pg_switch_wal()")
	if _, err := n1.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	cfg := describe(t, "n9")
	told := filepath.Join(t.TempDir(), "told")
	cfg.Restore = Method{
		Name: "restore", Program: append(script(t, `echo "$@" >`+told+`; cp -a `+from+` $datadir; touch $datadir/postmaster.opts`), "first"),
		Options:  []Option{{"from", "a b"}},
		Recovery: map[string]any{"restore_command": "cp " + archive + "/%f %p", "recovery_target_name": "here", "recovery_target_action": "pause"},
	}
	cfg.PostBootstrap = script(t, `psql -X -w "$1" -c "INSERT INTO t VALUES (3)"; echo "$1" >`+told+`.post`)
	s := open(t, cfg)
	if err := s.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	if got, want := wrote(t, told), "first --from=a b --scope=demo --datadir="+s.dir; got != want {
		t.Errorf("the program was called with\n%s\nwant\n%s", got, want)
	}
	if dsn := wrote(t, told+".post"); !strings.HasPrefix(dsn, "dbname=postgres user=postgres host=/") || strings.Contains(dsn, "secret") {
		t.Errorf("post_bootstrap was called with %s", dsn)
	}
	st := s.Status(within(t))
	if st.Data != DataCluster || st.Process != ProcessNone || st.Standby || st.Control.State != StateShutDown || st.Control.CheckpointTimeline != 2 ||
		exists(fillingDir(s.dir)) || exists(filepath.Join(s.dir, recoverySignal)) {
		t.Fatalf("after the bootstrap: %+v", st)
	}
	if err := s.Start(within(t), StartOptions{SystemID: st.SystemID}); err != nil {
		t.Fatal(err)
	}
	if got := one(t, s, "SELECT string_agg(n::text, ',') FROM t"); got != "1,3" {
		t.Errorf("the table has %s", got)
	}
	if err := s.checkpointed(within(t), address(s), 2); err != nil {
		t.Errorf("the rewind role: %v", err)
	}
	if err := s.checkpointed(within(t), address(s), 3); !errors.Is(err, ErrSourceUnreachable) {
		t.Errorf("a checkpoint that was not made: %v", err)
	}
}

// What the program wrote about recovery is used; a mark of a standby becomes one of a recovery that ends.
func TestBootstrapKeepsTheProgramsRecovery(t *testing.T) {
	t.Parallel()
	n1, archive := archiving(t, "n1")
	from := backup(t, n1)
	run(t, n1, "CREATE TABLE later (); SELECT pg_switch_wal()")
	if _, err := n1.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{true, false} {
		cfg := describe(t, "n9")
		cfg.Restore = Method{Name: "restore", KeepRecovery: keep, Program: script(t, "cp -a "+from+" $datadir\n"+
			"echo \"restore_command = 'cp "+archive+"/%f %p'\" >>$datadir/postgresql.auto.conf\n"+
			"echo \"recovery_target_action = 'pause'\" >>$datadir/postgresql.auto.conf")}
		s := open(t, cfg)
		if err := s.Bootstrap(within(t)); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(within(t), StartOptions{}); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "1", false: "0"}[keep]
		if got := one(t, s, "SELECT count(*) FROM pg_class WHERE relname = 'later'"); got != want {
			t.Errorf("keep %v: %s tables", keep, got)
		}
	}
}

func TestBootstrapByAProgramThatFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ what, text, want string }{
		{"it says why", "sleep 60 & mkdir $datadir; echo half >$datadir/x; echo no backup for $scope; exit 3", "run the method restore: exit status 3: no backup for demo"},
		{"it makes nothing", "true", "look at what the method restore made: it ended well, but the data directory is empty"},
		{"it makes something else", "mkdir $datadir; echo 15 >$datadir/PG_VERSION", "it ended well, but the data directory is incomplete: there is no control file"},
	} {
		cfg := describe(t, "n1")
		cfg.Restore = Method{Name: "restore", Program: script(t, c.text)}
		s := open(t, cfg)
		err := s.Bootstrap(within(t))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", c.what, err)
		}
		nothingLeft(t, s)
	}
}

func TestBootstrapFailsWithPostBootstrap(t *testing.T) {
	t.Parallel()
	cfg := describe(t, "n1")
	cfg.PostBootstrap = script(t, `psql -X -w "$1" -Atc "SELECT 'it is ' || current_user"; exit 1`)
	s := open(t, cfg)
	if err := s.Bootstrap(within(t)); err == nil || err.Error() != "run post_bootstrap: exit status 1: it is postgres" {
		t.Errorf("got %v", err)
	}
	if st := s.Status(within(t)); st.Data != DataEmpty || exists(s.dir) {
		t.Errorf("afterwards: %+v", st)
	}
	// What was restored is kept once for somebody to look at.
	place(t, cfg)
	whole := cfg.DataDir + ".copy"
	if err := os.Rename(cfg.DataDir, whole); err != nil {
		t.Fatal(err)
	}
	s.cfg.Restore = Method{Name: "restore", Program: script(t, "cp -a "+whole+" $datadir")}
	for range 2 {
		if err := s.Bootstrap(within(t)); err == nil || !strings.Contains(err.Error(), "post_bootstrap") {
			t.Errorf("got %v", err)
		}
		nothingLeft(t, s)
	}
	if kept := s.Kept(); len(kept) != 1 || !exists(filepath.Join(kept[0], "PG_VERSION")) {
		t.Errorf("kept %q", kept)
	}
}

// A cancelled job takes its program and that one's children with it, whatever groups they are in.
func TestCancelledProgramsEnd(t *testing.T) {
	cfg := describe(t, "n1")
	cfg.Restore = Method{Name: "restore", Program: script(t, "mkdir $datadir; setsid sleep 60 & (sleep 60; echo late >$datadir/x) & touch "+cfg.DataDir+".up; wait")}
	s := open(t, cfg)
	ctx, cancel := context.WithCancelCause(within(t))
	enough := errors.New("the agent was told to stop")
	ended := make(chan error)
	go func() { ended <- s.Bootstrap(ctx) }()
	for !exists(cfg.DataDir + ".up") {
		time.Sleep(time.Millisecond)
	}
	if what, since := s.Activity(); what != "running the method restore" || time.Since(since) > patience {
		t.Errorf("activity %q since %v", what, since)
	}
	cancel(enough)
	if err := <-ended; !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	nothingLeft(t, s)
	if what, _ := s.Activity(); what != "" {
		t.Errorf("still %s", what)
	}
}

// An agent that died while a program filled the data directory leaves nothing that could be started.
func TestInterruptedProgram(t *testing.T) {
	n1 := primary(t, "n1")
	cfg := describe(t, "n2")
	place(t, cfg)
	if err := os.Mkdir(fillingDir(cfg.DataDir), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, cfg)
	if st := s.Status(within(t)); st.Data != DataEmpty || !strings.Contains(st.DataReason, "did not finish") {
		t.Errorf("got %+v", st)
	}
	if err := s.Start(within(t), StartOptions{}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("starting it: %v", err)
	}
	if err := s.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	// It looked whole: somebody may have put it there.
	if kept := s.Kept(); len(kept) != 1 || !exists(filepath.Join(kept[0], "PG_VERSION")) {
		t.Errorf("kept %q", kept)
	}
	if st := s.Status(within(t)); st.Data != DataCluster || !st.Standby {
		t.Errorf("after the clone: %+v", st)
	}
}

func TestCloneByMethodsInOrder(t *testing.T) {
	t.Parallel()
	n1, archive := archiving(t, "n1")
	run(t, n1, "CREATE TABLE t ()")
	from := backup(t, n1)
	told := filepath.Join(t.TempDir(), "told")
	cfg := describe(t, "n2")
	cfg.CloneMethods = []Method{
		{Name: "broken", Program: script(t, "mkdir -p $datadir; touch $datadir/half; echo broken >&2; exit 1")},
		{
			Name: "copy", Program: append(script(t, `test ! -e $datadir; echo "$@" >`+told+`; test -s $PGPASSFILE; cp -a `+from+` $datadir; touch $datadir/recovery.signal`), "-v"),
			Options: []Option{{"no_leader", "True"}, {"from", "x"}}, NoLeader: true,
		},
		{Name: "never", Program: script(t, "touch "+told+".never")},
	}
	cfg.Recovery = map[string]any{"restore_command": "cp " + archive + "/%f %p"}
	s := open(t, cfg)
	if err := s.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	want := "-v --no_leader=True --from=x --scope=demo --role=replica --datadir=" + s.dir +
		" --connstring=dbname=postgres user=replicator host=127.0.0.1 port=" + itoa(n1.cfg.Port)
	if diff := cmp.Diff(want, wrote(t, told)); diff != "" {
		t.Error(diff)
	}
	if exists(told+".never") || exists(filepath.Join(s.dir, "half")) || exists(fillingDir(s.dir)) || exists(filepath.Join(s.dir, recoverySignal)) {
		t.Error("more than the second method was at work")
	}
	if err := s.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
		t.Fatal(err)
	}
	await(t, s, "streams", streaming(n1))

	// Without any server to copy from, only the methods that need none are tried.
	alone := open(t, func() Config { c := describe(t, "n3"); c.CloneMethods = cfg.CloneMethods; return c }())
	if err := alone.Clone(within(t), CloneOptions{SystemID: n1.Status(within(t)).SystemID}); err != nil {
		t.Fatal(err)
	}
	if got := wrote(t, told); !strings.HasSuffix(got, "--connstring=") {
		t.Errorf("called with %s", got)
	}
	if st := alone.Status(within(t)); st.Data != DataCluster || !st.Standby {
		t.Errorf("got %+v", st)
	}
}

func TestCloneThatNoMethodCanMake(t *testing.T) {
	t.Parallel()
	n1 := primary(t, "n1")
	from := backup(t, n1)
	copying := Method{Name: "copy", NoLeader: true, Program: script(t, "cp -a "+from+" $datadir")}
	failing := Method{Name: "failing", NoLeader: true, Program: script(t, "echo out of tapes; exit 1")}
	backups := Method{Name: "basebackup", Options: []Option{{"no-such-option", ""}}}
	nowhere := Upstream{Name: "n9", Host: "127.0.0.1", Port: freePort(t)}
	for _, c := range []struct {
		what    string
		methods []Method
		o       CloneOptions
		is      error
		want    string
	}{
		{"no source, no method", []Method{{Name: "basebackup"}}, CloneOptions{}, ErrSourceUnreachable, "there is no server to copy from"},
		{"all fail", []Method{failing, backups}, CloneOptions{From: address(n1)}, nil, "run the method failing: exit status 1: out of tapes; then: run pg_basebackup: exit status 1"},
		{"a copy of another cluster", []Method{copying, failing}, CloneOptions{SystemID: foreign}, ErrForeign, "the copy"},
		{"the source is gone", []Method{backups}, CloneOptions{From: nowhere}, ErrSourceUnreachable, "connect to n9"},
		{"an option of ours", []Method{{Name: "basebackup", Options: []Option{{"pgdata", "/x"}}}}, CloneOptions{From: address(n1)}, nil, `the option "pgdata" is for the agent to set`},
		{"a client's compression", []Method{{Name: "basebackup", Options: []Option{{"compress", "9"}}}}, CloneOptions{From: address(n1)}, nil, "only server-side compression"},
	} {
		cfg := describe(t, "n2")
		cfg.CloneMethods = c.methods
		s := open(t, cfg)
		err := s.Clone(within(t), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: got %v", c.what, err)
		}
		nothingLeft(t, s)
	}
	// One that needs no server helps where the source is gone.
	cfg := describe(t, "n2")
	cfg.CloneMethods = []Method{{Name: "basebackup"}, copying}
	s := open(t, cfg)
	if err := s.Clone(within(t), CloneOptions{From: nowhere}); err != nil {
		t.Error(err)
	}
}

// What an attempt left is for the next one of the same program, and for no other.
func TestMethodThatKeepsData(t *testing.T) {
	n1 := primary(t, "n1")
	from := backup(t, n1)
	cfg := describe(t, "n2")
	cfg.CloneMethods = []Method{{Name: "resume", KeepData: true, Program: script(t,
		"mkdir -p $datadir; if test -e $datadir/half; then rm $datadir/half; cp -a "+from+"/. $datadir; else touch $datadir/half; exit 1; fi")}}
	s := open(t, cfg)
	if err := s.Clone(within(t), CloneOptions{From: address(n1)}); err == nil {
		t.Fatal("the first attempt succeeded")
	}
	if st := s.Status(within(t)); st.Data != DataEmpty || st.DataReason == "" || !exists(filepath.Join(s.dir, "half")) {
		t.Errorf("after the first attempt: %+v", st)
	}
	if err := s.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(within(t)); st.Data != DataCluster {
		t.Errorf("after the second: %+v", st)
	}
}

// Options of pg_basebackup are used; what lies elsewhere is set aside with the data directory and can be there again.
func TestBaseBackupOptions(t *testing.T) {
	t.Parallel()
	n1 := primary(t, "n1")
	space, waldir := filepath.Join(t.TempDir(), "space"), filepath.Join(t.TempDir(), "wal")
	if err := os.Mkdir(space, 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, n1, "CREATE TABLESPACE s LOCATION '"+space+"'")
	run(t, n1, "CREATE TABLE t TABLESPACE s AS SELECT 1 AS n")
	cfg := describe(t, "n2")
	cfg.CloneMethods = []Method{{Name: "basebackup", Options: []Option{
		{"checkpoint", "fast"}, {"max-rate", "900M"}, {"waldir", waldir}, {"verbose", ""}, {"tablespace-mapping", space + "=" + space + "2"},
	}}}
	s := open(t, cfg)
	// An attempt that was killed leaves its WAL where it was told to put it.
	if err := os.MkdirAll(filepath.Join(waldir, "left"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(stagingDir(s.dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(waldir, filepath.Join(stagingDir(s.dir), "pg_wal")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
			t.Fatal(err)
		}
		if to, err := os.Readlink(filepath.Join(s.dir, "pg_wal")); err != nil || to != waldir {
			t.Errorf("pg_wal leads to %q, %v", to, err)
		}
		if err := s.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
			t.Fatal(err)
		}
		await(t, s, "streams", streaming(n1))
		if got := one(t, s, "SELECT n FROM t"); got != "1" {
			t.Errorf("the table in the tablespace has %s", got)
		}
		if _, err := s.Stop(within(t), StopOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SetAside(); err != nil {
			t.Fatal(err)
		}
	}
	kept := s.Kept()
	if len(kept) != 2 || exists(waldir) || exists(space+"2") || !exists(filepath.Join(kept[0], "pg_wal", "archive_status")) {
		t.Fatalf("kept %q", kept)
	}
	for _, k := range kept {
		if err := s.Discard(k); err != nil {
			t.Error(err)
		}
	}
	for _, pattern := range []string{waldir + "*", space + "2*"} {
		if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
			t.Errorf("left %q, %v", left, err)
		}
	}
	if !exists(space) {
		t.Error("the source's tablespace is gone")
	}
}
