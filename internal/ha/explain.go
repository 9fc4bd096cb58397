package ha

import (
	"strconv"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// Explanation is one decision in words: what was decided, by which rule, on which facts, and what came of it.
type Explanation struct {
	Time   time.Time `json:"time"`
	Member string    `json:"member"`
	Rule   string    `json:"rule"`
	Why    string    `json:"why"`
	// Checks are the conditions that were weighed.
	Checks  []Check        `json:"checks"`
	Actions []ActionResult `json:"actions"`
	// Wake is when the next decision follows at the latest.
	Wake  string    `json:"wake"`
	Rules []Verdict `json:"rules"`
	// Standing are the conditions under which this member would take the lead if nobody had it now. It is empty unless
	// another member leads and this one is a running standby.
	Standing []Check `json:"standing,omitempty"`
	// Facts are what was seen, and Memory what is remembered for the next decision.
	Facts  []Fact `json:"facts"`
	Memory []Fact `json:"memory"`
}

// ActionResult is one action and how it ended.
type ActionResult struct {
	Action string `json:"action"`
	Result string `json:"result"`
}

// Fact is one thing that was seen or is remembered, in words. Times are relative to the decision.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

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

// Verdict is what became of one rule in one decision.
type Verdict struct {
	Rule string `json:"rule"`
	When string `json:"when"`
	// Verdict is one of the constants below.
	Verdict string `json:"verdict"`
}

// What becomes of a rule.
const (
	VerdictApplied    = "applied"
	VerdictNotThis    = "not this situation"
	VerdictNotReached = "not reached"
)

// verdicts says of every rule what became of it when the named one decided.
func verdicts(decided string) []Verdict {
	var out []Verdict
	verdict := VerdictNotThis
	for _, r := range Rules() {
		if r.Name == decided {
			verdict = VerdictApplied
		}
		out = append(out, Verdict{r.Name, r.When, verdict})
		if verdict == VerdictApplied {
			verdict = VerdictNotReached
		}
	}
	return out
}

// Explain puts a decision into words. The memory is the one that the decision left, the outcomes are those of its actions.
func Explain(mem Memory, v View, d Decision, outcomes []Outcome) Explanation {
	e := Explanation{
		Time: v.Now, Member: v.Self.Name, Rule: d.Rule, Why: d.Why, Checks: d.Checks, Actions: []ActionResult{},
		Wake: wakeWords(d, v.Settings), Rules: verdicts(d.Rule), Standing: standing(mem, v), Facts: viewFacts(v), Memory: memoryFacts(mem, v.Now),
	}
	if e.Checks == nil {
		e.Checks = []Check{}
	}
	for _, o := range outcomes {
		e.Actions = append(e.Actions, ActionResult{o.Action.String(), o.Result.String()})
	}
	return e
}

func wakeWords(d Decision, s cluster.Settings) string {
	wait := s.LoopWait
	if d.Wake > 0 {
		wait = min(wait, d.Wake)
	}
	if d.Again {
		return "at once"
	}
	return "in " + Span(wait) + " at the latest"
}

// standing weighs the race as if the leader were gone. The other members are not asked for that.
func standing(mem Memory, v View) []Check {
	running := v.Server.Data == DataCluster && v.Server.Process == Running && v.Server.InRecovery
	if !v.Fresh || !v.Cluster.Locked() || v.Cluster.Leader.Name == v.Self.Name || !running {
		return nil
	}
	if v.Settings.Pause {
		return []Check{{Rule: "pause", Detail: "the cluster is in pause: nobody is promoted by itself"}}
	}
	v.Cluster.Leader = cluster.Leader{}
	v.Cluster.Failover = cluster.Failover{}
	return raceChecks(&mem, v, nil)
}

// String names the result for people.
func (r Result) String() string {
	switch r {
	case Done:
		return "done"
	case Refused:
		return "refused"
	case Unknown:
		return "no answer"
	}
	return "result " + strconv.Itoa(int(r))
}

// Change is a decision that differed from the one before it.
type Change struct {
	Time    time.Time `json:"time"`
	Rule    string    `json:"rule"`
	Why     string    `json:"why"`
	Actions []string  `json:"actions"`
	// Times is how often the member came to this decision while it went back and forth between two, and Last when it last
	// did.
	Times int       `json:"times"`
	Last  time.Time `json:"last"`
}

// ChangeOf is a decision as the history keeps it: without the renewals and positions that every leader writes all the
// time.
func ChangeOf(v View, d Decision) Change {
	c := Change{Time: v.Now, Rule: d.Rule, Why: d.Why, Actions: []string{}, Times: 1, Last: v.Now}
	for _, action := range d.Do {
		switch action.(type) {
		case RenewLease, WriteStatus:
			continue
		case AcquireLeader, AdoptLeader, ReleaseLeader, CreateInitialize, WriteInitialize, DeleteInitialize, WriteConfig, WriteHistory,
			ClearFailover, PromiseFailsafe, WriteSync, DeleteSync, SetSyncNames, EmitWAL, AdmitClients, AskFailsafe, ActivateWatchdog, DisableWatchdog, AskPeers, AskUpstream, StartJob, Refuse, Exit:
		}
		c.Actions = append(c.Actions, action.String())
	}
	return c
}
