package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Reserve implements driver.Driver: a folder that is recorded as the instance's.
func (d *Driver) Reserve(_ context.Context, r driver.Reservation) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.admitVolume(r); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrRefused, err)
	}
	if _, there := d.volumes[r.Volume]; !there {
		v := volumeRecord{Instance: r.Instance, Host: r.Host}
		if err := d.makeVolume(r.Volume, v); err != nil {
			return fmt.Errorf("%w: %w", driver.ErrRefused, err)
		}
	}
	d.events.Add(driver.VolumeChanged{Volume: driver.Volume{ID: r.Volume, Host: r.Host}, There: true})
	return nil
}

func (d *Driver) admitVolume(r driver.Reservation) error {
	if err := plainName(r.Volume); err != nil {
		return err
	}
	if _, ok := d.host(r.Host); !ok || d.stopped[r.Host] {
		return fmt.Errorf("host %s is not there", r.Host)
	}
	v, there := d.volumes[r.Volume]
	switch {
	case there && v.Host != r.Host:
		return fmt.Errorf("volume %s lies on host %s, not on %s", r.Volume, v.Host, r.Host)
	case there && v.Instance != r.Instance:
		return fmt.Errorf("volume %s belongs to instance %s", r.Volume, v.Instance)
	}
	return nil
}

// plainName keeps ids of volumes inside the folder of volumes.
func plainName(volume string) error {
	if volume == "" || volume != filepath.Base(volume) || volume[0] == '.' {
		return fmt.Errorf("volume id %q is not a plain name", volume)
	}
	return nil
}

// makeVolume makes the folder and then records it, so that a recorded volume without a folder is known to be lost.
func (d *Driver) makeVolume(id string, v volumeRecord) error {
	if content, err := os.ReadDir(d.dir.volume(id)); err == nil && len(content) > 0 && d.volumes[id].Host == "" {
		return fmt.Errorf("make volume: %s holds something that nobody recorded; move it away", d.dir.volume(id))
	}
	if err := d.cfg.mkdirOwned(d.dir.volume(id)); err != nil {
		return fmt.Errorf("make volume: %w", err)
	}
	if err := writeJSON(d.dir.volumeRecord(id), v); err != nil {
		return fmt.Errorf("record volume: %w", err)
	}
	d.volumes[id] = v
	return nil
}

// Destroy implements driver.Driver. The record goes last: what is half removed is still known and removed again.
func (d *Driver) Destroy(_ context.Context, v driver.Volume) error {
	if err := plainName(v.ID); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrRefused, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known, there := d.volumes[v.ID]
	switch {
	case there && d.stopped[known.Host]:
		return fmt.Errorf("%w: host %s has no power", driver.ErrUnavailable, known.Host)
	case d.volumeInUse(v.ID) || d.clearing[d.dir.volume(v.ID)] > 0:
		return fmt.Errorf("%w: volume %s is in use", driver.ErrRefused, v.ID)
	}
	d.clearing[d.dir.volume(v.ID)]++
	d.work.Go(func() { d.destroy(v) })
	return nil
}

// destroy ends what a task left behind in the volume and removes it.
func (d *Driver) destroy(v driver.Volume) {
	dir := d.dir.volume(v.ID)
	err := errors.Join(killAll([]string{dir}), os.RemoveAll(dir))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clearing[dir]--
	if err == nil {
		err = os.Remove(d.dir.volumeRecord(v.ID))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		d.report("destroy volume", err)
		return
	}
	delete(d.volumes, v.ID)
	d.events.Add(driver.VolumeChanged{Volume: v})
	d.events.Add(driver.OffersChanged{})
}
