package storm

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// script is the history in which a scheduler dies at every point: everything that is stored and asked for happens in it.
const script = `seed 1 hosts 5
+0s create pg 3
+0s create resident 2
+0s create web 2
+15s scale pg 4
+12s restart pg
+45s update web 1
+10s drain node1
+30s undrain node1
+10s kill resident 0 wipe
+20s scale pg 2
+25s delete resident wipe
+15s delete web
+10s kill pg 1
+20s delete pg wipe
+30s create pg 2
+20s wait
`

// fewestPoints is how many points there are at least.
const fewestPoints = 200

// TestCrashAtEveryPoint kills the scheduler before and after each write of the store and each request to the driver, nothing
// flushed, and lets another one go on. Whatever the point: no task is started twice on a volume, no volume is leaked or
// destroyed that should not be, no deployment and no confirmed change forgotten, and everything is as it was wanted.
func TestCrashAtEveryPoint(t *testing.T) {
	h, err := Parse(script)
	if err != nil {
		t.Fatal(err)
	}
	all := crashAt(t, h, 0)
	points := all.points
	if all.broken != nil || points < fewestPoints {
		t.Fatalf("without a crash: %d points, want %d; %v", points, fewestPoints, all.broken)
	}
	step := *every
	if testing.Short() {
		step = 30
	}
	tried := 0
	for n := 1; n <= points; n += step {
		tried++
		if out := crashAt(t, h, n); out.broken != nil {
			t.Errorf("crash at point %d of %d (%s): %v", n, points, out.at, out.broken)
		}
	}
	t.Logf("%d of %d points", tried, points)
}

// fate is what came of one crash.
type fate struct {
	points int
	at     string // the point of the crash
	broken *Violation
	unmet  bool // what was to go wrong there never did
}

// crashAt runs the history and kills the scheduler at one of its points, 0 for none.
func crashAt(t *testing.T, h History, point int) fate {
	t.Helper()
	var out fate
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, h.Seed)
		m := &mine{at: point}
		w := newWorld(t, h, mutant{
			driver: func(w *world, p port) driver.Driver { return &minedDriver{port: p, mine: m, world: w} },
			store:  func(w *world, s kv.Store) kv.Store { return &minedStore{Store: s, mine: m, world: w} },
		}, nil)
		defer w.close()
		w.between = func() {
			if m.took() {
				w.restart()
			}
		}
		w.history(h)
		out = fate{points: m.count, at: m.what, broken: w.broken}
	})
	return out
}

// mine goes off at the n-th point.
type mine struct {
	mu    sync.Mutex
	at    int
	count int
	what  string
	armed bool // it went off and the scheduler is not replaced yet
	// instead is what happens in place of the scheduler's death, nil for nothing.
	instead func(*world)
}

// step passes a point; it reports whether the scheduler dies there.
func (m *mine) step(w *world, format string, args ...any) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.armed {
		return true // the dead do nothing any more
	}
	m.count++
	if m.count != m.at {
		return false
	}
	m.what = fmt.Sprintf(format, args...)
	if m.instead != nil {
		m.instead(w)
		return false
	}
	m.armed = true
	w.life.cancel()
	return true
}

// took reports whether the mine went off, once.
func (m *mine) took() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.armed
	m.armed = false
	return was
}

type minedStore struct {
	kv.Store

	mine  *mine
	world *world
}

// Put dies before the write, or after it and before its answer.
func (s *minedStore) Put(ctx context.Context, key, value string, cond kv.Condition, lease kv.LeaseID) (kv.Version, error) {
	if s.mine.step(s.world, "before the write of %s", key) {
		return 0, kv.ErrUnavailable
	}
	v, err := s.Store.Put(ctx, key, value, cond, lease)
	if s.mine.step(s.world, "after the write of %s", key) {
		return 0, kv.ErrUnavailable
	}
	return v, err
}

// Delete does the same.
func (s *minedStore) Delete(ctx context.Context, key string, cond kv.Condition) error {
	if s.mine.step(s.world, "before the deletion of %s", key) {
		return kv.ErrUnavailable
	}
	err := s.Store.Delete(ctx, key, cond)
	if s.mine.step(s.world, "after the deletion of %s", key) {
		return kv.ErrUnavailable
	}
	return err
}

type minedDriver struct {
	port

	mine  *mine
	world *world
}

func (d *minedDriver) around(what string, do func() error) error {
	if d.mine.step(d.world, "before %s", what) {
		return driver.ErrUnavailable
	}
	err := do()
	if d.mine.step(d.world, "after %s", what) {
		return driver.ErrUnavailable
	}
	return err
}

// Subscribe implements driver.Driver.
func (d *minedDriver) Subscribe(ctx context.Context, framework string) (id string, err error) {
	err = d.around("subscribing", func() error {
		id, err = d.port.Subscribe(ctx, framework)
		return err
	})
	return id, err
}

// Launch implements driver.Driver.
func (d *minedDriver) Launch(ctx context.Context, s driver.Spec) error {
	return d.around(fmt.Sprintf("the launch of %s", s.Task), func() error { return d.port.Launch(ctx, s) })
}

// Kill implements driver.Driver.
func (d *minedDriver) Kill(ctx context.Context, task app.TaskID, grace time.Duration) error {
	return d.around(fmt.Sprintf("the kill of %s", task), func() error { return d.port.Kill(ctx, task, grace) })
}

// Reserve implements driver.Driver.
func (d *minedDriver) Reserve(ctx context.Context, r driver.Reservation) error {
	return d.around("the reservation of "+r.Volume, func() error { return d.port.Reserve(ctx, r) })
}

// Destroy implements driver.Driver.
func (d *minedDriver) Destroy(ctx context.Context, v driver.Volume) error {
	return d.around("the destruction of "+v.ID, func() error { return d.port.Destroy(ctx, v) })
}

// Ack implements driver.Driver.
func (d *minedDriver) Ack(ctx context.Context, s driver.Status) error {
	return d.around(fmt.Sprintf("the acknowledgement of %s of %s", s.State, s.Task), func() error { return d.port.Ack(ctx, s) })
}

// Reconcile implements driver.Driver.
func (d *minedDriver) Reconcile(ctx context.Context, known []driver.Known) error {
	return d.around("reconciling", func() error { return d.port.Reconcile(ctx, known) })
}
