package sim

import (
	"io"
	"time"
)

// Run is one run to be made.
type Run struct {
	Seed   uint64
	Setup  Setup
	Faults []Fault
	// Mutant is the name of a deliberate mistake; empty for none.
	Mutant string
	// Trace, when it is there, gets one line for each thing that happens.
	Trace io.Writer
	// Plot draws who was what, when.
	Plot bool
}

// Outcome is what came of a run.
type Outcome struct {
	// Broken is the first rule that was broken; nil when all held.
	Broken *Violation
	// Simulated is how much time went by inside.
	Simulated time.Duration
	// Leaders is how often another member than before took the lead.
	Leaders int
	// Outage is the longest time in which no write was taken.
	Outage time.Duration
	Stats  Stats
	// Plot is the picture of the run, where one was asked for.
	Plot string
}

// Draw makes the run of a seed.
func Draw(seed uint64) Run {
	setup, faults := draw(seed)
	return Run{Seed: seed, Setup: setup, Faults: faults}
}

// Do makes the run: the cluster begins, the faults happen, everything gets well again.
func (r Run) Do() Outcome {
	bend, _ := findMutant(r.Mutant)
	w := newWorld(r.Seed, r.Setup, bend)
	defer w.close()
	if r.Trace != nil || r.Plot {
		w.tracing, w.trace = true, recorder{to: r.Trace}
	}
	if !w.await(30*time.Second, w.well) && w.broken == nil {
		w.violate("liveness", "the cluster does not begin: %s", w.describe())
	}
	if w.broken == nil && w.synchronous() && !w.await(30*time.Second, w.strong) && w.broken == nil {
		w.violate("liveness", "synchronous mode does not begin: %s; %s", w.promise(), w.describe())
	}
	w.clients.longest, w.clients.unanswered = 0, w.now
	w.faultsEnd, w.truth.first = w.now, w.leader()
	faults := make([]Fault, len(r.Faults))
	copy(faults, r.Faults)
	for i := range faults {
		faults[i].At += time.Duration(w.now)
	}
	w.inject(faults)
	w.run(w.now + int64(r.Setup.Length))
	for w.now < w.faultsEnd && w.broken == nil {
		w.run(w.faultsEnd)
	}
	if w.broken == nil {
		w.settle()
	}
	out := Outcome{
		Broken: w.broken, Simulated: time.Duration(w.now), Leaders: w.truth.changes, Outage: w.clients.outage(), Stats: w.stats,
	}
	if r.Plot {
		out.Plot = w.trace.plot(w)
	}
	return out
}
