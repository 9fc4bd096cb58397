package deploy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// A failed health check is the scheduler's view of a task over the scheduler's network. Two things bound what it may do
// with that: it ends a few tasks in a minute at most, and none for its silence while the silence is rather its own fault.
const (
	// breakerWindow is the time for which ended tasks are counted, and how long the scheduler waits for other tasks to be
	// asked before it takes the silence of one for that task's own.
	breakerWindow = time.Minute
	// killShare is the part of the probed tasks that is ended within a window: one in ten, and one in any case.
	killShare = 10
)

// Breaker is what bounds the ends of tasks for checks that the scheduler runs itself. Next is given the last one and
// answers with the next.
type Breaker struct {
	// Open is since when no task is ended for not answering: the scheduler is cut off, as far as it can tell. Zero while
	// they are.
	Open time.Time
	// Kills are when tasks of plain apps were ended for a failed check, those of the last window, oldest first.
	Kills []time.Time
}

// blame is whose fault the silence of a task is.
type blame int

const (
	blameTask blame = iota
	blameScheduler
	blameUnknown // too few others were asked since it fell silent
)

// blame judges a task that is to be ended for its silence. Alone it is always its own fault. Otherwise, for a while, it
// takes another question that the task leaves unanswered after as many others were heard as are silent: what was missed
// just before the network came back says nothing.
func (e ears) blame(h Health, now time.Time) blame {
	all := e.between(h.Quiet, now)
	if !h.Quiet.Add(breakerWindow).After(now) {
		if all.silent > 1 && all.cutOff() {
			return blameScheduler
		}
		return blameTask
	}
	meanwhile := e.between(h.Quiet, h.Contact.Missed)
	hopeful := all
	hopeful.heard += all.unasked // who was not asked yet may answer
	switch {
	case all.silent > 1 && hopeful.cutOff():
		return blameScheduler
	case meanwhile.unasked > 0 && meanwhile.heard < max(1, meanwhile.silent):
		return blameUnknown
	}
	return blameTask
}

// silent reports whether the task is to be ended because the scheduler does not hear it.
func (h Health) silent() bool { return h.Kill != "" && h.Own && !h.Quiet.IsZero() }

// next is the breaker now, before the plan that it is for, and whose fault it is that tasks do not answer that are to be
// ended for it.
func (b Breaker) next(s *State, now time.Time) (Breaker, map[app.InstanceID]blame) {
	next, blames := Breaker{}, map[app.InstanceID]blame{}
	for _, at := range b.Kills {
		if at.After(now.Add(-breakerWindow)) {
			next.Kills = append(next.Kills, at)
		}
	}
	due := s.silent()
	if b.Open.IsZero() && len(due) == 0 {
		return next, blames
	}
	e := newEars(s)
	if !b.Open.IsZero() {
		if e.between(b.Open, now).cutOff() {
			next.Open = b.Open
		}
		return next, blames
	}
	for _, id := range due {
		blames[id] = e.blame(s.Health[id], now)
		if blames[id] == blameScheduler {
			next.Open = now
			return next, blames
		}
	}
	return next, blames
}

// silent are the running tasks that are to be ended for their silence.
func (s *State) silent() []app.InstanceID {
	var list []app.InstanceID
	for n := range s.Instances {
		if i := &s.Instances[n]; s.Health[i.ID].silent() && i.running() {
			list = append(list, i.ID)
		}
	}
	return list
}

// spared says why a task is not ended for its silence now, empty when it may be.
func (p *planner) spared(i Instance) string {
	switch h := p.state.Health[i.ID]; {
	case !h.silent():
		return ""
	case !p.state.Breaker.Open.IsZero() || !p.plan.Breaker.Open.IsZero():
		return "most tasks do not answer, on several hosts or everywhere, so it is rather the scheduler that is cut off"
	case p.blames[i.ID] == blameUnknown:
		p.wake(h.Quiet.Add(breakerWindow))
		return "waiting to hear whether others answer"
	}
	return ""
}

// inTurn reports whether a plain task may be ended for a failed check without going beyond the bound. Those that have not
// been well for the longest time come first, whichever app they are of.
func (p *planner) inTurn(i Instance) bool {
	if p.turn == nil {
		p.turn = map[app.InstanceID]bool{}
		due, asked := p.failing()
		for n := range min(len(due), max(1, asked/killShare)-len(p.plan.Breaker.Kills)) {
			p.turn[due[n].ID] = true
		}
	}
	return p.turn[i.ID]
}

// failing are the plain tasks that are to be ended for a failed check, and how many tasks are asked in all.
func (p *planner) failing() (due []Instance, asked int) {
	for _, id := range p.ids {
		v := p.view(id)
		free := !v.postgres && v.blocked() == ""
		for _, i := range v.instances {
			h := p.state.Health[i.ID]
			if h.Contact != (Contact{}) {
				asked++
			}
			if free && h.Own && h.Kill != "" && i.Goal == GoalRunning && i.running() && p.spared(i) == "" {
				due = append(due, i)
			}
		}
	}
	slices.SortFunc(due, func(a, b Instance) int {
		return cmp.Or(p.state.Health[a.ID].Sick.Compare(p.state.Health[b.ID].Sick), strings.Compare(string(a.ID), string(b.ID)))
	})
	return due, asked
}

// stopUnhealthy ends tasks that failed their health check too often. They are launched again like any that ended.
func (p *planner) stopUnhealthy(v view) {
	for _, i := range v.instances {
		h := v.state.Health[i.ID]
		if h.Kill == "" || i.Goal != GoalRunning || !i.running() {
			continue
		}
		switch why := p.spared(i); {
		case why != "":
			p.wait(v.id, "", "tasks that do not answer are left alone: "+why)
		case !h.Own:
			p.stop(v, i, GoalRunning, h.Kill)
		case p.inTurn(i):
			p.plan.Breaker.Kills = append(p.plan.Breaker.Kills, p.now)
			p.stop(v, i, GoalRunning, h.Kill)
		default:
			p.waitForKills(v)
		}
	}
}

// waitForKills says that more tasks fail their checks than may be ended.
func (p *planner) waitForKills(v view) {
	free := p.now
	if len(p.plan.Breaker.Kills) > 0 {
		free = p.plan.Breaker.Kills[0]
	}
	p.wake(free.Add(breakerWindow))
	p.wait(v.id, "", "more tasks fail their health checks than are ended at once; the next ones follow one after the other")
}
