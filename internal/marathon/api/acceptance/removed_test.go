package acceptance_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesosfleet"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// TestMesosFrameworkRemoved says: when Mesos has removed the framework, a scheduler ends and touches nothing. One that is told
// of just that framework becomes another one, and each member returns to its volume; so does what comes after it.
func TestMesosFrameworkRemoved(t *testing.T) {
	withSchedulers(t, func(t *testing.T, r *removed) {
		r.putDatabase()
		before := r.members(time.Minute)
		old := r.sched.FrameworkID()
		r.removing.Store(true) // Mesos knows no leader
		r.cluster.Master.Remove(old)
		if err := <-r.ended; err == nil {
			t.Error("a scheduler that Mesos has removed ends without a word")
		}
		time.Sleep(time.Second)
		r.removing.Store(false)

		for _, told := range []string{"", "another"} {
			r.start(told)
			if err := <-r.ended; !errors.Is(err, driver.ErrForeign) {
				t.Errorf("told of %q it ends with %v, want ErrForeign", told, err)
			}
		}
		r.start(old)
		if diff := cmp.Diff(before, r.members(2*time.Minute)); diff != "" {
			t.Errorf("members and their hosts: %s", diff)
		}
		if r.sched.FrameworkID() == old {
			t.Error("it is the same framework")
		}
		r.stop()
		r.start("") // whoever comes next need not be told
		if _, _, err := r.sched.Kill(t.Context(), []app.TaskID{r.sched.Tasks("/db")[0].ID}, app.KillOptions{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, r.members(2*time.Minute)); diff != "" {
			t.Errorf("members and their hosts: %s", diff)
		}
		r.stop()
	})
}

// TestMesosMemoryLost says: a scheduler whose store is empty and that is told which framework it was goes on as that, and leaves
// alone what runs. When Mesos has removed it, the volumes of a database are adopted, and its members return to them; one that
// was told nothing sees them and cannot.
func TestMesosMemoryLost(t *testing.T) {
	withSchedulers(t, func(t *testing.T, r *removed) {
		r.putDatabase()
		before, old := r.members(time.Minute), r.sched.FrameworkID()
		r.stop()

		r.forget()
		r.start(old)
		if id := r.sched.FrameworkID(); id != old {
			t.Errorf("it is framework %s, not %s", id, old)
		}
		time.Sleep(10 * time.Minute)
		if _, err := r.sched.AdoptVolumes(t.Context(), "/db"); !errors.Is(err, app.ErrNoVolume) {
			t.Errorf("volumes in use: got %v, want ErrNoVolume", err)
		}
		r.removing.Store(true)
		r.cluster.Master.Remove(old)
		if err := <-r.ended; err == nil {
			t.Error("a scheduler that Mesos has removed ends without a word")
		}
		time.Sleep(time.Second)
		r.removing.Store(false)

		r.forget()
		r.start("")
		r.wantStrays(before, old)
		if _, err := r.sched.AdoptVolumes(t.Context(), "/db"); !errors.Is(err, app.ErrNoVolume) {
			t.Errorf("volumes of another framework: got %v, want ErrNoVolume", err)
		}
		r.stop()

		r.forget()
		r.start(old)
		r.wantStrays(before, "")
		if list, err := r.sched.AdoptVolumes(t.Context(), "/db"); err != nil || len(list) != 3 {
			t.Errorf("adopted: %v, %v", list, err)
		}
		if _, err := r.sched.AdoptVolumes(t.Context(), "/db"); !errors.Is(err, app.ErrNotStray) {
			t.Errorf("once more: got %v, want ErrNotStray", err)
		}
		r.putDatabase()
		if diff := cmp.Diff(before, r.members(2*time.Minute)); diff != "" {
			t.Errorf("members and their hosts: %s", diff)
		}
		r.stop()
	})
}

// forget takes everything from the store.
func (r *removed) forget() {
	r.t.Helper()
	if err := errors.Join(r.db.Close(), r.root.Close()); err != nil {
		r.t.Fatal(err)
	}
	r.root = memory.New()
	r.db = r.root.Client()
}

// wantStrays holds the stray volumes against the members whose they were, of another framework or of this one.
func (r *removed) wantStrays(members map[string]string, framework string) {
	r.t.Helper()
	var want []app.StrayVolume
	for id, host := range members {
		want = append(want, app.StrayVolume{ID: id, Host: host, App: "/db", Framework: framework})
	}
	slices.SortFunc(want, func(a, b app.StrayVolume) int { return strings.Compare(a.Host, b.Host) })
	got, err := r.sched.StrayVolumes(r.t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		r.t.Errorf("stray volumes: %v %s", err, diff)
	}
}

// putDatabase asks for a database of three members.
func (r *removed) putDatabase() { r.put(fewMembers()) }

func fewMembers() app.App {
	zero := 0
	return app.App{
		ID: "/db", CPUs: 1, Mem: 1024, Instances: 3, BackoffSeconds: 1, BackoffFactor: 1.15, MaxLaunchDelaySeconds: 300,
		Networks: []app.Network{{Mode: app.NetworkBridge}}, KillSelection: app.YoungestFirst,
		Container: &app.Container{Docker: &app.Docker{Image: "patroni:latest"}, PortMappings: []app.PortMapping{
			{ContainerPort: 5432, HostPort: &zero, ServicePort: 10000}, {ContainerPort: 8008, HostPort: &zero, ServicePort: 10001},
		}},
	}
}

func (r *removed) put(a app.App) {
	r.t.Helper()
	a.Version = app.At(time.Now())
	a.VersionInfo.LastConfigChangeAt = a.Version
	_, err := r.sched.Apply(r.t.Context(), func(defs *app.Definitions) error {
		defs.Apps[a.ID] = a
		return nil
	}, app.ApplyOptions{Force: true})
	if err != nil {
		r.t.Fatal(err)
	}
}

// withSchedulers runs a test over a cluster whose first scheduler runs.
func withSchedulers(t *testing.T, test func(*testing.T, *removed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRemoved(t)
		defer r.close()
		r.start("")
		test(t, r)
	})
}

// removed is a Mesos cluster with schedulers that come and go.
type removed struct {
	t       *testing.T
	root    *memory.Store
	db      kv.Store
	pipes   *pipes
	cluster *mesosfleet.Cluster
	sched   *run.Scheduler
	driver  *mesos.Driver
	cancel  context.CancelFunc
	ended   chan error
	// removing: tasks are ended by somebody who keeps no rules.
	removing atomic.Bool
}

func newRemoved(t *testing.T) *removed {
	t.Helper()
	r := &removed{t: t, root: memory.New(), pipes: listenPipes()}
	r.db = r.root.Client()
	r.cluster = mesosfleet.New(t, mesosfleet.Config{
		Fleet: machines(r.broken), Listener: r.pipes, Apps: func(id app.ID) (app.App, bool) { return r.sched.App(id) },
	})
	return r
}

func (r *removed) broken(format string, args ...any) {
	if !r.removing.Load() {
		r.t.Errorf(format, args...)
	}
}

func (r *removed) close() {
	if err := errors.Join(r.db.Close(), r.root.Close()); err != nil {
		r.t.Error(err)
	}
	r.cluster.Close()
}

// start runs another scheduler, which is told of a framework that was removed.
func (r *removed) start(told string) {
	r.t.Helper()
	log := slog.New(slog.DiscardHandler)
	var err error
	r.driver, err = mesos.New(mesos.Config{Masters: []string{r.cluster.Master.Address()}, Dial: r.pipes.dial, Role: "shop"}, log)
	if err != nil {
		r.t.Fatal(err)
	}
	r.sched = run.New(run.Config{Dial: r.cluster.Fleet.Dial, Framework: told}, store.New(r.db, prefix), r.driver, r.cluster.Fleet.Members(), log)
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel, r.ended = cancel, make(chan error, 1)
	d := r.driver
	go func(s *run.Scheduler) {
		err := s.Run(ctx)
		r.ended <- errors.Join(err, d.Close())
	}(r.sched)
	time.Sleep(time.Second)
	synctest.Wait()
}

func (r *removed) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
}

// members are the instances that run after a while, with their hosts.
func (r *removed) members(after time.Duration) map[string]string {
	r.t.Helper()
	time.Sleep(after)
	synctest.Wait()
	found := map[string]string{}
	for _, task := range r.sched.Tasks("/db") {
		if task.State == app.TaskRunning {
			found[string(task.ID.Instance())] = task.Host
		}
	}
	if len(found) != 3 {
		r.t.Errorf("%v run; %v", found, r.sched.Waits())
	}
	return found
}

// TestMesosAgentGoneBetweenTasks says: a member that was stopped gets a new volume elsewhere when an operator has declared its
// agent gone, also where that was while no scheduler was there.
func TestMesosAgentGoneBetweenTasks(t *testing.T) {
	withSchedulers(t, func(t *testing.T, r *removed) {
		r.putDatabase()
		before := r.members(time.Minute)
		r.scale(2)
		stopped := r.missing(before)
		r.stop()
		r.cluster.Gone(before[stopped])
		r.start("")
		r.scale(3)
		after := r.members(2 * time.Minute)
		if host, same := after[stopped]; same && host == before[stopped] || len(after) != 3 {
			t.Errorf("%s is on the agent that is gone: %v", stopped, after)
		}
		r.stop()
	})
}

// scale asks for another number of members.
func (r *removed) scale(n int) {
	r.t.Helper()
	_, err := r.sched.Apply(r.t.Context(), func(defs *app.Definitions) error {
		a := defs.Apps["/db"].Clone()
		a.Instances = n
		defs.Apps["/db"] = a.Revised(defs.Apps["/db"], app.At(time.Now()))
		return nil
	}, app.ApplyOptions{Force: true})
	if err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
}

// missing is the member that does not run any more.
func (r *removed) missing(before map[string]string) string {
	r.t.Helper()
	for id := range before {
		if !slices.ContainsFunc(r.sched.Tasks("/db"), func(t app.Task) bool { return string(t.ID.Instance()) == id && t.State == app.TaskRunning }) {
			return id
		}
	}
	r.t.Fatal("all members run")
	return ""
}
