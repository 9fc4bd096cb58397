package run

import (
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// keptOffers is how many of the last offers that did not fit are kept for each app.
const keptOffers = 50

// queueing is what is known of the search for places for the instances of an app.
type queueing struct {
	processed, unused  int
	lastUnused, lastOK app.Timestamp
	reasons            map[app.RejectReason]int // for which offers did not fit; replaced, never changed
	last               []place.Verdict          // of the last search that found nothing
}

// Queue are the apps with instances that wait to be launched, sorted by id. An app whose turn in a deployment has not come
// is not in it, as in Marathon.
func (s *Scheduler) Queue() []app.Queued {
	p := s.picture.Load()
	list := deploy.Queue(p.state, time.Now())
	for n := range list {
		q := &list[n]
		q.App, q.Why = q.App.Clone(), p.why(q.App.ID)
		p.searches[q.App.ID].tell(q)
	}
	return list
}

// why is the reason for which an app waits that is about the app, else that of its first instance.
func (p *picture) why(id app.ID) string {
	n := slices.IndexFunc(p.waits, func(w deploy.Wait) bool { return w.App == id })
	if n < 0 {
		return ""
	}
	return p.waits[n].Why
}

// noteSearch remembers what a search for a place has found.
func (l *loop) noteSearch(id app.ID, offers int, choice place.Choice) {
	q, now := l.searches[id], app.At(time.Now())
	l.s.numbers.offers.Add(int64(offers))
	q.processed += offers
	if choice.Found {
		q.lastOK = now
		l.searches[id] = q
		return
	}
	q.unused += len(choice.Rejected)
	q.lastUnused, q.last = now, choice.Rejected
	q.reasons = maps.Clone(q.reasons)
	if q.reasons == nil {
		q.reasons = map[app.RejectReason]int{}
	}
	for _, v := range choice.Rejected {
		q.reasons[v.Reason]++
	}
	l.searches[id] = q
}

// tell adds to what is queued what was found in the search for places.
func (q queueing) tell(into *app.Queued) {
	into.Processed, into.Unused, into.LastUnused, into.LastUsed = q.processed, q.unused, q.lastUnused, q.lastOK
	last := map[app.RejectReason]int{}
	for _, v := range q.last {
		last[v.Reason]++
	}
	into.Rejected, into.RejectedLast = funnel(q.reasons, q.processed), funnel(last, len(q.last))
	for _, v := range q.last[:min(keptOffers, len(q.last))] {
		into.Offers = append(into.Offers, unused(v, q.lastUnused))
	}
}

// funnel is how many offers came as far as each reason, and how many it declined.
func funnel(declined map[app.RejectReason]int, offers int) []app.Rejection {
	list := make([]app.Rejection, 0, len(app.RejectReasons()))
	for _, reason := range app.RejectReasons() {
		list = append(list, app.Rejection{Reason: reason, Declined: declined[reason], Processed: offers})
		offers -= declined[reason]
	}
	return list
}

func unused(v place.Verdict, at app.Timestamp) app.UnusedOffer {
	o := v.Offer
	u := app.UnusedOffer{
		ID: o.ID, Host: v.Host, AgentID: o.AgentID, Attributes: o.Attributes, CPUs: o.Free.CPUs, Mem: o.Free.Mem, Disk: o.Free.Disk,
		GPUs: int(o.Free.GPUs), Reasons: []app.RejectReason{v.Reason}, Why: v.Why, At: at,
	}
	for _, r := range o.Ports {
		u.Ports = append(u.Ports, [2]int{r.Begin, r.End})
	}
	return u
}
