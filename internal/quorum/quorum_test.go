package quorum

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// The scenarios in testdata are the specification of the steps. Each file opens with prose; then
//
//	given    starts over with the facts that follow, one per line
//	and      changes facts and keeps the memory
//	step     prints the next step
//	steps    carries steps out, on a busy server whose standbys receive everything, until nothing is left to do
//	inherit  prints what a member promises, and for whom its commits wait, that has won the leader key: inherit b
//	handover prints the promise of a leader that has stopped, to those who have all its WAL: handover b,c
//
// Facts, in any order:
//
//	now 100 · mode on|quorum [strict] [count=2] [lag=100] · promise LEADER 1 b,c | promise none · names 'TEXT' · doubt · sure
//	at 1000 (the leader's position) · standby b [priority=2] [nofailover] [barred] [frozen] [sent=1000] [flushed=900] ·
//	standby b gone · doubt over · agent (it starts again and remembers nothing) · settle (certainty is asked for)
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s scenario
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			switch d.Cmd {
			case "given":
				s = scenario{v: View{Self: "a", Mode: cluster.SyncQuorum, Count: 1, Patience: 10 * time.Second, Now: moment(100), Position: 1000}}
				s.facts(t, d)
			case "and":
				s.facts(t, d)
			case "step":
				return s.step()
			case "steps":
				return s.steps()
			case "inherit":
				p, names := Inherit(s.v.Promise, d.CmdArgs[0].Key, s.v.Mode, s.v.Strict)
				return promised(p) + "\nnames '" + names.String() + "'\n"
			case "handover":
				return promised(HandOver(s.v.Promise, s.v.Self, split(d.CmdArgs[0].Key))) + "\n"
			default:
				d.Fatalf(t, "unknown verb %q", d.Cmd)
			}
			return ""
		})
	})
}

type scenario struct {
	mem    Memory
	v      View
	frozen []string
}

func moment(seconds int) time.Time { return time.Unix(1_800_000_000+int64(seconds), 0).UTC() }

func (s *scenario) facts(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	for line := range strings.SplitSeq(d.Input, "\n") {
		if words := strings.Fields(line); len(words) > 0 {
			s.fact(t, d, words, line)
		}
	}
}

func (s *scenario) fact(t *testing.T, d *datadriven.TestData, words []string, line string) {
	t.Helper()
	switch words[0] {
	case "now":
		s.v.Now = moment(number(t, words[1]))
	case "at":
		s.v.Position = wal.LSN(number(t, words[1])) //nolint:gosec // small
	case "doubt":
		s.v.Doubt = words[len(words)-1] != "over"
	case "agent":
		s.mem = Memory{}
	case "settle":
		s.v.Settle = true
	case "sure":
		s.mem = Memory{Begun: true, Names: s.v.Names, Heard: true, Mark: 1, MarkedAt: s.v.Now.Add(-time.Minute), Seen: map[string]time.Time{}}
	case "mode":
		s.v.Mode, s.v.Count, s.v.Strict, s.v.MaximumLag = cluster.SyncMode(words[1]), 1, false, 0
		for _, w := range words[2:] {
			s.v.Strict = s.v.Strict || w == "strict"
			if count, ok := strings.CutPrefix(w, "count="); ok {
				s.v.Count = number(t, count)
			}
			if lag, ok := strings.CutPrefix(w, "lag="); ok {
				s.v.MaximumLag = uint64(number(t, lag)) //nolint:gosec // small
			}
		}
	case "promise":
		s.v.Promise = cluster.Sync{Version: s.v.Promise.Version + 1}
		if words[1] != "none" {
			s.v.Promise.Leader = words[1]
			s.v.Promise.Quorum = number(t, words[2])
			s.v.Promise.Voters = split(words[3])
		}
	case "names":
		_, quoted, _ := strings.Cut(line, "'")
		text, _, _ := strings.Cut(quoted, "'")
		names, err := guc.ParseSyncNames(text)
		if err != nil {
			t.Fatal(err)
		}
		s.v.Names = names
	case "standby":
		s.standby(t, words[1:])
	default:
		d.Fatalf(t, "unknown fact %q", line)
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func split(list string) []string {
	if list == "-" {
		return nil
	}
	return strings.Split(list, ",")
}

func (s *scenario) standby(t *testing.T, words []string) {
	t.Helper()
	s.v.Standbys = slices.DeleteFunc(slices.Clone(s.v.Standbys), func(b Standby) bool { return b.Name == words[0] })
	s.frozen = without(s.frozen, words[0])
	b := Standby{Name: words[0], Priority: 1, Sent: s.v.Position, Flushed: s.v.Position}
	for _, w := range words[1:] {
		what, value, _ := strings.Cut(w, "=")
		switch what {
		case "gone":
			return
		case "nofailover":
			b.NoFailover = true
		case "barred":
			b.Barred = true
		case "frozen":
			s.frozen = append(s.frozen, b.Name)
		case "priority":
			b.Priority = number(t, value)
		case "sent":
			b.Sent = wal.LSN(number(t, value)) //nolint:gosec // small
		case "flushed":
			b.Flushed = wal.LSN(number(t, value)) //nolint:gosec // small
		}
	}
	s.v.Standbys = append(s.v.Standbys, b)
}

func (s *scenario) step() string {
	mem, step := Next(s.mem, s.v)
	s.mem = mem
	return describe(step)
}

func describe(s Step) string {
	var what string
	switch s.Kind {
	case Rest:
		what = "rest"
	case Await:
		what = "await"
	case Emit:
		what = "emit"
	case SetNames:
		what = "names '" + s.Names.String() + "'"
	case MakePromise:
		what = promised(s.Promise)
	}
	return what + "\n  because " + s.Why + "\n"
}

func promised(p cluster.Sync) string {
	if len(p.Voters) == 0 {
		return "promise " + p.Leader + ": nobody else"
	}
	return fmt.Sprintf("promise %s: quorum %d of %s", p.Leader, p.Quorum, strings.Join(p.Voters, ", "))
}

func (s *scenario) steps() string {
	var b strings.Builder
	last := ""
	for range 20 {
		mem, step := Next(s.mem, s.v)
		s.mem = mem
		if what := describe(step); what != last {
			b.WriteString(what)
			last = what
		}
		switch step.Kind {
		case Rest:
			return b.String()
		case SetNames:
			s.v.Names, s.v.Doubt = step.Names, false
		case MakePromise:
			s.v.Promise = step.Promise
		case Await, Emit:
		}
		s.v.Now = s.v.Now.Add(10 * time.Millisecond)
		s.v.Position += 10
		for i := range s.v.Standbys {
			if !has(s.frozen, s.v.Standbys[i].Name) {
				s.v.Standbys[i].Sent, s.v.Standbys[i].Flushed = s.v.Position, s.v.Position
			}
		}
	}
	return b.String() + "and so on\n"
}
