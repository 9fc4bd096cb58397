package postgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A remote cluster is several servers, of which the one that accepts writes is meant.
func TestSeveralHosts(t *testing.T) {
	t.Parallel()
	n1 := primary(t, "n1")
	n2 := standby(t, "n2", n1)
	remote := Upstream{
		Name: "the remote primary", Host: "127.0.0.1,127.0.0.1,127.0.0.1", Remote: true,
		Ports: itoa(freePort(t)) + "," + itoa(n2.cfg.Port) + "," + itoa(n1.cfg.Port),
	}
	cfg := describe(t, "s1")
	cfg.RemoteMethods = []Method{{Name: "basebackup", Options: []Option{{"label", "remote"}}}}
	s1 := open(t, cfg)
	if source, err := s1.IdentifySource(within(t), remote); err != nil || source.InRecovery {
		t.Fatalf("asked %+v, %v", source, err)
	}
	if err := s1.Clone(within(t), CloneOptions{From: remote}); err != nil {
		t.Fatal(err)
	}
	run(t, n1, "SELECT pg_create_physical_replication_slot('for_s1')")
	remote.Slot = "for_s1"
	if err := s1.Start(within(t), StartOptions{Standby: true, Upstream: remote}); err != nil {
		t.Fatal(err)
	}
	await(t, s1, "streams from the primary", streaming(n1))
	if got := one(t, n1, "SELECT active::text FROM pg_replication_slots"); got != "true" {
		t.Errorf("the slot is active: %s", got)
	}
	followed, err := s1.Follow(within(t), remote)
	if err != nil || followed.Changed {
		t.Errorf("following whom it follows: %+v, %v", followed, err)
	}
	if changed, err := s1.Reload(within(t), cfg.Settings); err != nil || changed {
		t.Errorf("a reload forgets the upstream: %v, %v", changed, err)
	}
	// Without the slot, and then nobody at all.
	remote.Slot = ""
	followed, err = s1.Follow(within(t), remote)
	if err != nil || !followed.Changed || followed.NeedsRestart {
		t.Errorf("without the slot: %+v, %v", followed, err)
	}
	await(t, s1, "streams again", func(st Status) bool {
		return st.ReplicationState == ReplicationStreaming && one(t, n1, "SELECT active::text FROM pg_replication_slots") == "false"
	})
}

// A standby that only restores from an archive, and then streams, and then only restores again.
func TestArchiveOnly(t *testing.T) {
	t.Parallel()
	n1, archive := archiving(t, "n1")
	run(t, n1, "CREATE TABLE t ()")
	cfg := describe(t, "s1")
	cfg.Recovery = map[string]any{"restore_command": "false", "primary_conninfo": "host=nowhere", "recovery_target": "immediate"}
	s1 := open(t, cfg)
	if err := s1.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	cleaned := filepath.Join(t.TempDir(), "cleaned")
	only := Upstream{
		Name: "the archive", Remote: true, RestoreCommand: "cp " + archive + "/%f %p", ArchiveCleanupCommand: "touch " + cleaned, ApplyDelay: "1ms",
	}
	if err := s1.Start(within(t), StartOptions{Standby: true, Upstream: only}); err != nil {
		t.Fatal(err)
	}
	run(t, n1, "DROP TABLE t; SELECT pg_switch_wal()")
	position := n1.Status(within(t)).Written
	await(t, s1, "restores", func(st Status) bool {
		return st.Replayed >= position-1<<20 && st.ReplicationState == ReplicationArchive
	})
	if got := one(t, s1, "SELECT string_agg(setting, ',' ORDER BY name) FROM pg_settings WHERE name IN ('recovery_min_apply_delay', 'primary_conninfo', 'restore_command')"); got != ",1,cp "+archive+"/%f %p" {
		t.Errorf("settings %s", got)
	}
	if err := s1.Restart(within(t), RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := s1.current(); !got.standby || got.conninfo != "" || got.recovery["restore_command"] != only.RestoreCommand {
		t.Errorf("after a restart it follows %+v", got)
	}
	both := only
	both.Host, both.Port = "127.0.0.1", n1.cfg.Port
	if followed, err := s1.Follow(within(t), both); err != nil || !followed.Changed || followed.NeedsRestart {
		t.Errorf("streaming too: %+v, %v", followed, err)
	}
	await(t, s1, "streams", streaming(n1))
	// A member of a cluster that must not stream: its own restore_command, and no connection at all.
	if followed, err := s1.Follow(within(t), Upstream{}); err != nil || !followed.Changed || followed.NeedsRestart {
		t.Errorf("not streaming: %+v, %v", followed, err)
	}
	await(t, s1, "only restores", func(st Status) bool { return st.ReplicationState == ReplicationArchive })
	if got := one(t, s1, "SHOW restore_command"); got != "false" {
		t.Errorf("restore_command is %s", got)
	}
}

func TestWhenFollowingNeedsARestart(t *testing.T) {
	plain, restoring := following{standby: true}, following{standby: true, recovery: map[string]string{"restore_command": "x"}}
	for _, c := range []struct {
		major         int
		before, after following
		want          bool
	}{
		{12, plain, following{standby: true, conninfo: "host=h"}, true},
		{12, plain, following{standby: true, slot: "s"}, true},
		{12, plain, following{standby: true, names: SyncNames{Managed: true}}, false},
		{13, plain, following{standby: true, conninfo: "host=h", slot: "s"}, false},
		{13, plain, restoring, true},
		{13, restoring, restoring, false},
		{14, plain, restoring, false},
	} {
		if got := needsRestart(c.major, c.before, c.after); got != c.want {
			t.Errorf("%d, %+v, %+v: %v", c.major, c.before, c.after, got)
		}
	}
}

// split makes two primaries of one cluster, each with changes that the other does not have. The first archives.
func split(t *testing.T, more func(cfg *Config)) (loser, winner *Server) {
	t.Helper()
	cfg := describe(t, "n1")
	more(&cfg)
	place(t, cfg)
	loser = open(t, cfg)
	if err := loser.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	winner = standby(t, "n2", loser)
	await(t, winner, "streams", streaming(loser))
	if err := winner.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := winner.Checkpoint(within(t)); err != nil {
		t.Fatal(err)
	}
	run(t, loser, "CREATE TABLE lost AS SELECT generate_series(1, 1000) n; SELECT pg_switch_wal()")
	run(t, loser, "CREATE TABLE also_lost (); SELECT pg_switch_wal()")
	return loser, winner
}

// What a former primary has finished but not archived is archived before a rewind takes it away.
func TestRewindArchivesFirst(t *testing.T) {
	t.Parallel()
	archive, broken := t.TempDir(), filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	loser, winner := split(t, func(cfg *Config) {
		cfg.Parameters["archive_mode"] = "on"
		cfg.Parameters["archive_command"] = "test ! -e " + broken + " && cp %p '" + archive + "/%f' && echo 100%% >>" + archive + "/percent"
	})
	if err := unix.Kill(loser.Status(within(t)).PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, loser, "has ended", func(st Status) bool { return st.Process == ProcessNone })
	waiting, err := readyWAL(loser.dir)
	if err != nil || len(waiting) < 2 {
		t.Fatalf("waiting: %q, %v", waiting, err)
	}
	if err := loser.ArchiveWAL(within(t)); err == nil || !strings.Contains(err.Error(), waiting[0]+" and ") {
		t.Errorf("a broken archive: %v", err)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	if err := loser.Rewind(within(t), RewindOptions{From: address(winner)}); err != nil {
		t.Fatal(err)
	}
	for _, name := range waiting {
		if !exists(filepath.Join(archive, name)) {
			t.Errorf("%s is not in the archive", name)
		}
	}
	if !strings.HasPrefix(wrote(t, filepath.Join(archive, "percent")), "100%\n") {
		t.Error("%% is not a percent sign")
	}
	if err := loser.Start(within(t), StartOptions{Standby: true, Upstream: address(winner)}); err != nil {
		t.Fatal(err)
	}
	await(t, loser, "streams", streaming(winner))
}

// An archive that is down keeps nobody from coming back.
func TestRewindWithABrokenArchive(t *testing.T) {
	t.Parallel()
	loser, winner := split(t, func(cfg *Config) {
		cfg.Parameters["archive_mode"], cfg.Parameters["archive_command"] = "on", "false"
	})
	if err := loser.Rewind(within(t), RewindOptions{From: address(winner)}); err != nil {
		t.Fatal(err)
	}
	if err := loser.Start(within(t), StartOptions{Standby: true, Upstream: address(winner)}); err != nil {
		t.Fatal(err)
	}
	await(t, loser, "streams", streaming(winner))
}

// WAL that pg_rewind needs and the server does not have any more comes from the archive.
func TestRewindRestoresMissingWAL(t *testing.T) {
	t.Parallel()
	archive := t.TempDir()
	loser, winner := split(t, func(cfg *Config) {
		cfg.Parameters["archive_mode"], cfg.Parameters["archive_command"] = "on", "cp %p "+archive+"/%f"
		cfg.Recovery = map[string]any{"restore_command": "cp " + archive + "/%f %p"}
	})
	run(t, loser, "CHECKPOINT")
	if _, err := loser.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	// All WAL that is in the archive goes; only the last file, which is not, stays.
	segments, err := filepath.Glob(filepath.Join(archive, strings.Repeat("?", 24)))
	if err != nil || len(segments) < 2 {
		t.Fatalf("archived: %q, %v", segments, err)
	}
	last := loser.Status(within(t)).Control.Checkpoint
	for _, s := range segments {
		name := filepath.Base(s)
		if !strings.HasSuffix(name, strings.ToUpper(hexSegment(uint64(last), loser.Status(within(t)).Control.SegmentSize))) {
			os.Remove(filepath.Join(loser.dir, "pg_wal", name)) //nolint:errcheck // it may have been recycled
		}
	}
	if err := loser.Rewind(within(t), RewindOptions{From: address(winner)}); err != nil {
		t.Fatal(err)
	}
	if err := loser.Start(within(t), StartOptions{Standby: true, Upstream: address(winner)}); err != nil {
		t.Fatal(err)
	}
	await(t, loser, "streams", streaming(winner))
}

// hexSegment is the last eight digits of a WAL file's name.
func hexSegment(at, size uint64) string {
	n := at / size % (1 << 32 / size)
	const digits = "0123456789abcdef"
	var b [8]byte
	for i := range b {
		b[7-i] = digits[n>>(4*i)&15]
	}
	return string(b[:])
}

func TestPercents(t *testing.T) {
	values := map[byte]string{'p': "pg_wal/%f", 'f': "F"}
	for text, want := range map[string]string{
		"cp %p /a/%f": "cp pg_wal/%f /a/F", "100%%": "100%", "%%p": "%p", "%x %": "%x %", "": "",
	} {
		if got := percents(text, values); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// pre_promote has the last word before a promotion, and its cancellation leaves a standby.
func TestPrePromote(t *testing.T) {
	n1 := primary(t, "n1")
	n2 := standby(t, "n2", n1)
	set := func(p Program) {
		settings := n2.cfg.Settings
		settings.PrePromote = p
		if _, err := n2.Reload(within(t), settings); err != nil {
			t.Fatal(err)
		}
	}
	set(script(t, "echo not tonight; exit 1"))
	if err := n2.Promote(within(t)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "not tonight") {
		t.Errorf("got %v", err)
	}
	up := filepath.Join(t.TempDir(), "up")
	set(script(t, "touch "+up+"; sleep 60"))
	ctx, cancel := context.WithCancelCause(within(t))
	lost := errors.New("the leader key was lost")
	ended := make(chan error)
	go func() { ended <- n2.Promote(ctx) }()
	for !exists(up) {
		time.Sleep(time.Millisecond)
	}
	cancel(lost)
	if err := <-ended; !errors.Is(err, lost) || errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
	if st := n2.Status(within(t)); !st.InRecovery || !st.Standby {
		t.Errorf("it was promoted: %+v", st)
	}
	set(script(t, "exit 0"))
	if err := n2.Promote(within(t)); err != nil {
		t.Error(err)
	}
}

func TestBeforeStop(t *testing.T) {
	t.Parallel()
	cfg := describe(t, "n1")
	told := filepath.Join(t.TempDir(), "told")
	cfg.BeforeStop = script(t, "echo once >>"+told+"; exit 1")
	place(t, cfg)
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(within(t), RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stop(within(t), StopOptions{Mode: Immediate}); err != nil {
		t.Fatal(err)
	}
	if got := wrote(t, told); got != "once" {
		t.Errorf("told %q", got)
	}
	// One that hangs has half of the time there is.
	s.cfg.BeforeStop = script(t, "sleep 60")
	if _, err := s.Reload(within(t), s.cfg.Settings); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	down, err := s.Stop(within(t), StopOptions{Patience: 2 * time.Second})
	if err != nil || down.Checkpoint == 0 {
		t.Errorf("stopped at %+v, %v", down, err)
	}
}

// A start is not waited for longer than it is given, and goes on.
func TestStartThatTakesLong(t *testing.T) {
	t.Parallel()
	n1 := primary(t, "n1")
	s := open(t, describe(t, "n2"))
	if err := s.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	release := filepath.Join(t.TempDir(), "release")
	slow := Upstream{Name: "a slow archive", RestoreCommand: "while test ! -e " + release + "; do sleep 0.01; done; false"}
	err := s.Start(within(t), StartOptions{Standby: true, Upstream: slow, Timeout: time.Second})
	if !errors.Is(err, ErrStillStarting) {
		t.Fatalf("got %v", err)
	}
	if st := s.Status(within(t)); st.Process != ProcessStarting {
		t.Errorf("it is %s", st.Process)
	}
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(within(t), StartOptions{Standby: true}); err != nil {
		t.Error(err)
	}
}

// A volume that is not there any more does not pass for an empty data directory.
func TestUnmountedVolume(t *testing.T) {
	cfg := describe(t, "n1")
	s := open(t, cfg)
	lock := s.dir + ".lock"
	if err := os.Rename(lock, lock+".away"); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(within(t)); st.Data != DataUnreadable || !strings.Contains(st.DataReason, "was the volume unmounted?") {
		t.Errorf("got %+v", st)
	}
	if err := s.Bootstrap(within(t)); !errors.Is(err, ErrOccupied) {
		t.Errorf("bootstrap: %v", err)
	}
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(within(t)); st.Data != DataUnreadable || !strings.Contains(st.DataReason, "another volume") {
		t.Errorf("got %+v", st)
	}
	if err := s.Clone(within(t), CloneOptions{}); !errors.Is(err, ErrOccupied) {
		t.Errorf("clone: %v", err)
	}
	if err := os.Rename(lock+".away", lock); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(within(t)); st.Data != DataEmpty {
		t.Errorf("got %+v", st)
	}
}

// Nothing is written into a directory whose version cannot be read.
func TestUnreadableVersion(t *testing.T) {
	n1 := primary(t, "n1")
	n2 := standby(t, "n2", n1)
	version := filepath.Join(n2.dir, "PG_VERSION")
	if err := os.Rename(version, version+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(version, 0o700); err != nil {
		t.Fatal(err)
	}
	before := wrote(t, filepath.Join(n2.dir, confName))
	if st := n2.Status(within(t)); st.Data != DataUnreadable || st.DataReason == "" {
		t.Errorf("got %+v", st)
	}
	settings := n2.cfg.Settings
	settings.Parameters = map[string]any{"work_mem": "9MB"}
	if changed, err := n2.Reload(within(t), settings); err != nil || changed {
		t.Errorf("reload: %v, %v", changed, err)
	}
	if _, err := n2.Follow(within(t), Upstream{}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("follow: %v", err)
	}
	if err := n2.Rewind(within(t), RewindOptions{From: address(n1)}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("rewind: %v", err)
	}
	if err := os.Remove(version); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(version+".away", version); err != nil {
		t.Fatal(err)
	}
	if after := wrote(t, filepath.Join(n2.dir, confName)); after != before {
		t.Error("the configuration was written")
	}
}

// The operator's own file takes the place of the original one, which is kept.
func TestCustomConf(t *testing.T) {
	cfg := describe(t, "n1")
	cfg.CustomConf = filepath.Join(t.TempDir(), "it's mine.conf")
	if err := os.WriteFile(cfg.CustomConf, []byte("work_mem = '7MB'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	place(t, cfg)
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := one(t, s, "SHOW work_mem"); got != "7MB" {
		t.Errorf("work_mem is %s", got)
	}
	if !exists(s.files(s.dir).base) {
		t.Error("the original file is gone")
	}
	settings := s.cfg.Settings
	settings.CustomConf = filepath.Join(t.TempDir(), "missing.conf")
	if _, err := s.Reload(within(t), settings); err == nil || !strings.Contains(err.Error(), "missing.conf") {
		t.Errorf("a file that is not there: %v", err)
	}
}
