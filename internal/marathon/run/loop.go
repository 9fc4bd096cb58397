package run

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

const (
	storeTimeout  = 5 * time.Second  // for one call to the store
	driverTimeout = 30 * time.Second // for one call to the driver
	retryAfter    = time.Second      // after the store or the driver has not answered
	askAgain      = 15 * time.Second // after the driver has not spoken of a task it was asked about
	longest       = time.Hour        // sleep when there is nothing to wait for
	mostWaiting   = 20_000           // events that one plan is made for at most
	mostRounds    = 100              // of plans in one step: more would mean that plans do not converge
)

// loop is the state of a running scheduler. Only the goroutine of Run touches it.
type loop struct {
	s    *Scheduler
	ctx  context.Context //nolint:containedctx // the life of everything the loop starts in the background
	work sync.WaitGroup

	term   Term
	driver driver.Driver // asks for nothing once the term is over

	loaded     bool // the state was read at least once
	stale      bool // the picture of the store may be wrong: read it again before anything else
	subscribed bool
	heard      bool      // the driver has answered what it was asked first
	began      time.Time // when the state was read last
	reconciled time.Time // when the driver was last asked about unconfirmed tasks
	storeWhy   string    // why the store is out of reach, empty when it is not

	framework string
	former    []string // frameworks it was before
	defs      store.Definitions
	instances map[app.InstanceID]deploy.Instance
	reports   []driver.Status        // not stored yet, in order
	volumes   []driver.VolumeChanged // the same

	groupVersions []app.Timestamp // that the archive keeps, oldest first
	failures      map[app.ID]app.TaskFailure
	shunned       shunned
	searches      map[app.ID]queueing

	unconfirmed map[app.InstanceID]bool
	strangers   map[app.TaskID]bool
	down        map[string]bool
	roles       map[app.ID]deploy.Roles
	drained     map[string]string            // hosts that people want to become empty, with the reason
	leaving     map[string]string            // hosts that the platform will take away, with the reason
	offered     map[string][]string          // the volumes of each host, as of its last offer
	foreign     map[string]map[string]string // and those of others, when somebody last asked
	epochs      map[app.ID]int               // grows whenever answers about roles lose their worth
	asking      map[app.ID]bool
	switchovers map[app.ID]deploy.Switchover
	readiness   map[app.InstanceID]*readiness
	probes      map[app.InstanceID]*probes
	breaker     deploy.Breaker
	ready       map[app.InstanceID]bool // whose readiness check has passed
	waits       map[waitKey]deploy.Wait
	halted      time.Time
	halts       []chan struct{} // closed when everything has stopped

	wake time.Time
}

// waitKey is what a wait is about.
type waitKey struct {
	app      app.ID
	instance app.InstanceID
}

func newLoop(ctx context.Context, s *Scheduler, term Term, d driver.Driver) *loop {
	return &loop{
		s: s, ctx: ctx, term: term, driver: fenced{d, term}, stale: true,
		instances: map[app.InstanceID]deploy.Instance{}, unconfirmed: map[app.InstanceID]bool{},
		strangers: map[app.TaskID]bool{}, down: map[string]bool{}, roles: map[app.ID]deploy.Roles{},
		epochs: map[app.ID]int{}, asking: map[app.ID]bool{}, switchovers: map[app.ID]deploy.Switchover{},
		probes: map[app.InstanceID]*probes{}, waits: map[waitKey]deploy.Wait{},
		failures: map[app.ID]app.TaskFailure{}, shunned: shunned{}, searches: map[app.ID]queueing{},
		drained: map[string]string{}, leaving: map[string]string{}, offered: map[string][]string{}, foreign: map[string]map[string]string{},
		ready: map[app.InstanceID]bool{}, readiness: map[app.InstanceID]*readiness{},
	}
}

// step does everything that can be done now. Its error ends the scheduler.
func (l *loop) step() error {
	l.wake = time.Now().Add(longest)
	defer l.publish()
	for range mostRounds {
		ready, err := l.prepared()
		if err != nil {
			return err
		}
		if !l.storeReports() || !l.storeVolumes() || !ready {
			l.wakeAt(time.Now().Add(retryAfter))
			return nil
		}
		began := time.Now()
		plan := deploy.Next(l.state(), began)
		l.s.numbers.planned(began)
		if !plan.Wake.IsZero() {
			l.wakeAt(plan.Wake)
		}
		l.noteBreaker(plan.Breaker)
		acted := l.carryOut(&plan)
		l.ask(plan.Ask)
		l.noteWaits(plan)
		if !acted {
			return nil
		}
	}
	l.s.log.ErrorContext(l.ctx, "plans do not come to an end, the scheduler pauses", slog.Duration("pause", retryAfter))
	l.wakeAt(time.Now().Add(retryAfter))
	return nil
}

func (l *loop) wakeAt(t time.Time) {
	if t.Before(l.wake) {
		l.wake = t
	}
}

func (l *loop) sleep() time.Duration { return max(0, time.Until(l.wake)) }

// state is what a decision is made from.
func (l *loop) state() deploy.State {
	s := deploy.State{
		Apps: l.defs.Apps, Roles: l.roles, Down: l.down, Unconfirmed: l.unconfirmed, Switchovers: l.switchovers, Halted: l.halted,
		Began: l.began, Health: l.health(), Draining: l.draining(), Ready: l.ready, Strangers: map[app.ID][]app.TaskID{},
		Breaker: l.breaker,
	}
	for _, id := range slices.Sorted(maps.Keys(l.instances)) {
		s.Instances = append(s.Instances, l.instances[id])
	}
	for _, d := range l.defs.Deployments {
		s.Deployments = append(s.Deployments, d.Deployment)
	}
	for _, task := range slices.Sorted(maps.Keys(l.strangers)) {
		id := task.Instance().App()
		s.Strangers[id] = append(s.Strangers[id], task)
	}
	return s
}

// set takes over an instance that was just stored.
func (l *loop) set(i deploy.Instance) {
	l.instances[i.ID] = i
	l.forgetRoles(i.App)
}

// forgetRoles drops answers that came from before a change, also those on their way.
func (l *loop) forgetRoles(id app.ID) {
	delete(l.roles, id)
	l.epochs[id]++
}

// save stores instances and takes them over; false when the store did not confirm them all.
func (l *loop) save(list ...deploy.Instance) bool {
	if len(list) == 0 {
		return true
	}
	ctx, cancel := l.bound(storeTimeout + time.Duration(len(list))*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := l.s.store.SaveInstances(ctx, list...)
	l.s.numbers.wrote(len(list), began)
	if err != nil {
		l.lost(err)
		return false
	}
	for _, i := range list {
		old := l.instances[i.ID]
		l.set(i)
		l.emitChange(old, i)
	}
	return true
}

// lost notes that the store did not confirm a write or could not be read.
func (l *loop) lost(err error) {
	l.stale = true
	if l.storeWhy == "" {
		l.tell(Event{Kind: EventStore, Text: "the store does not answer; nothing is started or stopped until it does: " + err.Error()})
	}
	l.storeWhy = err.Error()
}

// noteWaits publishes reasons for waiting when they are new. An app that is being asked keeps its reasons: the question
// is on the way to a better one.
func (l *loop) noteWaits(plan deploy.Plan) {
	now := map[waitKey]deploy.Wait{}
	for key, w := range l.waits {
		if slices.Contains(plan.Ask, key.app) {
			now[key] = w
		}
	}
	seen := map[waitKey]bool{}
	for _, w := range plan.Waits {
		key := waitKey{w.App, w.Instance}
		if seen[key] || slices.Contains(plan.Ask, w.App) && w.Instance == "" {
			continue
		}
		seen[key], now[key] = true, w
		if l.waits[key] != w {
			l.tell(Event{Kind: EventWaiting, App: w.App, Instance: w.Instance, Host: l.instances[w.Instance].Host, Text: w.Why})
		}
	}
	l.waits = now
}

// post hands something to the loop from the background.
func (l *loop) post(do func(*loop)) {
	select {
	case l.s.inbox <- do:
	case <-l.ctx.Done():
	}
}
