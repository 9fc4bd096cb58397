package sim

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Hunt makes many runs, each on one of as many goroutines as there are processors.
type Hunt struct {
	// From is the first seed, Seeds how many there are; zero for as many as Until leaves time for.
	From, Seeds uint64
	Until       time.Time
	// Mutant is the deliberate mistake that all runs have.
	Mutant string
	// Among says which setups are worth a run; nil: all.
	Among func(Setup) bool
	// Enough is the number of broken rules after which it ends; zero for all.
	Enough int
}

// Bag is what a hunt brought.
type Bag struct {
	Runs      int
	Simulated time.Duration
	Stats     Stats
	// Caught are the runs that broke a rule, with the lowest seeds first.
	Caught []Catch
}

// Catch is a run that broke a rule.
type Catch struct {
	Run    Run
	Broken *Violation
}

// Go hunts.
func (h Hunt) Go() Bag {
	var next atomic.Uint64
	var mu sync.Mutex
	var wg sync.WaitGroup
	var bag Bag
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return h.Enough > 0 && len(bag.Caught) >= h.Enough
	}
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				n := next.Add(1) - 1
				if h.Seeds > 0 && n >= h.Seeds || !h.Until.IsZero() && time.Now().After(h.Until) || enough() {
					return
				}
				run := Draw(h.From + n)
				if h.Among != nil && !h.Among(run.Setup) {
					continue
				}
				run.Mutant = h.Mutant
				out := run.Do()
				mu.Lock()
				bag.add(run, out)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return bag
}

func (b *Bag) add(run Run, out Outcome) {
	b.Runs++
	b.Simulated += out.Simulated
	b.Stats.add(out.Stats)
	if out.Broken == nil {
		return
	}
	i := len(b.Caught)
	for i > 0 && b.Caught[i-1].Run.Seed > run.Seed {
		i--
	}
	b.Caught = append(b.Caught, Catch{})
	copy(b.Caught[i+1:], b.Caught[i:])
	b.Caught[i] = Catch{run, out.Broken}
}

func (s *Stats) add(o Stats) {
	s.Events += o.Events
	s.Ticks += o.Ticks
	s.Promotions += o.Promotions
	s.Switchovers += o.Switchovers
	s.Guarded += o.Guarded
	s.Resets += o.Resets
	s.Acked += o.Acked
	s.Lost += o.Lost
	s.Synced += o.Synced
}
