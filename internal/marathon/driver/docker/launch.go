package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// launch is one task on its way into a container.
type launch struct {
	spec   driver.Spec
	host   Host
	daemon *daemon
	gpus   []GPU
	task   *task
	create settings
	user   string // as the definition or the image names who the task runs as
}

// failure is why a launch came to nothing.
type failure struct {
	state app.TaskState
	err   error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func failed(state app.TaskState, format string, args ...any) error {
	return &failure{state: state, err: fmt.Errorf(format, args...)}
}

// Launch implements driver.Driver. What can be refused at once is; images and containers take their time.
func (d *Driver) Launch(_ context.Context, s driver.Spec) error { //nolint:contextcheck // the launch outlives the call
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tasks[s.Task] != nil {
		return nil // launched before
	}
	l, err := d.admit(s)
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrRefused, err)
	}
	rec := newRecord(s, l.gpus)
	if l.create, err = d.translate(l, rec); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrRefused, err)
	}
	ctx, abandon := context.WithCancel(d.life)
	l.task = &task{rec: rec, framework: d.framework, daemon: l.daemon, state: app.TaskStaging, at: time.Now().UTC(), launching: true, abandon: abandon}
	d.tasks[s.Task] = l.task
	d.work.Go(func() {
		defer abandon()
		d.bring(ctx, l)
	})
	return nil
}

// admit checks everything about a task that can be known before its container exists.
func (d *Driver) admit(s driver.Spec) (launch, error) {
	if _, err := app.ParseTaskID(string(s.Task)); err != nil {
		return launch{}, err
	}
	if s.Task.Instance() != s.Instance {
		return launch{}, fmt.Errorf("task %s is not one of instance %s", s.Task, s.Instance)
	}
	h, m, ok := d.host(s.Host)
	if !ok || !m.up || d.foreignOn(m) {
		return launch{}, fmt.Errorf("host %s is not there", s.Host)
	}
	if s.Image() == "" {
		return launch{}, errors.New("the app has no container image, and the docker driver runs nothing else")
	}
	if e := s.App.Executor; e != "" && e != "//cmd" {
		return launch{}, fmt.Errorf("the executor %q is a program for Mesos' agents, and the docker driver has none", e)
	}
	if err := d.checkVolume(s); err != nil {
		return launch{}, err
	}
	offer := d.offer(h, m)
	room := offer.Free
	for _, kept := range offer.Reserved {
		room = room.Add(kept)
	}
	if !room.Covers(s.Resources) {
		return launch{}, fmt.Errorf("host %s has not enough cpus, mem, disk or gpus left", h.Name)
	}
	for _, port := range s.HostPorts() {
		if !offer.Ports.Contains(port) {
			return launch{}, fmt.Errorf("port %d of host %s is not free", port, h.Name)
		}
	}
	return launch{spec: s, host: h, daemon: m, gpus: d.freeGPUs(h, int(s.Resources.GPUs))}, nil
}

// checkVolume makes sure that the volume is there and nobody else works on it.
func (d *Driver) checkVolume(s driver.Spec) error {
	if s.Volume == "" {
		return nil
	}
	v, there := d.volumes[s.Volume]
	switch {
	case there && v.host != s.Host:
		return fmt.Errorf("volume %s lies on host %s, not on %s", s.Volume, v.host, s.Host)
	case !there:
		return fmt.Errorf("volume %s is not on host %s; bring it back, an empty one would hide the loss", s.Volume, s.Host)
	case v.instance != s.Instance:
		return fmt.Errorf("volume %s belongs to instance %s", s.Volume, v.instance)
	case d.clearing[s.Volume]:
		return fmt.Errorf("volume %s is being removed", s.Volume)
	case d.user(s.Volume) != nil:
		return fmt.Errorf("volume %s is in use by task %s", s.Volume, d.user(s.Volume).rec.Task)
	}
	return nil
}

// freeGPUs are GPUs that no living task has; there are enough, for the offer counted them.
func (d *Driver) freeGPUs(h Host, n int) []GPU {
	var free []GPU
	for _, g := range h.GPUs {
		held := false
		for _, t := range d.tasks {
			held = held || t.rec.Host == h.Name && !t.state.Terminal() && slices.Contains(t.rec.GPUs, g.ID)
		}
		if !held && len(free) < n {
			free = append(free, g)
		}
	}
	return free
}

// bring makes the container of a task and starts it.
func (d *Driver) bring(ctx context.Context, l launch) {
	id, err := d.make(ctx, l)
	if err == nil {
		_, err = l.daemon.api.ContainerStart(ctx, id, client.ContainerStartOptions{})
		err = d.startFailure(l, err)
	}
	d.mu.Lock()
	l.task.container = id
	if err == nil {
		l.task.launching = false
	}
	killed := !l.task.killBy.IsZero()
	d.mu.Unlock()
	known, definite := errors.AsType[*failure](err)
	switch {
	case err == nil:
		d.report("look at container", d.refreshSoon(d.life, l.daemon, id)) //nolint:contextcheck // the launch may have been abandoned
	case d.life.Err() != nil:
	case killed:
		d.giveUp(l, id, app.TaskKilled, "stopped before it began") //nolint:contextcheck // as above
	case definite:
		d.giveUp(l, id, known.state, oneLine(known.Error())) //nolint:contextcheck // as above
	default:
		d.findOut(l, id, err)
	}
}

// refreshSoon looks at a container within the time of an answer.
func (d *Driver) refreshSoon(ctx context.Context, m *daemon, id string) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.patience())
	defer cancel()
	return d.refresh(ctx, m, id)
}

// giveUp ends a launch that came to nothing, and removes what it made before anybody else looks at that.
func (d *Driver) giveUp(l launch, id string, state app.TaskState, why string) {
	ctx, cancel := context.WithTimeout(d.life, d.cfg.patience())
	defer cancel()
	err := d.removeOwn(ctx, l, id)
	d.report("remove container", err, slog.String("task", string(l.spec.Task)))
	d.mu.Lock()
	defer d.mu.Unlock()
	l.task.launching = false
	if err == nil && !l.task.state.Terminal() {
		l.task.container = ""
		d.change(l.task, state, why, time.Time{})
	}
}

// findOut looks for what became of a launch that the daemon did not answer. If it cannot be asked, the next look at it tells.
func (d *Driver) findOut(l launch, id string, cause error) {
	d.log.Warn("nobody knows whether a container was started", slog.String("task", string(l.spec.Task)), slog.Any("err", cause))
	d.mu.Lock()
	l.task.launching = false
	d.mu.Unlock()
	if d.refreshSoon(d.life, l.daemon, cmp.Or(id, l.task.rec.container())) == nil {
		d.unmade(l.task)
	}
}

// unmade ends a task that turned out to have no container, unless looking for one has settled it.
func (d *Driver) unmade(t *task) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.state == app.TaskStaging {
		t.container = ""
		d.change(t, app.TaskDropped, "the docker daemon did not make its container", time.Time{})
	}
}

// removeOwn removes what a launch made, known by its id or by its name.
func (d *Driver) removeOwn(ctx context.Context, l launch, id string) error {
	if id != "" {
		return d.remove(ctx, l.daemon, id)
	}
	seen, err := l.daemon.api.ContainerInspect(ctx, l.task.rec.container(), client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if rec, ours, err := readRecord(seen.Container.Config.Labels); err != nil || !ours || rec.Task != l.spec.Task {
		return err
	}
	return d.remove(ctx, l.daemon, seen.Container.ID)
}

// startFailure reads why a container could not be started. Ports that something else has are avoided for a while.
func (d *Driver) startFailure(l launch, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if !strings.Contains(text, "port is already allocated") && !strings.Contains(text, "address already in use") {
		return failure4xx(app.TaskFailed, "start container", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taken[l.host.Name] == nil {
		d.taken[l.host.Name] = map[int]time.Time{}
	}
	for _, port := range l.task.rec.Ports {
		if strings.Contains(text, fmt.Sprintf(":%d", port)) {
			d.taken[l.host.Name][port] = time.Now()
		}
	}
	return failed(app.TaskDropped, "a port of host %s is in use by another program: %w", l.host.Name, err)
}

// failure4xx makes an answer of the daemon definite. Silence is not: whether anything was done is not known then.
func failure4xx(state app.TaskState, doing string, err error) error {
	if client.IsErrConnectionFailed(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || !answered(err) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return failed(state, "%s: %w", doing, err)
}

// answered reports whether an error is the daemon's own.
func answered(err error) bool {
	for _, is := range []func(error) bool{
		errdefs.IsInvalidArgument, errdefs.IsNotFound, errdefs.IsConflict, errdefs.IsPermissionDenied, errdefs.IsUnauthorized,
		errdefs.IsInternal, errdefs.IsNotImplemented,
	} {
		if is(err) {
			return true
		}
	}
	return false
}
