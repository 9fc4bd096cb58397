package ha

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
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
