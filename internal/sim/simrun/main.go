package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/sim"
)

// options are the command line.
type options struct {
	to                 io.Writer
	seed, from, seeds  uint64
	budget             time.Duration
	mutant, file, keep string
}

// errBroken says that a rule was broken, which was shown already.
var errBroken = errors.New("a rule was broken")

func main() { os.Exit(start(os.Stdout)) } //nolint:forbidigo // this is a main

func start(to io.Writer) int {
	o := options{to: to}
	flag.Uint64Var(&o.seed, "seed", 0, "replay this seed")
	flag.Uint64Var(&o.from, "from", uint64(time.Now().UnixNano()%1e12), "first seed of a hunt")
	flag.Uint64Var(&o.seeds, "seeds", 0, "how many seeds a hunt has at most")
	flag.DurationVar(&o.budget, "for", time.Minute, "how long a hunt lasts at most")
	flag.StringVar(&o.mutant, "mutant", "", "switch a deliberate mistake on")
	flag.StringVar(&o.file, "file", "", "replay the first scenario of a file")
	flag.StringVar(&o.keep, "keep", "", "write the smallest schedule that breaks a rule to a file in this folder")
	flag.Parse()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

func (o options) run() error {
	if o.file != "" {
		run, err := read(o.file)
		if err != nil {
			return err
		}
		return o.replay(run)
	}
	if o.seed != 0 {
		return o.replay(sim.Draw(o.seed))
	}
	return o.hunt()
}

// say writes to the terminal; when that is gone there is nobody to tell.
func (o options) say(format string, args ...any) { _, _ = fmt.Fprintf(o.to, format, args...) }

// read takes the first scenario out of a file: what stands between a line that begins with "run" and one of dashes.
func read(path string) (sim.Run, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return sim.Run{}, fmt.Errorf("read scenario: %w", err)
	}
	_, rest, found := strings.Cut("\n"+string(text), "\nrun ")
	if !found {
		return sim.Run{}, fmt.Errorf("read scenario: %s has no line that begins with run", path)
	}
	setup, faults, _ := strings.Cut(rest, "\n")
	faults, _, _ = strings.Cut(faults, "----")
	return sim.Scenario(setup, faults)
}

// replay makes one run and tells everything that happens.
func (o options) replay(run sim.Run) error {
	if o.mutant != "" {
		run.Mutant = o.mutant
	}
	o.say("%v\n\n", run)
	run.Trace, run.Plot = o.to, true
	out := run.Do()
	o.say("\n%s\n%s\n", out.Plot, out)
	if out.Broken != nil {
		return o.smallest(run)
	}
	return nil
}

// hunt makes runs until the time is over, or a few rules were broken.
func (o options) hunt() error {
	o.say("hunting for %v from seed %d\n", o.budget, o.from)
	began := processor()
	bag := sim.Hunt{From: o.from, Seeds: o.seeds, Until: time.Now().Add(o.budget), Mutant: o.mutant, Enough: 5}.Go()
	spent := processor() - began
	o.say("%d runs, %.0f cluster-hours in %.1f CPU-minutes: %.0f cluster-hours per CPU-minute\n", bag.Runs, bag.Simulated.Hours(), spent.Minutes(),
		bag.Simulated.Hours()/spent.Minutes())
	o.say("%+v\n", bag.Stats)
	for _, c := range bag.Caught {
		o.say("\nseed %d: %v\nreplay it with: make sim SEED=%d\n", c.Run.Seed, c.Broken, c.Run.Seed)
	}
	if len(bag.Caught) == 0 {
		return nil
	}
	return o.smallest(bag.Caught[0].Run)
}

// processor is how long this process has used a processor.
func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// smallest shows the smallest schedule that breaks the same rule, and keeps it where that is asked for.
func (o options) smallest(run sim.Run) error {
	run.Trace, run.Plot = nil, false
	small := sim.Minimise(run)
	small.Plot = true
	out := small.Do()
	scenario := fmt.Sprintf("# Seed %d: %v.\n\nrun %v\n----\n%v\n%s", run.Seed, out.Broken.Rule, small, out, out.Plot)
	o.say("\nthe smallest schedule that does that:\n\n%s", scenario)
	if o.keep != "" && run.Mutant == "" {
		path := filepath.Join(o.keep, fmt.Sprintf("seed-%d.txt", run.Seed))
		if err := os.WriteFile(path, []byte(scenario), 0o644); err != nil { //nolint:gosec // a test reads it
			return fmt.Errorf("keep scenario: %w", err)
		}
	}
	return errBroken
}
