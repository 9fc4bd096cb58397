package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestMixed moves the lead in all ways there are in clusters where some members are Patroni's and some pgbaton's: each
// kind takes over from each. No acknowledged row is ever lost in a synchronous mode (rule S5), and never do two servers
// accept writes (rule S1). make chaos-mixed has it go on for long.
func TestMixed(t *testing.T) {
	rng := seeded(t)
	three, four := kinds(t.Context(), t)
	const p, b = true, false
	combinations := []struct {
		name    string
		patroni *Kind
		places  []bool
		want    promised
	}{
		{"one of Patroni 4, quorum", four, []bool{p, b, b}, promised{mode: "quorum", nodes: 1}},
		{"two of Patroni 3", three, []bool{b, p, p}, promised{mode: "on", nodes: 1}},
		{"two of Patroni 4, quorum", four, []bool{p, b, p}, promised{mode: "quorum", nodes: 1}},
		{"one of Patroni 3", three, []bool{b, b, p}, promised{mode: "on", nodes: 1}},
	}
	changes := *chaosChanges / len(combinations)
	if *chaosChanges <= mixedBriefly {
		combinations, changes = combinations[:2], *chaosChanges/2+1
	}
	for _, c := range combinations {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute+time.Duration(changes)*wholeWithin)
			defer cancel()
			f := newMixedField(ctx, t, rng, c.patroni, c.places, c.want)
			defer f.report(ctx)
			f.play(ctx, changes)
		})
	}
}

// mixedBriefly is up to how many leader changes a run is a short one, which leaves out what costs a lease.
const mixedBriefly = 20

// seeded draws what a run draws from, and says from what.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1e6 //nolint:gosec // it is positive
	}
	t.Logf("the seed is %d", seed)
	return rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it is to be repeated
}

// play does deeds until the lead has moved so often; in a long run only its moves from one kind to the other count.
func (f *mixedField) play(ctx context.Context, changes int) {
	var all []outcome
	began := time.Now()
	defer func() {
		f.t.Logf("%d leader changes in %s: %v\n%s", f.leads.moved(), time.Since(began).Round(time.Second), f.transitions(), syncTable(all, f.total))
	}()
	progress := f.leads.moved
	if changes > mixedBriefly {
		progress = f.crossed
	}
	var moves, others []mixedDeed
	for progress() < changes {
		if len(moves) == 0 {
			moves = slices.Concat(mixedMoves(), mixedMoves()[:1])
			if changes > mixedBriefly {
				moves = slices.Concat(moves, moves, mixedLate())
			}
			f.rng.Shuffle(len(moves), func(i, j int) { moves[i], moves[j] = moves[j], moves[i] })
		}
		if len(others) == 0 {
			others = mixedDisturbances()
			f.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		}
		round := []mixedDeed{others[0], moves[0]}
		if changes <= mixedBriefly && f.leads.moved()%2 == 1 {
			round = round[1:]
		}
		for _, d := range round {
			o, err := f.perform(ctx, d)
			f.t.Logf("%5.1f s: %s: no write for %d ms, done after %.1f s", o.began.Sub(began).Seconds(), o, o.outage.Milliseconds(), o.took.Seconds())
			all = append(all, o)
			if err != nil {
				f.t.Fatal(err)
			}
		}
		moves, others = moves[1:], others[len(round)-1:]
	}
	_, err := f.settled(ctx, true)
	f.clients.Stop()
	if err != nil {
		f.t.Fatal(err)
	}
}

// perform does one deed, waits until all is whole, and measures it.
func (f *mixedField) perform(ctx context.Context, d mixedDeed) (outcome, error) {
	o := outcome{kind: d.kind, began: time.Now()}
	pic, err := f.led(ctx)
	if err == nil {
		o.note, err = d.do(ctx, f, pic)
	}
	if err == nil {
		_, err = f.settled(ctx, false)
	}
	f.measure(&o)
	if err != nil {
		err = fmt.Errorf("%s: %w", o, errors.Join(err))
	}
	return o, err
}
