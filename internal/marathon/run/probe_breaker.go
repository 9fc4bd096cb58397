package run

import (
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// noteBreaker takes over what a plan has made of the breaker, and says when it opens or closes.
func (l *loop) noteBreaker(next deploy.Breaker) {
	before := l.breaker
	l.breaker = next
	switch {
	case before.Open.IsZero() && !next.Open.IsZero():
		l.s.numbers.trips.Add(1)
		l.tell(Event{Kind: EventBreaker, Text: "most tasks do not answer, on several hosts or everywhere: the scheduler seems to be cut off, and ends none for not answering until they do"})
	case !before.Open.IsZero() && next.Open.IsZero():
		l.pardon()
		l.tell(Event{Kind: EventBreaker, Text: "enough tasks answer again; one that still does not is ended when it has failed anew as often as its definition allows"})
	}
}

// pardon lets what was not heard while the scheduler was cut off count for nothing.
func (l *loop) pardon() {
	for _, p := range l.probes {
		for n, since := range p.quiet {
			if !since.IsZero() {
				p.tallies[n].ConsecutiveFailures = 0
			}
		}
		if !p.agentGone.IsZero() {
			p.silence.Missed = 0
		}
	}
}

// suspended is 1 while no task is ended for not answering.
func (p *picture) suspended() float64 {
	if p.state.Breaker.Open.IsZero() {
		return 0
	}
	return 1
}
