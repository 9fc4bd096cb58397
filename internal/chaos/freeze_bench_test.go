//go:build freezes

package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	freezeRuns     = flag.Int("freeze.runs", 20, "freezes of TestFreezes, spread evenly from freeze.shortest to freeze.longest")
	freezeClusters = flag.Int("freeze.clusters", 4, "clusters of TestFreezes at once")
	freezeShortest = flag.Duration("freeze.shortest", 5*time.Second, "shortest freeze of TestFreezes")
	freezeLongest  = flag.Duration("freeze.longest", time.Minute, "longest freeze of TestFreezes")
)

// TestFreezes stops the leader's agent again and again, for shorter and longer than its lease, on several clusters at
// once, and prints what came of it. It takes minutes and is built with the tag freezes alone: make bench-freeze.
func TestFreezes(t *testing.T) {
	lengths := make(chan time.Duration, *freezeRuns)
	for i := range *freezeRuns {
		step := (*freezeLongest - *freezeShortest) / time.Duration(max(*freezeRuns-1, 1))
		// Long and short ones take turns, so that all clusters are busy to the end.
		if i%2 == 1 {
			i = *freezeRuns - i - (*freezeRuns)%2
		}
		lengths <- *freezeShortest + time.Duration(i)*step
	}
	close(lengths)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*freezeRuns)*(*freezeLongest+healWithin))
	defer cancel()
	var fields []*field
	for range min(*freezeClusters, *freezeRuns) {
		f, _ := newField(ctx, t)
		fields = append(fields, f)
	}
	var mu sync.Mutex
	var all []thaw
	var working sync.WaitGroup
	for _, f := range fields {
		working.Go(func() {
			for d := range lengths {
				r, err := f.freeze(ctx, d)
				if err := errors.Join(err, r.wrong()); err != nil {
					t.Errorf("%s: %v", r, err)
				}
				mu.Lock()
				all = append(all, r)
				mu.Unlock()
			}
		})
	}
	working.Wait()
	t.Logf("ttl %s, loop_wait 1s, retry_timeout 3s, a client that writes every %s at every server\n%s", frozenTTL, directPace, tableOf(all))
}

// tableOf is one line for each freeze, in Markdown.
func tableOf(all []thaw) string {
	slices.SortFunc(all, func(a, b thaw) int { return int(a.frozen - b.frozen) })
	var out strings.Builder
	out.WriteString("| agent frozen | two servers took writes | acknowledged rows lost | lead moved | last row of the frozen member | first row of the next leader | back to streaming after |\n")
	out.WriteString("| ---: | ---: | ---: | --- | ---: | ---: | ---: |\n")
	var together time.Duration
	lost := 0
	for _, r := range all {
		moved, last, first := "no", "", ""
		if r.newLeader > 0 {
			moved, last, first = "yes", inSeconds(r.lastWrite), inSeconds(r.newLeader)
		}
		fmt.Fprintf(&out, "| %s | %s | %d | %s | %s | %s | %s |\n", inSeconds(r.frozen), inSeconds(r.together), r.lost.all, moved, last, first, inSeconds(r.back))
		together, lost = max(together, r.together), max(lost, r.lost.all)
	}
	fmt.Fprintf(&out, "%d freezes: %s with two servers, %d acknowledged rows lost\n", len(all), inSeconds(together), lost)
	return out.String()
}
