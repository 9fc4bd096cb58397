package run

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// placeAgain is how long after an instance found no place it is tried again if no offer changes: that a stranger lets go
// of a port is nobody's event.
const placeAgain = 10 * time.Second

// launch places an instance, stores that it is being launched, and only then asks the driver. One whose volume is not there
// yet gets that first. It returns why it could not be placed, empty when it could.
func (l *loop) launch(a deploy.Launch) string {
	def := l.defs.Apps[a.App]
	i, made := l.instances[a.Instance]
	if !made {
		i = newInstance(def)
	}
	offers, err := l.offers()
	if err != nil {
		l.wakeAt(time.Now().Add(retryAfter))
		return "the driver makes no offers: " + err.Error()
	}
	choice := l.choose(offers, def, i)
	if !choice.Found {
		l.wakeAt(time.Now().Add(placeAgain))
		return choice.Why
	}
	o := choice.Offer
	l.abandon(i, o.Host)
	i.Host, i.Address, i.AgentID, i.Attributes, i.Ports = o.Host, o.Address, o.AgentID, o.Attributes, choice.Ports
	if i.Volume != "" && !i.Bound {
		return l.claim(i, def, choice)
	}
	i = deploy.Staged(i, def, time.Now())
	if !l.save(i) {
		return ""
	}
	l.tell(Event{Kind: EventPlaced, App: i.App, Instance: i.ID, Task: i.Task(), Host: i.Host, Text: choice.Why})
	l.start(i, spec(def, i, o.ID))
	return ""
}

// choose finds a place. Where a volume was asked for and never came, the same host is asked again while it offers enough.
func (l *loop) choose(offers []place.Offer, def app.App, i deploy.Instance) place.Choice {
	placed := l.placed()
	n := slices.IndexFunc(offers, func(o place.Offer) bool { return o.Host == i.Host })
	if i.ReservedAt != 0 && !i.Bound && n >= 0 {
		if same := place.Choose(offers[n:n+1], need(def, i), placed); same.Found {
			return same
		}
	}
	choice := place.Choose(offers, need(def, i), placed)
	l.noteSearch(def.ID, offers, choice)
	return choice
}

// claim stores that a volume is asked for and then asks for it.
func (l *loop) claim(i deploy.Instance, def app.App, choice place.Choice) string {
	i.Goal, i.ReservedAt = deploy.GoalRunning, app.At(time.Now())
	i.Postgres = def.IsPostgres()
	if l.save(i) {
		l.tell(Event{Kind: EventPlaced, App: i.App, Instance: i.ID, Host: i.Host, Text: choice.Why})
		l.reserve(i, def, choice.Offer.ID)
	}
	return ""
}

// abandon gives back a volume that was asked for on another host than the one chosen now, should it ever have come to be: no
// task has used it.
func (l *loop) abandon(i deploy.Instance, chosen string) {
	if i.ReservedAt == 0 || i.Bound || i.Host == "" || i.Host == chosen {
		return
	}
	ctx, cancel := l.bound(driverTimeout)
	defer cancel()
	if err := l.driver.Destroy(ctx, driver.Volume{ID: i.Volume, Host: i.Host}); err != nil {
		l.s.log.WarnContext(ctx, "a volume that was asked for in vain may be left behind", slog.String("volume", i.Volume), slog.String("host", i.Host), slog.Any("err", err))
	}
}

// start asks the driver to run what was stored.
func (l *loop) start(i deploy.Instance, s driver.Spec) {
	ctx, cancel := l.bound(driverTimeout)
	defer cancel()
	began := time.Now()
	err := l.driver.Launch(ctx, s)
	l.s.numbers.asked(began)
	l.s.numbers.launches.Add(1)
	switch {
	case err == nil:
	case errors.Is(err, driver.ErrRefused):
		// As good as a status of the driver: nothing was started and nothing will be.
		l.reports = append(l.reports, driver.Status{Task: s.Task, State: app.TaskError, Host: s.Host, Message: err.Error(), Time: time.Now()})
	default:
		l.s.log.WarnContext(ctx, "nobody knows whether a task was launched", slog.String("task", string(s.Task)), slog.Any("err", err))
		l.unconfirmed[i.ID] = true
		l.reconciled = time.Time{}
	}
}

func newInstance(def app.App) deploy.Instance {
	i := deploy.Instance{ID: app.NewInstanceID(def.ID, uuid()), App: def.ID}
	if deploy.Resident(def) {
		i.Volume = string(i.ID)
	}
	return i
}

// uuid is a random one (version 4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func need(def app.App, i deploy.Instance) place.Need {
	n := place.Need{App: def, Instance: i.ID, Ports: i.Ports}
	if i.Bound {
		n.Host, n.Volume = i.Host, i.Volume
	}
	return n
}

func resources(def app.App) place.Resources {
	return place.Resources{CPUs: def.CPUs, Mem: def.Mem, Disk: def.Disk, GPUs: float64(def.GPUs)}
}

// placed are the instances that have a place: those whose task lives, and those that come back to their volume. For the
// latter their resources are kept, for a suspended one only the disk.
func (l *loop) placed() []place.Placed {
	var list []place.Placed
	for _, i := range l.instances {
		if !i.Live() && i.Volume == "" || i.Host == "" {
			continue
		}
		p := place.Placed{App: i.App, Instance: i.ID, Host: i.Host, Attributes: i.Attributes, Ports: i.Ports}
		if want := resources(l.defs.Apps[i.App]); !i.Live() {
			p.Holds = want
			if i.Goal != deploy.GoalRunning {
				p.Holds = place.Resources{Disk: want.Disk}
			}
		}
		list = append(list, p)
	}
	return list
}

// spec is the task as the driver gets it.
func spec(def app.App, i deploy.Instance, offer string) driver.Spec {
	return driver.Spec{
		Task: i.Task(), Instance: i.ID, Offer: offer, Host: i.Host, App: def, Env: def.TaskEnv(i.Task(), i.Host, i.Ports),
		Ports: i.Ports, Volume: i.Volume, Resources: resources(def),
	}
}
