package run

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

func TestClusterComesUp(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		events := w.s.Watch(t.Context())
		if d := w.put(cluster(3)); len(d.Steps) != 2 || !slices.Equal(d.AffectedApps, []app.ID{"/pg"}) {
			t.Errorf("the deployment is %+v", d)
		}
		w.pass(3 * time.Second)
		w.wantRunning("/pg", "node1", "node2", "node3")
		w.wantSettled()
		task := w.s.Tasks("/pg")[0]
		if !slices.Equal(task.Ports, []int{5432, 8008}) || task.IPAddresses[0].IPAddress == "" || task.StartedAt == 0 {
			t.Errorf("a task is shown as %+v", task)
		}
		var kinds []EventKind
		for len(events) > 0 {
			e := <-events
			kinds = append(kinds, e.Kind)
			if e.Kind == EventPlaced && e.Text == "" {
				t.Errorf("a place has no reason: %+v", e)
			}
		}
		for _, want := range []EventKind{EventDeployment, EventPlaced, EventRunning} {
			if !slices.Contains(kinds, want) {
				t.Errorf("no event %q among %v", want, kinds)
			}
		}
	})
}

func TestScaleDownSparesTheLeader(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.put(cluster(5))
		w.pass(3 * time.Second)
		w.wantRunning("/pg", "node1", "node2", "node3", "node4", "node5")
		w.m.lead("node5") // the youngest, Marathon's first victim
		w.put(cluster(3))
		w.pass(10 * time.Second)
		w.wantSettled()
		if w.m.leads() != "node5" || slices.Contains(w.m.killed(), "node5") {
			t.Errorf("node5 led, now %s leads; killed were %v", w.m.leads(), w.m.killed())
		}
		running := len(w.s.Tasks("/pg"))
		w.put(cluster(5))
		w.pass(5 * time.Second)
		w.wantRunning("/pg", "node1", "node2", "node3", "node4", "node5")
		if running != 3 || w.m.volumeCount() != 5 {
			t.Errorf("%d ran after the scale-down; there are %d volumes after the scale-up, want 5", running, w.m.volumeCount())
		}
	})
}

func TestTaskDiesAndComesBackToItsVolume(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		before := w.m.on("node1")
		w.m.die("node1")
		w.pass(500 * time.Millisecond)
		w.wantRunning("/pg", "node2", "node3")
		w.wantWait("launched again after a pause of 1s")
		w.pass(time.Second)
		w.wantRunning("/pg", "node1", "node2", "node3")
		after := w.m.on("node1")
		if after.Instance() != before.Instance() || after.Incarnation() != 2 {
			t.Errorf("%s came back as %s", before, after)
		}
	})
}

func TestHostIsLostAndComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		if err := w.s.KillHost(t.Context(), "node1"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Hour)
		w.wantRunning("/pg", "node2", "node3")
		if len(w.m.launched()) != 3 {
			t.Errorf("something was launched in place of an unreachable member: %v", w.m.launched())
		}
		if err := w.s.StartHost(t.Context(), "node1"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		w.wantRunning("/pg", "node1", "node2", "node3")
	})
}

func TestRefusedLaunch(t *testing.T) {
	inBubble(t, func(_ *testing.T, w *world) {
		w.m.with(func() { w.m.refuse = "no such image" })
		w.put(cluster(1))
		w.pass(20 * time.Second)
		w.wantRunning("/pg")
		w.wantWait("TASK_ERROR: task refused: no such image; failure")
		w.m.with(func() { w.m.refuse = "" })
		w.pass(20 * time.Second)
		w.wantRunning("/pg", "node1")
		w.wantSettled()
	})
}

// TestNoPlaceForAMember says: a cluster larger than the fleet waits with the reason for each host.
func TestNoPlaceForAMember(t *testing.T) {
	inBubble(t, func(_ *testing.T, w *world) {
		w.put(cluster(6))
		w.pass(time.Minute)
		w.wantRunning("/pg", "node1", "node2", "node3", "node4", "node5")
		w.wantWait("node3: another member of /pg has its place there")
	})
}

// TestUnknownIsNotDead says: a member that does not answer is neither chosen to be stopped nor forgotten about; who waits
// learns for whom.
func TestUnknownIsNotDead(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		quiet := w.m.on("node3").Instance()
		w.m.with(func() { w.m.silent[quiet] = true })
		w.put(cluster(2))
		w.pass(10 * time.Minute)
		w.wantWait("waiting for the role of " + string(quiet) + " (node3)")
		if len(w.m.killed()) > 0 {
			t.Errorf("stopped were %v", w.m.killed())
		}
		w.m.with(func() { w.m.silent[quiet] = false })
		w.pass(10 * time.Second)
		w.wantSettled()
	})
}

func TestPlainAppFromBirthToDeath(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.put(web(4))
		w.pass(2 * time.Second)
		w.wantRunning("/web", "node1", "node2", "node3", "node4")
		w.put(web(2))
		w.pass(2 * time.Second)
		w.wantSettled()
		next := web(2)
		next.Cmd = "serve better"
		w.put(next)
		w.pass(5 * time.Second)
		w.wantSettled()
		for _, task := range w.s.Tasks("/web") {
			if a, _ := w.s.App("/web"); task.Version != a.Version {
				t.Errorf("task %s still runs version %s", task.ID, task.Version)
			}
		}
		w.delete("/web")
		w.pass(5 * time.Second)
		w.wantSettled()
		if _, there := w.s.App("/web"); there || len(w.s.Tasks("/web")) > 0 {
			t.Errorf("something is left: %v", w.s.Tasks("/web"))
		}
		snapshot, err := w.db.List(t.Context(), prefix+"instances/")
		if err != nil || len(snapshot.Pairs) > 0 {
			t.Errorf("the store still holds %v, %v", snapshot.Pairs, err)
		}
	})
}

// TestFollowersOfEvents says: a watcher that does not read is cut off and holds nobody up; the others see its end.
func TestFollowersOfEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		slow := w.s.Watch(t.Context())
		w.m.with(func() { w.m.refuse = "never" })
		w.put(web(1))
		w.pass(1000 * time.Hour)
		n := 0
		for range slow {
			n++
		}
		if n != watcherBuffer {
			t.Errorf("the slow watcher got %d events before it was cut off", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		events := w.s.Watch(ctx)
		cancel()
		w.pass(0)
		if _, open := <-events; open {
			t.Error("a watcher whose context has ended still gets events")
		}
	})
}
