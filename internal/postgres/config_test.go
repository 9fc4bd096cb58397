package postgres

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// with returns the settings with other parameters.
func with(s Settings, parameters map[string]any) Settings {
	merged := map[string]any{}
	maps.Copy(merged, s.Parameters)
	maps.Copy(merged, parameters)
	s.Parameters = merged
	return s
}

func TestReloadChangesWhatCanBeChanged(t *testing.T) {
	s := primary(t, "n1")
	if changed, err := s.Reload(within(t), s.cfg.Settings); err != nil || changed {
		t.Fatalf("nothing to change: %v, %v", changed, err)
	}
	changed, err := s.Reload(within(t), with(s.cfg.Settings, map[string]any{"work_mem": "9MB", "max_connections": 40, "shared_buffers": "9MB"}))
	if err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	st := await(t, s, "has read the files", func(st Status) bool { return len(st.PendingRestart) == 2 })
	want := map[string]Pending{
		"max_connections": {Running: "25", Wanted: "40"},
		"shared_buffers":  {Running: "8MB", Wanted: "9MB"},
	}
	if diff := cmp.Diff(want, st.PendingRestart); diff != "" {
		t.Error(diff)
	}
	if got := one(t, s, "SHOW work_mem"); got != "9MB" {
		t.Errorf("work_mem %s", got)
	}
	if err := s.Restart(within(t), RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(within(t)); st.Err != nil || len(st.PendingRestart) != 0 {
		t.Errorf("after the restart: %+v", st)
	}
	if got := one(t, s, "SHOW max_connections"); got != "40" {
		t.Errorf("max_connections %s", got)
	}
}

// A mistake in the configuration is left out instead of stopping the server at its next start.
func TestRefusedParametersAreLeftOut(t *testing.T) {
	s := primary(t, "n1")
	settings := with(s.cfg.Settings, map[string]any{"work_mem": "banana", "nonsense": 1, "maintenance_work_mem": "70MB", "my.own": "x"})
	if changed, err := s.Reload(within(t), settings); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	if changed, err := s.Reload(within(t), settings); err != nil || changed {
		t.Errorf("the second time: %v, %v", changed, err)
	}
	conf, err := os.ReadFile(filepath.Join(s.dir, confName))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"banana": false, "nonsense": false, "maintenance_work_mem = '70MB'": true, "my.own = 'x'": true} {
		if strings.Contains(string(conf), text) != want {
			t.Errorf("%q in the file: %v", text, !want)
		}
	}
	if err := s.Restart(within(t), RestartOptions{}); err != nil {
		t.Error(err)
	}
}

// A standby that follows somebody else does so without a restart.
func TestFollowAnotherUpstream(t *testing.T) {
	n1 := primary(t, "n1")
	n2 := standby(t, "n2", n1)
	n3 := standby(t, "it's n3", n1)
	await(t, n3, "streams", streaming(n1))
	if f, err := n3.Follow(within(t), address(n1)); err != nil || f.Changed {
		t.Fatalf("following the same: %+v, %v", f, err)
	}
	pid := n3.Status(within(t)).PID
	f, err := n3.Follow(within(t), address(n2))
	if err != nil || !f.Changed || f.NeedsRestart {
		t.Fatalf("following another: %+v, %v", f, err)
	}
	await(t, n3, "streams from n2", streaming(n2))
	st := await(t, n2, "has a receiver", func(st Status) bool { return len(st.Replication) == 1 })
	if st.Replication[0].Application != "it's n3" || n3.Status(within(t)).PID != pid {
		t.Errorf("%+v", st.Replication)
	}
	if pending := n3.Status(within(t)).PendingRestart; len(pending) != 0 {
		t.Errorf("reading the files again left %v to a restart", pending)
	}
	if said := logTail(n3.logPath(), 0); strings.Contains(said, "cannot be changed") {
		t.Errorf("the server complains: %s", said)
	}
	if f, err := n3.Follow(within(t), Upstream{}); err != nil || !f.Changed {
		t.Fatalf("following nobody: %+v, %v", f, err)
	}
	await(t, n3, "streams no more", func(st Status) bool { return st.Answers && st.ReplicationState == "" && !st.Upstream.Known() })
	if f, err := n1.Follow(within(t), address(n2)); err != nil || f.Changed || !f.NeedsRestart {
		t.Errorf("a primary: %+v, %v", f, err)
	}
	// The next agent does not know whom the server follows until it is told; a reload changes nothing of it.
	if _, err := n2.Reload(within(t), with(n2.cfg.Settings, map[string]any{"work_mem": "5MB"})); err != nil {
		t.Fatal(err)
	}
	if got := one(t, n2, "SHOW primary_conninfo"); !strings.Contains(got, itoa(n1.cfg.Port)) {
		t.Errorf("primary_conninfo %q", got)
	}
}

// A standby starts with as many connections as its primary had, whatever is configured.
func TestStandbyHasAtLeastThePrimarysLimits(t *testing.T) {
	cfg := describe(t, "n1")
	place(t, cfg)
	cfg.Parameters["max_connections"] = 60
	n1 := open(t, cfg)
	if err := n1.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	n2 := standby(t, "n2", n1)
	if got := one(t, n2, "SHOW max_connections"); got != "60" {
		t.Errorf("max_connections %s", got)
	}
	if st := n2.Status(within(t)); st.PendingRestart["max_connections"] != (Pending{Running: "60", Wanted: "25"}) {
		t.Errorf("pending: %+v", st.PendingRestart)
	}
}

// What another program wrote is kept or replaced as it should.
func TestTakenOverConfiguration(t *testing.T) {
	n1 := primary(t, "n1")
	cfg := describe(t, "n2")
	cfg.HBA = []string{"local all all scram-sha-256", "host all all all scram-sha-256", "host replication all all scram-sha-256"} //nolint:dupword // rules for all users
	n2 := open(t, cfg)
	if err := n2.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	auto := filepath.Join(n2.dir, autoName)
	if err := os.WriteFile(auto, []byte("# kept\nprimary_conninfo = 'host=elsewhere'\nwork_mem = '7MB'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
		t.Fatal(err)
	}
	await(t, n2, "streams", streaming(n1))
	if !holds(auto, "# kept\nwork_mem = '7MB'\n") {
		t.Error("postgresql.auto.conf is not as it should be")
	}
	if got := one(t, n2, "SHOW work_mem"); got != "7MB" {
		t.Errorf("work_mem %s", got)
	}
	hba, err := os.ReadFile(filepath.Join(n2.dir, hbaName))
	if err != nil || !strings.HasPrefix(string(hba), hbaHeader) || !strings.HasSuffix(string(hba), cfg.HBA[2]+"\n") {
		t.Errorf("pg_hba.conf: %s, %v", hba, err)
	}
	pass, err := os.Stat(n2.cfg.PgPassFile)
	if err != nil || pass.Mode().Perm() != 0o600 {
		t.Errorf("the password file: %v, %v", pass, err)
	}
	if err := n2.Checkpoint(within(t)); err != nil {
		t.Error(err)
	}
}

// The path of the data directory may be longer than a socket's may be.
func TestLongPath(t *testing.T) {
	cfg := describe(t, "n1")
	cfg.DataDir = filepath.Join(t.TempDir(), strings.Repeat("long/", 20), strings.Repeat("x", 40), "a b, \"c\"")
	place(t, cfg)
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(within(t)); !st.Answers {
		t.Errorf("%+v", st)
	}
	file, err := readPidFile(s.dir)
	if err != nil || !strings.HasPrefix(file.socketDir, fallbackSockets) {
		t.Fatalf("the socket lies in %q, %v", file.socketDir, err)
	}
	if err := s.Close(); err != nil || !exists(file.socketDir) {
		t.Errorf("the folder of a running server's socket: %v, %v", exists(file.socketDir), err)
	}
	again := open(t, cfg)
	if _, err := again.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil || exists(file.socketDir) {
		t.Errorf("the folder of a stopped server's socket: %v, %v", exists(file.socketDir), err)
	}
}

func TestAwkwardDataDirectoryName(t *testing.T) {
	cfg := describe(t, "n1")
	cfg.DataDir = filepath.Join(t.TempDir(), `it's "data" \dir`)
	place(t, cfg)
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(context.Background()); !st.Answers {
		t.Errorf("%+v", st)
	}
}
