package sim

import (
	"slices"
	"time"
)

// Minimise makes a run that breaks a rule smaller, as long as it breaks the same rule: fewer faults, shorter ones, fewer
// members and a plainer setup. A run that breaks none is returned as it is.
func Minimise(r Run) Run {
	out := r.Do()
	if out.Broken == nil {
		return r
	}
	m := minimiser{best: r, rule: out.Broken.Rule}
	for m.faults() || m.lengths() || m.plainer() { //revive:disable-line:empty-block each makes it smaller
	}
	return m.best
}

type minimiser struct {
	best Run
	rule string
}

// try keeps a smaller run that still breaks the rule.
func (m *minimiser) try(r Run) bool {
	if out := r.Do(); out.Broken == nil || out.Broken.Rule != m.rule {
		return false
	}
	m.best = r
	return true
}

// faults leaves faults out: half of them, a quarter, down to one at a time.
func (m *minimiser) faults() bool {
	smaller := false
	for size := max(len(m.best.Faults)/2, 1); size > 0; size /= 2 {
		for from := 0; from+size <= len(m.best.Faults); {
			r := m.best
			r.Faults = slices.Delete(slices.Clone(r.Faults), from, from+size)
			if m.try(r) {
				smaller = true
				continue
			}
			from += size
		}
	}
	return smaller
}

// lengths makes faults shorter, and the time before them.
func (m *minimiser) lengths() bool {
	smaller := false
	for i := range m.best.Faults {
		for m.best.Faults[i].For > 10*time.Millisecond {
			r := m.best
			r.Faults = slices.Clone(r.Faults)
			r.Faults[i].For = (r.Faults[i].For / 2).Truncate(time.Millisecond)
			if !m.try(r) {
				break
			}
			smaller = true
		}
	}
	return smaller
}

// plainer makes the setup plainer.
func (m *minimiser) plainer() bool {
	smaller := false
	for _, change := range []func(*Setup){
		func(s *Setup) { s.Members = max(s.Members-1, 1) },
		func(s *Setup) { s.Drift = 0 },
		func(s *Setup) { s.Failsafe = false },
		func(s *Setup) { s.LateStore = false },
		func(s *Setup) { s.Watchdog = false },
		func(s *Setup) { s.Tags = nil },
		func(s *Setup) { s.Clone, s.Rewind = true, true },
		func(s *Setup) { s.MaximumLag = 1 << 20 },
		func(s *Setup) { s.Strict = false },
		func(s *Setup) { s.SyncNodes, s.SyncLag = 1, -1 },
		func(s *Setup) { s.PrimaryStartTimeout = 300 },
	} {
		r := m.best
		change(&r.Setup)
		if r.Setup.line() != m.best.Setup.line() && m.try(r) {
			smaller = true
		}
	}
	return smaller
}
