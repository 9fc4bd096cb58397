package simulated

import (
	"context"
	"fmt"
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Hosts implements driver.Switchable.
func (d *Driver) Hosts(ctx context.Context) ([]app.HostStatus, error) {
	if err := d.reach(ctx); err != nil {
		return nil, err
	}
	f := d.fleet
	defer f.mu.Unlock()
	list := make([]app.HostStatus, 0, len(f.names))
	for _, name := range f.names {
		list = append(list, f.hosts[name].status())
	}
	return list, nil
}

func (h *host) status() app.HostStatus {
	free := h.offer().Free
	used := h.Resources.Sub(free)
	s := app.HostStatus{
		Name: h.Name, Address: h.Address, State: driver.HostRunning, Tasks: []app.TaskID{},
		CPUs: app.Usage{Total: h.Resources.CPUs, Used: used.CPUs}, Mem: app.Usage{Total: h.Resources.Mem, Used: used.Mem},
		Disk: app.Usage{Total: h.Resources.Disk, Used: used.Disk},
	}
	if h.off {
		s.State = driver.HostStopped
	}
	for id, t := range h.tasks {
		if t.live() {
			s.Tasks = append(s.Tasks, id)
		}
	}
	slices.Sort(s.Tasks)
	return s
}

// KillHost implements driver.Switchable: everything on the host ends, which nobody can tell until it is back.
func (d *Driver) KillHost(_ context.Context, name string) error { return d.fleet.KillHost(name) }

// StartHost implements driver.Switchable.
func (d *Driver) StartHost(_ context.Context, name string) error { return d.fleet.StartHost(name) }

// KillHost cuts the power of a host.
func (f *Fleet) KillHost(name string) error {
	return f.withHost(name, func(h *host) {
		if h.off {
			return
		}
		f.lookAway(h, func() { h.off = true }, "host "+name+" has no power")
		for _, t := range h.sorted() {
			f.finish(t, app.TaskFailed, "ended when host "+name+" lost its power")
		}
	})
}

// StartHost restores it.
func (f *Fleet) StartHost(name string) error {
	return f.withHost(name, func(h *host) {
		if h.off {
			h.off = false
			f.lookAgain(h)
			f.electAll()
		}
	})
}

// Cut takes a host out of reach of everything else. Its tasks go on.
func (f *Fleet) Cut(name string) error {
	return f.withHost(name, func(h *host) {
		if h.cut {
			return
		}
		f.lookAway(h, func() { h.cut = true }, "host "+name+" does not answer")
		f.electAll()
	})
}

// Heal brings it back into reach.
func (f *Fleet) Heal(name string) error {
	return f.withHost(name, func(h *host) {
		if h.cut {
			h.cut = false
			f.lookAgain(h)
			f.electAll()
		}
	})
}

// Remove takes a host away for good, its tasks and volumes with it, and says so with certainty.
func (f *Fleet) Remove(name string) error {
	return f.withHost(name, func(h *host) {
		h.off, h.cut = false, false
		for _, t := range h.sorted() {
			f.finish(t, app.TaskGone, "host "+name+" was removed")
		}
		for id, v := range h.volumes {
			f.dropVolume(v)
			f.announce(driver.VolumeChanged{Volume: driver.Volume{ID: id, Host: name}, Why: "host " + name + " was removed"})
		}
		delete(f.hosts, name)
		delete(f.addresses, h.Address)
		f.names = slices.DeleteFunc(f.names, func(n string) bool { return n == name })
	})
}

// Add brings a new host.
func (f *Fleet) Add(h Host) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(h)
	f.announce(driver.OffersChanged{})
}

// Leave announces that a host will be taken away, and with stays that it will not.
func (f *Fleet) Leave(name string, stays bool, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.announce(driver.HostLeaving{Host: name, Stays: stays, Why: why})
}

// withHost does something to a host and tells that offers have changed.
func (f *Fleet) withHost(name string, do func(*host)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.hosts[name]
	if h == nil {
		return fmt.Errorf("%w: %s", app.ErrUnknownHost, name)
	}
	do(h)
	f.announce(driver.OffersChanged{})
	return nil
}

// lookAway makes a host lost and tells that of its living tasks.
func (f *Fleet) lookAway(h *host, lose func(), why string) {
	seen := !h.lost()
	lose()
	for _, t := range h.sorted() {
		if seen && t.live() {
			f.change(t, app.TaskUnreachable, why)
		}
	}
}

// lookAgain tells what has become of the tasks meanwhile.
func (f *Fleet) lookAgain(h *host) {
	if h.lost() {
		return
	}
	for _, t := range h.sorted() {
		if t.told.State != t.state {
			f.change(t, t.state, t.message)
		}
	}
}

func (h *host) sorted() []*task {
	list := make([]*task, 0, len(h.tasks))
	for _, t := range h.tasks {
		list = append(list, t)
	}
	slices.SortFunc(list, compareTasks)
	return list
}

// Lost reports whether a host is without power or out of reach.
func (f *Fleet) Lost(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.hosts[name]
	return h == nil || h.lost()
}
