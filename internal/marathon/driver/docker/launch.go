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
	"github.com/moby/moby/api/types/container"
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
		d.report("look at container", d.refreshSoon(l.daemon, id)) //nolint:contextcheck // the launch may have been abandoned
	case d.life.Err() != nil:
	case killed:
		d.giveUp(l, id, app.TaskKilled, "stopped before it began") //nolint:contextcheck // as above
	case definite:
		d.giveUp(l, id, known.state, oneLine(known.Error())) //nolint:contextcheck // as above
	default:
		d.findOut(l, id, err) //nolint:contextcheck // as above
	}
}

func (d *Driver) refreshSoon(m *daemon, id string) error {
	ctx, cancel := context.WithTimeout(d.life, requestTimeout)
	defer cancel()
	return d.refresh(ctx, m, id)
}

// giveUp ends a launch that came to nothing, and removes what it made before anybody else looks at that.
func (d *Driver) giveUp(l launch, id string, state app.TaskState, why string) {
	ctx, cancel := context.WithTimeout(d.life, requestTimeout)
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
	if d.refreshSoon(l.daemon, cmp.Or(id, l.task.rec.container())) == nil {
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

// make makes the container with everything it needs, not running yet. It returns its id.
func (d *Driver) make(ctx context.Context, l launch) (string, error) {
	files, err := d.fetch(ctx, l) // first, for there may be a login among them
	if err != nil {
		return "", err
	}
	defer func() { d.report("remove fetched files", files.remove()) }()
	declared, err := d.image(ctx, &l, files)
	if err != nil {
		return "", err
	}
	if err := d.mount(ctx, &l, declared); err != nil {
		return "", err
	}
	id, err := d.create(ctx, l)
	if err != nil {
		return id, err
	}
	if err := l.join(ctx, id); err != nil {
		return id, err
	}
	if err := d.fill(ctx, l, id); err != nil {
		return id, err
	}
	return id, files.send(ctx, l, id)
}

// join joins a container to the networks that it was not made with: daemons take one at that time.
func (l launch) join(ctx context.Context, id string) error {
	for _, name := range l.create.further {
		if _, err := l.daemon.api.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: id}); err != nil {
			return failure4xx(app.TaskFailed, "join network "+name+" of host "+l.host.Name, err)
		}
	}
	return nil
}

// fill puts into a container what its task finds there whatever it fetches.
func (d *Driver) fill(ctx context.Context, l launch, id string) error {
	files, err := sandboxFiles(l.spec, l.create.host.ReadonlyRootfs)
	if err != nil {
		return failed(app.TaskFailed, "%w", err)
	}
	_, err = l.daemon.api.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: files.root, Content: &files.body})
	if err != nil {
		return failure4xx(app.TaskFailed, "fill the sandbox", err)
	}
	return nil
}

// image sees to it that the daemon has the image, and returns the paths that it declares as volumes.
func (d *Driver) image(ctx context.Context, l *launch, files fetched) ([]string, error) {
	name := l.spec.Image()
	seen, err := l.daemon.api.ImageInspect(ctx, name)
	if err != nil && !errdefs.IsNotFound(err) {
		return nil, failure4xx(app.TaskError, "look at image "+name, err)
	}
	if err != nil || l.spec.App.Container.Docker.ForcePullImage {
		if err := d.pull(ctx, *l, name, files); err != nil {
			return nil, err
		}
		if seen, err = l.daemon.api.ImageInspect(ctx, name); err != nil {
			return nil, failed(app.TaskFailed, "image %s is not on host %s: %w", name, l.host.Name, err)
		}
	}
	var declared []string
	if seen.Config != nil {
		l.user = cmp.Or(l.create.config.User, seen.Config.User)
		for path := range seen.Config.Volumes {
			declared = append(declared, inside(path))
		}
	}
	slices.Sort(declared)
	return declared, nil
}

// create makes the container. The name belongs to one container: another task's that has ended gives it up, one that
// lives keeps it.
func (d *Driver) create(ctx context.Context, l launch) (string, error) {
	options := client.ContainerCreateOptions{Config: &l.create.config, HostConfig: &l.create.host, NetworkingConfig: l.create.network(), Name: l.task.rec.container()}
	made, err := l.daemon.api.ContainerCreate(ctx, options)
	if errdefs.IsConflict(err) {
		if err := d.freeName(ctx, l); err != nil {
			return "", err
		}
		made, err = l.daemon.api.ContainerCreate(ctx, options)
	}
	switch {
	case errdefs.IsConflict(err):
		return "", failed(app.TaskDropped, "another container takes its name: %w", err)
	case errdefs.IsNotFound(err):
		return "", failed(app.TaskFailed, "make container: %w", err)
	case err != nil:
		return "", failure4xx(app.TaskError, "make container", err)
	}
	for _, warning := range made.Warnings {
		d.log.WarnContext(ctx, "the docker daemon warns", slog.String("task", string(l.spec.Task)), slog.String("warning", warning))
	}
	return made.ID, nil
}

// freeName takes the name of our container from one that has ended or that nobody will start.
func (d *Driver) freeName(ctx context.Context, l launch) error {
	name := l.task.rec.container()
	seen, err := l.daemon.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c := seen.Container
	rec, ours, err := readRecord(c.Config.Labels)
	switch {
	case err != nil || !ours:
		return failed(app.TaskError, "host %s has a container named %s that was not made for this", l.host.Name, name)
	case rec.Task == l.spec.Task:
		return fmt.Errorf("container %s of this task is there already", name) // not definite: the next look tells
	case c.State.Status == container.StateCreated:
		_, err = l.daemon.api.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{})
	case c.State.Status == container.StateExited || c.State.Status == container.StateDead:
		_, err = l.daemon.api.ContainerRename(ctx, c.ID, client.ContainerRenameOptions{NewName: name + ".ended-" + c.ID[:12]})
	default:
		return failed(app.TaskDropped, "volume %s is in use by task %s", l.spec.Volume, rec.Task)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return failure4xx(app.TaskDropped, "take over the name "+name, err)
	}
	return nil
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
