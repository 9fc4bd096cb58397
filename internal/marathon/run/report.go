package run

import (
	"cmp"
	"log/slog"
	"reflect"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// hear takes an event of the driver.
func (l *loop) hear(e driver.Event) {
	switch e := e.(type) {
	case driver.StatusChanged:
		l.reports = append(l.reports, e.Status)
	case driver.Reconciled:
		l.heard = true
	case driver.VolumeChanged:
		l.volumes = append(l.volumes, e)
	case driver.OffersChanged:
		l.lookAtHosts()
	case driver.HostLeaving:
		l.hostLeaves(e.Host, e.Why, e.At, e.Stays)
	}
}

// storeReports stores what the driver reported and acknowledges each report after that: those of one task in order, those of
// many together. False when the store did not confirm: the reports are kept, and the driver keeps them too.
func (l *loop) storeReports() bool {
	for len(l.reports) > 0 {
		if l.stale {
			return false
		}
		batch := oneOfEach(l.reports)
		if !l.storeBatch(batch) {
			return false
		}
		for _, s := range batch {
			l.ack(s)
		}
		l.reports = l.reports[len(batch):]
	}
	return true
}

// oneOfEach are the first reports up to the second one about the same instance.
func oneOfEach(reports []driver.Status) []driver.Status {
	seen := map[app.InstanceID]bool{}
	for n, s := range reports {
		if seen[s.Task.Instance()] {
			return reports[:n]
		}
		seen[s.Task.Instance()] = true
	}
	return reports
}

func (l *loop) ack(s driver.Status) {
	if s.ID == "" {
		return
	}
	ctx, cancel := l.bound(driverTimeout)
	defer cancel()
	if err := l.driver.Ack(ctx, s); err != nil {
		l.s.log.WarnContext(ctx, "a status could not be acknowledged and will come again", slog.String("task", string(s.Task)), slog.Any("err", err))
	}
}

// storeBatch settles reports about different instances; false when they could not be stored.
func (l *loop) storeBatch(batch []driver.Status) bool {
	var changed []deploy.Instance
	olds := map[app.InstanceID]deploy.Instance{}
	for _, s := range batch {
		old, known := l.instances[s.Task.Instance()]
		switch {
		case !known || s.Task.Incarnation() > old.Incarnation:
			l.meetStranger(s)
			continue
		case s.Task.Incarnation() < old.Incarnation:
			continue // the end of an earlier task, told late
		}
		olds[old.ID] = old
		now := deploy.Observe(old, deploy.Report{State: s.State, Message: s.Message, Addresses: s.Addresses}, time.Now())
		if !reflect.DeepEqual(old, now) {
			changed = append(changed, now)
		}
	}
	if !l.save(changed...) {
		return false
	}
	for _, s := range batch {
		if old, known := olds[s.Task.Instance()]; known {
			l.settled(old, s)
		}
	}
	return true
}

// settled takes a report whose effect is stored.
func (l *loop) settled(old deploy.Instance, s driver.Status) {
	now := l.instances[old.ID]
	delete(l.unconfirmed, old.ID)
	l.noteFailure(old, now)
	l.shunned.note(old, now)
	l.feel(now, s)
	l.tellReport(old, now)
}

// meetStranger remembers a living task that the store does not know, or knows by an earlier incarnation only. It is not
// touched, and neither is anything else of its app: it is the store that must be wrong.
func (l *loop) meetStranger(s driver.Status) {
	if s.State.Terminal() {
		if l.strangers[s.Task] {
			delete(l.strangers, s.Task)
			id := s.Task.Instance()
			l.emit(app.UnknownInstanceTerminatedEvent{InstanceID: id, RunSpecID: id.App(), Condition: condition(deploy.Instance{State: s.State})})
		}
		return
	}
	if l.strangers[s.Task] {
		return
	}
	l.strangers[s.Task] = true
	l.tell(Event{
		Kind: EventStranger, App: s.Task.Instance().App(), Instance: s.Task.Instance(), Task: s.Task, Host: s.Host,
		Text: "a task runs that the store does not know; nothing of its app is started or stopped",
	})
}

// tellReport publishes what changed with a report.
func (l *loop) tellReport(old, now deploy.Instance) {
	e := Event{App: now.App, Instance: now.ID, Task: now.Task(), Host: now.Host}
	if old.Live() && !now.Live() {
		l.s.numbers.ended.Add(1)
	}
	switch {
	case old.Live() && !now.Live():
		e.Kind, e.Text = EventEnded, ending(now)
	case old.State == now.State:
		return
	case now.Unreachable():
		e.Kind, e.Text = EventUnreachable, cmp.Or(now.Message, "its host does not answer")
	case now.State == app.TaskRunning:
		e.Kind, e.Text = EventRunning, "runs on "+now.Host
	default:
		return
	}
	l.tell(e)
}

func ending(i deploy.Instance) string {
	if i.Message == "" {
		return string(i.State)
	}
	return string(i.State) + ": " + i.Message
}
