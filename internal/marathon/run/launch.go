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
	"github.com/pgbaton/pgbaton/internal/secret"
)

// placeAgain is how long after an instance found no place it is tried again if no offer changes: that a stranger lets go
// of a port is nobody's event.
const placeAgain = 10 * time.Second

// place finds places for the instances that are to be launched, all from one look at the offers, and returns the intents to
// launch them. One whose volume is not there yet gets that first. What finds no place becomes a wait.
func (l *loop) place(launches []deploy.Launch, plan *deploy.Plan) []intent {
	if len(launches) == 0 {
		return nil
	}
	offers, err := l.offers()
	if err != nil {
		l.wakeAt(time.Now().Add(retryAfter))
		for _, a := range launches {
			plan.Waits = append(plan.Waits, deploy.Wait{App: a.App, Instance: a.Instance, Why: "the driver makes no offers: " + err.Error()})
		}
		return nil
	}
	fleet := l.fleet(offers)
	var intents []intent
	for _, a := range launches {
		def := l.defs.Apps[a.App]
		i, made := l.instances[a.Instance]
		if !made {
			i = newInstance(def)
		}
		n, why := l.launch(fleet, offers, def, i)
		if why != "" {
			l.wakeAt(time.Now().Add(placeAgain))
			plan.Waits = append(plan.Waits, deploy.Wait{App: a.App, Instance: a.Instance, Why: why})
			continue
		}
		intents = append(intents, n)
	}
	return intents
}

// fleet is what there is to place on.
func (l *loop) fleet(offers []place.Offer) *place.Fleet {
	draining := l.draining()
	for n := range offers {
		if why, drains := draining[offers[n].Host]; drains {
			offers[n].Draining = why
		}
	}
	fleet := place.NewFleet(offers, l.placed())
	fleet.Hosts = l.s.cfg.Hosts
	return fleet
}

// launch is the intent to launch an instance, or why it has no place.
func (l *loop) launch(fleet *place.Fleet, offers []place.Offer, def app.App, i deploy.Instance) (intent, string) {
	secrets, why := l.s.secrets(def)
	if why != "" {
		return intent{}, why
	}
	n := l.need(def, i)
	choice := l.choose(fleet, offers, n, i)
	if !choice.Found {
		return intent{}, choice.Why
	}
	fleet.Take(choice, n)
	before, o := i, choice.Offer
	i.Host, i.Address, i.AgentID, i.Attributes, i.Ports = o.Host, o.Address, o.AgentID, o.Attributes, choice.Ports
	if i.Volume != "" && !i.Bound {
		if why := l.giveBack(i, o.Host, offers); why != "" {
			return intent{}, why
		}
		return l.claim(before, i, def, choice), ""
	}
	i = deploy.Staged(i, def, time.Now())
	return intent{i, func() {
		l.tell(Event{Kind: EventPlaced, App: i.App, Instance: i.ID, Task: i.Task(), Host: i.Host, Text: choice.Why})
		l.start(i, l.spec(def, i, o.ID, secrets))
	}}, ""
}

// choose finds a place. Where a volume was asked for and never came, the same host is asked again while it offers enough.
func (l *loop) choose(fleet *place.Fleet, offers []place.Offer, n place.Need, i deploy.Instance) place.Choice {
	at := slices.IndexFunc(offers, func(o place.Offer) bool { return o.Host == i.Host })
	if i.ReservedAt != 0 && !i.Bound && at >= 0 {
		if same := l.fleet(offers[at : at+1]).Choose(n); same.Found {
			return same
		}
	}
	choice := fleet.Choose(n)
	l.noteSearch(n.App.ID, len(offers), choice)
	if n.Shun[choice.Offer.Host] {
		delete(l.shunned, n.App.ID) // it has failed wherever it fits: it goes around once more
	}
	return choice
}

// claim is the intent to have a volume made.
func (l *loop) claim(before, i deploy.Instance, def app.App, choice place.Choice) intent {
	i.Goal, i.ReservedAt, i.Version, i.Postgres = deploy.GoalRunning, app.At(time.Now()), def.Version, def.IsPostgres()
	return intent{i, func() {
		l.abandon(before, i.Host)
		l.tell(Event{Kind: EventPlaced, App: i.App, Instance: i.ID, Host: i.Host, Text: choice.Why})
		l.reserve(i, def, choice.Offer.ID)
	}}
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

func (l *loop) need(def app.App, i deploy.Instance) place.Need {
	n := place.Need{App: def, Instance: i.ID, Volume: i.Volume, Shun: l.shunned.hosts(def, time.Now()), Ports: i.Ports}
	if i.Bound {
		n.Host = i.Host
	}
	return n
}

func resources(def app.App) place.Resources {
	return place.Wants(def)
}

// placed are the instances that have a place: those whose task lives, and those that come back to their volume. For the
// latter their resources are kept, for a suspended one only the disk.
func (l *loop) placed() []place.Placed {
	var list []place.Placed
	for _, i := range l.instances {
		if !i.Live() && i.Volume == "" || i.Host == "" {
			continue
		}
		p := place.Placed{App: i.App, Instance: i.ID, Host: i.Host, Attributes: i.Attributes, Ports: i.Ports, Roles: l.defs.Apps[i.App].AcceptedResourceRoles, Volume: i.Volume}
		if want := resources(l.defs.Apps[i.App]); !i.Live() {
			p.Holds = want
			if i.Volume != "" && !i.Bound {
				p.Mounts = place.Mounts(l.defs.Apps[i.App])
			}
			if i.Goal != deploy.GoalRunning {
				p.Holds = place.Resources{Disk: want.Disk}
			}
		}
		list = append(list, p)
	}
	return list
}

// spec is the task as the driver gets it.
func (l *loop) spec(def app.App, i deploy.Instance, offer string, secrets map[string]secret.Text) driver.Spec {
	env := def.TaskEnv(i.Task(), i.Host, i.Ports)
	_, own := def.Env[app.EnvEnforceRole]
	if _, enforced := l.defs.EnforcedRole(def.ID); enforced && !own {
		env[app.EnvEnforceRole] = "true"
	}
	for name, v := range def.Env {
		if v.Secret != "" {
			env[name] = secrets[v.Secret].Reveal()
		}
	}
	return driver.Spec{
		Task: i.Task(), Instance: i.ID, Offer: offer, Host: i.Host, App: def, Env: env, Secrets: secrets,
		Ports: i.Ports, Volume: i.Volume, Resources: resources(def),
	}
}
