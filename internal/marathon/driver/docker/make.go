package docker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

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
