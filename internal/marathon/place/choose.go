package place

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Choice is the host an instance goes to, or why it can go to none.
type Choice struct {
	Found bool
	Offer Offer
	Ports []int
	// Why is one sentence: what speaks for the host, or what speaks against every one.
	Why string
	// Rejected are the hosts that do not fit, each with its reason, sorted by name.
	Rejected []Verdict
}

// candidate is an offer that fits.
type candidate struct {
	offer Offer
	ports []int
	free  Resources
}

// Choose takes the offer that fits and has most memory left, then most cpus, then the first name.
func Choose(offers []Offer, n Need, placed []Placed) Choice {
	var fitting []candidate
	var rejected []Verdict
	for _, o := range offers {
		v := Fit(o, n, placed)
		if !v.Fits {
			rejected = append(rejected, v)
			continue
		}
		fitting = append(fitting, candidate{o, v.Ports, left(o, n.others(placed))})
	}
	slices.SortFunc(rejected, func(a, b Verdict) int { return strings.Compare(a.Host, b.Host) })
	if len(fitting) == 0 {
		return Choice{Why: nowhere(n, rejected), Rejected: rejected}
	}
	slices.SortFunc(fitting, leastLoaded)
	best := fitting[0]
	return Choice{Found: true, Offer: best.offer, Ports: best.ports, Why: because(n, fitting), Rejected: rejected}
}

func leastLoaded(a, b candidate) int {
	return cmp.Or(
		cmp.Compare(b.free.Mem, a.free.Mem),
		cmp.Compare(b.free.CPUs, a.free.CPUs),
		strings.Compare(a.offer.Host, b.offer.Host),
	)
}

// because says what speaks for the first of the fitting hosts.
func because(n Need, fitting []candidate) string {
	best := fitting[0]
	switch {
	case n.Host != "":
		return best.offer.Host + ": its volume lies there"
	case len(fitting) == 1:
		return best.offer.Host + ": the only host that fits"
	case best.free == fitting[1].free:
		return fmt.Sprintf("%s: first by name among the hosts with most free memory (%s MiB)", best.offer.Host, amount(best.free.Mem))
	case best.free.Mem == fitting[1].free.Mem:
		return fmt.Sprintf("%s: most free cpus (%s)", best.offer.Host, amount(best.free.CPUs))
	}
	return fmt.Sprintf("%s: most free memory (%s MiB)", best.offer.Host, amount(best.free.Mem))
}

// nowhere says why no host is left. For a bound instance only its own host matters.
func nowhere(n Need, rejected []Verdict) string {
	var reasons []string
	for _, v := range rejected {
		if n.Host == "" || n.Host == v.Host {
			reasons = append(reasons, v.Host+": "+v.Why)
		}
	}
	switch {
	case len(reasons) > 0:
		return "no host fits: " + strings.Join(reasons, "; ")
	case n.Host != "":
		return n.Host + ", where its volume lies, offers nothing at the moment"
	}
	return "no host offers anything at the moment"
}
