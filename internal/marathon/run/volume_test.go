package run

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// A volume was made on a host and nobody heard of it; the host is drained, so another one is chosen, and the request to
// destroy the first gets lost as well. It is found in the offers and given back before the instance gets one elsewhere.
func TestAVolumeMadeInVainIsGivenBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.m.with(func() { w.m.mute = 2 })
		w.put(cluster(1))
		w.pass(time.Second)
		first := slices.Collect(maps.Values(w.m.volumes))
		if len(first) != 1 {
			t.Fatalf("volumes are made on %v", first)
		}
		if err := w.s.Drain(t.Context(), first[0], true, "maintenance"); err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Minute)
		w.wantSettled()
		for volume, host := range w.m.volumes {
			if task := w.s.Tasks("/pg")[0]; host == first[0] || host != task.Host || app.InstanceID(volume) != task.ID.Instance() {
				t.Errorf("volume %s is on %s, the task on %s", volume, host, task.Host)
			}
		}
	})
}

// The refusal of a request that was repeated meanwhile says nothing about the one on its way now: a volume that comes of it
// finds its instance waiting on that host.
func TestALateRefusalIsNotForTheNextAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.m.with(func() { w.m.mute, w.m.unmade = 2, true }) // two requests get lost
		w.put(cluster(1))
		w.pass(time.Second)
		first := w.m.attempts()
		w.pass(25 * time.Second) // it is asked again
		again := w.m.attempts()
		if len(first) != 1 || len(again) != 2 || first[0].Host != again[1].Host {
			t.Fatalf("asked for %v, then for %v", first, again)
		}
		late := driver.Volume{ID: first[0].Volume, Host: first[0].Host}
		w.m.out <- driver.VolumeChanged{Volume: late, Why: "the first came to nothing", Attempt: first[0].Attempt}
		w.pass(5 * time.Second)
		if n := len(w.m.attempts()); n != 2 {
			t.Errorf("%d requests, the third while the second may still come to something", n)
		}
		w.m.with(func() { w.m.volumes[late.ID] = late.Host })
		w.m.out <- driver.VolumeChanged{Volume: late, There: true}
		w.pass(time.Second)
		w.wantRunning("/pg", late.Host)
	})
}

// The disk of a volume on its way is kept once: what is left of the host is for others.
func TestAVolumeOnItsWayIsKeptOnce(t *testing.T) {
	inBubble(t, func(_ *testing.T, w *world) {
		here := []app.Constraint{{Field: "hostname", Operator: app.OperatorCluster, Value: new("node1")}}
		w.m.with(func() { w.m.mute, w.m.unmade = 1, true })
		first := cluster(1)
		first.Constraints = here
		first.Container.Volumes = []app.Volume{{ContainerPath: "pgdata", Mode: "RW", Persistent: &app.PersistentVolume{Size: 60000}}}
		w.put(first)
		w.pass(time.Second)
		beside := web(1)
		beside.Constraints, beside.Disk = here, 39000 // of the 100000 there are
		w.put(beside)
		w.pass(5 * time.Second)
		w.wantRunning("/web", "node1")
	})
}
