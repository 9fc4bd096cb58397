package postgres

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// crash ends one process of the server in a way that may have left shared memory damaged.
func crash(t *testing.T, s *Server) {
	t.Helper()
	victim := session(t, s)
	if err := unix.Kill(int(victim.PgConn().PID()), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// In strict mode nobody but the agent starts the server anew, so that it can keep clients out.
func TestStrictServerEndsAfterACrash(t *testing.T) {
	cfg := describe(t, "n1")
	place(t, cfg)
	cfg.Strict = true
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	crash(t, s)
	told(t, s)
	if st := s.Status(within(t)); st.Process != ProcessNone || st.Control.State.Clean() {
		t.Fatalf("after the crash: %+v", st)
	}
	if err := s.Start(within(t), StartOptions{Hold: true}); err != nil {
		t.Fatal(err)
	}
	settings := with(cfg.Settings, map[string]any{"restart_after_crash": true})
	if _, err := s.Reload(within(t), settings); err != nil {
		t.Fatal(err)
	}
	await(t, s, "goes by what is configured", func(Status) bool { return one(t, s, "SHOW restart_after_crash") == "on" })
	settings = s.cfg.Settings
	settings.Strict = false
	if _, err := s.Reload(within(t), settings); err != nil {
		t.Fatal(err)
	}
	await(t, s, "is not strict any more", func(Status) bool { return one(t, s, "SHOW restart_after_crash") == "on" })
	pid := s.Status(within(t)).PID
	crash(t, s)
	await(t, s, "is back by itself", func(st Status) bool {
		return strings.Contains(readText(t, s.logPath()), "reinitializing") && st.Answers && st.PID == pid && st.Held
	})
}

// A slot, feedback and further settings for recovery are taken up without a restart.
func TestFollowWithASlotAndFeedback(t *testing.T) {
	n1 := primary(t, "n1")
	run(t, n1, "SELECT pg_create_physical_replication_slot('n2')")
	cfg := describe(t, "n2")
	cfg.Parameters[feedbackName] = false
	n2 := open(t, cfg)
	if err := n2.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
		t.Fatal(err)
	}
	await(t, n2, "streams", streaming(n1))
	pid := n2.Status(within(t)).PID
	slot := func() string {
		return one(t, n1, "SELECT active::text || '/' || (xmin IS NOT NULL)::text FROM pg_replication_slots WHERE slot_name = 'n2'")
	}
	up := address(n1)
	up.Slot, up.Feedback = "n2", true
	if f, err := n2.Follow(within(t), up); err != nil || !f.Changed || f.NeedsRestart {
		t.Fatalf("%+v, %v", f, err)
	}
	await(t, n2, "uses the slot and tells what it needs", func(Status) bool { return slot() == "true/true" })
	settings := with(cfg.Settings, map[string]any{"work_mem": "5MB"})
	settings.Recovery = map[string]any{"archive_cleanup_command": "true", "recovery_end_command": "true", "recovery_min_apply_delay": 7, "primary_slot_name": "x", "recovery_target": "immediate"}
	if _, err := n2.Reload(within(t), settings); err != nil {
		t.Fatal(err)
	}
	const shown = "SELECT string_agg(setting, ',' ORDER BY name) FROM pg_settings WHERE name IN ('archive_cleanup_command', 'recovery_end_command', 'recovery_min_apply_delay', 'hot_standby_feedback', 'primary_slot_name', 'recovery_target')"
	await(t, n2, "goes by all", func(Status) bool { return one(t, n2, shown) == "true,on,n2,true,7," })
	if err := n2.Restart(within(t), RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := one(t, n2, shown); got != "true,on,n2,true,7," {
		t.Errorf("after a restart: %s", got)
	}
	await(t, n2, "streams", streaming(n1))
	next := n2.Status(within(t)).PID
	if f, err := n2.Follow(within(t), address(n1)); err != nil || !f.Changed || f.NeedsRestart {
		t.Fatalf("%+v, %v", f, err)
	}
	await(t, n2, "leaves the slot", func(Status) bool { return strings.HasPrefix(slot(), "false/") })
	if got := one(t, n2, shown); got != "true,off,,true,7," {
		t.Errorf("without a slot: %s", got)
	}
	if st := n2.Status(within(t)); pid == next || st.PID != next || len(st.PendingRestart) != 0 {
		t.Errorf("restarts: %d, %d, %+v", pid, next, st)
	}
}
