package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
)

// answerTimeout is longer than the time a leader takes to say how a switchover went.
const answerTimeout = 90 * time.Second

type manualOptions struct {
	leader, candidate, scheduled string
	force                        bool
}

func (t *tool) manualCommand(kind string) *cobra.Command {
	var o manualOptions
	c := &cobra.Command{
		Use:  kind + " [CLUSTER]",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.manual(cmd.Context(), kind, strings.Join(args, ""), o)
		},
	}
	c.Flags().StringVar(&o.candidate, "candidate", "", "the member that is to lead")
	c.Flags().BoolVar(&o.force, "force", false, "do not ask")
	if kind == "failover" {
		c.Short = "Make a member the leader, also when the present one is gone"
		c.Example = "  pgbaton failover --candidate patroni-node2 --force"
		return c
	}
	c.Short = "Hand the lead over to another member without losing a write"
	c.Example = `  pgbaton switchover                      # asks for everything
  pgbaton switchover --leader patroni-node1 --candidate patroni-node2 --force
  pgbaton switchover --scheduled 2030-01-01T03:00+01:00`
	c.Flags().StringVar(&o.leader, "leader", "", "the member that leads now")
	c.Flags().StringVar(&o.leader, "primary", "", "another name of --leader")
	c.Flags().StringVar(&o.scheduled, "scheduled", "", "when, ISO 8601; now without it")
	return c
}

var errPausedSwitchover = errors.New("Can't schedule switchover in the paused state") //nolint:staticcheck // the text is part of the interface

// manual asks what is missing, asks whether it is meant, and hands the request to the leader.
func (t *tool) manual(ctx context.Context, kind, name string, o manualOptions) error {
	s, err := t.open(ctx, name)
	if err != nil {
		return err
	}
	defer s.close()
	c, err := s.load(ctx)
	if err != nil {
		return err
	}
	t.printf("Current cluster topology\n")
	if err := t.show(ctx, s, formatPretty, false); err != nil {
		return err
	}
	f := cluster.Failover{Leader: o.leader, Candidate: o.candidate, ScheduledAt: o.scheduled}
	if f.ScheduledAt != "" && paused(c) {
		return errPausedSwitchover
	}
	if err := t.complete(kind, s.scope, c, &f, o.force); err != nil {
		return err
	}
	for _, question := range questions(kind, s.scope, c, f) {
		if o.force {
			break
		}
		if err := t.confirm(question); err != nil {
			t.printf("Aborting %s\n", kind)
			return nil
		}
	}
	return t.submit(ctx, s, kind, c, f)
}

// complete fills in what the operator did not say, and refuses what cannot be.
func (t *tool) complete(kind, scope string, c cluster.Cluster, f *cluster.Failover, force bool) error {
	if kind == "switchover" {
		if err := t.completeLeader(scope, c, f, force); err != nil {
			return err
		}
	}
	var names []string
	for _, m := range c.Others(c.Leader.Name) {
		if !m.Tags.NoFailover() {
			names = append(names, m.Name)
		}
	}
	if len(names) == 0 {
		return noCandidates(kind)
	}
	if f.Candidate == "" && !force {
		offered := offered(kind, c, names)
		if len(offered) == 0 {
			return noCandidates(kind)
		}
		answer, err := t.prompt(fmt.Sprintf("Candidate ['%s']", strings.Join(offered, "', '")), "")
		if err != nil {
			return err
		}
		f.Candidate = answer
	}
	switch {
	case f.Candidate == "" && kind == "failover":
		return errors.New("Failover could be performed only to a specific candidate") //nolint:staticcheck // the text is part of the interface
	case f.Candidate != "" && f.Candidate == c.Leader.Name:
		return fmt.Errorf("Member %s is already the leader of cluster %s", f.Candidate, scope) //nolint:staticcheck // the text is part of the interface
	case f.Candidate != "" && !slices.Contains(names, f.Candidate):
		return fmt.Errorf("Member %s does not exist in cluster %s or is tagged as nofailover", f.Candidate, scope) //nolint:staticcheck // the text is part of the interface
	}
	if kind == "failover" {
		return nil
	}
	return t.completeSchedule(f, force)
}

// offered are the candidates from which an operator is asked to choose: a switchover under synchronous_mode: on goes to
// members that have every commit, and to no other.
func offered(kind string, c cluster.Cluster, names []string) []string {
	if kind == "failover" || c.Config.Settings().Sync() != cluster.SyncOn {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !c.Sync.Names(name) })
}

func noCandidates(kind string) error {
	return fmt.Errorf("No candidates found to %s to", kind) //nolint:staticcheck // the text is part of the interface
}

// risky reports whether a failover could go to a member that has not every commit that was acknowledged.
func risky(kind string, c cluster.Cluster, f cluster.Failover) bool {
	return kind == "failover" && c.Config.Settings().Sync() != cluster.SyncOff && c.Sync.Made() && !c.Sync.Votes(f.Candidate)
}

func (t *tool) completeLeader(scope string, c cluster.Cluster, f *cluster.Failover, force bool) error {
	if !c.Locked() {
		return errors.New("This cluster has no leader") //nolint:staticcheck // the text is part of the interface
	}
	if f.Leader == "" && force {
		f.Leader = c.Leader.Name
	}
	if f.Leader == "" {
		answer, err := t.prompt("Primary", c.Leader.Name)
		if err != nil {
			return err
		}
		f.Leader = answer
	}
	if f.Leader != c.Leader.Name {
		return fmt.Errorf("Member %s is not the leader of cluster %s", f.Leader, scope) //nolint:staticcheck // the text is part of the interface
	}
	return nil
}

func (t *tool) completeSchedule(f *cluster.Failover, force bool) error {
	if f.ScheduledAt == "" && !force {
		answer, err := t.promptSchedule("switchover")
		if err != nil {
			return err
		}
		f.ScheduledAt = answer
	}
	if f.ScheduledAt == "" || f.ScheduledAt == "now" {
		f.ScheduledAt = ""
		return nil
	}
	at, err := t.parseSchedule(f.ScheduledAt)
	f.ScheduledAt = at
	return err
}

func (t *tool) promptSchedule(what string) (string, error) {
	example := t.env.Now().Add(time.Hour).Format("2006-01-02T15:04")
	return t.prompt("When should the "+what+" take place (e.g. "+example+" ) ", "now")
}

// parseSchedule reads a point in time, in the local zone unless it names one, and writes it as agents read it.
func (t *tool) parseSchedule(text string) (string, error) {
	at, _, err := cluster.ParseSchedule(text, t.env.Now().Location())
	if err != nil {
		//nolint:staticcheck // the text is part of the interface
		return "", fmt.Errorf("Unable to parse scheduled timestamp (%s). It should be in an unambiguous format (e.g. ISO 8601)", text)
	}
	return at.Format(time.RFC3339), nil
}

// questions are those that must all be answered with yes.
func questions(kind, scope string, c cluster.Cluster, f cluster.Failover) []string {
	meant := question(kind, scope, c, f)
	if risky(kind, c, f) {
		return []string{"Are you sure you want to failover to the asynchronous node " + f.Candidate + "?", meant}
	}
	return []string{meant}
}

func question(kind, scope string, c cluster.Cluster, f cluster.Failover) string {
	demoting := ""
	if c.Locked() {
		demoting = ", demoting current leader " + c.Leader.Name
	}
	if f.ScheduledAt != "" {
		return fmt.Sprintf("Are you sure you want to schedule switchover of cluster %s at %s%s?", scope, f.ScheduledAt, demoting)
	}
	return fmt.Sprintf("Are you sure you want to %s cluster %s%s?", kind, scope, demoting)
}

// submit sends the request to the leader, or to the candidate when nobody leads, and prints the answer.
func (t *tool) submit(ctx context.Context, s *session, kind string, c cluster.Cluster, f cluster.Failover) error {
	target, ok := c.LeaderMember()
	if !ok {
		target, ok = c.Member(f.Candidate)
	}
	if !ok || target.APIURL == "" {
		return fmt.Errorf("no member of cluster %s announces a REST API to send the %s to", s.scope, kind)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	body := map[string]string{"candidate": f.Candidate}
	if f.Leader != "" {
		body["leader"] = f.Leader
	}
	if f.ScheduledAt != "" {
		body["scheduled_at"] = f.ScheduledAt
	}
	a, err := s.client.Send(ctx, http.MethodPost, target.API("/"+kind), body)
	if err != nil {
		return fmt.Errorf("the %s was sent to %s but its answer did not come (%w): look with pgbaton list whether it happened before asking again",
			kind, target.Name, err)
	}
	return t.report(ctx, s, kind, a)
}

func (t *tool) report(ctx context.Context, s *session, kind string, a client.Answer) error {
	word := strings.ToUpper(kind[:1]) + kind[1:]
	switch {
	case a.OK():
		t.printf("%s %s\n", t.env.Now().Format("2006-01-02 15:04:05.00000"), a.Text)
		return t.show(ctx, s, formatPretty, false)
	case strings.Contains(a.Text, "status unknown"):
		t.printf("%s result unknown, details: %d, %s\n", word, a.Code, a.Text)
	default:
		t.printf("%s failed, details: %d, %s\n", word, a.Code, a.Text)
	}
	return nil
}
