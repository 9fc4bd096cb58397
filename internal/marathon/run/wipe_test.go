package run

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// wipeAll deletes the cluster with its volumes.
func (w *world) wipeAll() error {
	_, err := w.s.Apply(w.t.Context(), func(defs *app.Definitions) error {
		delete(defs.Apps, "/pg")
		return nil
	}, app.ApplyOptions{Force: true, Wipe: true})
	return err
}

// A deletion that takes the volumes along either happened or did not, whichever of its writes gets no answer.
func TestADeletionThatWipesIsNeverHalfDone(t *testing.T) {
	for _, lost := range []string{"definitions", "instance"} {
		t.Run(lost, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.up()
				key := prefix + "definitions"
				if lost == "instance" {
					key = prefix + "instances/" + string(w.s.Tasks("/pg")[0].ID.Instance())
				}
				w.db.LoseNextAnswer(key)
				if err := w.wipeAll(); err != nil && !errors.Is(err, app.ErrUnavailable) {
					t.Fatal(err)
				}
				w.pass(3 * time.Minute)
				if _, there := w.s.App("/pg"); there {
					t.Error("the app is there although its deletion was stored")
				}
				if len(w.m.volumes) != 0 {
					t.Errorf("volumes are left: %v", slices.Sorted(maps.Keys(w.m.volumes)))
				}
			})
		})
	}
}

// A scheduler that dies after the deletion was stored leaves the rest to the next one.
func TestTheNextSchedulerFinishesADeletionThatWipes(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.db.LoseNextAnswer(prefix + "definitions")
		_ = w.wipeAll()
		w.restart()
		w.pass(3 * time.Minute)
		if len(w.m.volumes) != 0 || len(w.s.Tasks("/pg")) != 0 {
			t.Errorf("left are volumes %v and %d tasks", slices.Sorted(maps.Keys(w.m.volumes)), len(w.s.Tasks("/pg")))
		}
	})
}

// An app whose deletion could not be stored at all keeps everything.
func TestADeletionThatWasNotStoredWipesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		w.db.Disconnect()
		if err := w.wipeAll(); !errors.Is(err, app.ErrUnavailable) {
			t.Errorf("deleted without a store: %v", err)
		}
		w.db.Reconnect()
		w.pass(time.Minute)
		if tasks := w.s.Tasks("/pg"); len(tasks) != 3 || len(w.m.volumes) != 3 {
			t.Errorf("%d tasks, volumes %v", len(tasks), w.m.volumes)
		}
	})
}

// A deletion that is cancelled leaves every volume that nobody was asked to destroy, whichever write gets no answer. Where
// the cancel was not confirmed it has happened or it has not.
func TestACancelledDeletionLeavesTheVolumes(t *testing.T) {
	for _, lost := range []string{"nothing", "definitions", "instance"} {
		t.Run(lost, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.up()
				first := w.s.Tasks("/pg")[0].ID.Instance()
				if err := w.wipeAll(); err != nil {
					t.Fatal(err)
				}
				switch lost {
				case "definitions":
					w.db.LoseNextAnswer(prefix + "definitions")
				case "instance":
					w.db.LoseNextAnswer(prefix + "instances/" + string(first))
				}
				_, known, err := w.s.Cancel(t.Context(), w.s.Deployments()[0].ID, false)
				if !known && err == nil || err != nil && !errors.Is(err, app.ErrUnavailable) {
					t.Fatalf("cancel: %v, %v", known, err)
				}
				w.pass(3 * time.Minute)
				w.wantSettled()
				_, there := w.s.App("/pg")
				volumes, tasks := w.m.volumeCount(), len(w.s.Tasks("/pg"))
				if there && (volumes != 3 || tasks != 3 || w.m.leads() == "") || !there && (err == nil || volumes != 0) {
					t.Errorf("the app is there: %v (cancel: %v); %d volumes, %d tasks", there, err, volumes, tasks)
				}
			})
		})
	}
}

// A person wanted one member's volume destroyed before the app was deleted: that wish outlives the deletion that is taken
// back.
func TestACancelledDeletionKeepsTheWishesOfBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up()
		victim := w.s.Tasks("/pg")[2].ID
		if _, _, err := w.s.Kill(t.Context(), []app.TaskID{victim}, app.KillOptions{Wipe: true}); err != nil {
			t.Fatal(err)
		}
		if err := w.wipeAll(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.s.Cancel(t.Context(), w.s.Deployments()[0].ID, false); err != nil {
			t.Fatal(err)
		}
		w.pass(3 * time.Minute)
		w.wantSettled()
		for _, task := range w.s.Tasks("/pg") {
			if task.ID.Instance() == victim.Instance() {
				t.Errorf("%s was to be replaced", victim)
			}
		}
		if w.m.volumeCount() != 3 {
			t.Errorf("%d volumes", w.m.volumeCount())
		}
	})
}
