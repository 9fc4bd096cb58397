package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

const prefix = "/pgbaton/scheduler/"

// mission is a definition with everything that has a JSON of its own in it.
const mission = `{"id": "/postgresql/patroni", "cpus": 2, "mem": 4096, "instances": 3, "labels": {"a": "b"},
 "constraints": [["hostname", "UNIQUE"], ["zone", "GROUP_BY", "2"]], "env": {"A": "1"},
 "unreachableStrategy": "disabled",
 "container": {"type": "DOCKER", "docker": {"image": "patroni:latest", "network": "BRIDGE",
  "portMappings": [{"containerPort": 5432, "hostPort": 0, "servicePort": 10000}]}},
 "healthChecks": [{"protocol": "HTTP", "path": "/health", "portIndex": 0, "gracePeriodSeconds": 30}]}`

func parse(t *testing.T, definition string) app.App {
	t.Helper()
	u, err := app.Parse([]byte(definition))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := u.ID()
	return u.New(id).Created(1000)
}

func load(t *testing.T, s *store.Store) store.State {
	t.Helper()
	state, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEverythingComesBack(t *testing.T) {
	db := memory.New()
	defer func() { _ = db.Close() }()
	s := store.New(db, prefix)
	empty := load(t, s)
	if empty.Framework != "" || len(empty.Apps)+len(empty.Instances)+len(empty.Deployments) > 0 {
		t.Fatalf("an empty store holds %+v", empty)
	}
	a := parse(t, mission)
	want := store.State{
		Framework: "f1",
		Definitions: store.Definitions{
			Definitions: app.Definitions{Apps: map[app.ID]app.App{a.ID: a}},
			Deployments: []store.Deployment{{
				Deployment: app.Deployment{
					ID: "d1", Version: 2000, AffectedApps: []app.ID{a.ID}, CurrentStep: 1,
					Steps: []app.Step{{Actions: []app.Action{{Kind: app.ScaleApplication, App: a.ID}}}},
				},
				Before: map[app.ID]*app.App{a.ID: &a, "/new": nil},
			}},
		},
		Instances: []deploy.Instance{
			{ID: "i1", App: a.ID, Goal: deploy.GoalRunning, Incarnation: 3, Ports: []int{5432, 8008}, State: app.TaskRunning, StartedAt: 5},
			{ID: "i2", App: a.ID, Goal: deploy.GoalSuspended, Stopping: &deploy.Stopping{At: 7, Cause: "as asked"}},
		},
		Draining: map[string]string{"node 1/a": "new disks"},
	}
	check(t, s.SaveDraining(t.Context(), "node 1/a", "new disks"))
	check(t, s.SaveDraining(t.Context(), "node2", "by mistake"))
	check(t, s.DeleteDraining(t.Context(), "node2"))
	check(t, s.SaveFramework(t.Context(), want.Framework))
	check(t, s.SaveDefinitions(t.Context(), want.Definitions))
	for _, i := range want.Instances {
		check(t, s.SaveInstances(t.Context(), i))
	}
	check(t, s.SaveInstances(t.Context(), deploy.Instance{ID: "i3"}))
	check(t, s.DeleteInstance(t.Context(), "i3"))

	got := load(t, store.New(db, prefix))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was stored comes back changed (-want +got):\n%s", diff)
	}
}

// TestSecondWriterIsNoticed says: of two schedulers over one store the slower one learns of the other at its next write,
// and writes nothing more before it has looked again.
func TestSecondWriterIsNoticed(t *testing.T) {
	db := memory.New()
	defer func() { _ = db.Close() }()
	first, second := store.New(db, prefix), store.New(db, prefix)
	load(t, first)
	check(t, first.SaveFramework(t.Context(), "f"))
	check(t, first.SaveInstances(t.Context(), deploy.Instance{ID: "i1"}))
	load(t, second)
	check(t, second.SaveInstances(t.Context(), deploy.Instance{ID: "i1", Incarnation: 2}))

	if err := first.SaveInstances(t.Context(), deploy.Instance{ID: "i1", Incarnation: 9}); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("the overtaken write: got %v, want a conflict", err)
	}
	if err := first.SaveInstances(t.Context(), deploy.Instance{ID: "i2"}); !errors.Is(err, store.ErrStale) {
		t.Errorf("the next write: got %v, want ErrStale", err)
	}
	if got := load(t, first).Instances[0].Incarnation; got != 2 {
		t.Errorf("incarnation %d after looking again, want 2", got)
	}
	check(t, first.SaveInstances(t.Context(), deploy.Instance{ID: "i1", Incarnation: 3}))
}

// TestLostAnswer says: a write that may have happened is looked at, not repeated (rule S8).
func TestLostAnswer(t *testing.T) {
	db := memory.New()
	defer func() { _ = db.Close() }()
	s := store.New(db, prefix)
	load(t, s)
	check(t, s.SaveFramework(t.Context(), "f"))
	db.LoseNextAnswer(prefix + "instances/i1")
	if err := s.SaveInstances(t.Context(), deploy.Instance{ID: "i1", Incarnation: 1}); !errors.Is(err, kv.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	if err := s.DeleteInstance(t.Context(), "i1"); !errors.Is(err, store.ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
	if got := load(t, s).Instances; len(got) != 1 || got[0].Incarnation != 1 {
		t.Errorf("the write is lost: %v", got)
	}
}

// TestStateNotToBeTrusted says: documents that are damaged, of the future or without a header are no empty state.
func TestStateNotToBeTrusted(t *testing.T) {
	for name, test := range map[string]struct {
		key, value string
		want       error
	}{
		"no header":    {"instances/i1", `{"id": "i1"}`, store.ErrDamaged},
		"not JSON":     {"header", `{"schema":`, store.ErrDamaged},
		"newer schema": {"header", `{"schema": 99, "framework": "f"}`, store.ErrSchema},
	} {
		t.Run(name, func(t *testing.T) {
			db := memory.New()
			defer func() { _ = db.Close() }()
			if _, err := db.Put(t.Context(), prefix+test.key, test.value, kv.Always(), 0); err != nil {
				t.Fatal(err)
			}
			if _, err := store.New(db, prefix).Load(t.Context()); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// older is a store that was put back to an earlier time.
type older struct {
	kv.Store
	back kv.Version
}

func (o *older) List(ctx context.Context, prefix string) (kv.Snapshot, error) {
	s, err := o.Store.List(ctx, prefix)
	s.Revision -= o.back
	return s, err
}

func TestStoreThatWentBack(t *testing.T) {
	db := memory.New()
	defer func() { _ = db.Close() }()
	o := &older{Store: db}
	s := store.New(o, prefix)
	load(t, s)
	check(t, s.SaveFramework(t.Context(), "f"))
	load(t, s)
	o.back = 1
	if _, err := s.Load(t.Context()); !errors.Is(err, store.ErrOlder) {
		t.Errorf("got %v, want ErrOlder", err)
	}
}

// TestDocumentsAreReadable says: what is stored is JSON that a person with etcdctl can read.
func TestDocumentsAreReadable(t *testing.T) {
	db := memory.New()
	defer func() { _ = db.Close() }()
	s := store.New(db, prefix)
	load(t, s)
	check(t, s.SaveFramework(t.Context(), "f"))
	check(t, s.SaveInstances(t.Context(), deploy.Instance{ID: "i1", Goal: deploy.GoalRunning, StartedAt: 1000}))
	pair, _, err := db.Get(t.Context(), prefix+"instances/i1")
	check(t, err)
	var got map[string]any
	check(t, json.Unmarshal([]byte(pair.Value), &got))
	if got["startedAt"] != "1970-01-01T00:00:01.000Z" || got["goal"] != "running" {
		t.Errorf("the document is %s", pair.Value)
	}
}

// TestFence says: what a former leader still has on the way comes to nothing: neither a document that is there nor a new one,
// nor an end of one. Without the fence the new one would be taken.
func TestFence(t *testing.T) {
	db := memory.New()
	defer func() { _ = db.Close() }()
	elect := func() kv.Guard {
		version, err := db.Put(t.Context(), "/leader", "", kv.Always(), 0)
		check(t, err)
		return kv.Guard{Key: "/leader", Version: version}
	}
	former, next := store.New(db, prefix), store.New(db, prefix)
	former.Fence(elect())
	load(t, former)
	check(t, former.SaveFramework(t.Context(), "f"))
	check(t, former.SaveInstances(t.Context(), deploy.Instance{ID: "i1"}))

	next.Fence(elect())
	load(t, next)
	late := map[string]func() error{
		"a new document":    func() error { return former.SaveInstances(t.Context(), deploy.Instance{ID: "i2"}) },
		"the same again":    func() error { return former.SaveInstances(t.Context(), deploy.Instance{ID: "i1"}) },
		"an end":            func() error { return former.DeleteInstance(t.Context(), "i1") },
		"a host's draining": func() error { return former.SaveDraining(t.Context(), "node1", "cause") },
	}
	for name, write := range late {
		load(t, former)
		if err := write(); !errors.Is(err, kv.ErrFenced) {
			t.Errorf("%s: got %v, want ErrFenced", name, err)
		}
	}
	if state := load(t, next); len(state.Instances) != 1 || len(state.Draining) != 0 {
		t.Errorf("the store holds %+v", state)
	}
	check(t, next.SaveInstances(t.Context(), deploy.Instance{ID: "i2"}))
}
