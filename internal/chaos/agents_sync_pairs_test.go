//go:build pairs

package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestSynchronousPairs cuts the power of every two of five members in every order, while clients write: with a commit on two
// standbys no acknowledged row is lost, and somebody leads as long as the promise has enough members.
func TestSynchronousPairs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	f := newSyncField(ctx, t, rand.New(rand.NewPCG(*chaosSeed, 1))) //nolint:gosec // it is to be repeated
	if err := f.set(ctx, promised{mode: "quorum", nodes: 2}); err != nil {
		t.Fatal(err)
	}
	var all []outcome
	began := time.Now()
	defer func() { t.Logf("%s\n%s", time.Since(began).Round(time.Second), syncTable(all, f.total)) }()
	for _, one := range f.Names() {
		for _, other := range slices.DeleteFunc(f.Names(), func(name string) bool { return name == one }) {
			if _, err := f.whole(ctx); err != nil {
				t.Fatal(err)
			}
			o, err := f.perform(ctx, deed{"two hosts lost", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
				return pairLost(ctx, f, pic, []string{one, other})
			}})
			if err != nil {
				t.Fatal(err)
			}
			pic, err := f.whole(ctx)
			if err == nil {
				err = f.audit(ctx, pic.Leader, true)
			}
			f.measure(&o)
			all = append(all, o)
			t.Logf("%5.1f s: %s: no write for %d ms, done after %.1f s", o.began.Sub(began).Seconds(), o, o.outage.Milliseconds(), o.took.Seconds())
			if err != nil {
				t.Fatalf("after %s: %v", o, err)
			}
		}
	}
}
