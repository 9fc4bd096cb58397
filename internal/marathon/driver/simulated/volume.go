package simulated

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Reserve implements driver.Driver.
func (d *Driver) Reserve(ctx context.Context, r driver.Reservation) error {
	if err := d.reach(ctx); err != nil {
		return err
	}
	f := d.fleet
	defer f.mu.Unlock()
	f.checkReserve(r)
	lost, silent := f.weather.vague(f.chance)
	if lost {
		return fmt.Errorf("%w: the reservation got lost", driver.ErrUnavailable)
	}
	v := driver.Volume{ID: r.Volume, Host: r.Host}
	why := f.admitVolume(r)
	switch {
	case why != "" && f.weather.LateRefusals:
		f.announce(driver.VolumeChanged{Volume: v, Why: why, Attempt: r.Attempt})
		return nil
	case why != "":
		return fmt.Errorf("%w: %s", driver.ErrRefused, why)
	}
	f.note(Entry{Verb: Reserved, Volume: r.Volume, Host: r.Host})
	f.makeVolume(r.Volume, f.hosts[r.Host], r.Instance)
	f.announce(driver.VolumeChanged{Volume: v, There: true})
	if silent {
		return fmt.Errorf("%w: the answer got lost", driver.ErrUnavailable)
	}
	return nil
}

// admitVolume says why a volume cannot be made, empty when it can.
func (f *Fleet) admitVolume(r driver.Reservation) string {
	h := f.hosts[r.Host]
	switch {
	case r.Volume == "":
		return "a volume has no id"
	case h == nil || h.lost():
		return fmt.Sprintf("host %s is not there", r.Host)
	}
	v, other := h.volumes[r.Volume], f.elsewhere(r.Volume, h)
	switch {
	case other != nil:
		return fmt.Sprintf("volume %s lies on host %s, not on %s", r.Volume, other.host.Name, r.Host)
	case v != nil && v.instance != r.Instance:
		return fmt.Sprintf("volume %s belongs to instance %s", r.Volume, v.instance)
	case v == nil && f.weather.Refuse != "":
		return f.weather.Refuse
	case v == nil && !h.covers(r.App, r.Resources):
		return fmt.Sprintf("host %s has not enough cpus, mem, disk or gpus left", r.Host)
	}
	return ""
}

func (f *Fleet) makeVolume(id string, h *host, instance app.InstanceID) *volume {
	v := h.volumes[id]
	if v == nil {
		v = &volume{id: id, host: h, instance: instance, files: Files{}}
		h.volumes[id] = v
	}
	return v
}

// Destroy implements driver.Driver.
func (d *Driver) Destroy(ctx context.Context, asked driver.Volume) error {
	if err := d.reach(ctx); err != nil {
		return err
	}
	f := d.fleet
	defer f.mu.Unlock()
	var v *volume
	if h := f.hosts[asked.Host]; h != nil {
		v = h.volumes[asked.ID]
	}
	switch user := f.user(asked.ID); {
	case v != nil && v.host.lost():
		return fmt.Errorf("%w: host %s is out of reach", driver.ErrUnavailable, v.host.Name)
	case v != nil && user != nil && user.host == v.host:
		return fmt.Errorf("%w: volume %s is in use by task %s", driver.ErrRefused, asked.ID, user.spec.Task)
	}
	lost, silent := f.weather.vague(f.chance)
	if lost {
		return fmt.Errorf("%w: the request got lost", driver.ErrUnavailable)
	}
	if v != nil {
		f.checkDestroy(v)
		f.note(Entry{Verb: Destroyed, Volume: v.id, Host: v.host.Name})
		f.dropVolume(v)
	}
	f.announce(driver.VolumeChanged{Volume: asked})
	f.announce(driver.OffersChanged{})
	if silent {
		return fmt.Errorf("%w: the answer got lost", driver.ErrUnavailable)
	}
	return nil
}

// elsewhere is a volume of that id on another host, where that must not be; nil when there is none.
func (f *Fleet) elsewhere(id string, h *host) *volume {
	if f.cfg.Scattered {
		return nil
	}
	for _, v := range f.volumes() {
		if v.id == id && v.host != h {
			return v
		}
	}
	return nil
}

// volumes are those of all hosts, in the order of the hosts and of their ids.
func (f *Fleet) volumes() []*volume {
	var list []*volume
	for _, name := range f.names {
		h := f.hosts[name]
		for _, id := range slices.Sorted(maps.Keys(h.volumes)) {
			list = append(list, h.volumes[id])
		}
	}
	return list
}

func (f *Fleet) dropVolume(v *volume) {
	delete(v.host.volumes, v.id)
	if v.data {
		f.forget(f.cluster(v.instance.App()))
	}
}

// AddVolume puts a volume on a host that no scheduler has asked for, as one of an older store is.
func (f *Fleet) AddVolume(id, host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.makeVolume(id, f.hosts[host], "").used = true // for all anybody knows
	f.announceAt(time.Now(), driver.OffersChanged{})
}
