package acceptance_test

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/api/acceptance"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesosfleet"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// TestMesos holds the scheduler to everything over a Mesos master, the same machines being its agents.
func TestMesos(t *testing.T) {
	acceptance.Run(t, func(t *testing.T, test func(*testing.T, acceptance.Platform)) {
		synctest.Test(t, func(t *testing.T) {
			p, end := mesosPlatform(t)
			defer end()
			test(t, p)
		})
	})
}

// mesosPlatform is a scheduler over a master, with its API on pipes.
func mesosPlatform(t *testing.T) (p acceptance.Platform, end func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	root, secrets, l := memory.New(), t.TempDir(), listenPipes()
	db := root.Client()
	var s *run.Scheduler
	cluster := mesosfleet.New(t, mesosfleet.Config{
		Fleet: machines(t.Errorf), Listener: l, Apps: func(id app.ID) (app.App, bool) { return s.App(id) },
	})
	d, err := mesos.New(mesos.Config{Masters: []string{cluster.Master.Address()}, Dial: l.dial, Role: "shop", GPUs: true}, log)
	if err != nil {
		t.Fatal(err)
	}
	s = run.New(run.Config{Dial: cluster.Fleet.Dial, Secrets: secrets}, store.New(db, prefix), d, cluster.Fleet.Members(), log)
	p, stop := serve(t, s, nil)
	overFleet(&p, cluster.Fleet)
	p.KeepSecret = func(source, text string) { keep(t, secrets, source, text) }
	p.Lose, p.Find = cluster.Lose, cluster.Find
	return p, func() {
		stop()
		if err := errors.Join(d.Close(), db.Close(), root.Close()); err != nil {
			t.Error(err)
		}
		cluster.Close()
	}
}
