package drivertest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// reserve makes the volume of a task to come, and waits until it is there and the host offers something again.
func (s *session) reserve(spec driver.Spec) driver.Spec {
	s.t.Helper()
	spec = s.inVolume(spec)
	if err := s.Reserve(s.t.Context(), reservation(spec)); err != nil {
		s.t.Fatalf("reserve: %v", err)
	}
	s.volumes[spec.Volume] = spec.Host
	s.awaitVolume(spec.Volume, spec.Host, true)
	s.offers()
	return spec
}

// inVolume lets the command of a task work in its volume, where that is a part of its folder only.
func (s *session) inVolume(spec driver.Spec) driver.Spec {
	folder := s.platform.Folder
	if folder == "" || spec.App.Container != nil {
		return spec
	}
	spec.App.Container = &app.Container{Type: app.ContainerMesos, Volumes: []app.Volume{
		{ContainerPath: folder, Mode: "RW", Persistent: &app.PersistentVolume{Type: "root", Size: 8}},
	}}
	spec.App.Cmd = "cd " + folder + "; MESOS_SANDBOX=$PWD; " + spec.App.Cmd
	return spec
}

func reservation(spec driver.Spec) driver.Reservation {
	return driver.Reservation{
		Volume: spec.Volume, Instance: spec.Instance, Offer: spec.Offer, Host: spec.Host, App: spec.App, Ports: spec.Ports, Resources: spec.Resources,
	}
}

// destroy removes a volume and waits until it is gone.
func (s *session) destroy(volume, host string) {
	s.t.Helper()
	if err := s.Destroy(s.t.Context(), driver.Volume{ID: volume, Host: host}); err != nil {
		s.t.Errorf("destroy: %v", err)
		return
	}
	delete(s.volumes, volume)
	s.awaitVolume(volume, host, false)
}

func (s *session) awaitVolume(id, host string, there bool) {
	s.t.Helper()
	s.awaitEvent(func(e driver.Event) bool {
		changed, ok := e.(driver.VolumeChanged)
		return ok && changed.Volume == driver.Volume{ID: id, Host: host} && changed.There == there
	})
}

func (s *session) offersVolume(id string) bool {
	s.t.Helper()
	for _, o := range s.offers() {
		if slices.Contains(o.Volumes, id) {
			return true
		}
	}
	return false
}

func volumeIsReserved(t *testing.T, s *session) {
	spec := s.spec("1", 1, Runs)
	spec.Volume = "reserved"
	s.reserve(spec)
	if !s.offersVolume(spec.Volume) {
		t.Error("no offer names the volume")
	}
	s.reserve(spec) // changes nothing and is answered again
	other := s.spec("2", 1, Runs)
	other.Volume = spec.Volume
	if err := s.Reserve(t.Context(), reservation(other)); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("another instance gets the volume: %v", err)
	}
	offers := s.offers()
	if len(offers) < 2 {
		return
	}
	elsewhere := spec
	elsewhere.Host, elsewhere.Offer = offers[1].Host, offers[1].ID
	if err := s.Reserve(t.Context(), reservation(elsewhere)); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("the volume is made on a second host: %v", err)
	}
	if err := s.Launch(t.Context(), elsewhere); err == nil || !strings.Contains(err.Error(), spec.Host) {
		t.Errorf("a task is launched where its volume is not: %v", err)
	}
}

func volumeIsDestroyed(_ *testing.T, s *session) {
	spec := s.spec("1", 1, Keeps)
	spec.Volume = "destroyed"
	s.launch(spec)
	s.await(spec.Task, app.TaskFinished)
	s.destroy(spec.Volume, spec.Host)
	if s.offersVolume(spec.Volume) {
		s.t.Error("the volume is offered after it was destroyed")
	}
	s.destroy(spec.Volume, spec.Host) // nobody has it any more, which is answered too
	again := s.spec("1", 2, FindsNothing)
	again.Volume = spec.Volume
	s.launch(again)
	s.await(again.Task, app.TaskFinished)
}

func volumeInUseStays(t *testing.T, s *session) {
	spec := s.spec("1", 1, Runs)
	spec.Volume = "used"
	s.launch(spec)
	s.await(spec.Task, app.TaskRunning)
	if err := s.Destroy(t.Context(), driver.Volume{ID: spec.Volume, Host: spec.Host}); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("destroy under a running task: got %v, want ErrRefused", err)
	}
	if !s.offersVolume(spec.Volume) {
		t.Error("the volume is gone")
	}
}

func volumesOutliveDriver(_ *testing.T, s *session) {
	spec := s.spec("1", 1, Keeps)
	spec.Volume = "outlives"
	s.launch(spec)
	s.await(spec.Task, app.TaskFinished)
	s.reopen()
	if !s.offersVolume(spec.Volume) {
		s.t.Error("the volume is not offered to the next driver")
	}
	next := s.spec("1", 2, FindsKept)
	next.Volume = spec.Volume
	s.launch(next)
	s.await(next.Task, app.TaskFinished)
}
