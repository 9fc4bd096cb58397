package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// Launch implements driver.Driver.
func (d *Driver) Launch(_ context.Context, s driver.Spec) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tasks[s.Task] != nil {
		return nil // launched before
	}
	h, err := d.admit(s)
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrRefused, err)
	}
	if err := d.launch(s, h); err != nil { //nolint:contextcheck // the task outlives the call
		return fmt.Errorf("%w: %w", driver.ErrRefused, err)
	}
	return nil
}

// admit checks everything about a task that can be known before a process exists.
func (d *Driver) admit(s driver.Spec) (Host, error) {
	if _, err := app.ParseTaskID(string(s.Task)); err != nil {
		return Host{}, err
	}
	if s.Task.Instance() != s.Instance {
		return Host{}, fmt.Errorf("task %s is not one of instance %s", s.Task, s.Instance)
	}
	if s.Volume != "" {
		if err := plainName(s.Volume); err != nil {
			return Host{}, err
		}
	}
	h, ok := d.host(s.Host)
	if !ok || d.stopped[s.Host] {
		return Host{}, fmt.Errorf("host %s is not there", s.Host)
	}
	if err := d.checkUser(s.App.User); err != nil {
		return Host{}, err
	}
	if err := d.checkVolume(s); err != nil {
		return Host{}, err
	}
	if err := d.checkVolumes(s); err != nil {
		return Host{}, err
	}
	return h, d.checkRoom(s, h)
}

// checkVolume makes sure that nobody else works, or may still be at work, where the task is going to.
func (d *Driver) checkVolume(s driver.Spec) error {
	if s.Volume == "" {
		return nil
	}
	if v, ok := d.volumes[s.Volume]; ok && v.Host != s.Host {
		return fmt.Errorf("volume %s lies on host %s, not on %s", s.Volume, v.Host, s.Host)
	}
	if _, ok := d.volumes[s.Volume]; ok && !isDir(d.dir.volume(s.Volume)) {
		return fmt.Errorf("volume %s was there and its folder is gone; bring it back, an empty one would hide the loss", s.Volume)
	}
	if d.clearing[d.dir.volume(s.Volume)] > 0 {
		return fmt.Errorf("volume %s is still being cleared of processes", s.Volume)
	}
	for _, t := range d.tasks {
		if t.rec.Volume == s.Volume && !t.rec.Status.State.Terminal() {
			return fmt.Errorf("volume %s is in use by task %s", s.Volume, t.rec.Task)
		}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkRoom makes sure that the host has what the task takes.
func (d *Driver) checkRoom(s driver.Spec, h Host) error {
	offer := d.offer(h)
	free := offer.Free
	for _, kept := range offer.Reserved {
		free = free.Add(kept) // for whom is the scheduler's business
	}
	if missing := lacking(free, s.Resources); missing != "" {
		return fmt.Errorf("host %s has not enough %s left", h.Name, missing)
	}
	for _, port := range s.HostPorts() {
		if !offer.Ports.Contains(port) {
			return fmt.Errorf("port %d of host %s is not free", port, h.Name)
		}
		if d.volumes[s.Volume].holds(port) || canListen(h.Address, port) {
			continue
		}
		if d.taken[h.Name] == nil {
			d.taken[h.Name] = map[int]bool{}
		}
		d.taken[h.Name][port] = true
		return fmt.Errorf("port %d of %s is in use by another program", port, h.Address)
	}
	return nil
}

// lacking names the resources of which there is less than wanted.
func lacking(free, want place.Resources) string {
	var names []string
	for _, part := range []struct {
		name       string
		free, want place.Resources
	}{
		{"cpus", place.Resources{CPUs: free.CPUs}, place.Resources{CPUs: want.CPUs}},
		{"mem", place.Resources{Mem: free.Mem}, place.Resources{Mem: want.Mem}},
		{"disk", place.Resources{Disk: free.Disk}, place.Resources{Disk: want.Disk}},
		{"gpus", place.Resources{GPUs: free.GPUs}, place.Resources{GPUs: want.GPUs}},
	} {
		if !part.free.Covers(part.want) {
			names = append(names, part.name)
		}
	}
	return strings.Join(names, ", ")
}

func (v volumeRecord) holds(port int) bool { return slices.Contains(v.Ports, port) }

// launch starts the task in the order the package comment explains.
func (d *Driver) launch(s driver.Spec, h Host) error {
	rec := record{
		Task: s.Task, Instance: s.Instance, Host: s.Host, Volume: s.Volume, Ports: s.HostPorts(), Resources: s.Resources,
		Status: status{State: app.TaskStaging, Time: time.Now().UTC(), Acked: true}, Checks: checksOf(s, h),
	}
	env := d.visible(s, h, d.dir.work(rec))
	argv, err := d.argv(s, env)
	if err != nil {
		return err
	}
	_, known := d.volumes[s.Volume]
	t := &handle{rec: rec, done: make(chan struct{}), environ: d.environ(env)}
	if err := d.begin(s, t, argv); err != nil {
		if !known {
			d.dropVolume(s.Volume)
		}
		return err
	}
	return nil
}

// begin makes the folder of a task and starts it, now or when its files are there.
func (d *Driver) begin(s driver.Spec, t *handle, argv []string) error {
	if err := d.prepare(s, t.rec); err != nil {
		return err
	}
	if err := d.furnish(s, d.dir.work(t.rec)); err != nil {
		return err
	}
	if len(s.App.Fetch) > 0 {
		return d.startFetching(s, t, argv)
	}
	if err := d.fork(s.Instance, t, argv); err != nil {
		return err
	}
	d.tasks[s.Task] = t
	d.started(t)
	return nil
}

// started makes it known that a task runs.
func (d *Driver) started(t *handle) {
	d.work.Go(func() { d.watch(t) })
	defer d.work.Go(func() { d.watchHealth(t) })
	// It runs and is recorded with its process; should this record fail the status is only late.
	d.report("record task", d.change(t, app.TaskRunning, ""))
}

// fork makes the process of a task. When it fails neither a process nor a record of the task is left.
func (d *Driver) fork(instance app.InstanceID, t *handle, argv []string) error {
	log, err := os.OpenFile(d.dir.logFile(instance), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer closeAll(log)
	info, err := log.Stat()
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	t.rec.LogOffset = info.Size()
	if err := d.write(t); err != nil {
		return err
	}
	cmd := command{argv: argv, env: t.environ, dir: d.dir.work(t.rec), log: log, credential: d.cfg.Credential}
	t.proc, err = cmd.start(d.boot, func(id identity) error {
		t.rec.Process = id
		return d.write(t)
	})
	if err != nil {
		return errors.Join(err, os.Remove(d.dir.task(t.rec.Task)))
	}
	return nil
}

// prepare makes the working folder.
func (d *Driver) prepare(s driver.Spec, rec record) error {
	if s.Volume != "" {
		return d.makeVolume(s.Volume, volumeRecord{Instance: s.Instance, Host: s.Host, Ports: s.HostPorts()})
	}
	if err := d.cfg.mkdirOwned(d.dir.work(rec)); err != nil {
		return fmt.Errorf("make folder of the task: %w", err)
	}
	return nil
}

// dropVolume forgets a volume in which nothing has ever run, so that it does not bind its instance to this host.
func (d *Driver) dropVolume(id string) {
	content, err := os.ReadDir(d.dir.volume(id))
	if _, recorded := d.volumes[id]; !recorded || err != nil || len(content) > 0 {
		return
	}
	delete(d.volumes, id)
	d.report("forget an empty volume", errors.Join(os.Remove(d.dir.volumeRecord(id)), os.Remove(d.dir.volume(id))))
}
