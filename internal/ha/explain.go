package ha

// Rule is one rule as people read of it.
type Rule struct {
	Name string
	// When is the situation that the rule is for, in a sentence without its period.
	When string
}

// Rules lists the rules in the order they are tried. The one that decided is named in the decision; those before it
// found that the situation was not theirs, and those after it were not reached.
func Rules() []Rule {
	all := []Rule{{fenceName, fenceWhen}}
	for r := range rules {
		all = append(all, Rule{r.name, r.when})
	}
	return append(all, Rule{restName, restWhen})
}
