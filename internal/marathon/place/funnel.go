package place

import (
	"maps"
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Funnel counts the reasons in the order in which offers pass them, each with how many came as far, as GET /v2/queue
// shows it. All reasons are in it, those without a declined offer too.
func Funnel(verdicts []Verdict) []app.Rejection {
	declined := map[app.RejectReason]int{}
	for _, v := range verdicts {
		declined[v.Reason]++
	}
	left := len(verdicts)
	reasons := app.RejectReasons()
	funnel := make([]app.Rejection, 0, len(reasons))
	for _, r := range reasons {
		funnel = append(funnel, app.Rejection{Reason: r, Declined: declined[r], Processed: left})
		left -= declined[r]
	}
	return funnel
}

// Unused are at most limit of the offers that do not fit, for people who ask why.
func Unused(verdicts []Verdict, at app.Timestamp, limit int) []app.UnusedOffer {
	unused := make([]app.UnusedOffer, 0, min(len(verdicts), limit))
	for _, v := range verdicts {
		if v.Fits || len(unused) == limit {
			continue
		}
		unused = append(unused, v.unused(at))
	}
	return unused
}

func (v Verdict) unused(at app.Timestamp) app.UnusedOffer {
	o := v.Offer
	u := app.UnusedOffer{
		ID: o.ID, Host: o.Host, AgentID: o.AgentID, Attributes: maps.Clone(o.Attributes), CPUs: o.Free.CPUs, Mem: o.Free.Mem,
		Disk: o.Free.Disk, GPUs: int(o.Free.GPUs), Reasons: []app.RejectReason{v.Reason}, Why: v.Why, At: at,
	}
	for _, r := range slices.SortedFunc(slices.Values(o.Ports), func(a, b Range) int { return a.Begin - b.Begin }) {
		u.Ports = append(u.Ports, [2]int{r.Begin, r.End})
	}
	return u
}
