package run

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

func TestNewConfigurationRollsLeaderLast(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		next := cluster(3)
		next.Env = map[string]app.EnvValue{"A": {Text: "b"}}
		w.put(next)
		w.pass(time.Minute)
		w.wantRunning("/pg", "node1", "node2", "node3")
		w.wantSettled()
		if len(w.m.killed()) != 3 || w.m.killed()[2] != "node1" || w.m.leads() == "node1" {
			t.Errorf("killed in the order %v, %s leads now; want the old leader on node1 last", w.m.killed(), w.m.leads())
		}
		for _, task := range w.s.Tasks("/pg") {
			if task.ID.Incarnation() != 2 {
				t.Errorf("task %s was not restarted", task.ID)
			}
		}
	})
}

// TestRollStopsAtAMemberThatDoesNotStream says: a configuration with which no replica comes back costs one replica.
func TestRollStopsAtAMemberThatDoesNotStream(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.m.with(func() { w.m.broken = 2 })
		next := cluster(3)
		next.CPUs = 2
		w.put(next)
		w.pass(time.Minute)
		w.wantWait("stream")
		if len(w.m.killed()) != 1 || w.m.leads() != "node1" {
			t.Errorf("killed were %v, %s leads", w.m.killed(), w.m.leads())
		}
		w.m.with(func() { w.m.broken = 0 })
		w.pass(time.Minute)
		w.wantSettled()
	})
}

// TestDeletedClusterKeepsItsData says: a deletion stops the replicas first and the leader last and touches no volume; the
// same app posted again finds them, old leader first.
func TestDeletedClusterKeepsItsData(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.m.lead("node2")
		w.delete("/pg")
		w.pass(10 * time.Second)
		w.wantRunning("/pg")
		w.wantSettled()
		if len(w.m.killed()) != 3 || w.m.killed()[2] != "node2" {
			t.Errorf("stopped in the order %v, node2 led", w.m.killed())
		}
		w.m.with(func() { w.m.launches = nil })
		w.put(cluster(3))
		w.pass(5 * time.Second)
		w.wantRunning("/pg", "node1", "node2", "node3")
		if w.m.volumeCount() != 3 || w.m.launched()[0] != "node2 2" {
			t.Errorf("%d volumes, launched in the order %v", w.m.volumeCount(), w.m.launched())
		}
	})
}

func TestStopAllAndStartAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.put(web(2))
		w.pass(5 * time.Second)
		w.m.lead("node3")
		var told []EventKind
		if err := w.s.StopAll(t.Context(), func(e Event) { told = append(told, e.Kind) }); err != nil {
			t.Fatal(err)
		}
		w.wantRunning("/pg")
		w.wantRunning("/web")
		if n := len(w.m.killed()); n != 5 || w.m.killed()[n-1] != "node3" {
			t.Errorf("stopped in the order %v, node3 led", w.m.killed())
		}
		if !slices.Contains(told, EventStopping) || !slices.Contains(told, EventEnded) {
			t.Errorf("the progress was %v", told)
		}
		w.pass(time.Minute)
		w.wantRunning("/pg")
		w.m.with(func() { w.m.launches = nil })
		w.restart()
		w.pass(5 * time.Second)
		w.wantRunning("/pg", "node1", "node2", "node3")
		if w.m.launched()[0] != "node3 2" {
			t.Errorf("launched in the order %v, node3 led", w.m.launched())
		}
	})
}

func TestStopAllInTime(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.m.with(func() { w.m.stopTakes = time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := w.s.StopAll(ctx, nil)
		if err == nil || !strings.Contains(err.Error(), "3 tasks still run") {
			t.Errorf("got %v", err)
		}
		w.pass(3 * time.Hour)
	})
}

func TestOneDeploymentAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.m.with(func() { w.m.refuse = "not yet" })
		first := w.put(cluster(3))
		scale := func(defs *app.Definitions) error {
			next := cluster(4)
			defs.Apps["/pg"] = next.Revised(defs.Apps["/pg"], app.At(time.Now()))
			return nil
		}
		_, err := w.s.Apply(t.Context(), scale, app.ApplyOptions{})
		locked, ok := errors.AsType[*app.LockedError](err)
		if !ok || !slices.Equal(locked.Deployments, []string{first.ID}) {
			t.Fatalf("got %v, want a lock by %s", err, first.ID)
		}
		second, err := w.s.Apply(t.Context(), scale, app.ApplyOptions{Force: true})
		if err != nil {
			t.Fatal(err)
		}
		if d := w.s.Deployments(); len(d) != 1 || d[0].ID != second.ID {
			t.Errorf("deployments %+v, want only the second", d)
		}
		w.put(web(1)) // another app is not concerned
		w.m.with(func() { w.m.refuse = "" })
		w.pass(time.Minute)
		w.wantSettled()
		w.wantRunning("/pg", "node1", "node2", "node3", "node4")
	})
}

func TestChangeThatChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		d := w.put(cluster(3))
		if len(d.Steps) != 0 || len(w.s.Deployments()) != 0 || d.ID == "" {
			t.Errorf("the same definition again is deployed with %+v", d)
		}
		refused := errors.New("refused")
		_, err := w.s.Apply(t.Context(), func(defs *app.Definitions) error { clear(defs.Apps); return refused }, app.ApplyOptions{})
		if !errors.Is(err, refused) || len(w.s.Apps()) != 1 {
			t.Errorf("a refused change: %v, %d apps left", err, len(w.s.Apps()))
		}
	})
}

func TestCancelLeadsBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.m.with(func() { w.m.refuse = "not yet" })
		d := w.put(cluster(5))
		w.pass(time.Second)
		w.m.with(func() { w.m.refuse = "" })
		back, known, err := w.s.Cancel(t.Context(), d.ID, false)
		if err != nil || !known || back.ID == d.ID {
			t.Fatalf("cancel: %+v, %v, %v", back, known, err)
		}
		w.pass(time.Minute)
		w.wantSettled()
		if a, _ := w.s.App("/pg"); a.Instances != 3 || len(w.s.Tasks("/pg")) != 3 {
			t.Errorf("%d instances are wanted, %d run", a.Instances, len(w.s.Tasks("/pg")))
		}
		if _, known, err := w.s.Cancel(t.Context(), "nothing", false); known || err != nil {
			t.Errorf("cancel of nothing: %v, %v", known, err)
		}
	})
}

// TestCancelSparesWhatHasNotMoved says: members that still run the restored configuration are not restarted.
func TestCancelSparesWhatHasNotMoved(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		next := cluster(3)
		next.Env = map[string]app.EnvValue{"A": {Text: "b"}}
		d := w.put(next)
		if _, _, err := w.s.Cancel(t.Context(), d.ID, false); err != nil {
			t.Fatal(err)
		}
		moved := len(w.m.killed())
		w.pass(10 * time.Minute)
		w.wantSettled()
		if slices.Contains(w.m.killed(), "node1") {
			t.Errorf("the leader on node1 never had another configuration and was stopped: %v, %d of them before", w.m.killed(), moved)
		}
	})
}

// bounce restarts all tasks of an app as POST …/restart does.
func (w *world) bounce(id app.ID) app.Deployment {
	w.t.Helper()
	d, err := w.s.Apply(w.t.Context(), func(defs *app.Definitions) error {
		a := defs.Apps[id]
		a.Version = max(app.At(time.Now()), a.Version+1)
		a.VersionInfo.LastConfigChangeAt = a.Version
		defs.Apps[id] = a
		return nil
	}, app.ApplyOptions{})
	if err != nil {
		w.t.Fatalf("restart: %v", err)
	}
	return d
}

// TestCancelStopsARestart says: a restart that is cancelled ends with the member that is being restarted. The configuration
// is the same before and after, so nobody is restarted on the way back.
func TestCancelStopsARestart(t *testing.T) {
	for name, members := range map[string]int{"as it begins": 0, "with the first": 1, "with the second": 2} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.up()
				w.m.with(func() { w.m.stubborn = true })
				d := w.bounce("/pg")
				for len(w.m.killed()) < members {
					w.pass(100 * time.Millisecond)
				}
				moved := len(w.m.killed())
				back, known, err := w.s.Cancel(t.Context(), d.ID, false)
				if err != nil || !known || back.ID == d.ID || len(back.Steps) == 0 {
					t.Fatalf("cancel: %+v, %v, %v", back, known, err)
				}
				w.m.with(func() { w.m.stubborn = false })
				w.pass(10 * time.Minute)
				w.wantSettled()
				w.wantRunning("/pg", "node1", "node2", "node3")
				if len(w.m.killed()) != moved || moved > 2 || w.m.leads() != "node1" {
					t.Errorf("stopped were %v, %d before the cancel; %s leads", w.m.killed(), moved, w.m.leads())
				}
			})
		})
	}
}

// TestCancelOfARestartGoesOnWithWhatItTookOver says: a restart that took the place of an unfinished change is cancelled;
// the change is still wanted.
func TestCancelOfARestartGoesOnWithWhatItTookOver(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		next := cluster(3)
		next.Mem = 2048
		w.put(next)
		d, err := w.s.Apply(t.Context(), func(defs *app.Definitions) error {
			a := defs.Apps["/pg"]
			a.Version++
			a.VersionInfo.LastConfigChangeAt = a.Version
			defs.Apps["/pg"] = a
			return nil
		}, app.ApplyOptions{Force: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.s.Cancel(t.Context(), d.ID, false); err != nil {
			t.Fatal(err)
		}
		w.pass(10 * time.Minute)
		w.wantSettled()
		if len(w.m.killed()) != 3 {
			t.Errorf("restarted were %v, all have to take up the change", w.m.killed())
		}
	})
}

// TestCancelStopsARestartOfAPlainApp says the same of an app whose tasks are replaced by new ones.
func TestCancelStopsARestartOfAPlainApp(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		slow := web(3)
		slow.UpgradeStrategy.MaximumOverCapacity = 0.34 // one at a time
		w.put(slow)
		w.pass(5 * time.Second)
		before := taskIDs(w.s.Tasks("/web"))
		d := w.bounce("/web")
		w.pass(100 * time.Millisecond)
		if _, _, err := w.s.Cancel(t.Context(), d.ID, false); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.wantSettled()
		after := taskIDs(w.s.Tasks("/web"))
		moved := slices.DeleteFunc(slices.Clone(after), func(id app.TaskID) bool { return slices.Contains(before, id) })
		if len(after) != 3 || len(moved) != 1 {
			t.Errorf("tasks were %v and are %v; one was being replaced", before, after)
		}
	})
}

func taskIDs(tasks []app.Task) []app.TaskID {
	var ids []app.TaskID
	for _, task := range tasks {
		ids = append(ids, task.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestCancelByForceLeavesThingsAsTheyAre(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		next := cluster(3)
		next.Mem = 2048
		d := w.put(next)
		if _, known, err := w.s.Cancel(t.Context(), d.ID, true); !known || err != nil {
			t.Fatalf("cancel: %v, %v", known, err)
		}
		w.pass(time.Minute)
		w.wantSettled()
		if len(w.m.killed()) > 1 {
			t.Errorf("the roll went on: %v", w.m.killed())
		}
	})
}

// TestRefusedSwitchover says: the leader is not restarted before the agents have agreed on another.
func TestRefusedSwitchover(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.m.with(func() { w.m.stubborn = true })
		next := cluster(3)
		next.Env = map[string]app.EnvValue{"A": {Text: "b"}}
		w.put(next)
		w.pass(10 * time.Minute)
		w.wantWait("the switchover was refused and is tried again: candidate is lagging")
		if slices.Contains(w.m.killed(), "node1") {
			t.Errorf("the leader on node1 was stopped: %v", w.m.killed())
		}
		w.m.with(func() { w.m.stubborn = false })
		w.pass(time.Minute)
		w.wantSettled()
	})
}

// TestNewerDeploymentFinishesTheRestart says: who scales by force in the middle of a restart does not end up with members
// of two configurations.
func TestNewerDeploymentFinishesTheRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		next := cluster(3)
		next.CPUs = 2
		w.put(next)
		w.pass(100 * time.Millisecond)
		_, err := w.s.Apply(t.Context(), func(defs *app.Definitions) error {
			more := next.Clone()
			more.Instances = 4
			defs.Apps["/pg"] = more.Revised(defs.Apps["/pg"], app.At(time.Now()))
			return nil
		}, app.ApplyOptions{Force: true})
		if err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.wantSettled()
		w.wantRunning("/pg", "node1", "node2", "node3", "node4")
		a, _ := w.s.App("/pg")
		for _, task := range w.s.Tasks("/pg") {
			if task.Version < a.VersionInfo.LastConfigChangeAt {
				t.Errorf("task %s on %s runs the old configuration", task.ID, task.Host)
			}
		}
	})
}
