package sim

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/ha"
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

// syncWorld is a primary with two standbys that stream from it, without agents.
func syncWorld(t *testing.T) (w *world, primary, one, two *server) {
	t.Helper()
	w = newWorld(1, Setup{Members: 3, TTL: 20, LoopWait: 1, RetryTimeout: 3, Write: time.Hour, Sync: "on", SyncNodes: 1}, mutant{})
	t.Cleanup(w.close)
	for _, m := range w.members {
		m.away = true
	}
	primary, one, two = &w.members[0].server, &w.members[1].server, &w.members[2].server
	primary.data, primary.id, primary.state = ha.DataCluster, w.newSystemID(), shutDown
	primary.moved(w.newLine(primary.host), firstLSN)
	w.store.now.Leader.Name = primary.host.name
	primary.host.guard.ends = int64(time.Hour) // nobody has a lease here
	primary.launch()
	w.run(int64(time.Second))
	for _, s := range []*server{one, two} {
		s.copyOf(primary, shutDownInRecovery)
		s.upstream = primary.host
		s.launch()
	}
	w.run(int64(2 * time.Second))
	if !one.streaming || !two.streaming || w.broken != nil {
		t.Fatalf("no standby streams; %v", w.broken)
	}
	return w, primary, one, two
}

func (w *world) pastBy(d time.Duration) { w.run(w.now + int64(d)) }

// commit sends one write and reports how many were acknowledged a moment later.
func (w *world) commit(to *server) int {
	before := w.stats.Acked
	w.clients.send(to.host)
	w.pastBy(100 * time.Millisecond)
	return w.stats.Acked - before
}

func names(t *testing.T, text string) guc.SyncNames {
	t.Helper()
	n, err := guc.ParseSyncNames(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A commit waits for as many of the named standbys as the names say, and for nobody where there are none.
func TestCommitsWait(t *testing.T) {
	for _, c := range []struct {
		names    string
		one, two bool
		want     int
	}{
		{"", false, false, 1},
		{"n2", true, false, 1},
		{"n2", false, true, 0},
		{"n2,n3", false, true, 0},
		{"2 (n2,n3)", true, false, 0},
		{"2 (n2,n3)", true, true, 1},
		{"ANY 1 (n2,n3)", false, true, 1},
		{"ANY 2 (n2,n3)", false, true, 0},
		{"n4", true, true, 0},
	} {
		w, primary, one, two := syncWorld(t)
		primary.setNames(names(t, c.names), true)
		w.pastBy(100 * time.Millisecond)
		for s, there := range map[*server]bool{one: c.one, two: c.two} {
			if !there {
				s.freeze()
			}
		}
		if got := w.commit(primary); got != c.want {
			t.Errorf("%q, n2 %v, n3 %v: %d commits are acknowledged, want %d", c.names, c.one, c.two, got, c.want)
		}
	}
}

// A commit that waits is acknowledged when its standby comes back in time, never after the client gave up, and never when the
// server ended meanwhile, though it is still there afterwards.
func TestWaitingCommits(t *testing.T) {
	for _, c := range []struct {
		name string
		away time.Duration
		kill bool
		want int
	}{
		{"in time", 2 * time.Second, false, 1},
		{"too late", 7 * time.Second, false, 0},
		{"the server ended", 2 * time.Second, true, 0},
	} {
		w, primary, one, _ := syncWorld(t)
		primary.setNames(names(t, "n2"), true)
		w.pastBy(100 * time.Millisecond)
		one.freeze()
		if got := w.commit(primary); got != 0 {
			t.Fatalf("%s: a commit without its standby is acknowledged", c.name)
		}
		before, end := w.stats.Acked, primary.end
		if c.kill {
			primary.crash()
			primary.launch()
		}
		w.pastBy(c.away)
		one.thaw()
		w.pastBy(time.Second)
		if got := w.stats.Acked - before; got != c.want {
			t.Errorf("%s: %d commits are acknowledged, want %d", c.name, got, c.want)
		}
		if primary.end < end || one.end < end {
			t.Errorf("%s: the commit is gone", c.name)
		}
	}
}

// Names outlive a crash, and end where the server becomes a standby.
func TestNamesOutliveTheServer(t *testing.T) {
	w, primary, one, _ := syncWorld(t)
	primary.setNames(names(t, "n3"), true)
	primary.crash()
	primary.launch()
	w.pastBy(time.Second)
	if primary.names.String() != "n3" || !primary.waits {
		t.Errorf("after a crash commits wait for '%v'", primary.names)
	}
	primary.crash()
	primary.marked = true
	(&doing{s: primary, l: newLife(one.host)}).forgetNames()
	if st := primary.look(); !st.names.Empty() || !st.managed {
		t.Errorf("a standby's commits would wait for '%v'", st.names)
	}
}

// A standby has what it received, and loses with its power what was not safe yet. It is acknowledged only when it is.
func TestReceivedIsNotFlushed(t *testing.T) {
	w, primary, one, _ := syncWorld(t)
	primary.setNames(names(t, "n2"), true)
	w.pastBy(100 * time.Millisecond)
	one.slow++
	before := w.stats.Acked
	w.clients.send(primary.host)
	w.pastBy(streamTime + 2*time.Millisecond)
	if one.end != primary.end || one.flushed == one.end || w.stats.Acked != before {
		t.Fatalf("received %v, flushed %v, %d commits are acknowledged", one.end, one.flushed, w.stats.Acked-before)
	}
	if x := primary.sender(one.host); x.sent != primary.end || x.flushed == x.sent {
		t.Errorf("the primary believes that %v of %v is flushed", x.flushed, x.sent)
	}
	one.host.powerOff()
	if one.end == primary.end {
		t.Error("what was not safe outlives the power")
	}
	if primary.sender(one.host) == nil {
		t.Error("the primary knows at once that the power of a standby is gone")
	}
	w.pastBy(2 * senderTimeout)
	if len(primary.senderFacts()) != 1 {
		t.Error("a silent standby stays for longer than wal_sender_timeout")
	}
}

// An action on names is done when every process goes by them; one without an answer may be, too.
func TestTellingNames(t *testing.T) {
	w, primary, _, _ := syncWorld(t)
	l := newLife(primary.host)
	var done, lost error
	l.loop = w.spawn(l, func(task *task) {
		done = l.tellServer(task, ha.SetSyncNames{Names: guc.SyncNames{Num: 1, Names: []string{"n2"}}})
		if !primary.heeds(primary.reloads) || primary.names.String() != "n2" {
			t.Error("it is done before every process goes by it")
		}
		l.losing = []writeFault{{"names", loseAnswer}}
		lost = l.tellServer(task, ha.SetSyncNames{Names: guc.SyncNames{Num: 1, Names: []string{"n3"}}})
	})
	w.pastBy(5 * time.Second)
	if resultOf(done) != ha.Done || resultOf(lost) != ha.Unknown {
		t.Errorf("got %v and %v, want it done and unknown", done, lost)
	}
	if primary.names.String() != "n3" {
		t.Errorf("commits wait for '%v'", primary.names)
	}
}

// The promise is written over the version that was read, and a write that was acknowledged binds whoever can win by it.
func TestPromise(t *testing.T) {
	w, primary, one, _ := syncWorld(t)
	st := &w.store
	mine := cluster.Sync{Leader: "n1", Voters: []string{"n2"}}
	if err := st.putSync(mine); err != nil {
		t.Fatal(err)
	}
	if err := st.putSync(mine); err != kv.ErrHeld { //nolint:errorlint // the model returns it unwrapped
		t.Errorf("a promise is made over one that was not read: %v", err)
	}
	if err := st.deleteSync(st.now.Sync.Version + 1); err != kv.ErrConflict { //nolint:errorlint // the model returns it unwrapped
		t.Errorf("another promise is withdrawn: %v", err)
	}
	w.truth.mode, st.now.Config.Data = cluster.SyncOn, nil
	primary.setNames(names(t, "n2"), true)
	w.pastBy(100 * time.Millisecond)
	if w.commit(primary); w.broken != nil {
		t.Fatalf("the promise is kept, and yet: %v", w.broken)
	}
	primary.setNames(names(t, "n3"), true)
	w.pastBy(100 * time.Millisecond)
	one.freeze()
	if w.commit(primary); w.broken == nil || w.broken.Rule != "S5" {
		t.Errorf("n2 may win and lacks a commit, and the rule says %v", w.broken)
	}
}
