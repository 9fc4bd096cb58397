package deploy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// rescue launches a member that was given up, or is to lose its volume, where all that are wanted wait for somebody to copy
// from: it has the only data there are. A person who replaced the last member of a cluster while its host was away, or
// stopped the one that had the data, would else have to find that out by hand. What was wanted of it comes afterwards: it
// hands over and is stopped, like any member that is too many.
//
// Only what members say of themselves counts, for one that is away may have newer data: nobody is launched unless every
// other member answers and says that it has none. It reports whether one is launched or waited for.
func (p *planner) rescue(v view) bool {
	stopped := v.with(holdsData)
	if len(stopped) == 0 || !v.fresh(p.now) || !v.allEmpty() || !p.outOfPatience(v) {
		return false
	}
	slices.SortStableFunc(stopped, func(a, b Instance) int {
		return cmp.Or(ledFirst(a, b), cmp.Compare(b.EndedAt, a.EndedAt))
	})
	newest := stopped[0]
	if v.state.Down[newest.Host] || v.draining(newest) {
		p.wait(v.id, newest.ID, "no other member has data, and it cannot be launched now: "+name(newest))
		return true
	}
	if after := v.pauseAfter(newest); p.now.Before(after.end()) {
		p.wake(after.end())
		p.wait(v.id, newest.ID, fmt.Sprintf("no other member has data; launched again after a pause of %s", after))
		return true
	}
	p.do(Launch{App: v.id, Instance: newest.ID})
	return true
}

// holdsData reports whether a member that is not wanted has ended and left its data.
func holdsData(i Instance) bool {
	kept := i.Goal == GoalSuspended || i.Goal == GoalWiped && !i.Deleted && i.DestroyedAt == 0
	return kept && i.Bound && i.Incarnation > 0 && i.settled()
}

// allEmpty reports whether every member but those that hold data says that it has none.
func (v *view) allEmpty() bool {
	for _, i := range v.instances {
		m, answered := v.roles.Members[i.ID]
		switch {
		case holdsData(i), i.Incarnation == 0:
		case i.State != app.TaskRunning || !answered || !m.Empty || m.serves():
			return false
		}
	}
	return true
}
