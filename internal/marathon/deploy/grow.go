package deploy

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// grow launches more members: first those that have a volume to return to, the old leader before the others, then the
// one that was stopped last, for its data is the newest. New members have to copy everything. One that was given up and is
// not stopped yet simply stays, the leader before the others.
func (p *planner) grow(v view, missing int) {
	stay := v.with(func(i Instance) bool {
		return i.Goal == GoalSuspended && i.Live() && i.Stopping == nil && !i.Unreachable() && !v.draining(i)
	})
	slices.SortStableFunc(stay, func(a, b Instance) int { return boolFirst(v.leads(a), v.leads(b)) })
	for _, i := range stay[:min(missing, len(stay))] {
		p.do(SetGoal{Instance: i.ID, Goal: GoalRunning})
		missing--
	}
	p.queued(v, missing, app.At(v.since), time.Time{})
	back := v.with(func(i Instance) bool {
		return i.Goal == GoalSuspended && !i.Live() && i.Stopping == nil && !v.state.Down[i.Host] && !v.draining(i)
	})
	slices.SortStableFunc(back, func(a, b Instance) int {
		return cmp.Or(ledFirst(a, b), cmp.Compare(b.EndedAt, a.EndedAt))
	})
	for _, i := range back[:min(missing, len(back))] {
		p.do(Launch{App: v.id, Instance: i.ID})
		missing--
	}
	for range missing {
		p.do(Launch{App: v.id, Instance: app.InstanceID("")})
	}
}
