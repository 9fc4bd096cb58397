package mesos_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

func scalar(name string, amount float64) wire.Resource {
	return wire.Resource{Name: name, Type: wire.TypeScalar, Scalar: wire.Amount(amount)}
}

func mount(size float64) wire.Resource {
	r := scalar("disk", size)
	r.Disk = &wire.Disk{Source: &wire.DiskSource{Type: "MOUNT", Mount: &wire.DiskRoot{Root: "/mnt/1"}}}
	return r
}

// An offer says what placing asks for: what is free and for whom, disks of their own, ports, where the agent stands and what
// its administrator says of it.
func TestOfferSaysWhatPlacingAsks(t *testing.T) {
	kept := scalar("cpus", 2)
	kept.Reservations = []wire.Reservation{{Type: "STATIC", Role: role}}
	c := hosts("a1")
	a := &c.Agents[0]
	a.Resources = append(a.Resources, kept, scalar("gpus", 2), mount(60000))
	a.Region, a.Zone = "eu", "eu-1"
	a.Attributes = []wire.Attribute{
		{Name: "rack", Type: "TEXT", Text: &wire.ID{Value: "r1"}},
		{Name: "speed", Type: "SCALAR", Scalar: wire.Amount(2.5)},
		{Name: "lanes", Type: "RANGES", Ranges: &wire.Ranges{Range: []wire.Range{{Begin: 1, End: 2}, {Begin: 3, End: 3}}}},
		{Name: "tags", Type: "SET", Set: &wire.Set{Item: []string{"b", "a"}}},
	}
	s := setUp(t, c)
	got := s.host("a1")
	want := place.Offer{
		FreshVolumes: true, ID: got.ID, AgentID: got.ID, Host: "a1", Address: "127.0.0.1", Region: "eu", Zone: "eu-1",
		Free: place.Resources{CPUs: 4, Mem: 4096, Disk: 20000, GPUs: 2}, Reserved: map[string]place.Resources{role: {CPUs: 2}},
		Ports: place.Ranges{{Begin: 31000, End: 31099}}, Mounts: []float64{60000},
		Attributes: map[string]string{"rack": "r1", "speed": "2.5", "lanes": "[1-3]", "tags": "{a,b}"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("offer (-want +got):\n%s", diff)
	}
}

// What is reserved for a role goes to definitions that accept it, and to no others.
func TestRolesOfResources(t *testing.T) {
	kept := scalar("cpus", 2)
	kept.Reservations = []wire.Reservation{{Type: "STATIC", Role: role}}
	c := hosts("a1")
	c.Agents[0].Resources = append(c.Agents[0].Resources, kept)
	s := setUp(t, c)
	spec := s.spec("a1", "1", 1, false)
	spec.Resources.CPUs = 5
	if err := s.Launch(t.Context(), spec); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("it takes what is kept for a role: %v", err)
	}
	spec.App.AcceptedResourceRoles = []string{"*", role}
	s.launch(spec)
	s.offer("the rest", func(o place.Offer) bool { return o.Free.CPUs == 1 && o.Reserved[role].CPUs == 0 })
}

// A volume of type mount takes a disk as a whole and gives it back; the scheduler sees the size it asked for.
func TestVolumeOnADiskOfItsOwn(t *testing.T) {
	c := hosts("a1")
	c.Agents[0].Resources = append(c.Agents[0].Resources, mount(90000), mount(60000))
	s := setUp(t, c)
	spec := s.spec("a1", "1", 1, true)
	spec.App.Disk, spec.Resources.Disk = 100, 50100
	spec.App.Container.Volumes[0].Persistent = &app.PersistentVolume{Type: app.VolumeMount, Size: 50000}
	s.reserve(spec)
	s.volume(spec.Volume, true)
	s.offer("its size and the other disk", func(o place.Offer) bool {
		return o.Free.Disk == 19900 && o.Kept[spec.Volume].Disk == 50100 && cmp.Equal(o.Mounts, []float64{90000})
	})
	if err := s.Launch(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	s.state(spec.Task, app.TaskRunning)
	if err := s.Kill(t.Context(), spec.Task, 0); err != nil {
		t.Fatal(err)
	}
	s.state(spec.Task, app.TaskKilled)
	s.reopen()
	s.offer("the volume", func(o place.Offer) bool {
		return cmp.Equal(o.Volumes, []string{spec.Volume}) && o.Kept[spec.Volume].Disk == 50100
	})
	if err := s.Destroy(t.Context(), driver.Volume{ID: spec.Volume, Host: "a1"}); err != nil {
		t.Fatal(err)
	}
	s.volume(spec.Volume, false)
	s.offer("both disks", func(o place.Offer) bool { return len(o.Mounts) == 2 && o.Free.Disk == 20000 })
}

// A volume of a framework that is no more is shown and not touched, and what it keeps is nobody's.
func TestVolumesOfAnotherFramework(t *testing.T) {
	s := setUp(t, hosts("a1"))
	spec := s.spec("a1", "1", 1, true)
	s.reserve(spec)
	s.volume(spec.Volume, true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	former := s.framework
	s.framework = ""
	s.open(nil)
	s.offer("the volume of another", func(o place.Offer) bool {
		return len(o.Volumes)+len(o.Kept) == 0 && o.Foreign[spec.Volume] == former && o.Free == place.Resources{CPUs: 3, Mem: 4096 - 512, Disk: 20000 - 2048}
	})
}

// The heir of a framework that is no more has its volumes: a member returns to its own, and its scheduler can destroy it.
func TestVolumesOfAFormerFramework(t *testing.T) {
	s := setUp(t, hosts("a1"))
	spec := s.spec("a1", "1", 1, true)
	s.launch(spec)
	s.master.Remove(s.framework)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	former := s.framework
	s.framework = ""
	s.inherit(former)
	s.offer("what the volume keeps", func(o place.Offer) bool {
		return cmp.Equal(o.Volumes, []string{spec.Volume}) && o.Kept[spec.Volume].Resources == place.Resources{CPUs: 1, Mem: 512, Disk: 2048}
	})
	again := s.spec("a1", "1", 2, true)
	s.launch(again)
	if err := s.Kill(t.Context(), again.Task, 0); err != nil {
		t.Fatal(err)
	}
	s.state(again.Task, app.TaskKilled)
	if err := s.Destroy(t.Context(), driver.Volume{ID: spec.Volume, Host: "a1"}); err != nil {
		t.Fatal(err)
	}
	s.volume(spec.Volume, false)
	if left := s.master.Kept("a1"); len(left) > 0 {
		t.Errorf("still reserved: %v", left)
	}
}

// A framework of everybody's role cannot reserve, and says so.
func TestNoRole(t *testing.T) {
	s := setUp(t, hosts("a1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.framework = ""
	s.open(func(c *mesos.Config) { c.Role = "" })
	spec := s.spec("a1", "1", 1, false)
	err := s.Reserve(t.Context(), driver.Reservation{Volume: "v", Instance: spec.Instance, Offer: spec.Offer, Host: "a1", App: spec.App})
	if !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), "role") {
		t.Errorf("got %v", err)
	}
	s.launch(spec)
}

// What Mesos cannot run is refused before anything is asked of it.
func TestRefusals(t *testing.T) {
	s := setUp(t, mesostest.Config{Agents: hosts("a1").Agents})
	for name, change := range map[string]func(a *app.App){
		"neither a command nor an image": func(a *app.App) { a.Cmd = "" },
		"one check beside a task": func(a *app.App) {
			check := app.HealthCheck{Protocol: app.ProtocolCommand, Command: &app.Command{Value: "true"}}
			a.HealthChecks = []app.HealthCheck{check, check}
		},
		"secrets as files": func(a *app.App) {
			a.Container = &app.Container{Type: app.ContainerMesos, Volumes: []app.Volume{{ContainerPath: "key", Secret: "key"}}}
		},
		"pullConfig": func(a *app.App) {
			a.Container = &app.Container{Type: app.ContainerMesos, Docker: &app.Docker{Image: "i", PullConfig: &app.PullConfig{Secret: "s"}}}
		},
	} {
		spec := s.spec("a1", "1", 1, false)
		change(&spec.App)
		if err := s.Launch(t.Context(), spec); !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got := len(s.calls.of(wire.CallAccept)); got != 0 {
		t.Errorf("%d calls were made", got)
	}
}
