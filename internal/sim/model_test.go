package sim

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// Events come in the order of their instants, and those of one instant in the order in which they were planned.
func TestQueueOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var want, got []event
		for range rapid.IntRange(0, 200).Draw(t, "events") {
			e := event{at: rapid.Int64Range(0, 20).Draw(t, "at")}
			q.push(e)
			e.order = q.orders
			want = append(want, e)
			if rapid.IntRange(0, 4).Draw(t, "pop") == 0 {
				slices.SortFunc(want, byTime)
				got = append(got, q.pop())
				if got[len(got)-1].order != want[0].order {
					t.Fatalf("got event %d, want %d", got[len(got)-1].order, want[0].order)
				}
				want = want[1:]
			}
		}
		slices.SortFunc(want, byTime)
		for _, e := range want {
			if next := q.pop(); next.order != e.order {
				t.Fatalf("got event %d, want %d", next.order, e.order)
			}
		}
	})
}

func byTime(a, b event) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) }

// WAL on a new timeline holds what its parent had up to the fork, and nothing of a twin's.
func TestLines(t *testing.T) {
	first := &line{number: 1}
	second := first.next(100, nil)
	twin := first.next(150, nil)
	third := second.next(200, nil)
	for _, c := range []struct {
		name       string
		own, other *line
		end, want  wal.LSN
	}{
		{"itself", first, first, 120, 120},
		{"a parent up to the fork", second, first, 180, 100},
		{"a grandparent up to the first fork", third, first, 300, 100},
		{"a parent beyond its fork", third, second, 300, 200},
		{"not a twin", third, twin, 300, 0},
		{"not a child", first, second, 300, 0},
	} {
		if got := c.own.shared(c.end, c.other); got != c.want {
			t.Errorf("%s: shared up to %v, want %v", c.name, got, c.want)
		}
	}
	if !second.twin(twin) || !third.twin(twin) || second.twin(third) {
		t.Error("two timelines of one number are twins, whoever else comes after them, and no others")
	}
	if got := third.past; len(got) != 2 || got[0].End != 100 || got[1].Timeline != 2 {
		t.Errorf("the history of timeline 3 is %v", got)
	}
}

// A member's clock and the run's translate into each other, at any drift, with the time off that a suspension was.
func TestClocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := clock{
			rate:  1 + float64(rapid.IntRange(-500, 500).Draw(t, "drift"))/1e6,
			began: time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "began")),
			stood: rapid.Int64Range(0, int64(time.Hour)).Draw(t, "stood"),
		}
		at := c.stood + rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "at")
		if off := c.instant(c.local(at)) - at; max(off, -off) > int64(10*time.Microsecond) {
			t.Fatalf("there and back is %v off", time.Duration(off))
		}
	})
}

// The model of the store keeps the promises of package kv that safety rests on.
func TestStoreCompares(t *testing.T) {
	w := newWorld(1, Setup{Members: 2, TTL: 20, LoopWait: 1, RetryTimeout: 3, Write: time.Second}, mutant{})
	defer w.close()
	st, n1, n2 := &w.store, w.members[0], w.members[1]
	n1.away, n2.away = true, true // without agents
	one, two := st.grant(n1, 20*time.Second), st.grant(n2, 30*time.Second)
	if err := st.putLeader(n1, one, 0, true); err != nil {
		t.Fatal(err)
	}
	if err := st.putLeader(n2, two, 0, true); err != kv.ErrHeld { //nolint:errorlint // the model returns it unwrapped
		t.Errorf("a held key is taken: %v", err)
	}
	if err := st.deleteLeader(st.now.Leader.Version - 1); err != kv.ErrConflict { //nolint:errorlint // the model returns it unwrapped
		t.Errorf("a key of another version is deleted: %v", err)
	}
	if _, err := st.putMember(n1, cluster.Member{Name: "n1"}, 99); err != kv.ErrLost { //nolint:errorlint // the model returns it unwrapped
		t.Errorf("a key is bound to a lease that never was: %v", err)
	}
	w.run(int64(19 * time.Second))
	if st.now.Leader.Name != "n1" {
		t.Error("a lease ends early")
	}
	w.run(int64(21 * time.Second))
	if st.now.Leader.Name != "" {
		t.Error("a lease does not end")
	}
	st.lose()
	w.run(int64(60 * time.Second))
	if st.leases[two] == nil {
		t.Error("a lease ends while nobody is there to end it")
	}
}
