package ha

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

func TestEveryRuleHasANameOfItsOwnAndASentence(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules() {
		if r.Name == "" || seen[r.Name] {
			t.Errorf("rule %q: the name is empty or another rule's", r.Name)
		}
		if r.When == "" || strings.HasSuffix(r.When, ".") {
			t.Errorf("rule %s: the situation %q is no sentence without its period", r.Name, r.When)
		}
		seen[r.Name] = true
	}
}

func TestEveryDecisionNamesItsRule(t *testing.T) {
	names := map[string]bool{}
	for _, r := range Rules() {
		names[r.Name] = true
	}
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		if _, d := Next(mem, v); !names[d.Rule] {
			t.Fatalf("the decision %q is by the unknown rule %q", d.Why, d.Rule)
		}
	})
}

// explained is the explanation of the last decision on a standby that follows n2 or finds nobody leading.
func explained(change func(s *scenario)) Explanation {
	s := newScenario()
	s.view.Cluster.Leader = cluster.Leader{Name: "n2", Lease: otherLease, Version: 5}
	s.view.Cluster.Status.Optime = 0x5580878
	s.view.Cluster.Members = []cluster.Member{{
		Name: "n2", APIURL: "http://n2:8008/patroni", ConnURL: "postgres://n2:5432/postgres", State: cluster.StateRunning, Role: cluster.RolePrimary,
	}}
	s.view.Server = Server{
		Data: DataCluster, SystemID: testIdentity, Process: Running, Answers: true, InRecovery: true, Timeline: 1, Position: 0x5580878,
		Streaming: true, Follows: "n2",
	}
	change(&s)
	mem, d := Next(s.mem, s.view)
	return Explain(mem, s.view, d, []Outcome{{RenewLease{}, Unknown}})
}

func failed(checks []Check) []string {
	var out []string
	for _, c := range checks {
		if !c.OK {
			out = append(out, c.Rule)
		}
	}
	return out
}

func TestTheVerdictsOfAllRules(t *testing.T) {
	e := explained(func(*scenario) {})
	if e.Rule != "replica" || e.Why != "following leader n2" || e.Member != "n1" {
		t.Fatalf("%s: %s", e.Rule, e.Why)
	}
	decided := false
	for i, r := range e.Rules {
		want := VerdictNotThis
		switch {
		case r.Rule == "replica":
			want, decided = VerdictApplied, true
		case decided:
			want = VerdictNotReached
		}
		if r.Verdict != want || r.When != Rules()[i].When {
			t.Errorf("rule %s: %s, want %s", r.Rule, r.Verdict, want)
		}
	}
	if want := []ActionResult{{"renew lease", "no answer"}}; !slices.Equal(e.Actions, want) {
		t.Errorf("done: %v, want %v", e.Actions, want)
	}
}

// Whether a replica would take the lead, asked while it need not.
func TestTheStandingOfAReplica(t *testing.T) {
	cases := []struct {
		name   string
		change func(s *scenario)
		want   []string
	}{
		{"ready", func(*scenario) {}, nil},
		{"too far behind", func(s *scenario) { s.view.Server.Position -= 3250585 }, []string{"lag"}},
		{"tagged", func(s *scenario) { s.view.Self.Tags = cluster.Tags{"nofailover": true} }, []string{"nofailover"}},
		{"in pause", func(s *scenario) { s.view.Settings.Pause = true }, []string{"pause"}},
	}
	for _, c := range cases {
		e := explained(c.change)
		if got := failed(e.Standing); len(e.Standing) == 0 || !slices.Equal(got, c.want) {
			t.Errorf("%s: in the way stand %v, want %v", c.name, got, c.want)
		}
	}
	for name, change := range map[string]func(s *scenario){
		"the leader":    func(s *scenario) { s.view.Cluster.Leader = cluster.Leader{Name: "n1", Lease: ownLease, Version: 5} },
		"nobody leads":  func(s *scenario) { s.view.Cluster.Leader = cluster.Leader{} },
		"it is down":    func(s *scenario) { s.view.Server.Process = Stopped },
		"the DCS fails": func(s *scenario) { s.view.Fresh = false },
	} {
		if e := explained(change); len(e.Standing) != 0 {
			t.Errorf("%s: the question makes no sense, and is answered by %v", name, e.Standing)
		}
	}
}

// Whatever is remembered shows: a field of the memory that nobody put into words would be missed one night.
func TestEverythingRememberedIsShown(t *testing.T) {
	moment := at("90")
	m := Memory{}
	fill(reflect.ValueOf(&m).Elem(), moment)
	empty := len(memoryFacts(Memory{}, at("100")))
	if got, want := len(memoryFacts(m, at("100"))), reflect.TypeFor[Memory]().NumField(); got != want || empty != 0 {
		t.Errorf("%d facts of %d fields, and %d of an empty memory: put the new field into words in facts.go\n%v", got, want, empty, memoryFacts(m, at("100")))
	}
}

// fill sets every field to something.
func fill(v reflect.Value, moment time.Time) {
	for _, f := range v.Fields() {
		switch {
		case f.Type() == reflect.TypeFor[time.Time]():
			f.Set(reflect.ValueOf(moment))
		case f.Type() == reflect.TypeFor[[]time.Time]():
			f.Set(reflect.ValueOf([]time.Time{moment}))
		case f.CanUint():
			f.SetUint(2)
		case f.CanInt():
			f.SetInt(2)
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.Kind() == reflect.String:
			f.SetString("n2")
		case f.Kind() == reflect.Struct:
			fill(f, moment)
		}
	}
}

func TestExplainingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, v := world(t)
		before := v
		before.Peers = map[string]Peer{"n2": v.Peers["n2"]}
		mem, d := Next(mem, v)
		e := Explain(mem, v, d, nil)
		if diff := cmp.Diff(before, v, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the view was changed: %s", diff)
		}
		for _, f := range slices.Concat(e.Facts, e.Memory) {
			if f.Name == "" || f.Value == "" || strings.Contains(f.Value, "%!") {
				t.Fatalf("fact %q: %q", f.Name, f.Value)
			}
		}
	})
}

func TestTheHistoryLeavesRoutineOut(t *testing.T) {
	c := ChangeOf(View{}, do("leading", RenewLease{}, WriteStatus{Optime: 1}, WriteHistory{}))
	if want := []string{"write history"}; !slices.Equal(c.Actions, want) {
		t.Errorf("%v, want %v", c.Actions, want)
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 120 * time.Millisecond: "120 ms", time.Second: "1 s", 24310 * time.Millisecond: "24.3 s", 2 * time.Minute: "2 min",
		125 * time.Second: "2 min 5 s", 3*time.Hour + 62*time.Second: "3 h 1 min",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
