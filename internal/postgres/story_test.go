package postgres

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// The life of a cluster as the agent leads it: made, cloned, switched over, diverged, rewound.
func TestLifeOfACluster(t *testing.T) {
	begin := time.Now()
	lap := func(what string) {
		t.Logf("%-32s %v", what, time.Since(begin).Round(time.Millisecond))
		begin = time.Now()
	}
	cfg := describe(t, "n1")
	cfg.Initdb = nil
	n1 := open(t, cfg)
	if err := n1.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	lap("bootstrap")
	// Nobody could write yet: whoever bootstraps does not hold the leader key (rule S1).
	st := n1.Status(within(t))
	if st.Process != ProcessNone || st.Control.State != StateShutDown || st.Standby {
		t.Fatalf("after bootstrap: %+v", st)
	}
	if err := n1.Start(within(t), StartOptions{SystemID: st.SystemID}); err != nil {
		t.Fatal(err)
	}
	lap("start")
	st = n1.Status(within(t))
	if st.Err != nil || st.Data != DataCluster || st.Process != ProcessRunning || !st.Answers || st.InRecovery ||
		st.Timeline != 1 || st.Written == 0 || !st.SystemID.Valid() || !st.Control.Rewindable() || len(st.PendingRestart) != 0 {
		t.Fatalf("after the first start: %+v", st)
	}
	run(t, n1, "CREATE TABLE t (n bigint); INSERT INTO t SELECT generate_series(1, 1000)")
	begin = time.Now()

	n2 := open(t, describe(t, "n-2"))
	var done, total int64
	err := n2.Clone(within(t), CloneOptions{From: address(n1), SystemID: st.SystemID, Progress: func(d, all int64) { done, total = d, all }})
	if err != nil {
		t.Fatal(err)
	}
	lap("clone")
	if done == 0 || total < 1<<20 || done < total/2 {
		t.Errorf("progress ended at %d of %d bytes", done, total)
	}
	if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: address(n1), SystemID: st.SystemID}); err != nil {
		t.Fatal(err)
	}
	lap("start standby")
	await(t, n2, "streams", streaming(n1))
	lap("streaming")
	st = n1.Status(within(t))
	if len(st.Replication) != 1 || st.Replication[0].Application != "n-2" || st.Replication[0].State != "streaming" ||
		st.Replication[0].Username != "replicator" || st.Replication[0].SyncState != "async" {
		t.Fatalf("replication: %+v", st.Replication)
	}

	// A switchover: the old primary stops cleanly, the standby has all of it, and takes over.
	begin = time.Now()
	var told Shutdown
	down, err := n1.Stop(within(t), StopOptions{OnCheckpoint: func(d Shutdown) { told = d }})
	if err != nil {
		t.Fatal(err)
	}
	lap("stop primary")
	if down.Checkpoint == 0 || down.End <= down.Checkpoint || down != told {
		t.Fatalf("stopped at %+v, told %+v", down, told)
	}
	st = n2.Status(within(t))
	if st.Received != down.End {
		t.Fatalf("the standby received up to %s, the primary ended at %s", st.Received, down.End)
	}
	begin = time.Now()
	if err := n2.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	lap("promote")
	run(t, n2, "INSERT INTO t VALUES (1001)")
	st = n2.Status(within(t))
	if st.InRecovery || st.Timeline != 2 {
		t.Fatalf("after promotion: %+v", st)
	}
	if err := n2.Checkpoint(within(t)); err != nil {
		t.Fatal(err)
	}
	if st = n2.Status(within(t)); st.CheckpointTimeline != 2 {
		t.Fatalf("after the checkpoint: %+v", st)
	}

	// The old primary wrote nothing beyond the switch point: it just follows.
	history, err := n1.TimelineHistory(within(t), address(n2), 2)
	if err != nil {
		t.Fatal(err)
	}
	local, err := n2.LocalHistory(2)
	if err != nil || len(local) != 1 || len(history) != 1 || local[0] != history[0] {
		t.Fatalf("history %v, local %v, %v", history, local, err)
	}
	if got := wal.Relate(n1.Status(within(t)).End, 2, history); got != wal.Ancestor {
		t.Fatalf("the stopped primary is %v, ended at %+v, history %v", got, n1.Status(within(t)).End, history)
	}
	begin = time.Now()
	if err := n1.Start(within(t), StartOptions{Standby: true, Upstream: address(n2)}); err != nil {
		t.Fatal(err)
	}
	await(t, n1, "streams", streaming(n2))
	lap("old primary streams")
	if st := await(t, n1, "is on the new timeline", func(st Status) bool { return st.Timeline == 2 }); !st.InRecovery {
		t.Fatalf("%+v", st)
	}

	// A split: both write; the loser is rewound.
	run(t, n2, "CHECKPOINT")
	if err := n1.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := n1.Checkpoint(within(t)); err != nil {
		t.Fatal(err)
	}
	run(t, n1, "INSERT INTO t VALUES (2001)")
	run(t, n2, "INSERT INTO t SELECT generate_series(5000, 6000)")
	begin = time.Now()
	if err := n2.Rewind(within(t), RewindOptions{From: address(n1), SystemID: st.SystemID, Patience: patience}); err != nil {
		t.Fatal(err)
	}
	lap("rewind")
	if st := n2.Status(within(t)); st.Data != DataCluster || !st.Standby || st.Process != ProcessNone {
		t.Fatalf("after rewind: %+v", st)
	}
	if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
		t.Fatal(err)
	}
	await(t, n2, "streams", streaming(n1))
	lap("rewound streams")
	await(t, n2, "is on the new timeline", func(st Status) bool { return st.Timeline == 3 })
	if got := one(t, n2, "SELECT count(*) FROM t WHERE n > 1000"); got != "2" {
		t.Errorf("%s rows, want those of the winner alone", got)
	}
}

// A slow archive must not hold up a switchover: the shutdown checkpoint is told while the server still lives.
func TestShutdownCheckpointIsToldWhileTheServerArchives(t *testing.T) {
	cfg := describe(t, "n1")
	place(t, cfg)
	archived := filepath.Join(t.TempDir(), "go on")
	cfg.Parameters["archive_mode"] = "on"
	cfg.Parameters["archive_command"] = `while [ ! -e "` + archived + `" ]; do sleep 0.01; done`
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	run(t, s, "CREATE TABLE t (n int)")
	var told Shutdown
	down, err := s.Stop(within(t), StopOptions{OnCheckpoint: func(d Shutdown) {
		told = d
		if st := s.Status(within(t)); st.Process != ProcessStopping {
			t.Errorf("told too late: %+v", st)
		}
		if err := os.WriteFile(archived, nil, 0o600); err != nil {
			t.Error(err)
		}
	}})
	if err != nil || down != told {
		t.Fatalf("stopped at %+v, told %+v, %v", down, told, err)
	}
	// Archiving switches to a new WAL file before the checkpoint.
	if down.Previous == 0 || down.Previous >= down.Checkpoint || down.End <= down.Checkpoint {
		t.Errorf("stopped at %+v", down)
	}
}
