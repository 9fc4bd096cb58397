package run

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/local"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// firstLeads are agents of which the one on the first host leads and the others stream.
type firstLeads struct{ first string }

func (f firstLeads) Status(_ context.Context, apiURL string) (deploy.Member, error) {
	if strings.HasPrefix(apiURL, "http://"+f.first+":") {
		return deploy.Member{Name: apiURL, Role: deploy.RoleLeader, State: "running"}, nil
	}
	return deploy.Member{Name: apiURL, Role: deploy.RoleReplica, State: "running", Streaming: true}, nil
}

func (firstLeads) Switchover(context.Context, string, string, string) error { return nil }

func (firstLeads) Pause(context.Context, string, bool) error { return nil }

// fleet is a scheduler over real processes.
type fleet struct {
	t      *testing.T
	cfg    local.Config
	db     *memory.Store
	driver *local.Driver
	s      *Scheduler
	cancel context.CancelFunc
	ended  chan error
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, db: memory.New()}
	dir := t.TempDir()
	f.cfg = local.Config{
		Dir:    filepath.Join(dir, "state"),
		Images: []local.Image{{Pattern: "patroni:*", Command: []string{"sh", "-c", `echo $$ >pid; echo x >>starts; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done`}}},
	}
	for n := range 5 {
		f.cfg.Hosts = append(f.cfg.Hosts, local.Host{
			Name: fmt.Sprintf("node%d", n+1), Address: fmt.Sprintf("127.4.%d.%d", os.Getpid()%250, n+1),
			Resources: place.Resources{CPUs: 4, Mem: 8192, Disk: 1e5},
			Ports:     place.Ranges{{Begin: 5432, End: 5432}, {Begin: 8008, End: 8008}, {Begin: 31000, End: 31999}},
		})
	}
	if os.Geteuid() == 0 {
		f.cfg.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // made for this test, closed to other users
			t.Fatal(err)
		}
	}
	f.open()
	return f
}

func (f *fleet) open() {
	f.t.Helper()
	d, err := local.Open(f.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		f.t.Fatal(err)
	}
	f.driver = d
	f.s = New(Config{}, store.New(f.db, prefix), d, firstLeads{f.cfg.Hosts[0].Address}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.ended = cancel, make(chan error, 1)
	go func() { f.ended <- f.s.Run(ctx) }()
}

func (f *fleet) close() {
	f.t.Helper()
	f.cancel()
	if err := <-f.ended; err != nil {
		f.t.Errorf("run: %v", err)
	}
	if err := f.driver.Close(); err != nil {
		f.t.Errorf("close: %v", err)
	}
}

// scale asks for a number of instances.
func (f *fleet) scale(n int) {
	f.t.Helper()
	_, err := f.s.Apply(f.t.Context(), func(defs *app.Definitions) error {
		old, there := defs.Apps["/pg"]
		next := cluster(n).Created(app.At(time.Now()))
		if there {
			next = cluster(n).Revised(old, app.At(time.Now()))
		}
		defs.Apps["/pg"] = next
		return nil
	}, app.ApplyOptions{Force: true})
	if err != nil {
		f.t.Fatal(err)
	}
}

// await waits until the app runs on those hosts and no deployment does.
func (f *fleet) await(hosts ...string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	events := f.s.Watch(ctx)
	for {
		var got []string
		for _, task := range f.s.Tasks("/pg") {
			if task.State == app.TaskRunning {
				got = append(got, task.Host)
			}
		}
		slices.Sort(got)
		if slices.Equal(got, hosts) && len(f.s.Deployments()) == 0 {
			return
		}
		select {
		case <-events:
		case <-time.After(50 * time.Millisecond): // the picture follows its last event
		}
		if ctx.Err() != nil {
			f.t.Fatalf("it runs on %v, want %v; waits: %v", got, hosts, f.s.Waits())
		}
	}
}

// read is a file in the volume of the task on a host.
func (f *fleet) read(host, name string) string {
	f.t.Helper()
	for _, task := range f.s.Tasks("/pg") {
		path := filepath.Join(f.cfg.Dir, "volumes", string(task.ID.Instance()), name)
		for deadline := time.Now().Add(10 * time.Second); task.Host == host; time.Sleep(time.Millisecond) {
			// A task runs a moment before it writes.
			if b, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(b), "\n") {
				return string(b)
			}
			if time.Now().After(deadline) {
				f.t.Fatalf("%s was never written", path)
			}
		}
	}
	f.t.Fatalf("nothing runs on %s", host)
	return ""
}

// TestRealProcesses leads real processes through what a cluster meets: start, death of a task, death of a host, a
// scheduler that comes and goes, growth and shrinking, and an orderly end.
func TestRealProcesses(t *testing.T) {
	f := newFleet(t)
	defer func() { _ = f.db.Close() }()
	defer func() {
		if err := f.s.StopAll(context.Background(), nil); err != nil {
			t.Error(err)
		}
		f.close()
	}()
	f.scale(3)
	f.await("node1", "node2", "node3")

	// A task dies: the same volume, one start more.
	var pid int
	if _, err := fmt.Sscan(f.read("node2", "pid"), &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.await("node1", "node3")
	f.await("node1", "node2", "node3")
	if starts := strings.Count(f.read("node2", "starts"), "x"); starts != 2 {
		t.Errorf("the volume on node2 has seen %d starts, want 2", starts)
	}

	// Another scheduler takes over: nothing is started again.
	before := f.read("node1", "pid")
	f.close()
	f.open()
	f.await("node1", "node2", "node3")
	if after := f.read("node1", "pid"); after != before {
		t.Errorf("the task on node1 was process %s and is %s", before, after)
	}

	// A host dies while the scheduler is replaced, and comes back.
	if err := f.s.KillHost(t.Context(), "node3"); err != nil {
		t.Fatal(err)
	}
	f.await("node1", "node2")
	f.close()
	f.open()
	f.await("node1", "node2")
	if err := f.s.StartHost(t.Context(), "node3"); err != nil {
		t.Fatal(err)
	}
	f.await("node1", "node2", "node3")

	f.scale(5)
	f.await("node1", "node2", "node3", "node4", "node5")
	f.scale(1)
	f.await("node1")
	f.scale(3)
	f.await("node1", "node2", "node3")
	if starts := strings.Count(f.read("node1", "starts"), "x"); starts != 1 {
		t.Errorf("the leader was started %d times", starts)
	}
}
