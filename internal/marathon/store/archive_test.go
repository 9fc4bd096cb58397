package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// largestValue is what etcd takes in one request unless told otherwise.
const largestValue = 3 << 19

// TestAThousandAppsFitIntoAValue says: a thousand different apps, and a deployment that touches all of them and remembers each
// as it was, are one value that etcd takes; they come back unchanged.
func TestAThousandAppsFitIntoAValue(t *testing.T) {
	db := memory.New()
	defer func() { _ = db.Close() }()
	s := store.New(db, prefix)
	load(t, s)
	r := rand.New(rand.NewPCG(1, 2))
	want := store.Definitions{Definitions: app.Definitions{Apps: map[app.ID]app.App{}}}
	d := store.Deployment{Deployment: app.Deployment{ID: "d1", Version: 1}, Before: map[app.ID]*app.App{}}
	for n := range 1000 {
		a := varied(t, r, n)
		before := a.Clone()
		before.Instances++
		want.Apps[a.ID], d.Before[a.ID] = a, &before
		d.AffectedApps = append(d.AffectedApps, a.ID)
		d.Steps = append(d.Steps, app.Step{Actions: []app.Action{{Kind: app.ScaleApplication, App: a.ID}}})
	}
	want.Deployments = []store.Deployment{d}
	check(t, s.SaveFramework(t.Context(), "f1"))
	check(t, s.SaveDefinitions(t.Context(), want))

	pair, _, err := db.Get(t.Context(), prefix+"definitions")
	check(t, err)
	if len(pair.Value) > largestValue/2 {
		t.Errorf("a thousand apps take %d KiB, want at most half of the %d KiB that etcd takes", len(pair.Value)>>10, largestValue>>10)
	}
	if diff := cmp.Diff(want, load(t, store.New(db, prefix)).Definitions); diff != "" {
		t.Errorf("they come back changed (-want +got):\n%.2000s", diff)
	}
}

// varied is an app that has little in common with the others.
func varied(t *testing.T, r *rand.Rand, n int) app.App {
	t.Helper()
	var env, labels []string
	for range 5 + r.IntN(10) {
		env = append(env, fmt.Sprintf("%q: %q", fmt.Sprintf("VAR_%x", r.Uint32()), fmt.Sprintf("%x", r.Uint64())))
		labels = append(labels, fmt.Sprintf("%q: %q", fmt.Sprintf("label.%x", r.Uint32()), fmt.Sprintf("%x", r.Uint64())))
	}
	return parse(t, fmt.Sprintf(`{"id": "/group%d/app-%d", "cpus": %.1f, "mem": %d, "instances": %d, "env": {%s}, "labels": {%s},
 "container": {"type": "DOCKER", "docker": {"image": "registry.example/%x:%d", "network": "BRIDGE",
  "portMappings": [{"containerPort": %d, "hostPort": 0, "servicePort": %d}]}},
 "healthChecks": [{"protocol": "HTTP", "path": "/%x", "portIndex": 0}]}`,
		n%37, n, 0.1+r.Float64(), 32+r.IntN(4096), r.IntN(20), strings.Join(env, ","), strings.Join(labels, ","),
		r.Uint64(), r.IntN(100), 1024+r.IntN(9000), 10000+n, r.Uint32()))
}

// TestSchema1IsMigrated says: what an older program wrote is read, its apps get a history, the header says so, and doing it
// again after an interruption does no harm.
func TestSchema1IsMigrated(t *testing.T) {
	db := memory.New()
	defer func() { _ = db.Close() }()
	s := store.New(db, prefix)
	load(t, s)
	a := parse(t, mission)
	check(t, s.SaveDefinitions(t.Context(), store.Definitions{Definitions: app.Definitions{Apps: map[app.ID]app.App{a.ID: a}}}))
	_, err := db.Put(t.Context(), prefix+"header", `{"schema":1,"framework":"f1"}`, kv.Always(), 0)
	check(t, err)

	client := db.Client()
	defer func() { _ = client.Close() }()
	client.LoseNextAnswer(prefix + "header") // interrupted at the last step, which was made
	if _, err := store.New(client, prefix).Load(t.Context()); !errors.Is(err, kv.ErrUnavailable) {
		t.Fatalf("an interrupted migration: got %v, want ErrUnavailable", err)
	}
	_, err = db.Put(t.Context(), prefix+"header", `{"schema":1,"framework":"f1"}`, kv.Always(), 0)
	check(t, err)
	for range 2 {
		again := store.New(db, prefix)
		if got := load(t, again); got.Framework != "f1" || len(got.Apps) != 1 {
			t.Errorf("after the migration there are %+v", got)
		}
		versions, err := again.Archive().Versions(t.Context(), a.ID)
		if check(t, err); !cmp.Equal(versions, []app.Timestamp{a.Version}) {
			t.Errorf("its versions are %v", versions)
		}
	}
	pair, _, err := db.Get(t.Context(), prefix+"header")
	if check(t, err); pair.Value != `{"schema":2,"framework":"f1"}` {
		t.Errorf("the header is %s", pair.Value)
	}
}

// TestVersionsAreKeptAndPruned says: the newest versions of an app stay, and those in use; what belongs to another app whose
// id begins alike is not touched.
func TestVersionsAreKeptAndPruned(t *testing.T) {
	db := memory.New()
	defer func() { _ = db.Close() }()
	archive := store.New(db, prefix).Archive()
	keep := func(id app.ID, version app.Timestamp) {
		defs := app.Definitions{Apps: map[app.ID]app.App{}}
		check(t, archive.Keep(t.Context(), version, defs, []app.App{{ID: id, Version: version}}, func(app.ID) bool { return false }))
	}
	keep("/a/b", 1)
	for n := range app.Timestamp(60) {
		keep("/a", n+1)
	}
	check(t, archive.Prune(t.Context(), "/a", []app.Timestamp{3, 60}))
	versions, err := archive.Versions(t.Context(), "/a")
	if check(t, err); len(versions) != store.KeptVersions+1 || versions[0] != 60 || versions[len(versions)-1] != 3 {
		t.Errorf("kept are %d from %s to %s", len(versions), versions[0], versions[len(versions)-1])
	}
	if a, found, err := archive.Version(t.Context(), "/a", 3); err != nil || !found || a.Version != 3 {
		t.Errorf("version 3: %+v, %t, %v", a, found, err)
	}
	if _, found, err := archive.Version(t.Context(), "/a", 4); err != nil || found {
		t.Errorf("version 4 is found (%t, %v), want none", found, err)
	}
	check(t, archive.Drop(t.Context(), "/a"))
	if left, err := archive.Versions(t.Context(), "/a/b"); err != nil || len(left) != 1 {
		t.Errorf("the other app has %v, %v", left, err)
	}
	groups, err := archive.GroupVersions(t.Context())
	if check(t, err); len(groups) != 60 {
		t.Errorf("%d versions of everything, want 60", len(groups))
	}
}
