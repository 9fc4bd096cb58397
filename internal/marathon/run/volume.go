package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// reserve asks the driver for the volume of an instance that has none yet, on the host that was chosen and is stored. Its
// task is launched when the volume is there.
func (l *loop) reserve(i deploy.Instance, def app.App, offer string) {
	ctx, cancel := l.bound(driverTimeout)
	defer cancel()
	err := l.driver.Reserve(ctx, driver.Reservation{
		Volume: i.Volume, Instance: i.ID, Offer: offer, Host: i.Host, App: def, Ports: i.Ports, Resources: resources(def), Attempt: i.ReservedAt,
	})
	switch {
	case err == nil:
	case errors.Is(err, driver.ErrRefused):
		l.volumes = append(l.volumes, driver.VolumeChanged{Volume: driver.Volume{ID: i.Volume, Host: i.Host}, Why: err.Error(), Attempt: i.ReservedAt})
	default: // deploy asks again after a while
		l.s.log.WarnContext(ctx, "nobody knows whether a volume was made", slog.String("volume", i.Volume), slog.Any("err", err))
	}
}

// giveBack has a volume destroyed that was made for an instance in vain, on another host than the one chosen now: a request
// of which nobody heard any more. No task has used it. It says what is waited for, empty for nothing.
func (l *loop) giveBack(i deploy.Instance, chosen string, offers []place.Offer) string {
	for _, o := range offers {
		if o.Host == chosen || i.Incarnation > 0 || !slices.Contains(o.Volumes, i.Volume) {
			continue
		}
		ctx, cancel := l.bound(driverTimeout)
		defer cancel()
		if err := l.driver.Destroy(ctx, driver.Volume{ID: i.Volume, Host: o.Host}); err != nil {
			l.s.log.WarnContext(ctx, "the driver did not take a request to destroy a volume", slog.String("volume", i.Volume), slog.Any("err", err))
		}
		return "a volume that was made for it on " + o.Host + " is destroyed first"
	}
	return ""
}

// storeVolumes stores what the driver said about volumes; false when the store did not confirm.
func (l *loop) storeVolumes() bool {
	for len(l.volumes) > 0 {
		if l.stale || !l.storeVolume(l.volumes[0]) {
			return false
		}
		l.volumes = l.volumes[1:]
	}
	return true
}

func (l *loop) storeVolume(v driver.VolumeChanged) bool {
	i, known := l.owner(v.Volume)
	switch {
	case !known:
		return true // a stray one is shown with the offers
	case v.There && (i.Bound || i.ReservedAt == 0):
		return true // said before
	case v.There:
		i.Bound, i.ReservedAt = true, 0
	case i.Goal == deploy.GoalWiped && i.DestroyedAt != 0:
		i.Volume, i.Bound, i.DestroyedAt, i.ReservedAt = "", false, 0, 0
	case v.Attempt != 0 && v.Attempt != i.ReservedAt:
		return true // of a request before the present one, which has its own answer
	case i.ReservedAt != 0 && !i.Bound:
		// Like a task that ended too soon: the next try comes after a pause.
		i.ReservedAt, i.Host, i.Message, i.Failures, i.EndedAt = 0, "", v.Why, i.Failures+1, app.At(time.Now())
		l.shunned.fail(i.App, v.Volume.Host, i.EndedAt)
		l.tell(Event{Kind: EventWaiting, App: i.App, Instance: i.ID, Host: v.Volume.Host, Text: "the volume was not made: " + v.Why})
	case i.Bound:
		// The driver only says so unasked when the data are lost for certain: the instance begins anew, elsewhere.
		i.Bound = false
		if !i.Live() {
			i.Host = ""
		}
		l.tell(Event{Kind: EventHost, App: i.App, Instance: i.ID, Host: v.Volume.Host, Text: "its volume is lost: " + v.Why})
	default:
		return true
	}
	return l.save(i)
}

// owner is the instance that a volume on a host belongs to.
func (l *loop) owner(v driver.Volume) (deploy.Instance, bool) {
	i, known := l.instances[app.InstanceID(v.ID)]
	return i, known && i.Volume == v.ID && (v.Host == "" || v.Host == i.Host)
}

// StrayVolumes are the volumes of the last offers that no instance claims, sorted by host and id. Nothing destroys them: they
// may be all that is left of a database whose scheduler has lost its memory. Hosts are asked to offer what they have; what
// comes later is in the next answer.
func (s *Scheduler) StrayVolumes(ctx context.Context) ([]app.StrayVolume, error) {
	var list []app.StrayVolume
	var err error
	called := s.call(ctx, func(l *loop) { list, err = l.strays() }) //nolint:contextcheck // as in Apply
	if called != nil {
		return nil, called
	}
	return list, err
}

// AdoptVolumes makes members of the stray volumes of a database that the scheduler does not know: they wait until its
// definition is posted, and return to their volumes then. Errors: app.ErrNotStray for one it knows, app.ErrNoVolume.
func (s *Scheduler) AdoptVolumes(ctx context.Context, id app.ID) ([]app.StrayVolume, error) {
	var list []app.StrayVolume
	var err error
	called := s.call(ctx, func(l *loop) { list, err = l.adopt(id) }) //nolint:contextcheck // as in Apply
	if called != nil {
		return nil, called
	}
	return list, err
}

// incarnationsBefore is how many tasks an adopted instance counts as having had: no id of a task comes twice.
const incarnationsBefore = 1000

func (l *loop) adopt(id app.ID) ([]app.StrayVolume, error) {
	strays, err := l.strays()
	if err != nil {
		return nil, err
	}
	if _, defined := l.defs.Apps[id]; defined {
		return nil, fmt.Errorf("%w: %s has a definition; its volumes can be adopted before it is posted", app.ErrNotStray, id)
	}
	for _, i := range l.instances {
		if i.App == id {
			return nil, fmt.Errorf("%w: %s is an instance of %s; what is stray beside it is older", app.ErrNotStray, i.ID, id)
		}
	}
	var adopted []deploy.Instance
	own := slices.DeleteFunc(strays, func(v app.StrayVolume) bool { return v.App != id || v.Framework != "" })
	for _, v := range own {
		if slices.ContainsFunc(adopted, func(i deploy.Instance) bool { return i.Volume == v.ID }) {
			return nil, fmt.Errorf("%w: volume %s lies on more than one host, and nobody knows which is the right one", app.ErrNotStray, v.ID)
		}
		adopted = append(adopted, deploy.Instance{
			ID: app.InstanceID(v.ID), App: id, Goal: deploy.GoalSuspended, Host: v.Host, Volume: v.ID, Bound: true,
			Incarnation: incarnationsBefore, State: app.TaskFinished, Clean: true, Message: "its volume was found and adopted",
		})
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("%w: no host offers a volume of %s that has no owner; hosts that do not offer now may have some", app.ErrNoVolume, id)
	}
	if !l.save(adopted...) {
		return nil, fmt.Errorf("%w: it is not known whether the store has taken the volumes; ask again", app.ErrUnavailable)
	}
	for _, i := range adopted {
		l.tell(Event{Kind: EventHost, App: id, Instance: i.ID, Host: i.Host, Text: "its volume is adopted"})
	}
	return own, nil
}

// strays asks for offers and lists what they show that nobody claims.
func (l *loop) strays() ([]app.StrayVolume, error) {
	if err := l.available(); err != nil {
		return nil, err
	}
	offers, err := l.offers()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", app.ErrUnavailable, err)
	}
	for _, o := range offers {
		l.foreign[o.Host] = o.Foreign
	}
	list := []app.StrayVolume{}
	for host, volumes := range l.offered {
		for _, id := range volumes {
			if _, claimed := l.owner(driver.Volume{ID: id, Host: host}); !claimed {
				list = append(list, stray(id, host, ""))
			}
		}
	}
	for host, volumes := range l.foreign {
		for id, framework := range volumes {
			list = append(list, stray(id, host, framework))
		}
	}
	slices.SortFunc(list, func(a, b app.StrayVolume) int { return strings.Compare(a.Host+" "+a.ID, b.Host+" "+b.ID) })
	return list, nil
}

func stray(id, host, framework string) app.StrayVolume {
	v := app.StrayVolume{ID: id, Host: host, Framework: framework}
	if instance, err := app.ParseInstanceID(id); err == nil {
		v.App = instance.App()
	}
	return v
}

// offers asks the driver what is free, and remembers which volumes lie where.
func (l *loop) offers() ([]place.Offer, error) {
	ctx, cancel := l.bound(driverTimeout)
	defer cancel()
	began := time.Now()
	offers, err := l.driver.Offers(ctx)
	l.s.numbers.asked(began)
	if err != nil {
		return nil, err
	}
	for _, o := range offers {
		l.offered[o.Host] = o.Volumes
	}
	return offers, nil
}
