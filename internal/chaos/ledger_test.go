package chaos

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func ms(n int) time.Time { return noon.Add(time.Duration(n) * time.Millisecond) }

// acked are rows 1, 2, … acknowledged at those milliseconds.
func acked(at ...int) []Ack {
	var acks []Ack
	for i, n := range at {
		acks = append(acks, Ack{ID: int64(i + 1), At: ms(n)})
	}
	return acks
}

func TestLongestGap(t *testing.T) {
	cases := []struct {
		name         string
		acks         []Ack
		since, until int
		from, to     int
	}{
		{"nothing was ever acknowledged", nil, 10, 50, 10, 50},
		{"one of several", acked(0, 5, 10, 300, 305), 7, 310, 10, 300},
		{"it began before the window", acked(0, 100, 105), 50, 110, 0, 100},
		{"one that ended before the window does not count", acked(0, 500, 505, 512), 501, 514, 505, 512},
		{"one that began after the window does not count", acked(0, 5, 10, 15, 900), 0, 20, 0, 5},
		{"still open", acked(0, 5, 10), 0, 400, 10, 400},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got, want := longestGap(c.acks, ms(c.since), ms(c.until)), (Gap{ms(c.from), ms(c.to)}); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// However often rows are acknowledged, no pause within the window is longer than the gap that is found.
func TestNoPauseIsLongerThanTheGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOf(rapid.IntRange(0, 50)).Draw(t, "steps")
		var at []int
		now := 0
		for _, s := range steps {
			now += s
			at = append(at, now)
		}
		from := rapid.IntRange(0, now).Draw(t, "from")
		until := rapid.IntRange(from, now+100).Draw(t, "until")
		got := longestGap(acked(at...), ms(from), ms(until))
		for i := from; i < until; i++ {
			quiet := 0
			for j := i; j < until && !slices.Contains(at, j+1); j++ {
				quiet++
			}
			if d := time.Duration(quiet) * time.Millisecond; d > got.Length() {
				t.Fatalf("quiet for %s from %d on, the gap is %s", d, i, got.Length())
			}
		}
	})
}

func TestAudit(t *testing.T) {
	outage := Gap{ms(1500), ms(9000)}
	cases := []struct {
		name    string
		held    []int64
		allowed *Gap
		lost    int
		want    string
	}{
		{"all there", []int64{1, 2, 3, 4}, nil, 0, ""},
		{"more there than acknowledged", []int64{1, 2, 3, 4, 5}, nil, 0, ""},
		{"twice", []int64{1, 2, 2, 3, 4}, nil, 0, "row 2 is there twice"},
		{"one missing", []int64{1, 2, 4}, nil, 0, "row 3"},
		{"the last one missing, which is allowed", []int64{1, 2, 4}, &outage, 1, ""},
		{"missing long before the outage", []int64{2, 3, 4}, &outage, 0, "row 1"},
		{"missing after the outage", []int64{1, 2, 3}, &outage, 0, "row 4"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var a account
			lost, err := a.audit(acked(0, 700, 1500, 9000), c.held, c.allowed)
			if lost != c.lost {
				t.Errorf("%d lost, want %d", lost, c.lost)
			}
			if err == nil != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A row that was lost is not counted again, and must not come back: two histories would have been merged.
func TestLostRowsStayLost(t *testing.T) {
	var a account
	acks := acked(0, 5, 10)
	if lost, err := a.audit(acks, []int64{1, 2}, &Gap{ms(10), ms(500)}); lost != 1 || err != nil {
		t.Fatalf("%d lost, %v", lost, err)
	}
	if lost, err := a.audit(acks, []int64{1, 2}, nil); lost != 0 || err != nil {
		t.Errorf("the second time: %d lost, %v", lost, err)
	}
	if _, err := a.audit(acks, []int64{1, 2, 3}, nil); err == nil {
		t.Error("row 3 came back unnoticed")
	}
}
