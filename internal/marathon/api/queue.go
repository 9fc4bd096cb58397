package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// queuedView is an app that waits, as Marathon shows it. Nothing of ours may stand beside its members, and no role where it is
// the usual one: Python's client refuses an entry that has more than it knows.
type queuedView struct {
	Count   int             `json:"count"`
	Delay   delayView       `json:"delay"`
	Since   app.Timestamp   `json:"since"`
	Role    string          `json:"role,omitempty"`
	Summary processedOffers `json:"processedOffersSummary"`
	Unused  []unusedOffer   `json:"lastUnusedOffers,omitzero"`
	App     app.App         `json:"app"`
}

type delayView struct {
	TimeLeftSeconds int  `json:"timeLeftSeconds"`
	Overdue         bool `json:"overdue"` // waits for an offer that fits, and for nothing else
}

type processedOffers struct {
	Processed     int             `json:"processedOffersCount"`
	Unused        int             `json:"unusedOffersCount"`
	LastUnusedAt  app.Timestamp   `json:"lastUnusedOfferAt,omitzero"`
	LastUsedAt    app.Timestamp   `json:"lastUsedOfferAt,omitzero"`
	LastOffers    []app.Rejection `json:"rejectSummaryLastOffers"`
	LaunchAttempt []app.Rejection `json:"rejectSummaryLaunchAttempt"`
	Why           string          `json:"why,omitempty"` // ours: a sentence for people
}

type unusedOffer struct {
	Offer     offerView          `json:"offer"`
	Timestamp app.Timestamp      `json:"timestamp"`
	Reasons   []app.RejectReason `json:"reason"`
	Why       string             `json:"why,omitempty"`
}

type offerView struct {
	ID         string          `json:"id"`
	Hostname   string          `json:"hostname"`
	AgentID    string          `json:"agentId"`
	Resources  []resourceView  `json:"resources"`
	Attributes []attributeView `json:"attributes"`
}

type resourceView struct {
	Name   string      `json:"name"`
	Role   string      `json:"role"`
	Scalar *float64    `json:"scalar,omitempty"`
	Ranges []rangeView `json:"ranges,omitempty"`
}

type rangeView struct {
	Begin int `json:"begin"`
	End   int `json:"end"`
}

type attributeView struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

func (s *Server) queue(r *http.Request) (answer, error) {
	offers := slices.Contains(r.URL.Query()["embed"], "lastUnusedOffers")
	now := time.Now()
	views := []queuedView{}
	for _, q := range s.Tasks.Queue() {
		if q.Count > 0 {
			views = append(views, queuedOf(q, now, offers))
		}
	}
	return ok(map[string][]queuedView{"queue": views})
}

func queuedOf(q app.Queued, now time.Time, offers bool) queuedView {
	left := q.DelayUntil.Time().Sub(now)
	v := queuedView{
		Count: q.Count, Since: q.Since, App: q.App,
		Delay: delayView{TimeLeftSeconds: max(0, int((left+time.Second-1)/time.Second)), Overdue: q.DelayUntil == 0 || left <= 0},
		Summary: processedOffers{
			Processed: q.Processed, Unused: q.Unused, LastUnusedAt: q.LastUnused, LastUsedAt: q.LastUsed,
			LastOffers: funnel(q.RejectedLast), LaunchAttempt: funnel(q.Rejected), Why: q.Why,
		},
	}
	if q.App.Role != app.DefaultRole {
		v.Role = q.App.Role
	}
	if v.Delay.Overdue {
		v.Delay.TimeLeftSeconds = 0
	}
	if offers {
		v.Unused = []unusedOffer{}
		for _, o := range q.Offers {
			v.Unused = append(v.Unused, unusedOf(o))
		}
	}
	return v
}

// funnel has an entry for every reason in the order in which they are looked at: user interfaces draw it as one.
func funnel(counted []app.Rejection) []app.Rejection {
	all := []app.Rejection{}
	for _, reason := range app.RejectReasons() {
		entry := app.Rejection{Reason: reason}
		for _, c := range counted {
			if c.Reason == reason {
				entry = c
			}
		}
		all = append(all, entry)
	}
	return all
}

func unusedOf(o app.UnusedOffer) unusedOffer {
	scalar := func(name string, value float64) resourceView {
		return resourceView{Name: name, Role: "*", Scalar: &value}
	}
	v := offerView{
		ID: o.ID, Hostname: o.Host, AgentID: o.AgentID, Attributes: []attributeView{},
		Resources: []resourceView{scalar("cpus", o.CPUs), scalar("mem", o.Mem), scalar("disk", o.Disk), scalar("gpus", float64(o.GPUs))},
	}
	ports := resourceView{Name: "ports", Role: "*"}
	for _, p := range o.Ports {
		ports.Ranges = append(ports.Ranges, rangeView{p[0], p[1]})
	}
	v.Resources = append(v.Resources, ports)
	for _, name := range sortedKeys(o.Attributes) {
		v.Attributes = append(v.Attributes, attributeView{name, o.Attributes[name]})
	}
	return unusedOffer{Offer: v, Timestamp: o.At, Reasons: append([]app.RejectReason{}, o.Reasons...), Why: o.Why}
}

func (s *Server) resetDelay(path string) handler {
	return func(r *http.Request) (answer, error) {
		id, err := app.ParseID(path)
		if err != nil {
			return answer{}, notQueued("/" + path)
		}
		ctx, cancel := limited(r)
		defer cancel()
		queued, err := s.Tasks.ResetDelay(ctx, id)
		switch {
		case err != nil:
			return answer{}, err
		case !queued:
			return answer{}, notQueued(string(id))
		}
		return answer{status: http.StatusNoContent}, nil
	}
}

func notQueued(id string) error {
	return refuse(http.StatusNotFound, "Application %s not found in tasks queue.", id)
}
