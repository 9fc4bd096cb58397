package deploy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// fleet is a small world of tasks that a scheduler asks how they are, second by second. The scheduler may be cut off.
type fleet struct {
	t      failer
	choose chooser
	bend   breakerMutant
	now    time.Time
	cut    bool // the scheduler hears nobody
	state  State
	tasks  map[app.InstanceID]*asked
	stops  []time.Time
	healed time.Time // when it was cut off last
	few    bool      // nobody could tell: too few well tasks were known when the last cut began, or the one before was just over
}

// asked is a task with one check.
type asked struct {
	check    app.HealthCheck
	interval int // seconds
	offset   int
	dead     bool // nothing listens
	sick     bool // it answers with errors
	tally    app.HealthResult
	contact  Contact
	quiet    time.Time
	replaced int  // how often it was
	ill      bool // it was not well itself at one of the questions that it failed last
}

func (a *asked) well() bool { return !a.dead && !a.sick }

// breakerMutant is a deliberate mistake.
type breakerMutant struct {
	fault      string
	health     func(f *fleet, h *Health)
	state      func(f *fleet, s *State)
	unpardoned bool // what failed while the scheduler was cut off counts
	stuck      bool // the breaker never closes
}

var breakerMutants = []breakerMutant{
	{fault: "silence is always the task's own fault", health: func(_ *fleet, h *Health) { h.Quiet = time.Time{} }},
	{fault: "the last answer counts however old it is", health: func(f *fleet, h *Health) {
		if !h.Contact.Heard.IsZero() {
			h.Contact.Heard = f.now
		}
	}},
	{fault: "tasks that ran before the scheduler did are taken for new ones", health: func(_ *fleet, h *Health) { h.Contact.Early = false }},
	{fault: "that the breaker is open is replaced at once", state: func(_ *fleet, s *State) { s.Breaker.Open = time.Time{} }, unpardoned: true},
	{fault: "what failed while the scheduler was cut off counts", unpardoned: true},
	{fault: "the breaker never closes", stuck: true},
	{fault: "what was ended a moment ago is replaced", state: func(_ *fleet, s *State) { s.Breaker.Kills = nil }},
	{fault: "no task is ended for a failed check", health: func(_ *fleet, h *Health) { h.Kill = "" }},
}

func newFleet(t failer, choose chooser, bend breakerMutant) *fleet {
	f := &fleet{t: t, choose: choose, bend: bend, now: noon, state: emptyState(), tasks: map[app.InstanceID]*asked{}}
	instances := 2 + choose(24, "instances")
	f.state.Apps[web] = app.App{ID: web, Instances: instances, BackoffSeconds: 1, BackoffFactor: 1}.Created(app.At(noon))
	hosts := 1 + choose(4, "hosts")
	for n := range instances {
		i := Instance{
			ID: app.InstanceID(fmt.Sprintf("web.%02d", n)), App: web, Goal: GoalRunning, Incarnation: 1, State: app.TaskRunning,
			Host: fmt.Sprintf("node%d", n%hosts), Version: f.state.Apps[web].Version, StartedAt: app.At(noon),
		}
		f.state.Instances = append(f.state.Instances, i)
		f.tasks[i.ID] = &asked{
			check:    app.HealthCheck{Protocol: app.ProtocolHTTP, MaxConsecutiveFailures: 1 + choose(3, "failures")},
			interval: []int{2, 5, 20}[choose(3, "interval")], offset: choose(20, "offset"),
		}
	}
	return f
}

// second lets everybody be asked whose time has come, and carries out what the scheduler then does.
func (f *fleet) second() {
	f.now = f.now.Add(time.Second)
	for n := range f.state.Instances {
		i := &f.state.Instances[n]
		if a := f.tasks[i.ID]; i.State == app.TaskRunning && (int(f.now.Sub(noon).Seconds())+a.offset)%a.interval == 0 {
			f.ask(i, a)
		}
	}
	seen := f.state
	seen.Health = map[app.InstanceID]Health{}
	for _, i := range seen.Instances {
		seen.Health[i.ID] = f.health(i, f.tasks[i.ID])
	}
	if f.bend.state != nil {
		f.bend.state(f, &seen)
	}
	plan := Next(seen, f.now)
	f.keep(plan.Breaker)
	for _, a := range plan.Actions {
		f.carryOut(a)
	}
}

// ask is one question to a task.
func (f *fleet) ask(i *Instance, a *asked) {
	p := Probe{Heard: !f.cut && !a.dead, OK: !f.cut && a.well()}
	a.ill = !p.OK && (a.ill || !a.well())
	a.contact = a.contact.Next(p.Heard, f.now)
	a.tally = Tally(a.tally, a.check, p, i.StartedAt, f.now)
	switch {
	case p.Heard:
		a.quiet = time.Time{}
	case a.quiet.IsZero():
		a.quiet = f.now
	}
}

func (f *fleet) health(i Instance, a *asked) Health {
	h := Health{Healthy: a.tally.Alive, Kill: Exhausted(a.tally, a.check), Quiet: a.quiet, Contact: a.contact}
	h.Own, h.Sick = true, max(a.tally.LastSuccess, i.StartedAt).Time()
	if f.bend.health != nil {
		f.bend.health(f, &h)
	}
	return h
}

// keep remembers the breaker. What failed while it was open counts for nothing when it closes.
func (f *fleet) keep(next Breaker) {
	if f.bend.stuck && next.Open.IsZero() {
		next.Open = f.state.Breaker.Open
	}
	closes := !f.state.Breaker.Open.IsZero() && next.Open.IsZero()
	f.state.Breaker = next
	for _, a := range f.tasks {
		if closes && !a.quiet.IsZero() && !f.bend.unpardoned {
			a.tally.ConsecutiveFailures = 0
		}
	}
}

func (f *fleet) carryOut(action Action) {
	switch action := action.(type) {
	case Stop:
		f.stop(action)
	case Launch:
		f.launch(action.Instance)
	case Withdraw, SetGoal, Forget, Destroy, Handover, Advance, Finish:
		f.t.Fatalf("%#v, though nobody wants anything to change", action)
	}
}

// stop holds the end of a task against the laws.
func (f *fleet) stop(s Stop) {
	a := f.tasks[s.Instance]
	if !a.ill && !f.few {
		f.t.Fatalf("%s is well and is stopped at %s (%s), cut off: %v", s.Instance, f.now.Sub(noon), s.Cause, f.cut)
	}
	f.stops = slices.DeleteFunc(append(f.stops, f.now), func(at time.Time) bool { return !at.After(f.now.Add(-time.Minute)) })
	if most := max(1, len(f.tasks)/10); len(f.stops) > most {
		f.t.Fatalf("%d of %d tasks are stopped within a minute", len(f.stops), len(f.tasks))
	}
	f.edit(s.Instance, func(i *Instance) { i.State, i.EndedAt = app.TaskKilled, app.At(f.now) })
	*a = asked{check: a.check, interval: a.interval, offset: a.offset, replaced: a.replaced + 1}
}

func (f *fleet) launch(id app.InstanceID) {
	f.edit(id, func(i *Instance) {
		i.State, i.StartedAt, i.Incarnation = app.TaskRunning, app.At(f.now), i.Incarnation+1
	})
}

func (f *fleet) edit(id app.InstanceID, change func(*Instance)) {
	n := slices.IndexFunc(f.state.Instances, func(i Instance) bool { return i.ID == id })
	change(&f.state.Instances[n])
}

// known is how many tasks are well and have been heard, or may have been by another scheduler.
func (f *fleet) known() int {
	n := 0
	for _, i := range f.state.Instances {
		if a := f.tasks[i.ID]; a.well() && (a.contact.Early || !a.contact.Heard.IsZero()) && i.State == app.TaskRunning {
			n++
		}
	}
	return n
}

// events are what may happen at any time.
func (f *fleet) events() map[string]func() {
	one := func() *asked { return f.tasks[f.state.Instances[f.choose(len(f.tasks), "task")].ID] }
	return map[string]func(){
		"dies":  func() { one().dead = true },
		"sick":  func() { one().sick = true },
		"well":  func() { a := one(); a.dead, a.sick = false, false },
		"soon":  func() { f.pass(1 + f.choose(20, "seconds")) },
		"later": func() { f.pass(60 + f.choose(200, "seconds")) },
		"cut":   f.cutOff,
		"heal":  f.heal,
		"takes over": func() { // another scheduler, which has heard nobody yet
			f.state.Breaker = Breaker{}
			f.stops = nil
			for id, a := range f.tasks {
				*a = asked{check: a.check, interval: a.interval, offset: a.offset, dead: a.dead, sick: a.sick, replaced: a.replaced}
				a.contact.Early = f.now.Sub(f.get(id).StartedAt.Time()) > 5*time.Second
			}
			f.few = f.few || f.cut && f.known() < 2
		},
	}
}

func (f *fleet) get(id app.InstanceID) Instance {
	return f.state.Instances[slices.IndexFunc(f.state.Instances, func(i Instance) bool { return i.ID == id })]
}

func (f *fleet) cutOff() {
	if !f.cut {
		f.cut, f.few = true, f.known() < 2 || f.now.Before(f.healed.Add(time.Minute))
	}
}

func (f *fleet) heal() {
	if f.cut {
		f.cut, f.healed = false, f.now
	}
}

func (f *fleet) pass(seconds int) {
	for range seconds {
		f.second()
	}
}

// settle ends all trouble but that of one task. It is replaced, and no other.
func (f *fleet) settle() {
	f.heal()
	for _, a := range f.tasks {
		a.dead, a.sick = false, false
	}
	f.pass(120)
	f.few = false
	victim := f.tasks["web.00"]
	victim.dead = true
	before := victim.replaced
	f.pass(240)
	if victim.replaced != before+1 {
		f.t.Fatalf("the dead task was replaced %d times, the breaker is open since %s", victim.replaced-before, f.state.Breaker.Open)
	}
}

// TestBreakerLaws says: whatever tasks and networks do, a task that is well is not ended by a scheduler that is cut off if it
// knows two tasks that were well, not more are ended within a minute than one in ten, and one that really is dead is
// replaced when all others answer.
func TestBreakerLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		turn := t
		f := newFleet(t, func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(turn, what) }, breakerMutant{})
		actions := map[string]func(*rapid.T){}
		for name, happen := range f.events() {
			actions[name] = func(t *rapid.T) { f.t, turn = t, t; happen() }
		}
		t.Repeat(actions)
		f.t, turn = t, t
		f.settle()
	})
}

// breakerHistory runs one random history with a mistake and says which law it broke, empty when none.
func breakerHistory(seed uint64, m breakerMutant) (broken string) {
	defer func() {
		if law, ok := recover().(brokenLaw); ok {
			broken = string(law)
		}
	}()
	r := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a history that can be run again
	f := newFleet(panicker{}, func(n int, _ string) int { return r.IntN(n) }, m)
	events := f.events()
	for range 40 {
		events[[]string{"dies", "sick", "well", "soon", "soon", "later", "cut", "heal", "takes over"}[r.IntN(9)]]()
	}
	f.settle()
	return ""
}

// TestBreakerMutants says: the laws notice every mistake of a list, and nothing when there is none.
func TestBreakerMutants(t *testing.T) {
	for seed := range uint64(100) {
		if law := breakerHistory(seed, breakerMutant{}); law != "" {
			t.Errorf("without a mistake, seed %d: %s", seed, law)
		}
	}
	for _, m := range breakerMutants {
		t.Run(m.fault, func(t *testing.T) {
			for seed := range uint64(100) {
				if law := breakerHistory(seed, m); law != "" {
					t.Logf("seed %d: %s", seed, law)
					return
				}
			}
			t.Error("nobody noticed in 200 histories")
		})
	}
}
