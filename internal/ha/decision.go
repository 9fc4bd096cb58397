package ha

import (
	"slices"
	"strings"
	"time"
)

// Decision is what to do now.
type Decision struct {
	// Do is carried out in order.
	Do []Action
	// Why is the reason in one sentence, the same everywhere it is shown.
	Why string
	// Rule is the name of the rule that decided; Rules lists all of them.
	Rule string
	// Checks are the conditions that were weighed, in the order they were.
	Checks []Check
	// Doubt is what an operator should put right although the decision stands; empty where there is nothing. It is the
	// last of the checks too.
	Doubt string
	// Wake is the longest time until the next tick; zero leaves it to loop_wait.
	Wake time.Duration
	// Again asks for the next tick at once, because an action's result decides what follows.
	Again bool
}

// Check is one condition and its verdict.
type Check struct {
	Rule   string `json:"rule"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// do makes a decision of a reason and actions.
func do(why string, actions ...Action) Decision { return Decision{Why: why, Do: actions} }

func (d Decision) again() Decision {
	d.Again = true
	return d
}

func (d Decision) wake(after time.Duration) Decision {
	d.Wake = after
	return d
}

func (d Decision) with(actions ...Action) Decision {
	d.Do = append(slices.Clip(d.Do), actions...)
	return d
}

func (d Decision) by(rule string) Decision {
	d.Rule = rule
	return d
}

func (d Decision) checked(checks []Check) Decision {
	d.Checks = checks
	return d
}

// job makes a decision that begins a job. Its end wakes the agent.
func job(why string, j Job) Decision { return do(why, StartJob{Job: j}) }

// list renders names for a sentence.
func list(names []string) string { return strings.Join(names, ", ") }
