package ctl

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

var decided = time.Date(2026, 1, 2, 3, 4, 3, 178900000, time.UTC)

// explanation is what an agent answers.
func explanation(t *testing.T, e ha.Explanation) string {
	t.Helper()
	e.Time, e.Wake = decided, "in 7.5 s at the latest"
	for _, r := range ha.Rules() {
		verdict := ha.VerdictNotThis
		switch r.Name {
		case e.Rule:
			verdict = ha.VerdictApplied
		case "replica", "rest":
			verdict = ha.VerdictNotReached
		}
		if r.Name == "fence" || r.Name == e.Rule || verdict == ha.VerdictNotReached {
			e.Rules = append(e.Rules, ha.Verdict{Rule: r.Name, When: r.When, Verdict: verdict})
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return "200 " + string(text)
}

func explaining(t *testing.T) *apis {
	t.Helper()
	leader := ha.Explanation{Member: "patroni-node1", Rule: "leader", Why: "leading"}
	replica := ha.Explanation{
		Member: "patroni-node2", Rule: "replica", Why: "following leader patroni-node1",
		Checks:  []ha.Check{{Rule: "silent", OK: true, Detail: "the leader answers"}},
		Actions: []ha.ActionResult{{Action: "renew lease", Result: "done"}, {Action: "ask peers patroni-node1", Result: "no answer"}},
		Standing: []ha.Check{
			{Rule: "nofailover", OK: true, Detail: "this member may lead"},
			{Rule: "lag", Detail: "this member is 3.1 MiB behind the last leader, the limit is 1 MiB"},
		},
		Facts:  []ha.Fact{{Name: "leader", Value: "patroni-node1"}, {Name: "own position", Value: "0/5000000"}},
		Memory: []ha.Fact{{Name: "last leader", Value: "patroni-node1"}},
	}
	return members(t, map[string]string{
		"node1 GET /debug/ha": explanation(t, leader), "node2 GET /debug/ha": explanation(t, replica),
		"node3 GET /debug/ha":         `503 {"state": "creating replica", "patroni": {"version": "4.1.4"}}`,
		"node1 GET /debug/ha/history": `200 [{"time":"2026-01-02T03:04:01Z","why":"leading","actions":["write history"],"times":1}]`,
		"node2 GET /debug/ha/history": `200 [{"time":"2026-01-01T23:59:59Z","why":"nobody leads: asking the other members","actions":[],"times":3,` +
			`"last":"2026-01-02T00:00:03Z"},{"time":"2026-01-02T03:04:02Z","why":"following leader patroni-node1","actions":[],"times":1}]`,
		"node3 GET /debug/ha/history": `501 Unsupported`,
	})
}

func TestExplainAllInShort(t *testing.T) {
	out, err := run(t, explaining(t).c, "", "explain")
	want := `patroni-node1 (leader, running): leading
  decided 2.5 s ago by the rule leader: this member holds the leader key

patroni-node2 (replica, streaming): following leader patroni-node1
  decided 2.5 s ago by the rule replica: another member holds the leader key
  would it take the lead if nobody had it: no
    ✗ this member is 3.1 MiB behind the last leader, the limit is 1 MiB

patroni-node3 (replica, creating replica): its agent is no pgbaton and does not explain itself
`
	if diff := cmp.Diff(want, out); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestExplainOneInDetail(t *testing.T) {
	out, err := run(t, explaining(t).c, "", "explain", "patroni-node2")
	want := `patroni-node2 (replica, streaming): following leader patroni-node1
decided 2.5 s ago at 2026-01-02 03:04:03.178, again in 7.5 s at the latest

Rules, in order
    fence    not this situation  the server accepts writes without the right to
  → replica  applied             another member holds the leader key
    1 more were not reached

Weighed
  ✓ silent  the leader answers

Done
  renew lease              done
  ask peers patroni-node1  no answer

Would it take the lead if nobody had it: no
    ✓ this member may lead
    ✗ this member is 3.1 MiB behind the last leader, the limit is 1 MiB

Seen
  leader        patroni-node1
  own position  0/5000000

Remembered
  last leader  patroni-node1
`
	if diff := cmp.Diff(want, out); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestExplainHistoryOfAll(t *testing.T) {
	out, err := run(t, explaining(t).c, "", "explain", "--history")
	want := `patroni-node3: its agent answers 501: Unsupported
2026-01-01
23:59:59.000  patroni-node2  nobody leads: asking the other members (3 times until 00:00:03.000)
2026-01-02
03:04:01.000  patroni-node1  leading → write history
03:04:02.000  patroni-node2  following leader patroni-node1
`
	if diff := cmp.Diff(want, out); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestExplainForPrograms(t *testing.T) {
	out, err := run(t, explaining(t).c, "", "explain", "-o", "json")
	var docs []told[ha.Explanation]
	if err := json.Unmarshal([]byte(out), &docs); err != nil {
		t.Fatal(err)
	}
	if err != nil || len(docs) != 3 || docs[1].Answer.Why != "following leader patroni-node1" || docs[2].Answer != nil || docs[2].Trouble == "" {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = run(t, explaining(t).c, "", "explain", "patroni-node1", "--history", "-o", "json")
	var changes []told[[]ha.Change]
	if err := json.Unmarshal([]byte(out), &changes); err != nil {
		t.Fatal(err)
	}
	if err != nil || len(changes) != 1 || len(*changes[0].Answer) != 1 {
		t.Errorf("%v\n%s", err, out)
	}
}

// Without the DCS one agent can be asked all the same.
func TestExplainOneAgentWithoutTheDCS(t *testing.T) {
	base := strings.TrimSuffix(explaining(t).c.Members[1].APIURL, "/patroni")
	out, err := run(t, cluster.Cluster{}, "", "explain", "--url", base)
	if want := base + ": following leader patroni-node1\ndecided 2.5 s ago"; err != nil || !strings.HasPrefix(out, want) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestExplainRefusals(t *testing.T) {
	for args, want := range map[string]string{
		"explain stranger":         "stranger is no member of cluster postgresql-cluster: its members are patroni-node1, patroni-node2, patroni-node3",
		"explain --url node2:8008": "--url node2:8008 is no address such as http://node2:8008",
		"explain -o xml":           `invalid argument "xml" for "-o, --output" flag: "xml" is not one of text, json`,
	} {
		if _, err := run(t, picture(""), "", strings.Fields(args)...); err == nil || err.Error() != want {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// Colours take no room in the alignment.
func TestColoursAreForTerminals(t *testing.T) {
	p := page{colour: true}
	p.section("Title", func(add func(...string)) {
		add(p.paint(green, "→")+" a", "1")
		add("  bcd", "2")
	})
	want := "\n\x1b[1mTitle\x1b[0m\n  \x1b[32m→\x1b[0m a    1\n    bcd  2\n"
	if diff := cmp.Diff(want, p.String()); diff != "" {
		t.Error(diff)
	}
}
