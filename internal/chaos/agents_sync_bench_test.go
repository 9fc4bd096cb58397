//go:build syncbench

package chaos

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	paceRounds  = flag.Int("pace.rounds", 5, "how often TestSyncPace measures each way")
	paceSeconds = flag.Int("pace.seconds", 5, "how long one measurement of TestSyncPace takes")
	pacePairs   = flag.Int("pace.pairs", 20, "how often TestSyncPace measures with agents and with frozen ones, right after each other")
)

// pairSeconds is how long one measurement of a pair takes: much shorter than a lease, so that a frozen agent is not missed.
const pairSeconds = 3

// leastRatio is what a busy server must keep of its pace while agents look after it.
const leastRatio = 0.98

// way is one way to run the same servers.
type way struct {
	name string
	// loopWait is that of the agents; zero stands for none, which the pause makes possible.
	loopWait int
	tps      []float64
	latency  []float64 // milliseconds
}

// TestSyncPace measures with 16 clients what commits cost that wait for a quorum, while agents run at two paces, and while
// none runs. The ways take turns, so that a machine which gets slower makes all of them slower. Run it with make bench-sync.
func TestSyncPace(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	f := &syncField{t: t, want: promised{mode: "quorum", nodes: 1}, noSync: map[string]bool{}}
	f.Agents = agents(t, AgentsConfig{Dynamic: map[string]any{"synchronous_mode": "quorum", "postgresql": map[string]any{
		"parameters": map[string]any{"max_wal_size": "4GB", "checkpoint_timeout": "30min"},
	}}})
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	pic, err := f.whole(ctx)
	if err != nil {
		t.Fatal(err)
	}
	leader, at := pic.Leader, pic.Led().Address
	pgbench(ctx, t, at, "-i", "-q", "-s", "8")
	pgbench(ctx, t, at, "-c", "16", "-j", "2", "-T", strconv.Itoa(*paceSeconds)) // warms up
	ways := []*way{{name: "no agents (paused)"}, {name: "agents, loop_wait 10", loopWait: 10}, {name: "agents, loop_wait 1", loopWait: 1}}
	for round := range *paceRounds {
		for i := range ways {
			w := ways[(i+round)%len(ways)]
			f.alone(ctx, leader, w, func() {
				tps, latency := paceOf(t, pgbench(ctx, t, at, "-c", "16", "-j", "2", "-T", strconv.Itoa(*paceSeconds)))
				w.tps, w.latency = append(w.tps, tps), append(w.latency, latency)
			})
		}
	}
	var out strings.Builder
	out.WriteString("| servers run by | tps, median | all | latency, median | ratio, median of the rounds |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, w := range ways {
		fmt.Fprintf(&out, "| %s | %.0f | %.0f | %.2f ms | %.3f |\n", w.name, middle(w.tps), w.tps, middle(w.latency), middle(ratios(w.tps, ways[0].tps)))
	}
	frozen, running := f.pairs(ctx, at)
	all := slices.Sorted(slices.Values(ratios(running, frozen)))
	fmt.Fprintf(&out, "%d pairs of %d s, agents frozen and running in turns: tps %.0f and %.0f, the ratio is %.3f (half of them %.3f to %.3f)\n",
		len(all), pairSeconds, middle(frozen), middle(running), middle(all), all[len(all)/4], all[len(all)*3/4])
	// A single measurement tells little on a machine that others use, and neither do five.
	if middle(all) < leastRatio {
		t.Errorf("the ratio is %.3f, and should be at least %.2f", middle(all), leastRatio)
	}
	t.Logf("synchronous_mode quorum, 3 members, 16 clients, %d rounds of %d s each\n%s", *paceRounds, *paceSeconds, out.String())
}

// pairs measures while all agents are frozen and while they run, right after each other, in both orders.
func (f *syncField) pairs(ctx context.Context, at string) (frozen, running []float64) {
	f.t.Helper()
	measure := func(freeze bool) {
		if freeze {
			f.signalAll(syscall.SIGSTOP)
			defer f.signalAll(syscall.SIGCONT)
		}
		tps, _ := paceOf(f.t, pgbench(ctx, f.t, at, "-c", "16", "-j", "2", "-T", strconv.Itoa(pairSeconds)))
		if freeze {
			frozen = append(frozen, tps)
			return
		}
		running = append(running, tps)
	}
	for i := range *pacePairs {
		measure(i%2 == 0)
		measure(i%2 != 0)
	}
	return frozen, running
}

func (f *syncField) signalAll(s syscall.Signal) {
	f.t.Helper()
	for _, name := range f.Names() {
		if err := f.Signal(name, s); err != nil {
			f.t.Fatal(err)
		}
	}
}

// alone has the agents run in that way, or none of them, while something is measured.
func (f *syncField) alone(ctx context.Context, leader string, w *way, measure func()) {
	f.t.Helper()
	if w.loopWait > 0 {
		if err := f.Configure(ctx, leader, fmt.Sprintf(`{"loop_wait": %d}`, w.loopWait)); err != nil {
			f.t.Fatal(err)
		}
		await(ctx, f.t, f.Agents, f.Leads(leader))
		measure()
		return
	}
	if err := f.Configure(ctx, leader, `{"pause": true}`); err != nil {
		f.t.Fatal(err)
	}
	for _, name := range f.Names() {
		until(ctx, f.t, f.Agents, func() error { return says(ctx, f.Agents, name, `"pause":true`) })
	}
	if err := f.Leave(ctx); err != nil {
		f.t.Fatal(err)
	}
	measure()
	if err := f.Start(); err != nil {
		f.t.Fatal(err)
	}
	await(ctx, f.t, f.Agents, f.Leads(leader))
	if err := f.Configure(ctx, leader, `{"pause": false}`); err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.whole(ctx); err != nil {
		f.t.Fatal(err)
	}
}

// pgbench runs it against a server, and returns what it prints.
func pgbench(ctx context.Context, t *testing.T, at string, args ...string) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if err != nil || len(found) == 0 {
		t.Fatal("there is no pgbench", err)
	}
	to := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", agentsPassword), Host: at + ":5432", Path: "/postgres"}
	cmd := exec.CommandContext(ctx, found[len(found)-1], append(args, to.String())...) //nolint:gosec // PostgreSQL's own
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pgbench %v: %v: %s", args, err, output)
	}
	return string(output)
}

// paceOf reads transactions a second and their latency from what pgbench prints.
func paceOf(t *testing.T, output string) (tps, latency float64) {
	t.Helper()
	for line := range strings.Lines(output) {
		var err error
		switch fields := strings.Fields(line); {
		case strings.HasPrefix(line, "tps = "):
			tps, err = strconv.ParseFloat(fields[2], 64)
		case strings.HasPrefix(line, "latency average = "):
			latency, err = strconv.ParseFloat(fields[3], 64)
		}
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	if tps == 0 {
		t.Fatalf("pgbench measured nothing: %s", output)
	}
	return tps, latency
}

func middle(all []float64) float64 { return slices.Sorted(slices.Values(all))[len(all)/2] }

// ratios are those of what was measured in the same round.
func ratios(a, b []float64) []float64 {
	var all []float64
	for i := range a {
		all = append(all, a[i]/b[i])
	}
	return all
}
