package chaos

import (
	"testing"
)

func TestTwoWritersAtOnceAreSeen(t *testing.T) {
	shift := func(host string, from, to int) Shift { return Shift{host, ms(from), ms(to)} }
	cases := []struct {
		name   string
		shifts []Shift
		pairs  int
	}{
		{"nobody", nil, 0},
		{"one after the other", []Shift{shift("node1", 0, 100), shift("node2", 100, 200), shift("node1", 200, 300)}, 0},
		{"both at once", []Shift{shift("node1", 0, 100), shift("node2", 99, 200)}, 1},
		{"one within the other", []Shift{shift("node1", 0, 100), shift("node2", 40, 60)}, 1},
		{"two connections to one server", []Shift{shift("node1", 0, 100), shift("node1", 50, 200)}, 0},
		{"seen once only, which proves no length of time", []Shift{shift("node1", 0, 100), shift("node2", 50, 50)}, 0},
		{"three at once", []Shift{shift("node1", 0, 100), shift("node2", 10, 90), shift("node3", 20, 80)}, 3},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := together(c.shifts); len(got) != c.pairs {
				t.Errorf("%d pairs: %v, want %d", len(got), got, c.pairs)
			}
			w := Watchman{shifts: c.shifts, asked: 1}
			if err := w.Report(); err == nil != (c.pairs == 0) {
				t.Errorf("report: %v", err)
			}
		})
	}
}

func TestAShiftIsWhatIsCertain(t *testing.T) {
	var w Watchman
	i := w.note("node1", -1, ms(0), ms(3))
	if got := w.shifts[i]; got.From != ms(3) || got.To != ms(3) {
		t.Errorf("after one answer: %v", got)
	}
	i = w.note("node1", i, ms(20), ms(24))
	if got := w.shifts[i]; got.From != ms(3) || got.To != ms(20) {
		t.Errorf("after two answers: %v", got)
	}
}

func TestAWatchThatSawNothingSaysSo(t *testing.T) {
	if err := new(Watchman).Report(); err == nil {
		t.Error("a blind watchman reports that all is well")
	}
}
