package route

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// TestScenarios runs the specification in testdata/scenarios. The verbs are:
//
//	picture    one line for each key: "leader n1", or a member "n2 replica running streaming at=11 tag=x";
//	           the picture is kept. Prints the wanted routing. With the argument unreachable: no picture.
//	steps      carries out the difference and prints every step
//	seen       prints what HAProxy does
//	haproxy    something happens inside HAProxy: "writes/n1 up", "down", "maintenance", "sessions=3", "killed"
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		var s scenario
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "picture":
				return s.picture(d)
			case "steps":
				return s.steps()
			case "seen":
				return s.show()
			case "haproxy":
				return s.happens(t, d.Input)
			}
			d.Fatalf(t, "unknown verb %q", d.Cmd)
			return ""
		})
	})
}

type scenario struct {
	told, wanted Wanted
	seen         Seen
}

func (s *scenario) picture(d *datadriven.TestData) string {
	if d.HasArg("unreachable") {
		s.wanted = s.wanted.Unsure()
		return "the last routing, as the checks find it"
	}
	var c cluster.Cluster
	for line := range strings.Lines(d.Input) {
		word := strings.Fields(line)
		if word[0] == "leader" {
			c.Leader.Name = word[1]
			continue
		}
		c.Members = append(c.Members, member(word))
	}
	slices.SortFunc(c.Members, func(a, b cluster.Member) int { return strings.Compare(a.Name, b.Name) })
	s.wanted = Want(c, services(), Names{"db.example": netip.MustParseAddr("127.0.0.99")})
	return explain(s.wanted)
}

// member reads "NAME ROLE STATE [streaming] [key=value]..."; a blank inside the state is written "_".
func member(word []string) cluster.Member {
	host := "127.0.0.1" + strings.TrimPrefix(word[0], "n")
	m := cluster.Member{Name: word[0], Role: cluster.Role(word[1]), State: cluster.State(strings.ReplaceAll(word[2], "_", " "))}
	api := "http://HOST:8008/patroni"
	for _, w := range word[3:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "streaming":
			m.ReplicationState = cluster.ReplicationStreaming
		case "at":
			host = value
		case "tag":
			m.Tags = cluster.Tags{value: true}
		case "api":
			api = value
		}
	}
	m.ConnURL = "postgres://" + host + ":5432/postgres"
	m.APIURL = strings.ReplaceAll(api, "HOST", host)
	return m
}

func explain(w Wanted) string {
	var out strings.Builder
	for i, l := range w.Lines() {
		fmt.Fprintln(&out, l.Text)
		for _, s := range w.Backends[i].Servers {
			fmt.Fprintf(&out, "  %s %s: %s\n", s.Name, s.Health, s.Reason)
		}
	}
	return out.String()
}

func (s *scenario) steps() string {
	var out strings.Builder
	for _, c := range Diff(s.told, s.wanted, s.seen) {
		fmt.Fprintln(&out, c)
		s.seen = apply(s.seen, c)
	}
	s.told = s.wanted
	if out.Len() == 0 {
		return "nothing to do"
	}
	return out.String()
}

func (s *scenario) show() string {
	var out strings.Builder
	for _, x := range s.seen.Servers {
		health := "down"
		if x.Up {
			health = "up"
		}
		fmt.Fprintf(&out, "%s/%s %s\n", x.Service, x.Name, health)
	}
	return out.String()
}

func (s *scenario) happens(t *testing.T, input string) string {
	for line := range strings.Lines(input) {
		word := strings.Fields(line)
		if word[0] == "killed" {
			s.seen = Seen{}
			continue
		}
		for i := range s.seen.Servers {
			if x := &s.seen.Servers[i]; x.Service+"/"+x.Name == word[0] {
				befall(t, x, word[1])
			}
		}
	}
	return s.show()
}

func befall(t *testing.T, x *SeenServer, what string) {
	key, value, _ := strings.Cut(what, "=")
	switch key {
	case "up":
		x.Up = true
	case "down":
		x.Up = false
	case "maintenance":
		x.Up, x.Ready = false, false
	case "sessions":
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		x.Sessions = n
	default:
		t.Fatalf("unknown event %q", what)
	}
}
