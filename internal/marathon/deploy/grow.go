package deploy

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// grow launches more members: first those that have a volume to return to, the old leader before the others, then the
// one that was stopped last, for its data is the newest. New members have to copy everything, so of a cluster that was
// stopped as a whole somebody has to return before any are made: there would be nobody to copy from.
//
// One that was given up and is not stopped yet simply stays, the leader before the others. It returns the members that are
// wanted again.
func (p *planner) grow(v view, missing int) (again []app.InstanceID) {
	stay := v.with(func(i Instance) bool {
		return i.Goal == GoalSuspended && i.Live() && i.Stopping == nil && !i.Unreachable() && !v.draining(i)
	})
	slices.SortStableFunc(stay, func(a, b Instance) int { return boolFirst(v.leads(a), v.leads(b)) })
	for _, i := range stay[:min(missing, len(stay))] {
		p.do(SetGoal{Instance: i.ID, Goal: GoalRunning})
		again = append(again, i.ID)
		missing--
	}
	p.queued(v, missing, app.At(v.since), time.Time{})
	suspended := v.with(func(i Instance) bool { return i.Goal == GoalSuspended && !i.Live() && i.Stopping == nil })
	stuck := func(i Instance) bool { return v.state.Down[i.Host] || v.draining(i) }
	back := slices.DeleteFunc(slices.Clone(suspended), stuck)
	if away := v.newestAway(back, slices.DeleteFunc(suspended, func(i Instance) bool { return !stuck(i) })); len(away) > 0 {
		p.wait(v.id, "", "no member runs, and those that have the newest data cannot be launched now: "+names(away))
		return again
	}
	slices.SortStableFunc(back, func(a, b Instance) int {
		return cmp.Or(ledFirst(a, b), cmp.Compare(b.EndedAt, a.EndedAt))
	})
	for _, i := range back[:min(missing, len(back))] {
		p.do(Launch{App: v.id, Instance: i.ID})
		again = append(again, i.ID)
		missing--
	}
	for range missing {
		p.do(Launch{App: v.id})
	}
	return again
}

// newestAway are the suspended members that have to be waited for before anybody is launched: back can return, stuck cannot
// now. One out of reach counts as stuck, and may run still: it has newer data than any that ended before it, but for one
// that led.
func (v *view) newestAway(back, stuck []Instance) []Instance {
	led := func(i Instance) bool { return i.Led }
	lost := v.with(func(i Instance) bool { return i.Goal == GoalSuspended && i.Unreachable() })
	away := slices.Concat(lost, stuck)
	newer := slices.ContainsFunc(away, led) || len(lost) > 0 && !slices.ContainsFunc(back, led)
	if v.hasSource() || !newer && len(back) > 0 {
		return nil
	}
	return away
}

// hasSource reports whether a member lives, or will again, from which others can copy.
func (v *view) hasSource() bool {
	return slices.ContainsFunc(v.instances, func(i Instance) bool {
		return i.Live() && !i.Unreachable() || i.Goal == GoalRunning && i.Incarnation > 0
	})
}
