package postgres

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A standby that was killed says which timeline it has replayed, although its control file is of before and there is nobody
// from whom it could hear it.
func TestAKilledStandbyKnowsTheTimelineThatItReplayed(t *testing.T) {
	n1 := primary(t, "n1")
	n2, n3 := standby(t, "n2", n1), standby(t, "n3", n1)
	if _, err := n1.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := n2.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := n3.Follow(within(t), address(n2)); err != nil {
		t.Fatal(err)
	}
	run(t, n2, "CREATE TABLE t (n int)")
	end := n2.Status(within(t)).Written
	st := await(t, n3, "has replayed it", func(st Status) bool { return st.Timeline == 2 && st.Replayed >= end })
	if _, err := n2.Stop(within(t), StopOptions{Mode: Immediate}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(st.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	told(t, n3)
	if err := n3.Start(within(t), StartOptions{Standby: true, Upstream: address(n2)}); err != nil {
		t.Fatal(err)
	}
	st = await(t, n3, "replays again", func(st Status) bool { return st.Answers && st.Replayed >= end })
	if st.CheckpointTimeline != 1 {
		t.Fatalf("its checkpoint is of timeline %d: the test shows nothing", st.CheckpointTimeline)
	}
	if st.Timeline != 2 {
		t.Errorf("it says timeline %d, and has replayed timeline 2", st.Timeline)
	}
}
