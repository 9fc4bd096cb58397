package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/ha"
)

// kept are the changes that are kept of a row of decisions, one a second, each with its count.
func kept(decisions string) []string {
	var c changes
	for i, d := range decisions {
		at := time.Unix(int64(i), 0)
		c.add(ha.Change{Time: at, Last: at, Why: string(d), Times: 1})
	}
	var out []string
	for _, k := range c.all() {
		out = append(out, fmt.Sprintf("%s×%d %d-%d", k.Why, k.Times, k.Time.Unix(), k.Last.Unix()))
	}
	return out
}

func TestWhatIsKeptOfTheDecisions(t *testing.T) {
	cases := map[string][]string{
		"aaab":        {"a×1 0-0", "b×1 3-3"},
		"aba":         {"a×1 0-0", "b×1 1-1", "a×1 2-2"},
		"abab":        {"a×2 0-2", "b×2 1-3"},
		"aabbababbac": {"a×3 0-6", "b×3 2-7", "a×1 9-9", "c×1 10-10"},
		"cababd":      {"c×1 0-0", "a×2 1-3", "b×2 2-4", "d×1 5-5"},
	}
	for decisions, want := range cases {
		if diff := cmp.Diff(want, kept(decisions)); diff != "" {
			t.Errorf("%s: %s", decisions, diff)
		}
	}
}

func TestTheOldestChangesGo(t *testing.T) {
	var c changes
	for i := range keptChanges + 5 {
		c.add(ha.Change{Why: fmt.Sprint(i)})
	}
	if all := c.all(); len(all) != keptChanges || all[0].Why != "5" {
		t.Errorf("%d are kept, the oldest is %s", len(all), all[0].Why)
	}
}
