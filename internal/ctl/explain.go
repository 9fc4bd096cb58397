package ctl

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// outputText is for people.
const outputText = "text"

// explainTimeout bounds the question to one member.
const explainTimeout = 3 * time.Second

// withoutDCS is what to do when the DCS cannot name the members.
const withoutDCS = "An agent answers without the DCS: pgbaton explain --url http://HOST:8008"

type explainOptions struct {
	history bool
	output  string
	// url is the agent to ask when the DCS cannot name the members.
	url string
}

func (t *tool) explainCommand() *cobra.Command {
	var o explainOptions
	c := &cobra.Command{
		Use:   "explain [MEMBER]",
		Short: "Say why the members do what they do",
		Long: `Each agent decides again and again what its member does, by rules in a fixed order.
explain asks the agents for their last decision: which rule decided, what was weighed,
what was done, and whether the member would take the lead if nobody had it.`,
		Example: `  pgbaton explain                           # every member in short
  pgbaton explain patroni-node2             # one with all rules and facts
  pgbaton explain --history                 # what changed lately, all members together
  pgbaton explain patroni-node2 --history
  pgbaton explain --url http://node2:8008   # one agent, when the DCS does not answer
  pgbaton explain -o json                   # for programs`,
		Args:              between(0, 1, ""),
		ValidArgsFunction: t.completeOwnMember,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.explain(cmd.Context(), strings.Join(args, ""), o)
		},
	}
	c.Flags().BoolVar(&o.history, "history", false, "show the last changes instead, oldest first")
	o.output = outputText
	choiceVar(c, &o.output, "output", "o", "text or json", outputText, formatJSON)
	c.Flags().StringVar(&o.url, "url", "", "ask the agent at this address and leave the DCS alone")
	return c
}

func (t *tool) explain(ctx context.Context, member string, o explainOptions) error {
	if o.url != "" {
		peers, err := t.strangers()
		if err != nil {
			return err
		}
		defer peers.Close()
		m := cluster.Member{Name: o.url, APIURL: o.url}
		if m.API("/") == "" {
			return fmt.Errorf("--url %s is no address such as http://node2:8008", o.url)
		}
		return t.explainMembers(ctx, &session{client: peers, tool: t}, cluster.Cluster{}, []cluster.Member{m}, true, o)
	}
	s, c, err := t.load(ctx, "", "")
	if err != nil {
		return fmt.Errorf("%w. %s", err, withoutDCS)
	}
	defer s.close()
	members := c.Members
	if member != "" {
		m, known := c.Member(member)
		if !known {
			return fmt.Errorf("%s is no member of cluster %s: its members are %s", member, s.scope, cmp.Or(namesOf(c.Members), "none"))
		}
		members = []cluster.Member{m}
	}
	return t.explainMembers(ctx, s, c, members, member != "", o)
}

// strangers makes the client for an agent that was named by its address. The configuration says how agents are called, if
// there is one.
func (t *tool) strangers() (*client.Client, error) {
	cfg, err := t.readConfig()
	if err != nil && t.file != "" {
		return nil, err
	}
	cfg.Ctl.Insecure = cfg.Ctl.Insecure || t.insecure
	return t.peers(cfg)
}

func (t *tool) explainMembers(ctx context.Context, s *session, c cluster.Cluster, members []cluster.Member, detail bool, o explainOptions) error {
	if o.history {
		return t.explainHistory(ctx, s, members, o)
	}
	return t.explainNow(ctx, s, c, members, detail, o)
}

// told is what one agent answered.
type told[T any] struct {
	Member string `json:"member"`
	Answer *T     `json:"answer,omitempty"`
	// Trouble says why there is no answer.
	Trouble string `json:"trouble,omitempty"`
}

// askAll asks the agents of members at once.
func askAll[T any](ctx context.Context, s *session, members []cluster.Member, path string) []told[T] {
	answers := make([]told[T], len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { answers[i] = askOne[T](ctx, s, m, path) })
	}
	wg.Wait()
	return answers
}

func askOne[T any](ctx context.Context, s *session, m cluster.Member, path string) told[T] {
	answer := told[T]{Member: m.Name}
	a, err := s.ask(ctx, m, path)
	switch {
	case m.API(path) == "":
		answer.Trouble = "it announces no REST API"
	case err != nil:
		answer.Trouble = "its agent does not answer: " + err.Error()
	case a.Code == http.StatusOK:
		var doc T
		if err := json.Unmarshal([]byte(a.Text), &doc); err != nil {
			answer.Trouble = "its answer cannot be read: " + err.Error()
			return answer
		}
		answer.Answer = &doc
	case strings.Contains(a.Text, `"patroni":`):
		answer.Trouble = "its agent is no pgbaton and does not explain itself"
	default:
		answer.Trouble = fmt.Sprintf("its agent answers %d: %s", a.Code, a.Text)
	}
	return answer
}

// ask asks an agent, one of several at once.
func (s *session) ask(ctx context.Context, m cluster.Member, path string) (client.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	return s.client.Send(ctx, http.MethodGet, m.API(path), nil)
}

func (t *tool) explainNow(ctx context.Context, s *session, c cluster.Cluster, members []cluster.Member, detail bool, o explainOptions) error {
	answers := askAll[ha.Explanation](ctx, s, members, "/debug/ha")
	if o.output == formatJSON {
		return t.printJSON(answers)
	}
	p := page{colour: t.env.Colour, now: t.env.Now()}
	for i, a := range answers {
		if i > 0 {
			p.line("")
		}
		switch {
		case a.Answer == nil:
			p.silent(c, members[i], a.Trouble)
		case detail:
			p.decision(c, members[i], *a.Answer)
		default:
			p.summary(c, members[i], *a.Answer)
		}
	}
	t.printf("%s", p.String())
	return nil
}

// event is one change of one member.
type event struct {
	ha.Change

	member string
}

func (t *tool) explainHistory(ctx context.Context, s *session, members []cluster.Member, o explainOptions) error {
	answers := askAll[[]ha.Change](ctx, s, members, "/debug/ha/history")
	if o.output == formatJSON {
		return t.printJSON(answers)
	}
	var events []event
	p := page{colour: t.env.Colour, now: t.env.Now()}
	for i, a := range answers {
		if a.Answer == nil {
			p.line(fmt.Sprintf("%s: %s", members[i].Name, a.Trouble))
			continue
		}
		for _, change := range *a.Answer {
			events = append(events, event{change, a.Member})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.Time.Compare(b.Time) })
	p.history(events, len(members) > 1)
	t.printf("%s", p.String())
	return nil
}

func (t *tool) printJSON(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write the answers as JSON: %w", err)
	}
	t.printf("%s\n", text)
	return nil
}
