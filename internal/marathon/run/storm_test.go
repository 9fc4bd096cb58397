package run

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// TestStorm lets tasks and hosts die, the store go away and lose answers, schedulers be replaced and people change their
// minds, all at random. The machines watch the order of things throughout; afterwards everybody gets what was asked for.
// The same seed brings the same trouble again.
func TestStorm(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { storm(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func storm(t *testing.T, r *rand.Rand) {
	root := memory.New()
	defer func() { _ = root.Close() }()
	w := &world{t: t, db: root.Client()}
	defer func() { _ = w.db.Close() }()
	w.m = newMachines(t, root)
	w.start()
	w.up()
	for range 60 {
		w.trouble(r)
		w.pass(time.Duration(r.IntN(3000)) * time.Millisecond)
	}
	w.db.Reconnect()
	for n := range 5 {
		if err := w.s.StartHost(t.Context(), fmt.Sprintf("node%d", n+1)); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(10 * time.Minute)
	w.wantSettled()
	a, _ := w.s.App("/pg")
	if got := len(w.s.Tasks("/pg")); got != a.Instances {
		t.Fatalf("%d members run, %d are wanted; waits: %v", got, a.Instances, w.s.Waits())
	}
	for _, task := range w.s.Tasks("/pg") {
		if task.Version < a.VersionInfo.LastConfigChangeAt {
			t.Errorf("task %s runs an outdated configuration", task.ID)
		}
	}
	if n := w.m.volumeCount(); n > 5 {
		t.Errorf("%d volumes were made on five hosts", n)
	}
	w.stop()
}

// trouble is one thing that goes wrong, or one thing that people do.
func (w *world) trouble(r *rand.Rand) {
	host := fmt.Sprintf("node%d", r.IntN(5)+1)
	switch r.IntN(12) {
	case 0, 1:
		if id, ok := w.m.running(host); ok {
			w.m.end(id, app.TaskFailed, "signal: killed")
		}
	case 2:
		_ = w.m.KillHost(w.t.Context(), host)
	case 3, 4:
		_ = w.m.StartHost(w.t.Context(), host)
	case 5:
		w.db.Disconnect()
	case 6:
		w.db.Reconnect()
	case 7:
		if id, ok := w.m.running(host); ok {
			w.db.LoseNextAnswer(prefix + "instances/" + string(id.Instance()))
		}
	case 8:
		w.restart()
	case 9, 10:
		if _, ok := w.m.running(host); ok { // a person asks the agents for a switchover
			w.m.lead(host)
		}
		instances, mem := r.IntN(5)+1, float64(r.IntN(2)+1)*512
		_, err := w.s.Apply(w.t.Context(), func(defs *app.Definitions) error {
			next := cluster(instances)
			next.Mem = mem
			defs.Apps["/pg"] = next.Revised(defs.Apps["/pg"], app.At(time.Now()))
			return nil
		}, app.ApplyOptions{Force: true})
		if err != nil && !errors.Is(err, app.ErrUnavailable) {
			w.t.Errorf("apply: %v", err)
		}
	}
}
