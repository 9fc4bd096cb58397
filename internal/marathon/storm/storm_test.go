package storm

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var (
	seeds  = flag.Int("storm.seeds", 200, "how many histories TestStorm runs")
	seed   = flag.Uint64("storm.seed", 0, "run this history alone and tell everything that happens")
	from   = flag.Uint64("storm.from", 1, "first history")
	every  = flag.Int("storm.every", 3, "TestCrashAtEveryPoint tries each n-th point")
	change = flag.String("storm.mutant", "", "run with this deliberate mistake")
)

// TestStorm runs histories, each of which has to end well.
func TestStorm(t *testing.T) {
	if *seed != 0 {
		h := shrink(t, Draw(*seed))
		t.Logf("the smallest history that does the same:\n%v", h)
		if out := Run(t, h, *change, os.Stdout); out.Broken != nil {
			t.Errorf("%v", out.Broken)
		}
		return
	}
	var launches, kills int
	broken := 0
	for n := range uint64(*seeds) {
		h := Draw(*from + n)
		out := Run(t, h, *change, nil)
		launches, kills = launches+out.Launches, kills+out.Kills
		if out.Broken == nil {
			continue
		}
		t.Errorf("seed %d: %v\nreplay it with: make storm SEED=%d", h.Seed, out.Broken, h.Seed)
		if broken++; broken == 5 {
			break
		}
	}
	t.Logf("%d launches, %d kills", launches, kills)
}

// shrink makes a history that breaks a rule as small as it can be.
func shrink(t *testing.T, h History) History {
	t.Helper()
	return Minimise(h, func(h History) string {
		if out := Run(t, h, *change, nil); out.Broken != nil {
			return out.Broken.Rule
		}
		return ""
	})
}

// TestHistories runs the histories of testdata: each is what was left of a seed that broke a rule once.
func TestHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			h, err := Parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			var trace strings.Builder
			if out := Run(t, h, "", &trace); out.Broken != nil {
				t.Errorf("%v\n%s", out.Broken, trace.String())
			}
		})
	}
}

// mutantSeeds bounds how long a deliberate mistake may go unnoticed.
const mutantSeeds = 60

// TestMutantsAreCaught says what the rules are worth: every deliberate mistake breaks one of them.
func TestMutantsAreCaught(t *testing.T) {
	for _, m := range mutants() {
		caught := false
		for n := uint64(1); n <= mutantSeeds && !caught; n++ {
			if out := Run(t, Draw(n), m.name, nil); out.Broken != nil {
				t.Logf("%-20s seed %2d: %s", m.name, n, out.Broken.Rule)
				caught = true
			}
		}
		if !caught {
			t.Errorf("%s survives %d histories: %s", m.name, mutantSeeds, m.about)
		}
	}
}
