package local

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// Hosts implements driver.Switchable.
func (d *Driver) Hosts(context.Context) ([]app.HostStatus, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []app.HostStatus
	for _, h := range d.cfg.Hosts {
		list = append(list, d.hostStatus(h))
	}
	slices.SortFunc(list, func(a, b app.HostStatus) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (d *Driver) hostStatus(h Host) app.HostStatus {
	var used place.Resources
	tasks := []app.TaskID{}
	for id, t := range d.tasks {
		if t.rec.Host == h.Name && !t.rec.Status.State.Terminal() {
			used = used.Add(t.rec.Resources)
			tasks = append(tasks, id)
		}
	}
	slices.Sort(tasks)
	state := driver.HostRunning
	if d.stopped[h.Name] {
		state = driver.HostStopped
	}
	return app.HostStatus{
		Name: h.Name, Address: h.Address, State: state, Tasks: tasks,
		CPUs: app.Usage{Total: h.Resources.CPUs, Used: used.CPUs},
		Mem:  app.Usage{Total: h.Resources.Mem, Used: used.Mem},
		Disk: app.Usage{Total: h.Resources.Disk, Used: used.Disk},
	}
}

// KillHost implements driver.Switchable. That the host is off is recorded first: a driver that dies in between finishes
// the cut when it opens again.
func (d *Driver) KillHost(ctx context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.host(name); !ok {
		return d.unknownHost(name)
	}
	if d.stopped[name] {
		return nil
	}
	if err := writeJSON(d.dir.host(name), hostRecord{Stopped: true}); err != nil {
		return fmt.Errorf("record host: %w", err)
	}
	d.stopped[name] = true
	d.log.InfoContext(ctx, "host killed", slog.String("host", name))
	d.events.Add(driver.OffersChanged{})
	return d.cutPower(name)
}

// cutPower ends everything on a host at once. Its tasks become unreachable: who sees a host vanish cannot know more.
func (d *Driver) cutPower(name string) error {
	var mains []identity
	var dirs []string
	for id, v := range d.volumes {
		if v.Host == name {
			dirs = append(dirs, d.dir.volume(id))
		}
	}
	var live []*handle
	for _, t := range d.tasks {
		if t.rec.Host == name && !t.rec.Status.State.Terminal() {
			live = append(live, t)
			t.giveUp(errNoPower)
			mains = append(mains, t.rec.Process)
			dirs = append(dirs, d.dir.work(t.rec))
		}
	}
	if err := killAll(dirs, mains...); err != nil {
		return fmt.Errorf("kill host %s: %w", name, err)
	}
	for _, t := range live {
		if t.rec.Status.State == app.TaskUnreachable {
			if !t.rec.Status.Acked {
				d.emit(t)
			}
			continue
		}
		if err := d.change(t, app.TaskUnreachable, "host "+name+" has no power"); err != nil {
			return err
		}
	}
	return nil
}

// StartHost implements driver.Switchable.
func (d *Driver) StartHost(ctx context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.host(name); !ok {
		return d.unknownHost(name)
	}
	if !d.stopped[name] {
		return nil
	}
	if err := writeJSON(d.dir.host(name), hostRecord{}); err != nil {
		return fmt.Errorf("record host: %w", err)
	}
	d.stopped[name] = false
	d.log.InfoContext(ctx, "host started", slog.String("host", name))
	for _, t := range d.tasks {
		if t.rec.Host != name || t.rec.Status.State.Terminal() {
			continue
		}
		if err := d.change(t, app.TaskFailed, "ended when host "+name+" lost its power"); err != nil {
			return err
		}
	}
	d.events.Add(driver.OffersChanged{})
	return nil
}

func (d *Driver) unknownHost(name string) error {
	var names []string
	for _, h := range d.cfg.Hosts {
		names = append(names, h.Name)
	}
	slices.Sort(names)
	return fmt.Errorf("%w: %q; the hosts are %s", app.ErrUnknownHost, name, strings.Join(names, ", "))
}
