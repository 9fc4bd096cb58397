package run

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
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
