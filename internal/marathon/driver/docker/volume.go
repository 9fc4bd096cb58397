package docker

import (
	"context"
	"fmt"
	"log/slog"
	"maps"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// lookAtVolumes learns which volumes a daemon has for us.
func (d *Driver) lookAtVolumes(ctx context.Context, m *daemon) error {
	list, err := m.api.VolumeList(ctx, client.VolumeListOptions{Filters: client.Filters{}.Add("label", labelVolume)})
	if err != nil {
		return err
	}
	there := map[string]volume{}
	for _, v := range list.Items {
		if found, ours := readVolume(v.Labels); ours {
			there[found.id] = found
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, v := range d.volumes {
		if _, still := there[id]; !still && d.on(m, v.host) && !d.clearing[id] {
			d.dropVolume(v, "its docker volume was removed by somebody")
		}
	}
	maps.Copy(d.volumes, there)
	return nil
}

func (d *Driver) on(m *daemon, host string) bool {
	_, its, ok := d.host(host)
	return ok && its == m
}

// dropVolume forgets a volume and says so.
func (d *Driver) dropVolume(v volume, why string) {
	delete(d.volumes, v.id)
	d.events.Add(driver.VolumeChanged{Volume: driver.Volume{ID: v.id, Host: v.host}, Why: why})
}

// volumeGone notes that a volume of that name was removed.
func (d *Driver) volumeGone(m *daemon, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range d.volumes {
		if prefix+v.id == name && d.on(m, v.host) && !d.clearing[v.id] {
			d.log.Error("a docker volume was removed by somebody", slog.String("volume", v.id))
			d.dropVolume(v, "its docker volume was removed by somebody")
		}
	}
}

// Reserve implements driver.Driver: a named volume of the daemon with the instance as a label. The daemon makes one of a
// name once and shows the labels of the first.
func (d *Driver) Reserve(ctx context.Context, r driver.Reservation) error {
	d.mu.Lock()
	v := volume{id: r.Volume, instance: r.Instance, host: r.Host, framework: d.framework}
	m, err := d.admitVolume(v)
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrRefused, err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.patience())
	defer cancel()
	made, err := m.api.VolumeCreate(ctx, client.VolumeCreateOptions{Name: prefix + v.id, Labels: v.labels()})
	switch {
	case err != nil && answered(err): // that its disk is full, say
		return fmt.Errorf("%w: make volume on host %s: %w", driver.ErrRefused, r.Host, err)
	case err != nil:
		return fmt.Errorf("%w: make volume on host %s: %w", driver.ErrUnavailable, r.Host, err)
	}
	found, ours := readVolume(made.Volume.Labels)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !ours:
		return fmt.Errorf("%w: host %s has a docker volume %s that was not made for this", driver.ErrRefused, r.Host, prefix+v.id)
	case found != v:
		return fmt.Errorf("%w: volume %s belongs to instance %s", driver.ErrRefused, v.id, found.instance)
	}
	d.volumes[v.id] = v
	d.events.Add(driver.VolumeChanged{Volume: driver.Volume{ID: v.id, Host: v.host}, There: true})
	return nil
}

func (d *Driver) admitVolume(v volume) (*daemon, error) {
	if !plainID.MatchString(v.id) {
		return nil, fmt.Errorf("volume id %q is not a plain name", v.id)
	}
	_, m, ok := d.host(v.host)
	if !ok || !m.up {
		return nil, fmt.Errorf("host %s is not there", v.host)
	}
	old, there := d.volumes[v.id]
	switch {
	case there && old.host != v.host:
		return nil, fmt.Errorf("volume %s lies on host %s, not on %s", v.id, old.host, v.host)
	case there && old.instance != v.instance:
		return nil, fmt.Errorf("volume %s belongs to instance %s", v.id, old.instance)
	case d.clearing[v.id]:
		return nil, fmt.Errorf("volume %s is being removed", v.id)
	}
	return m, nil
}

// Destroy implements driver.Driver.
func (d *Driver) Destroy(_ context.Context, v driver.Volume) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known, there := d.volumes[v.ID]; there {
		v.Host = known.host
	}
	_, m, ok := d.host(v.Host)
	switch {
	case !ok || !m.up:
		return fmt.Errorf("%w: host %s is not there", driver.ErrUnavailable, v.Host)
	case d.user(v.ID) != nil:
		return fmt.Errorf("%w: volume %s is in use by task %s", driver.ErrRefused, v.ID, d.user(v.ID).rec.Task)
	case d.clearing[v.ID]:
		return nil // its end is told once
	}
	d.clearing[v.ID] = true
	d.work.Go(func() { d.destroy(m, v) }) //nolint:contextcheck // it outlives the call
	return nil
}

// user is the living task that works on a volume, nil when none does.
func (d *Driver) user(volume string) *task {
	for _, t := range d.tasks {
		if volume != "" && t.rec.Volume == volume && !t.state.Terminal() {
			return t
		}
	}
	return nil
}

// destroy removes a volume: what ended on it, its further parts, and last the volume itself, so that one that is half
// removed is still listed.
func (d *Driver) destroy(m *daemon, v driver.Volume) {
	ctx, cancel := context.WithTimeout(d.life, d.cfg.patience())
	defer cancel()
	err := d.clear(ctx, m, v.ID)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.clearing, v.ID)
	if err != nil {
		d.report("remove volume", err, slog.String("volume", v.ID))
		return
	}
	delete(d.volumes, v.ID)
	d.events.Add(driver.VolumeChanged{Volume: v})
	d.events.Add(driver.OffersChanged{})
}

func (d *Driver) clear(ctx context.Context, m *daemon, id string) error {
	d.mu.Lock()
	var ended []string
	for _, t := range d.tasks {
		if t.rec.Volume == id && t.daemon == m && t.container != "" {
			ended = append(ended, t.container)
		}
	}
	d.mu.Unlock()
	for _, container := range ended {
		if err := d.remove(ctx, m, container); err != nil {
			return err
		}
	}
	parts, err := m.api.VolumeList(ctx, client.VolumeListOptions{Filters: client.Filters{}.Add("label", labelPartOf+"="+id)})
	if err != nil {
		return err
	}
	names := make([]string, 0, len(parts.Items)+1)
	for _, p := range parts.Items {
		names = append(names, p.Name)
	}
	for _, name := range append(names, prefix+id) {
		if _, err := m.api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}
