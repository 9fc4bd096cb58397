package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// placeAgain is how long after an instance found no place it is tried again if no offer changes: that a stranger lets go
// of a port is nobody's event.
const placeAgain = 10 * time.Second

// launch places an instance, stores that it is being launched, and only then asks the driver. It returns why it could not
// be placed, empty when it could.
func (l *loop) launch(a deploy.Launch) string {
	def := l.defs.Apps[a.App]
	i, made := l.instances[a.Instance]
	if !made {
		i = newInstance(def)
	}
	ctx, cancel := context.WithTimeout(l.ctx, driverTimeout)
	defer cancel()
	offers, err := l.s.driver.Offers(ctx)
	if err != nil {
		l.wakeAt(time.Now().Add(retryAfter))
		return "the driver makes no offers: " + err.Error()
	}
	choice := place.Choose(offers, need(def, i), l.placed())
	if !choice.Found {
		l.wakeAt(time.Now().Add(placeAgain))
		return choice.Why
	}
	o := choice.Offer
	i.Host, i.Address, i.AgentID, i.Attributes, i.Ports = o.Host, o.Address, o.AgentID, o.Attributes, choice.Ports
	i = deploy.Staged(i, def, time.Now())
	if !l.save(i) {
		return ""
	}
	l.tell(Event{Kind: EventPlaced, App: i.App, Instance: i.ID, Task: i.Task(), Host: i.Host, Text: choice.Why})
	l.start(i, spec(def, i, o.ID))
	return ""
}

// start asks the driver to run what was stored.
func (l *loop) start(i deploy.Instance, s driver.Spec) {
	ctx, cancel := context.WithTimeout(l.ctx, driverTimeout)
	defer cancel()
	err := l.s.driver.Launch(ctx, s)
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
