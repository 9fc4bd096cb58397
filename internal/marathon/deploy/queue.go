package deploy

import (
	"cmp"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Queue are the apps of which instances are to be launched, sorted by id: how many, since when and after which pause. What
// offers were looked at meanwhile is not known here.
func Queue(s State, now time.Time) []app.Queued {
	list := []app.Queued{}
	p := newPlanner(s, now)
	for _, id := range p.ids {
		p.app(id)
		if q := p.queue[id]; q != nil {
			list = append(list, *q)
		}
	}
	return list
}

// queued notes that instances of an app are to be launched, not before the time given. Since is when they were wanted,
// zero when that is as old as the definition.
func (p *planner) queued(v view, n int, since app.Timestamp, until time.Time) {
	if n <= 0 {
		return
	}
	q := p.queue[v.id]
	if q == nil {
		q = &app.Queued{App: v.def}
		p.queue[v.id] = q
	}
	if since = cmp.Or(since, v.def.Version); q.Since == 0 || since < q.Since {
		q.Since = since
	}
	q.Count += n
	if until.After(q.DelayUntil.Time()) {
		q.DelayUntil = app.At(until)
	}
}
