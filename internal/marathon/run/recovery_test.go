package run

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// TestSchedulerRestarts says: what runs is found again, what ended meanwhile is launched again, nothing is launched twice.
func TestSchedulerRestarts(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.stop()
		w.m.die("node2")
		w.pass(time.Minute)
		w.m.open()
		w.start()
		w.pass(5 * time.Second)
		w.wantRunning("/pg", "node1", "node2", "node3")
		if len(w.m.launched()) != 4 || len(w.m.killed()) > 0 {
			t.Errorf("launches %v, kills %v; want one launch more than three", w.m.launched(), w.m.killed())
		}
		w.restart()
		w.pass(time.Minute)
		w.wantRunning("/pg", "node1", "node2", "node3")
	})
}

// TestStopUnderWaySurvivesARestart says: what was stored and perhaps not asked for is asked for again.
func TestStopUnderWaySurvivesARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.m.with(func() { w.m.stopTakes = 10 * time.Second })
		w.put(cluster(2))
		w.pass(2 * time.Second)
		w.restart()
		w.pass(20 * time.Second)
		w.wantSettled()
		if n := len(w.s.Tasks("/pg")); n != 2 || len(w.m.killed()) != 1 {
			t.Errorf("%d tasks run, killed were %v; want 2 and one kill", n, w.m.killed())
		}
	})
}

func TestStoreIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.db.Disconnect()
		w.m.die("node2")
		if err := w.s.KillHost(t.Context(), "node3"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		_, err := w.s.Apply(t.Context(), func(*app.Definitions) error { return nil }, app.ApplyOptions{})
		if !errors.Is(err, app.ErrUnavailable) {
			t.Errorf("a change without a store: got %v, want ErrUnavailable", err)
		}
		if len(w.m.launched()) != 3 || len(w.m.killed()) > 0 {
			t.Errorf("without a store: launches %v, kills %v", w.m.launched(), w.m.killed())
		}
		w.db.Reconnect()
		w.pass(10 * time.Second)
		w.wantRunning("/pg", "node1", "node2")
		if err := w.s.StartHost(t.Context(), "node3"); err != nil {
			t.Fatal(err)
		}
		w.pass(10 * time.Second)
		w.wantRunning("/pg", "node1", "node2", "node3")
	})
}

// TestLostAnswerOfAnIntent says: when nobody knows whether the intent to launch was stored, it is looked at, the driver
// is asked what became of it, and the member runs in the end, once.
func TestLostAnswerOfAnIntent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		key := prefix + "instances/" + string(w.m.on("node2").Instance())
		w.m.die("node2")
		w.pass(500 * time.Millisecond) // the end is stored, the launch is not
		w.db.LoseNextAnswer(key)
		w.pass(20 * time.Second)
		w.wantRunning("/pg", "node1", "node2", "node3")
		if got := w.m.on("node2").Incarnation(); got != 3 {
			t.Errorf("incarnation %d runs, want 3: the second was stored and never launched", got)
		}
	})
}

// TestLaunchWithoutAnAnswer says: a launch of which nobody knows whether it happened is asked about before anything else.
func TestLaunchWithoutAnAnswer(t *testing.T) {
	inBubble(t, func(_ *testing.T, w *world) {
		w.m.with(func() { w.m.vague = true })
		w.put(cluster(1))
		w.pass(10 * time.Second)
		w.wantRunning("/pg", "node1")
		w.wantSettled()
	})
}

// TestTaskTheStoreDoesNotKnow says: a store that is older than what runs leads to nobody's death and to no second member.
func TestTaskTheStoreDoesNotKnow(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.stop()
		lost := w.m.on("node2").Instance()
		if err := w.db.Delete(t.Context(), prefix+"instances/"+string(lost), kv.Always()); err != nil {
			t.Fatal(err)
		}
		w.m.open()
		w.start()
		w.pass(time.Minute)
		w.wantWait("the store is older than what runs")
		if len(w.m.launched()) != 3 || len(w.m.killed()) > 0 {
			t.Errorf("launches %v, kills %v", w.m.launched(), w.m.killed())
		}
	})
}

// TestStoreThatKnowsNoTask says: nothing is launched before the driver has been heard, also when the store knows of
// nothing to ask it about.
func TestStoreThatKnowsNoTask(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.stop()
		for _, host := range []string{"node1", "node2", "node3"} {
			key := prefix + "instances/" + string(w.m.on(host).Instance())
			if err := w.db.Delete(t.Context(), key, kv.Always()); err != nil {
				t.Fatal(err)
			}
		}
		w.m.open()
		w.start()
		w.pass(time.Minute)
		if len(w.m.launched()) != 3 || len(w.m.killed()) > 0 {
			t.Errorf("launches %v, kills %v", w.m.launched(), w.m.killed())
		}
	})
}

// TestLostRequestToKill says: a stop that was stored and never reached the driver is asked for again, by the next
// scheduler at once and by the same one after a while.
func TestLostRequestToKill(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.m.with(func() { w.m.deaf = true })
		w.put(cluster(2))
		w.pass(time.Second)
		w.m.with(func() { w.m.deaf = false })
		w.restart()
		w.pass(2 * time.Second)
		w.wantSettled()

		w.m.with(func() { w.m.deaf = true })
		w.put(cluster(1))
		w.pass(time.Second)
		w.m.with(func() { w.m.deaf = false })
		w.pass(3 * time.Minute)
		w.wantSettled()
		if n := len(w.s.Tasks("/pg")); n != 1 {
			t.Errorf("%d tasks run", n)
		}
	})
}

func TestForeignMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memory.New()
		defer func() { _ = db.Close() }()
		m := newMachines(t, db)
		m.framework = "somebody else"
		s := New(Config{}, store.New(db, prefix), m, agents{m}, slog.New(slog.DiscardHandler))
		if err := s.Run(t.Context()); !errors.Is(err, driver.ErrForeign) {
			t.Errorf("got %v, want ErrForeign", err)
		}
		if err := s.StopAll(t.Context(), nil); !errors.Is(err, app.ErrUnavailable) {
			t.Errorf("after the end: got %v, want ErrUnavailable", err)
		}
	})
}

// TestBeforeAnythingIsKnown says: until the store has answered a change is refused, not lost and not held up for ever.
func TestBeforeAnythingIsKnown(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		w.db.Disconnect()
		w.m.open()
		w.start()
		_, err := w.s.Apply(t.Context(), func(*app.Definitions) error { return nil }, app.ApplyOptions{})
		if !errors.Is(err, app.ErrUnavailable) {
			t.Errorf("a change: %v", err)
		}
		if _, _, err := w.s.Cancel(t.Context(), "x", true); !errors.Is(err, app.ErrUnavailable) {
			t.Errorf("a cancellation: %v", err)
		}
		if w.s.FrameworkID() != "" {
			t.Errorf("the framework is %q", w.s.FrameworkID())
		}
		w.db.Reconnect()
		w.pass(10 * time.Second)
		if w.s.FrameworkID() != "framework-1" {
			t.Errorf("the framework is %q", w.s.FrameworkID())
		}
		w.up()
	})
}

func TestStateOfANewerProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memory.New()
		defer func() { _ = db.Close() }()
		if _, err := db.Put(t.Context(), prefix+"header", `{"schema": 99}`, kv.Always(), 0); err != nil {
			t.Fatal(err)
		}
		m := newMachines(t, db)
		s := New(Config{}, store.New(db, prefix), m, agents{m}, slog.New(slog.DiscardHandler))
		if err := s.Run(t.Context()); !errors.Is(err, store.ErrSchema) {
			t.Errorf("got %v, want ErrSchema", err)
		}
	})
}
