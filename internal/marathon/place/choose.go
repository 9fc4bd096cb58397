package place

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Choice is the host an instance goes to, or why it can go to none.
type Choice struct {
	Found bool
	Offer Offer
	Ports []int // host ports in the order of app.Ports, 0 for one that is not published
	// Why is one sentence: what speaks for the host, or what speaks against every one.
	Why string
	// Rejected are, where nothing was found, the hosts that were looked at, each with its reason, sorted by name. Only the
	// host of its volume is looked at for an instance that has one.
	Rejected []Verdict
}

// Choose places one instance. Who places several makes a [Fleet] of the offers once.
func Choose(offers []Offer, n Need, placed []Placed) Choice {
	return NewFleet(offers, placed).Choose(n)
}

// Choose takes the host that fits and is preferred: one where tasks of the app have not failed; then for a PostgreSQL app with the
// fewest other members on the host, then in its zone; for every app with most memory left, then most cpus, then the first name.
func (f *Fleet) Choose(n Need) Choice {
	own := f.without(n)
	defer f.reattach(own)
	free := n.Host == "" && own == nil
	if r, ok := f.refused[n.App.ID]; ok && free && r.version == n.App.Version {
		return r.choice
	}
	c := f.choose(n)
	if !c.Found && free && n.App.Version != 0 {
		f.refused[n.App.ID] = refusal{version: n.App.Version, choice: c}
	}
	return c
}

// without takes out the instance that needs a place: what it holds itself does not stand in its way. Nil when it has none.
func (f *Fleet) without(n Need) *member {
	m := f.placed[n.Instance]
	if n.Instance == "" || m == nil {
		return nil
	}
	f.detach(m)
	return m
}

func (f *Fleet) reattach(m *member) {
	if m == nil {
		return
	}
	f.note(m)
	h := f.byName[m.Host]
	if h == nil {
		return
	}
	f.unlist(h)
	h.members = slices.Insert(h.members, m.turn, m) // in its turn: which disks the others get depends on it
	h.recount()
	f.list(h)
}

func (f *Fleet) choose(n Need) Choice {
	q := f.query(n)
	best, ports, crowd := q.best(false)
	if best == nil && len(q.Shun) > 0 {
		best, ports, crowd = q.best(true)
	}
	if best == nil {
		rejected := f.verdicts(n)
		return Choice{Why: nowhere(n, rejected), Rejected: rejected}
	}
	return Choice{Found: true, Offer: best.offer, Ports: ports, Why: q.because(best, crowd)}
}

// best is the preferred host among those that are shunned or those that are not, nil when none fits, with the ports there and how
// many others are near.
func (q *query) best(shunned bool) (best *host, ports []int, crowd crowd) {
	for _, h := range q.candidates() {
		if best != nil && crowd == q.least {
			break
		}
		if q.Shun[h.offer.Host] != shunned {
			continue
		}
		here := q.crowd(h)
		if best != nil && !here.less(crowd) {
			continue
		}
		if v := q.fit(h); v.Fits {
			best, ports, crowd = h, v.Ports, here
		}
	}
	return best, ports, crowd
}

// Explain holds a need against every host that could be meant and says of each whether it fits, sorted by name.
func (f *Fleet) Explain(n Need) []Verdict {
	own := f.without(n)
	defer f.reattach(own)
	return f.verdicts(n)
}

func (f *Fleet) verdicts(n Need) []Verdict {
	q := f.query(n)
	q.explain = true
	verdicts := make([]Verdict, 0, len(f.hosts))
	for _, h := range q.candidates() {
		verdicts = append(verdicts, q.fit(h))
	}
	slices.SortFunc(verdicts, func(a, b Verdict) int { return strings.Compare(a.Host, b.Host) })
	return verdicts
}

// because says what speaks for the host.
func (q *query) because(h *host, c crowd) string {
	switch why := q.speaks(h, c); {
	case q.Host != "" || len(q.Shun) == 0:
		return why
	case q.Shun[h.offer.Host]:
		return why + "; it has failed there, and nowhere else it fits"
	default:
		return why + "; it has failed on " + strings.Join(slices.Sorted(maps.Keys(q.Shun)), ", ")
	}
}

func (q *query) speaks(h *host, c crowd) string {
	name := h.offer.Host
	most := fmt.Sprintf("most free memory (%s MiB)", amount(h.free.Mem))
	switch {
	case q.Host != "":
		return name + ": its volume lies there"
	case c.host > 0:
		return fmt.Sprintf("%s: shares the host with another member of %s, for %d instances are wanted and there are %s",
			name, q.App.ID, q.App.Instances, hosts(q.fleet.Hosts))
	case c.zone > 0:
		return fmt.Sprintf("%s: no zone with room has fewer members (%d in this one); %s there", name, c.zone, most)
	case q.spread && len(q.zones) > 0:
		return name + ": a zone without another member; " + most + " there"
	}
	return name + ": " + most + " of the hosts that fit"
}

func hosts(n int) string {
	if n == 1 {
		return "1 host"
	}
	return fmt.Sprintf("%d hosts", n)
}

// nowhere says why no host is left.
func nowhere(n Need, rejected []Verdict) string {
	reasons := make([]string, 0, len(rejected))
	for _, v := range rejected {
		reasons = append(reasons, v.Host+": "+v.Why)
	}
	switch {
	case len(reasons) > maxReasons:
		return fmt.Sprintf("no host fits: %s; and %d more", strings.Join(reasons[:maxReasons], "; "), len(reasons)-maxReasons)
	case len(reasons) > 0:
		return "no host fits: " + strings.Join(reasons, "; ")
	case n.Host != "":
		return n.Host + ", where its volume lies, offers nothing at the moment"
	}
	return "no host offers anything at the moment"
}

// maxReasons bounds the sentence; the list of the rejected has all.
const maxReasons = 10
