package run

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a scheduler over five machines in a bubble.
type world struct {
	t     *testing.T
	db    *memory.Store // the scheduler's client
	m     *machines
	s     *Scheduler
	end   context.CancelFunc
	ended chan error
	cfg   Config
}

// inBubble runs a test in a bubble, with a scheduler that runs.
func inBubble(t *testing.T, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		root := memory.New()
		defer func() { _ = root.Close() }()
		w := &world{t: t, db: root.Client()}
		defer func() { _ = w.db.Close() }()
		w.m = newMachines(t, root)
		w.start()
		test(t, w)
		w.stop()
	})
}

func (w *world) start() {
	w.s = New(w.cfg, store.New(w.db, prefix), w.m, agents{w.m}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(w.t.Context())
	w.end, w.ended = cancel, make(chan error, 1)
	go func() { w.ended <- w.s.Run(ctx) }()
	w.pass(0)
}

func (w *world) stop() {
	w.t.Helper()
	w.end()
	if err := <-w.ended; err != nil {
		w.t.Errorf("run: %v", err)
	}
}

// restart is another scheduler over the same store and machines.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.m.open()
	w.start()
}

// pass lets time pass and everything happen.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// cluster is a PostgreSQL app.
func cluster(instances int) app.App {
	zero := 0
	return app.App{
		ID: "/pg", CPUs: 1, Mem: 1024, Instances: instances, BackoffSeconds: 1, BackoffFactor: 1.15, MaxLaunchDelaySeconds: 300,
		Networks: []app.Network{{Mode: app.NetworkBridge}}, KillSelection: app.YoungestFirst,
		Container: &app.Container{Docker: &app.Docker{Image: "patroni:latest"}, PortMappings: []app.PortMapping{
			{ContainerPort: 5432, HostPort: &zero, ServicePort: 10000}, {ContainerPort: 8008, HostPort: &zero, ServicePort: 10001},
		}},
	}
}

// web is a plain app.
func web(instances int) app.App {
	return app.App{
		ID: "/web", CPUs: 0.1, Mem: 64, Instances: instances, Cmd: "serve", BackoffSeconds: 1, BackoffFactor: 2, MaxLaunchDelaySeconds: 300,
		UpgradeStrategy: app.UpgradeStrategy{MinimumHealthCapacity: 1, MaximumOverCapacity: 1},
		PortDefinitions: []app.PortDefinition{{Protocol: "tcp"}},
	}
}

// put makes a the definition of its app.
func (w *world) put(a app.App) app.Deployment {
	w.t.Helper()
	return w.change(a, app.ApplyOptions{})
}

// force does so over a deployment that is under way.
func (w *world) force(a app.App) app.Deployment {
	w.t.Helper()
	return w.change(a, app.ApplyOptions{Force: true})
}

func (w *world) change(a app.App, o app.ApplyOptions) app.Deployment {
	w.t.Helper()
	d, err := w.s.Apply(w.t.Context(), func(defs *app.Definitions) error {
		now := app.At(time.Now())
		if old, there := defs.Apps[a.ID]; there {
			defs.Apps[a.ID] = a.Revised(old, now)
			return nil
		}
		defs.Apps[a.ID] = a.Created(now)
		return nil
	}, o)
	if err != nil {
		w.t.Fatalf("apply: %v", err)
	}
	return d
}

func (w *world) delete(id app.ID) {
	w.t.Helper()
	_, err := w.s.Apply(w.t.Context(), func(defs *app.Definitions) error { delete(defs.Apps, id); return nil }, app.ApplyOptions{Force: true})
	if err != nil {
		w.t.Fatalf("delete: %v", err)
	}
}

// up brings up a cluster of three, led from node1.
func (w *world) up() {
	w.t.Helper()
	w.put(cluster(3))
	w.pass(3 * time.Second)
	w.m.lead("node1") // whoever was launched first
	w.pass(2 * time.Second)
	w.wantRunning("/pg", "node1", "node2", "node3")
	w.wantSettled()
}

// wantRunning holds the hosts of an app's running tasks against those that should be.
func (w *world) wantRunning(id app.ID, hosts ...string) {
	w.t.Helper()
	var got []string
	for _, task := range w.s.Tasks(id) {
		if task.State == app.TaskRunning {
			got = append(got, task.Host)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, hosts) {
		w.t.Fatalf("%s runs on %v, want %v; waits: %v", id, got, hosts, w.s.Waits())
	}
}

func (w *world) wantSettled() {
	w.t.Helper()
	if d := w.s.Deployments(); len(d) > 0 {
		w.t.Fatalf("deployments still run: %+v; waits: %v", d, w.s.Waits())
	}
}

func (w *world) wantWait(words string) {
	w.t.Helper()
	for _, wait := range w.s.Waits() {
		if strings.Contains(wait.Why, words) {
			return
		}
	}
	w.t.Errorf("nothing says %q, but %v", words, w.s.Waits())
}
