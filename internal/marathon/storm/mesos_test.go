package storm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesosfleet"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/simulated"
)

// TestMesosCrashAtEveryPoint kills the scheduler before and after each write of the store and each request to the Mesos
// driver, the machines being agents of a master, and lets another one go on: the rules of TestCrashAtEveryPoint hold, and
// nothing stays reserved for a volume that is not there.
func TestMesosCrashAtEveryPoint(t *testing.T) {
	throughMesos(t, nil, 2**every)
}

// TestMesosFaultAtEveryPoint lets something go wrong between the scheduler and Mesos at each of these points.
func TestMesosFaultAtEveryPoint(t *testing.T) {
	for _, fault := range []struct {
		name   string
		strike func(*world, *mesosfleet.Cluster)
	}{
		{"another master leads", func(_ *world, c *mesosfleet.Cluster) { c.Master.Failover(2 * time.Second) }},
		{"another master leads, and the former one names it", func(_ *world, c *mesosfleet.Cluster) {
			c.Master.Follow("127.0.0.2:5050")
			c.Master.Failover(2 * time.Second)
		}},
		{"another scheduler takes the framework over", (*world).usurp},
		{"statuses come again", func(_ *world, c *mesosfleet.Cluster) { c.Master.Repeat() }},
		{"the answer to an ACCEPT gets lost", func(_ *world, c *mesosfleet.Cluster) { c.Master.LoseAnswers(wire.CallAccept, 1) }},
		{"an ACCEPT gets lost", func(_ *world, c *mesosfleet.Cluster) { c.Master.LoseCalls(wire.CallAccept, 1) }},
		{"a KILL and an ACKNOWLEDGE get lost", func(_ *world, c *mesosfleet.Cluster) {
			c.Master.LoseCalls(wire.CallKill, 1)
			c.Master.LoseCalls(wire.CallAcknowledge, 2)
		}},
		{"answers are slow", func(_ *world, c *mesosfleet.Cluster) {
			c.Master.Slow(4 * time.Second)
			time.AfterFunc(30*time.Second, func() { c.Master.Slow(0) })
		}},
		{"answers come after the timeout", func(_ *world, c *mesosfleet.Cluster) {
			c.Master.Slow(12 * time.Second)
			time.AfterFunc(40*time.Second, func() { c.Master.Slow(0) })
		}},
		{"the master knows the subscription no more", func(_ *world, c *mesosfleet.Cluster) { c.Master.Estrange() }},
		{"the event stream breaks in the middle of an event", func(_ *world, c *mesosfleet.Cluster) { c.Master.HangUp(true) }},
		{"the event stream falls silent", func(_ *world, c *mesosfleet.Cluster) { c.Master.Hush(2 * time.Minute) }},
		{"offers are taken back before they are used", func(_ *world, c *mesosfleet.Cluster) { c.Master.Withdraw(3) }},
		{"an agent is restarted", func(_ *world, c *mesosfleet.Cluster) { c.Master.Restart("node2", 20*time.Second) }},
		{"a host reboots and its agent has another id", func(_ *world, c *mesosfleet.Cluster) { c.Reboot("node2") }},
		{"a host is out of reach", func(_ *world, c *mesosfleet.Cluster) {
			c.Lose("node2")
			time.AfterFunc(20*time.Second, func() { c.Find("node2") })
		}},
	} {
		t.Run(fault.name, func(t *testing.T) { throughMesos(t, fault.strike, 10**every) })
	}
}

// throughMesos runs the script over Mesos, again for each step-th point with something that happens there: the death of the
// scheduler for nil.
func throughMesos(t *testing.T, strike func(*world, *mesosfleet.Cluster), step int) {
	t.Helper()
	h, err := Parse(script)
	if err != nil {
		t.Fatal(err)
	}
	all := struckAt(t, h, 0, nil)
	if all.broken != nil || all.points < fewestPoints {
		t.Fatalf("nothing goes wrong: %d points, want %d; %v", all.points, fewestPoints, all.broken)
	}
	if testing.Short() {
		step = 30
	}
	tried, unmet := 0, 0
	for n := 1; n <= all.points; n += step {
		tried++
		out := struckAt(t, h, n, strike)
		if out.broken != nil {
			t.Errorf("point %d of %d (%s): %v", n, all.points, out.at, out.broken)
		}
		if out.unmet {
			unmet++
		}
	}
	t.Logf("%d of %d points, %d of them in vain", tried, all.points, unmet)
	if 2*unmet > tried {
		t.Error("most of the time nothing met what was prepared")
	}
}

// struckAt runs the history over Mesos, and lets something happen at one of its points.
func struckAt(t *testing.T, h History, point int, strike func(*world, *mesosfleet.Cluster)) fate {
	t.Helper()
	var out fate
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, h.Seed)
		var cluster *mesosfleet.Cluster
		m := &mine{at: point}
		if strike != nil {
			m.instead = func(w *world) { strike(w, cluster) }
		}
		w := newWorld(t, h, mutant{
			driver: func(w *world, p port) driver.Driver { return &minedDriver{port: p, mine: m, world: w} },
			store:  func(w *world, s kv.Store) kv.Store { return &minedStore{Store: s, mine: m, world: w} },
			below:  func(w *world, cfg simulated.Config) below { return onMesos(w, cfg, &cluster) },
		}, nil)
		defer w.close()
		w.between = func() {
			if m.took() || len(w.life.ended) > 0 {
				w.restart()
			}
		}
		w.history(h)
		if w.broken == nil {
			w.checkKept(cluster)
		}
		out = fate{points: m.count, at: m.what, broken: w.broken, unmet: cluster.Master.Unmet() > 0}
	})
	return out
}

// usurp subscribes as the framework of the scheduler, who is told to stop; its successor takes the framework back.
func (w *world) usurp(c *mesosfleet.Cluster) {
	id := c.Master.Framework()
	if id == "" {
		return
	}
	other := w.below.open()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	go func() {
		for range other.Events() {
		}
		cancel() // it was told to stop itself
	}()
	go func() {
		_, _ = other.Subscribe(ctx, id)
		<-ctx.Done()
		_ = other.Close()
	}()
}

// checkKept looks that nothing is reserved but for volumes that are there.
func (w *world) checkKept(c *mesosfleet.Cluster) {
	there := w.fleet.Volumes()
	for n := range w.hosts {
		host := fmt.Sprintf("node%d", n+1)
		for _, r := range c.Master.Kept(host) {
			for _, l := range r.Reservations[len(r.Reservations)-1].Labels.Labels {
				if l.Key == "pgbaton_volume" && !slices.Contains(there, driver.Volume{ID: l.Value, Host: host}) {
					w.violate("no reservation is leaked", "%s of %s is kept for volume %s, which is not there", r.Name, host, l.Value)
				}
			}
		}
	}
}

// onMesos are the machines as agents of a master.
func onMesos(w *world, cfg simulated.Config, cluster **mesosfleet.Cluster) below {
	apps := &launched{known: map[app.ID]app.App{}}
	pipes := mesostest.NewPipes()
	c := mesosfleet.New(w.t, mesosfleet.Config{Fleet: cfg, Apps: apps.find, Listener: pipes})
	*cluster = c
	open := func() port {
		d, err := mesos.New(mesos.Config{Masters: []string{c.Master.Address()}, Dial: pipes.Dial, Role: "storm"}, slog.New(slog.DiscardHandler))
		if err != nil {
			panic(err) // it says what is missing
		}
		return &framework{Driver: d, Switchable: c.Fleet.Open(), apps: apps}
	}
	return below{fleet: c.Fleet, open: open, end: c.Close}
}

// framework is the Mesos driver in this world: hosts are switched at the machines, and definitions are noted for them.
type framework struct {
	driver.Driver
	driver.Switchable

	apps *launched
}

// Launch implements driver.Driver.
func (f *framework) Launch(ctx context.Context, s driver.Spec) error {
	f.apps.note(s.App)
	return f.Driver.Launch(ctx, s)
}

// Reserve implements driver.Driver.
func (f *framework) Reserve(ctx context.Context, r driver.Reservation) error {
	f.apps.note(r.App)
	return f.Driver.Reserve(ctx, r)
}

// Close implements driver.Driver.
func (f *framework) Close() error {
	machines, ok := f.Switchable.(*simulated.Driver)
	if !ok {
		return errors.New("the hosts are not those of the machines")
	}
	return errors.Join(f.Driver.Close(), machines.Close())
}

// launched are the definitions that tasks were last asked for with. A master is not told all of them.
type launched struct {
	mu    sync.Mutex
	known map[app.ID]app.App
}

func (d *launched) note(a app.App) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[a.ID] = a
}

func (d *launched) find(id app.ID) (app.App, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, known := d.known[id]
	return a, known
}
