package ctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

type manualOptions struct {
	leader, candidate, scheduled, group string
	force                               bool
}

func (t *tool) manualCommand(kind string) *cobra.Command {
	var o manualOptions
	c := &cobra.Command{
		Use:               kind + " [CLUSTER_NAME]",
		Args:              between(0, 1, ""),
		ValidArgsFunction: t.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.manual(cmd.Context(), kind, strings.Join(args, ""), o)
		},
	}
	c.Flags().StringVar(&o.candidate, "candidate", "", "the member that is to lead")
	c.Flags().BoolVar(&o.force, "force", false, "do not ask")
	groupFlag(c, &o.group)
	t.memberFlag(c, "candidate", "replica")
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
	t.memberFlag(c, "leader", "leader")
	t.memberFlag(c, "primary", "leader")
	c.Flags().StringVar(&o.scheduled, "scheduled", "", "when, ISO 8601; now without it")
	return c
}

var errPausedSwitchover = errors.New("Can't schedule switchover in the paused state") //nolint:staticcheck // the text is part of the interface

// manual asks what is missing, asks whether it is meant, and hands the request to the leader.
func (t *tool) manual(ctx context.Context, kind, name string, o manualOptions) error {
	s, c, err := t.load(ctx, name, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	t.printf("Current cluster topology\n")
	if err := t.show(ctx, s); err != nil {
		return err
	}
	f := cluster.Failover{Leader: o.leader, Candidate: o.candidate, ScheduledAt: o.scheduled}
	if err := t.complete(kind, s.scope, c, &f, o.force); err != nil {
		return err
	}
	if !o.force {
		if err := t.meant(kind, s.scope, c, f); err != nil {
			return err
		}
	}
	return t.submit(ctx, s, kind, c, f)
}

// meant asks whether all this is meant.
func (t *tool) meant(kind, scope string, c cluster.Cluster, f cluster.Failover) error {
	for _, question := range questions(kind, scope, c, f) {
		yes, err := t.confirm(question)
		switch {
		case err != nil:
			return err
		case !yes && f.ScheduledAt != "":
			return errors.New("Aborting scheduled " + kind)
		case !yes:
			return errors.New("Aborting " + kind)
		}
	}
	return nil
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
	return t.completeSchedule(c, f, force)
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
		answer, err := t.prompt(leaderWord(c), c.Leader.Name)
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

// leaderWord is what the leader is in its cluster.
func leaderWord(c cluster.Cluster) string {
	if m, _ := c.LeaderMember(); m.Role == cluster.RoleStandbyLeader {
		return "Standby Leader"
	}
	return "Primary"
}

func (t *tool) completeSchedule(c cluster.Cluster, f *cluster.Failover, force bool) error {
	if f.ScheduledAt == "" && !force {
		answer, err := t.promptSchedule("switchover", " ")
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
	if err == nil && paused(c) {
		return errPausedSwitchover
	}
	f.ScheduledAt = at
	return err
}

func (t *tool) promptSchedule(what, gap string) (string, error) {
	example := t.env.Now().Add(time.Hour).Format("2006-01-02T15:04")
	return t.prompt("When should the "+what+" take place (e.g. "+example+gap+") ", "now")
}

// isoForm is how points in time are sent and shown.
const isoForm = "2006-01-02T15:04:05.999999-07:00"

// parseSchedule reads a point in time, in the local zone unless it names one, and writes it as agents read it.
func (t *tool) parseSchedule(text string) (string, error) {
	at, _, err := cluster.ParseSchedule(text, t.env.Now().Location())
	if err != nil {
		//nolint:staticcheck // the text is part of the interface
		return "", fmt.Errorf("Unable to parse scheduled timestamp (%s). It should be in an unambiguous format (e.g. ISO 8601)", text)
	}
	return at.Format(isoForm), nil
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
