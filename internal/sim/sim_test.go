package sim

import (
	"bytes"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
)

var seeds = flag.Uint64("sim.seeds", 2000, "seeds of TestRulesHold")

// Whatever a seed draws, the rules of the design hold, and the cluster is well again in time.
func TestRulesHold(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n = min(n, 200)
	}
	began := time.Now()
	bag := Hunt{From: 1, Seeds: n, Enough: 3}.Go()
	took := time.Since(began)
	t.Logf("%d runs of %.0f cluster-hours in %v: %+v", bag.Runs, bag.Simulated.Hours(), took.Round(time.Millisecond), bag.Stats)
	for _, c := range bag.Caught {
		t.Errorf("seed %d: %v\nreplay it with: make sim SEED=%d", c.Run.Seed, c.Broken, c.Run.Seed)
	}
	if len(bag.Caught) > 0 {
		small := Minimise(bag.Caught[0].Run)
		t.Logf("the smallest schedule that does that:\n\n%v", small)
	}
}

// mutantSeeds bounds how long a deliberate mistake may go unnoticed.
const mutantSeeds = 4000

// Every deliberate mistake breaks a rule within a bounded number of seeds: that is what the rules' checks are worth.
func TestMutantsAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("the mistakes take long under the race detector")
	}
	table := []string{fmt.Sprintf("%-18s %5s  %s", "mutant", "seed", "rule")}
	for _, m := range mutants() {
		// Mistakes about synchronous standbys show only where there are some.
		among := func(s Setup) bool { return s.Sync != "" || !m.synchronous }
		bag := Hunt{From: 1, Seeds: mutantSeeds, Mutant: m.name, Among: among, Enough: 1}.Go()
		if len(bag.Caught) == 0 {
			t.Errorf("%s survives %d seeds: %s", m.name, mutantSeeds, m.about)
			continue
		}
		first := bag.Caught[0]
		table = append(table, fmt.Sprintf("%-18s %5d  %s: %s", m.name, first.Run.Seed, first.Broken.Rule, m.about))
	}
	t.Log("\n" + strings.Join(table, "\n"))
	if len(table) < 21 {
		t.Errorf("there are %d mutants, want at least 20", len(table)-1)
	}
}

// The scenarios in testdata are stories that happened to somebody, or to a seed. The golden text is what comes of each:
// one sentence and a plot.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			if d.Cmd != "run" {
				d.Fatalf(t, "unknown verb %q", d.Cmd)
			}
			var words []string
			for _, a := range d.CmdArgs {
				words = append(words, a.String())
			}
			r, err := Scenario(strings.Join(words, " "), d.Input)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			r.Plot = true
			out := r.Do()
			if out.Broken != nil {
				t.Errorf("%s: %v", d.Pos, out.Broken)
			}
			return out.String() + "\n" + out.Plot
		})
	})
}

// One seed is one story: a run can be made again, line by line, whatever runs beside it.
func TestReplayIsExact(t *testing.T) {
	for _, seed := range []uint64{3, 17, 64, 257} {
		var first, second bytes.Buffer
		for _, to := range []*bytes.Buffer{&first, &second} {
			r := Draw(seed)
			r.Trace = to
			r.Do()
		}
		if first.String() != second.String() {
			t.Errorf("seed %d:\n%s", seed, cmp.Diff(strings.Split(first.String(), "\n"), strings.Split(second.String(), "\n")))
		}
		out := Draw(seed).Do()
		if traced := Draw(seed); out.Stats != func() Stats { traced.Plot = true; return traced.Do().Stats }() {
			t.Errorf("seed %d goes otherwise when it is watched", seed)
		}
	}
}

// A schedule that was drawn can be written down and read again.
func TestScenarioText(t *testing.T) {
	for seed := range uint64(300) {
		r := Draw(seed)
		setup, faults, _ := strings.Cut(r.String(), "\n")
		again, err := Scenario(setup, faults)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r.String(), again.String()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestScenarioTextIsChecked(t *testing.T) {
	for _, line := range []string{"soon kill-agent n1", "1s", "1s explode n1", "1s kill-agent", "1s kill-agent n1 for long"} {
		if _, err := ParseFault(line); err == nil {
			t.Errorf("%q is taken for a fault", line)
		}
	}
	for _, setup := range []string{"members=many", "color=red", "rewind=perhaps"} {
		if _, err := Scenario(setup, ""); err == nil {
			t.Errorf("%q is taken for a setup", setup)
		}
	}
}

// What is left of a schedule breaks the same rule and has nothing in it that could be left out.
func TestMinimise(t *testing.T) {
	bag := Hunt{From: 1, Seeds: mutantSeeds, Mutant: "guard-off", Enough: 1}.Go()
	if len(bag.Caught) == 0 {
		t.Fatal("no seed breaks a rule without a guard")
	}
	caught := bag.Caught[0]
	small := Minimise(caught.Run)
	out := small.Do()
	if out.Broken == nil || out.Broken.Rule != caught.Broken.Rule {
		t.Fatalf("%v\nbreaks %v, want %s", small, out.Broken, caught.Broken.Rule)
	}
	for i := range small.Faults {
		r := small
		r.Faults = slices.Delete(slices.Clone(r.Faults), i, i+1)
		if out := r.Do(); out.Broken != nil && out.Broken.Rule == caught.Broken.Rule {
			t.Errorf("%v\nneeds no %v", small, small.Faults[i])
		}
	}
}

// A quiet cluster costs little: this is the figure that the hunt for seeds lives on.
func BenchmarkQuietCluster(b *testing.B) {
	r, err := Scenario("members=3 write=1s length=10h", "")
	if err != nil {
		b.Fatal(err)
	}
	var hours float64
	for b.Loop() {
		hours += r.Do().Simulated.Hours()
	}
	b.ReportMetric(hours/b.Elapsed().Minutes(), "cluster-hours/min")
}

func BenchmarkSeeds(b *testing.B) {
	var hours float64
	seed := uint64(1)
	for b.Loop() {
		hours += Draw(seed).Do().Simulated.Hours()
		seed++
	}
	b.ReportMetric(hours/b.Elapsed().Minutes(), "cluster-hours/min")
}
