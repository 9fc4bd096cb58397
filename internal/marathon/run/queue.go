package run

import (
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
	offers             []app.UnusedOffer // of the last round
}

// Queue are the apps with instances that wait to be launched, sorted by id. An app whose turn in a deployment has not come
// is not in it, as in Marathon.
func (s *Scheduler) Queue() []app.Queued {
	p := s.picture.Load()
	list := deploy.Queue(p.state, time.Now())
	for n := range list {
		q := &list[n]
		q.App, q.Why = q.App.Clone(), p.why(q.App.ID)
		search := p.searches[q.App.ID]
		q.Processed, q.Unused, q.LastUnused, q.LastUsed = search.processed, search.unused, search.lastUnused, search.lastOK
		q.Offers = slices.Clone(search.offers)
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
func (l *loop) noteSearch(id app.ID, offers []place.Offer, choice place.Choice) {
	q, now := l.searches[id], app.At(time.Now())
	l.s.numbers.offers.Add(int64(len(offers)))
	q.processed += len(offers)
	q.unused += len(choice.Rejected)
	if choice.Found {
		q.lastOK = now
	} else {
		q.lastUnused, q.offers = now, unusedOffers(offers, choice.Rejected, now)
	}
	l.searches[id] = q
}

func unusedOffers(offers []place.Offer, rejected []place.Verdict, now app.Timestamp) []app.UnusedOffer {
	byHost := map[string]place.Offer{}
	for _, o := range offers {
		byHost[o.Host] = o
	}
	var list []app.UnusedOffer
	for _, v := range rejected[:min(keptOffers, len(rejected))] {
		list = append(list, unused(byHost[v.Host], v, now))
	}
	return list
}

func unused(o place.Offer, v place.Verdict, now app.Timestamp) app.UnusedOffer {
	u := app.UnusedOffer{
		ID: o.ID, Host: v.Host, AgentID: o.AgentID, Attributes: o.Attributes, CPUs: o.Free.CPUs, Mem: o.Free.Mem, Disk: o.Free.Disk,
		GPUs: int(o.Free.GPUs), Why: v.Why, At: now,
	}
	for _, r := range o.Ports {
		u.Ports = append(u.Ports, [2]int{r.Begin, r.End})
	}
	return u
}
