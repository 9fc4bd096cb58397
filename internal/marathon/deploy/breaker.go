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

// Contact is what the scheduler has heard of a task over its own network, whatever that was: a connection that is taken is
// enough. Zero for a task that it does not ask.
type Contact struct {
	Heard  time.Time // when it last was, zero for never
	Missed time.Time // when it last was not, zero for never
	// Early means that the task ran before it was asked first: others may have heard it where this scheduler never has.
	Early bool
}

// Next is the contact after one more question.
func (c Contact) Next(heard bool, now time.Time) Contact {
	if heard {
		c.Heard = now
		return c
	}
	c.Missed = now
	return c
}

// expected reports whether silence says anything. A new task that never answered may just be broken.
func (c Contact) expected() bool { return c.Early || !c.Heard.IsZero() }

// hearing is how many of the expected tasks answer.
type hearing struct {
	heard, silent, unasked int
	hosts                  map[string]bool // of the silent ones
}

// hear counts which running tasks were heard since a time. One on whose host another task was heard counts as heard: the way
// there is open. One that was not asked since is neither, unless it was silent before.
func (s *State) hear(since time.Time) hearing {
	last := s.lastHeard()
	h := hearing{hosts: map[string]bool{}}
	for n := range s.Instances {
		i := &s.Instances[n]
		c := s.Health[i.ID].Contact
		switch at := last[i.Host]; {
		case !c.expected() || !i.running():
		case !at.Before(since):
			h.heard++
		case c.Missed.After(at):
			h.silent++
			h.hosts[i.Host] = true
		default:
			h.unasked++
		}
	}
	return h
}

// lastHeard is when anything on a host was heard, by host.
func (s *State) lastHeard() map[string]time.Time {
	last := map[string]time.Time{}
	for n := range s.Instances {
		i := &s.Instances[n]
		if at := s.Health[i.ID].Contact.Heard; at.After(last[i.Host]) {
			last[i.Host] = at
		}
	}
	return last
}

// cutOff reports whether the silence is rather the scheduler's fault than that of the tasks: more of them are silent than
// answer. Where only those of one host are and others answer, it is the host's.
func (h hearing) cutOff() bool {
	return h.silent > h.heard && (h.heard == 0 || len(h.hosts) > 1)
}

// next is the breaker now, before the plan that it is for. Unsure means that too few tasks were asked since the latest fell
// silent to tell whose fault that is.
func (b Breaker) next(s *State, now time.Time) (next Breaker, unsure bool) {
	for _, at := range b.Kills {
		if at.After(now.Add(-breakerWindow)) {
			next.Kills = append(next.Kills, at)
		}
	}
	if !b.Open.IsZero() {
		if s.hear(b.Open).cutOff() {
			next.Open = b.Open
		}
		return next, false
	}
	trips, unsure := s.trips(now)
	if trips {
		next.Open = now
	}
	return next, unsure && !trips
}

// trips reports whether tasks that are to be ended for their silence are silent because nobody is heard. One alone is
// always its own fault.
func (s *State) trips(now time.Time) (trips, unsure bool) {
	early, late := s.fellSilent(now)
	if !early.IsZero() {
		if h := s.hear(early); h.silent > 1 && h.cutOff() {
			return true, false
		}
	}
	if late.IsZero() {
		return false, false
	}
	h := s.hear(late)
	hopeful := h
	hopeful.heard += h.unasked // who was not asked yet may answer
	return h.silent > 1 && hopeful.cutOff(), h.unasked > 0 && h.heard < h.silent
}

// fellSilent is when the last one of the tasks that are to be ended for their silence fell silent, of those that are silent
// for longer than the window and of the others; zero for none.
func (s *State) fellSilent(now time.Time) (early, late time.Time) {
	for n := range s.Instances {
		i := &s.Instances[n]
		h := s.Health[i.ID]
		switch {
		case !h.silent() || !i.running():
		case h.Quiet.Add(breakerWindow).After(now):
			late = latest(late, h.Quiet)
		default:
			early = latest(early, h.Quiet)
		}
	}
	return early, late
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// silent reports whether the task is to be ended because the scheduler does not hear it.
func (h Health) silent() bool { return h.Kill != "" && h.Own && !h.Quiet.IsZero() }

// spared says why a task is not ended for its silence now, empty when it may be.
func (p *planner) spared(i Instance) string {
	h := p.state.Health[i.ID]
	switch {
	case !h.silent():
		return ""
	case !p.state.Breaker.Open.IsZero() || !p.plan.Breaker.Open.IsZero():
		return "most tasks do not answer, on several hosts or everywhere, so it is rather the scheduler that is cut off"
	case p.unsure && h.Quiet.Add(breakerWindow).After(p.now):
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
