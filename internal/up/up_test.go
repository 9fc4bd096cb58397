package up

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/examples/mesos"
	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func layout(t *testing.T, hosts, etcd int) Layout {
	t.Helper()
	l, err := NewLayout(netip.MustParsePrefix("127.0.90.0/24"), netip.MustParseAddrPort("127.0.90.1:8080"), hosts, etcd)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLayout(t *testing.T) {
	l := layout(t, 5, 1)
	if l.Hosts[0] != (Place{"node1", netip.MustParseAddr("127.0.90.11")}) || l.Hosts[4].Address.String() != "127.0.90.15" {
		t.Errorf("hosts %v", l.Hosts)
	}
	aliases := l.Aliases()
	if aliases["etcd-node1"] != "127.0.90.21" || aliases["etcd-node3"] != "127.0.90.21" || aliases["node5"] != "127.0.90.15" {
		t.Errorf("aliases %v", aliases)
	}
	bad := []struct {
		network, listen string
		hosts, etcd     int
		want            string
	}{
		{"10.0.0.0/24", "127.0.0.1:8080", 5, 3, "--network"},
		{"127.0.0.0/16", "127.0.0.1:8080", 5, 3, "--network"},
		{"127.0.0.0/24", "10.0.0.1:8080", 5, 3, "--listen"},
		{"127.0.0.0/24", "127.0.0.1:8080", 0, 3, "--hosts"},
		{"127.0.0.0/24", "127.0.0.1:8080", 11, 3, "--hosts"},
		{"127.0.0.0/24", "127.0.0.1:8080", 5, 2, "--etcd-members"},
	}
	for _, c := range bad {
		_, err := NewLayout(netip.MustParsePrefix(c.network), netip.MustParseAddrPort(c.listen), c.hosts, c.etcd)
		if err == nil || !strings.HasPrefix(err.Error(), c.want+": ") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// missionApp is the app that runs when no other is given.
func missionApp(t *testing.T) app.App {
	t.Helper()
	update, err := app.Parse(mesos.App)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := update.ID()
	return update.New(id)
}

func TestPortsOfTheGivenApp(t *testing.T) {
	p, err := PortsOf(missionApp(t))
	if err != nil {
		t.Fatal(err)
	}
	if p != (Ports{Writes: 10000, LeaderAPI: 10001, Reads: 10002, Statistics: 10003}) {
		t.Errorf("%+v", p)
	}
	if _, err := PortsOf(app.App{ID: "/x"}); err == nil {
		t.Error("an app without ports was given some")
	}
}

func TestStateIsKeptAndHeldOnce(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenState(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenState(dir, nil); !errors.Is(err, ErrRunning) {
		t.Errorf("opened twice: %v", err)
	}
	first, err := s.Passwords()
	if err != nil || len(first.Superuser.Reveal()) < 20 || first.Superuser == first.Replication {
		t.Errorf("passwords %d long, %v", len(first.Superuser.Reveal()), err)
	}
	again, err := s.Passwords()
	if err != nil || again != first {
		t.Errorf("other passwords the second time: %v", err)
	}
	pgpass, err := s.WritePgPass("127.0.90.1", first)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{pgpass, s.Path("secrets.json")} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", file, info.Mode(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenState(dir, nil); err != nil {
		t.Fatalf("not free after Close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedPasswordsAreNotReplaced(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenState(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test directory
	if err := os.WriteFile(s.Path("secrets.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Passwords(); err == nil || !strings.Contains(err.Error(), "secrets.json") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironmentReadsBack(t *testing.T) {
	s, err := OpenState(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test directory
	l := layout(t, 3, 3)
	vars := l.Environment(l.URLs(Ports{Writes: 1, LeaderAPI: 2, Reads: 3, Statistics: 4}, "/p'g"), "scope", "/service/", "/p'g")
	if err := s.WriteEnv(vars); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(vars, ReadEnv(filepath.Dir(s.Path("x")))); diff != "" {
		t.Error(diff)
	}
	if vars["ETCDCTL_ENDPOINTS"] != "http://127.0.90.21:2379,http://127.0.90.22:2379,http://127.0.90.23:2379" {
		t.Error(vars["ETCDCTL_ENDPOINTS"])
	}
}

// fakePicture is a cluster that the test changes.
type fakePicture struct {
	now     cluster.Cluster
	changes chan struct{}
}

func (f *fakePicture) Load(context.Context) (cluster.Cluster, error) { return f.now, nil }
func (f *fakePicture) Changes(context.Context) <-chan struct{}       { return f.changes }

func member(name string, role cluster.Role, state cluster.State, replication string) cluster.Member {
	return cluster.Member{Name: name, Role: role, State: state, ReplicationState: replication, Timeline: 1}
}

func TestNarratorTellsEachChangeOnceAndWhenAllIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakePicture{changes: make(chan struct{})}
		peers := client.New(nil, client.Options{})
		defer peers.Close()
		var said []string
		n := NewNarrator(f, peers, func() int { return 2 }, func(topic, text string) { said = append(said, topic+" "+text) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.Run(ctx) }()
		show := func(leader string, members ...cluster.Member) {
			f.now = cluster.Cluster{Leader: cluster.Leader{Name: leader}, Members: members}
			f.changes <- struct{}{}
			synctest.Wait()
		}
		primary := member("a", cluster.RolePrimary, cluster.StateRunning, "")
		show("", member("a", cluster.RoleUninitialized, cluster.StateInitializing, ""))
		show("a", primary, member("b", cluster.RoleUninitialized, cluster.StateCreatingReplica, ""))
		show("a", primary)
		select {
		case <-n.Ready():
			t.Error("ready with one of two members")
		default:
		}
		show("a", primary, member("b", cluster.RoleReplica, cluster.StateRunning, "streaming"))
		<-n.Ready()
		show("", member("a", cluster.RoleDemoted, cluster.StateStopped, ""))
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := []string{
			"member a makes a new database cluster", "leader a holds the leader key", "member a is the primary on timeline 1",
			"member b is being cloned", "member b streams from the leader", "leader a no longer leads", "member a is stopped",
		}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Error(diff)
		}
	})
}

// fakeDriver runs nothing and remembers what it was told.
type fakeDriver struct {
	events   chan driver.Event
	launched []driver.Spec
	alive    map[app.TaskID]bool
}

func newFakeDriver() *fakeDriver {
	return &fakeDriver{events: make(chan driver.Event, 100), alive: map[app.TaskID]bool{}}
}

func (d *fakeDriver) Subscribe(_ context.Context, framework string) (string, error) {
	if framework == "" {
		return "etcd", nil
	}
	return framework, nil
}

func (d *fakeDriver) Offers(context.Context) ([]place.Offer, error) {
	return []place.Offer{{ID: "1", Host: "etcd-node1"}, {ID: "2", Host: "etcd-node2"}, {ID: "3", Host: "etcd-node3"}}, nil
}

func (d *fakeDriver) Launch(_ context.Context, spec driver.Spec) error {
	d.launched = append(d.launched, spec)
	d.alive[spec.Task] = true
	d.tell(spec.Task, app.TaskRunning)
	return nil
}

func (d *fakeDriver) tell(task app.TaskID, state app.TaskState) {
	d.events <- driver.StatusChanged{Status: driver.Status{Task: task, State: state}}
}

func (d *fakeDriver) Kill(_ context.Context, task app.TaskID, _ time.Duration) error {
	delete(d.alive, task)
	d.tell(task, app.TaskKilled)
	return nil
}

func (d *fakeDriver) Reconcile(_ context.Context, known []driver.Known) error {
	for _, k := range known {
		state := app.TaskFailed
		if d.alive[k.Task] {
			state = app.TaskRunning
		}
		d.tell(k.Task, state)
	}
	return nil
}

func (d *fakeDriver) Reserve(context.Context, driver.Reservation) error { return errors.ErrUnsupported }

func (d *fakeDriver) Destroy(context.Context, driver.Volume) error { return errors.ErrUnsupported }
func (d *fakeDriver) Ack(context.Context, driver.Status) error     { return nil }
func (d *fakeDriver) Events() <-chan driver.Event                  { return d.events }
func (d *fakeDriver) Close() error                                 { return nil }

func keeper(t *testing.T, d driver.Driver, file string) *Etcd {
	t.Helper()
	e, err := NewEtcd(d, layout(t, 1, 3), file, slog.New(slog.DiscardHandler), func(string, string) {})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEtcdMembersAreStartedOnceAndAdopted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "etcd.json")
	d := newFakeDriver()
	if err := keeper(t, d, file).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(d.launched) != 3 || strings.Contains(strings.Join(d.launched[0].App.Args, " "), "--existing") {
		t.Fatalf("launched %+v", d.launched)
	}
	// The next process finds two of them alive and starts the third as a member that has run before.
	delete(d.alive, d.launched[1].Task)
	d.events = make(chan driver.Event, 100)
	second := keeper(t, d, file)
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(d.launched) != 4 || d.launched[3].Host != "etcd-node2" || d.launched[3].App.Args[len(d.launched[3].App.Args)-1] != "--existing" {
		t.Fatalf("launched %+v", d.launched[3:])
	}
	if d.launched[3].Task == d.launched[1].Task {
		t.Error("a task id was used twice")
	}
	var notes etcdState
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &notes) != nil || notes.Tasks["etcd-node2"] != d.launched[3].Task {
		t.Errorf("notes %s %v", text, err)
	}
}

func TestEtcdMembersThatEndAreStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDriver()
		e := keeper(t, d, filepath.Join(t.TempDir(), "etcd.json"))
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Keep(ctx) }()
		d.tell(d.launched[0].Task, app.TaskFailed)
		time.Sleep(etcdAgain + time.Millisecond)
		synctest.Wait()
		if len(d.launched) != 4 || d.launched[3].Host != "etcd-node1" {
			t.Errorf("launched %+v", d.launched[3:])
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := e.Stop(t.Context()); err != nil || len(d.alive) != 1 {
			t.Errorf("still alive: %v, %v", d.alive, err)
		}
	})
}

func TestScreen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := NewScreen(&out)
		time.Sleep(1500 * time.Millisecond)
		s.Say("etcd", "quorum")
		s.Clock()
		s.Say("leader", "n1")
		if want := "    1.5s  etcd       quorum\n00:00:01  leader     n1\n"; out.String() != want {
			t.Errorf("got %q", out.String())
		}
	})
}
