package postgres

import "testing"

// What a control file forgets when a former primary becomes a standby is written down beside it, as long as the data stay.
func TestWhoWasAPrimaryIsWrittenDown(t *testing.T) {
	s := primary(t, "n1")
	if got := s.Status(within(t)).Led; got != 0 {
		t.Errorf("a primary is noted on timeline %d already", got)
	}
	stop := func() {
		t.Helper()
		if _, err := s.Stop(within(t), StopOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	for range 2 { // the second time it is a standby, and what was noted stays
		if err := s.Start(within(t), StartOptions{Standby: true}); err != nil {
			t.Fatal(err)
		}
		st := s.Status(within(t))
		if st.Led != 1 || !st.InRecovery {
			t.Errorf("as a standby: noted on timeline %d, in recovery: %v", st.Led, st.InRecovery)
		}
		stop()
	}
	if _, err := s.SetAside(); err != nil {
		t.Fatal(err)
	}
	if exists(ledPath(s.dir)) {
		t.Error("the note outlived its data")
	}
}
