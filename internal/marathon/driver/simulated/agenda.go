package simulated

import (
	"slices"
	"time"
)

// agenda is what will happen, in the order of its times; what has the same time happens in the order in which it was
// planned. One timer does all of it, so that nothing overtakes anything by accident.
type agenda struct {
	plans []*plan // in order
	timer *time.Timer
	due   time.Time // of the timer, zero when none runs
}

// plan is one thing that will happen. Its function runs with the fleet locked, unless it was cancelled before.
type plan struct {
	due time.Time
	do  func()
}

// cancel keeps a plan from happening. A nil plan has happened already.
func (p *plan) cancel() {
	if p != nil {
		p.do = nil
	}
}

// at runs a function when its time has come, now when it has and nothing is planned for before. The caller holds the lock.
func (f *Fleet) at(due time.Time, do func()) *plan {
	a := &f.agenda
	if now := time.Now(); !due.After(now) && (len(a.plans) == 0 || a.plans[0].due.After(now)) {
		do()
		return nil
	}
	p := &plan{due: due, do: do}
	n, _ := slices.BinarySearchFunc(a.plans, due, func(p *plan, due time.Time) int {
		if p.due.After(due) {
			return 1
		}
		return -1 // behind those of the same time
	})
	a.plans = slices.Insert(a.plans, n, p)
	f.wind()
	return p
}

func (f *Fleet) after(d time.Duration, do func()) *plan { return f.at(time.Now().Add(d), do) }

// wind sets the timer to the next plan.
func (f *Fleet) wind() {
	a := &f.agenda
	if len(a.plans) == 0 || !a.due.IsZero() && !a.plans[0].due.Before(a.due) {
		return
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	a.due = a.plans[0].due
	a.timer = time.AfterFunc(time.Until(a.due), f.turn)
}

// turn does what is due.
func (f *Fleet) turn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := &f.agenda
	for len(a.plans) > 0 && !a.plans[0].due.After(time.Now()) {
		p := a.plans[0]
		a.plans = a.plans[1:]
		if p.do != nil {
			p.do()
		}
	}
	a.due = time.Time{}
	f.wind()
}
