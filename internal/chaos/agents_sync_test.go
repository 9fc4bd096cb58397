package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	chaosChanges = flag.Int("chaos.changes", 10, "leader changes of TestSynchronous and TestMixed, at least")
	chaosSeed    = flag.Uint64("chaos.seed", 0, "what the order of events in these is drawn from; zero draws one")
)

// outcome is one event of a run.
type outcome struct {
	kind, note string
	began      time.Time
	// took is the time until it was done, or until all was whole again where the lead moved.
	outage, took   time.Duration
	acked, unknown int
}

func (o outcome) String() string { return o.kind + " (" + o.note + ")" }

// TestSynchronous moves the lead in all ways there are, in an order that is drawn, while clients write and the settings of
// synchronous replication change: no acknowledged row is ever lost, and none is there that nobody sent (rule S5).
// make chaos has it go on for long.
func TestSynchronous(t *testing.T) {
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1e6 //nolint:gosec // it is positive
	}
	t.Logf("the seed is %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it is to be repeated
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute+time.Duration(*chaosChanges)*wholeWithin)
	defer cancel()
	f := newSyncField(ctx, t, rng)
	var all []outcome
	began := time.Now()
	defer func() {
		t.Logf("seed %d: %d leader changes in %s, %d members, %d clients\n%s",
			seed, f.leads.moved(), time.Since(began).Round(time.Second), syncMembers, syncClients, syncTable(all, f.total))
	}()
	for f.leads.moved() < *chaosChanges {
		for _, d := range f.deck(*chaosChanges - f.leads.moved()) {
			got, err := f.round(ctx, d)
			for _, o := range got {
				t.Logf("%5.1f s: %s: no write for %d ms, done after %.1f s", o.began.Sub(began).Seconds(), o, o.outage.Milliseconds(), o.took.Seconds())
			}
			all = append(all, got...)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if f.leads.moved() >= *chaosChanges {
				break
			}
		}
	}
	pic, err := f.whole(ctx)
	f.clients.Stop()
	if err := errors.Join(err, f.audit(ctx, pic.Leader, true)); err != nil {
		t.Fatalf("seed %d: at the end: %v", seed, err)
	}
}

// deck are about so many deeds that move the lead, in an order that is drawn: all kinds, those that cost a lease half as
// often; where there are few, only one of them or none.
func (f *syncField) deck(changes int) []deed {
	late, briefly := movesLate(), slices.Concat(movesBriefly(), movesBriefly())
	switch {
	case changes < len(briefly):
		late = nil
	case changes < len(late)+len(briefly):
		late = []deed{anyOf(f, late)}
	}
	all := slices.Concat(late, briefly)
	f.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// round is one deed that moves the lead. Something else may come before it, and every third time another kind of promise
// is asked for; a standby may lag meanwhile. In the end all is whole, and all acknowledged rows are on the new leader.
func (f *syncField) round(ctx context.Context, d deed) ([]outcome, error) {
	var all []outcome
	before := f.before()
	f.loose = false
	for _, other := range before {
		o, err := f.perform(ctx, other)
		all = append(all, o)
		if err != nil {
			return all, err
		}
		// The lead may move before the cluster has recovered.
		if f.loose = f.rng.IntN(2) == 0 && !strings.Contains(d.kind, "switchover"); f.loose {
			continue
		}
		if _, err := f.whole(ctx); err != nil {
			return all, fmt.Errorf("after %s: %w", o, err)
		}
	}
	o, err := f.perform(ctx, f.maybeLagging(d))
	if err == nil {
		var pic Picture
		if pic, err = f.whole(ctx); err == nil {
			f.clients.books.strengthen()
			err = errors.Join(f.written(ctx, 1), f.audit(ctx, pic.Leader, f.leads.moved()%10 == 0))
		}
		if err != nil {
			err = fmt.Errorf("after %s: %w", o, err)
		}
	}
	f.measure(&o)
	return append(all, o), err
}

// before deals what happens before a deed.
func (f *syncField) before() []deed {
	if len(f.hand) == 0 {
		f.hand = disturbances()
		f.rng.Shuffle(len(f.hand), func(i, j int) { f.hand[i], f.hand[j] = f.hand[j], f.hand[i] })
	}
	if len(f.kinds) == 0 {
		f.kinds = kindsOfPromise()
		f.rng.Shuffle(len(f.kinds), func(i, j int) { f.kinds[i], f.kinds[j] = f.kinds[j], f.kinds[i] })
	}
	var all []deed
	if f.rng.IntN(3) == 0 {
		want := f.kinds[0]
		f.kinds = f.kinds[1:]
		all = append(all, deed{"mode, strict and node_count changed", func(ctx context.Context, f *syncField, _ Picture) (string, error) {
			return want.String(), f.set(ctx, want)
		}})
	}
	if f.rng.IntN(2) == 0 {
		all = append(all, f.hand[0])
		f.hand = f.hand[1:]
	}
	return all
}

// perform does one deed and measures it.
func (f *syncField) perform(ctx context.Context, d deed) (outcome, error) {
	o := outcome{kind: d.kind, began: time.Now()}
	pic, err := f.led(ctx)
	if err == nil {
		o.note, err = d.do(ctx, f, pic)
	}
	f.measure(&o)
	if err != nil {
		err = fmt.Errorf("%s: %w", o, err)
	}
	return o, err
}

// measure fills in what clients noticed from the beginning until now.
func (f *syncField) measure(o *outcome) {
	o.acked, o.unknown = f.clients.books.counts(o.began)
	o.outage, o.took = f.clients.books.outage(o.began), time.Since(o.began)
}

// maybeLagging has a standby lag while a deed is done, one time in four.
func (f *syncField) maybeLagging(d deed) deed {
	if f.loose || f.rng.IntN(4) > 0 {
		return d
	}
	return deed{d.kind + ", one lags", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
		who, err := f.lagging(ctx, pic)
		if err != nil {
			return who, errors.Join(err, f.caughtUp())
		}
		note, err := d.do(ctx, f, pic)
		return note + ", " + who + " lags", errors.Join(err, f.caughtUp())
	}}
}

// moved is how often the lead went to another member.
func (l *leads) moved() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count, last := 0, ""
	for _, s := range l.seen {
		if s.Name == "" {
			continue
		}
		if last != "" && s.Name != last {
			count++
		}
		last = s.Name
	}
	return count
}

// syncTable is one line for each kind, in Markdown.
func syncTable(all []outcome, total Account) string {
	kinds := map[string][]outcome{}
	for _, o := range all {
		kind, _, _ := strings.Cut(o.kind, ", one lags")
		kinds[kind] = append(kinds[kind], o)
	}
	var out strings.Builder
	out.WriteString("| what happened | times | no write for, median | longest | acknowledged | unknown |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		var gaps []time.Duration
		acked, unknown := 0, 0
		for _, o := range kinds[kind] {
			gaps, acked, unknown = append(gaps, o.outage), acked+o.acked, unknown+o.unknown
		}
		slices.Sort(gaps)
		fmt.Fprintf(&out, "| %s | %d | %s | %s | %d | %d |\n", kind, len(gaps), inSeconds(gaps[len(gaps)/2]), inSeconds(gaps[len(gaps)-1]), acked, unknown)
	}
	fmt.Fprintf(&out, "%d rows acknowledged, %d unknown, %d lost, %d unexpected, %d missing of those written while synchronous mode was off\n",
		total.Acknowledged, total.Unknown, total.Lost, total.Unexpected, total.Let)
	return out.String()
}
