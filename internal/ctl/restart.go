package ctl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// restartTimeout is longer than an agent lets a restart take.
const restartTimeout = 11 * time.Minute

type restartOptions struct {
	choice

	any, pending                bool
	scheduled, version, timeout string
}

func (t *tool) restartCommand() *cobra.Command {
	var o restartOptions
	c := &cobra.Command{
		Use:   "restart CLUSTER_NAME [MEMBER...]",
		Short: "Restart the servers of members, now or later",
		Example: `  pgbaton restart postgresql-cluster patroni-node2
  pgbaton restart postgresql-cluster --pending --force          # where a setting waits for it
  pgbaton restart postgresql-cluster --scheduled 2030-01-01T03:00+01:00 --pg-version 15.18`,
		Args:              between(1, -1, "CLUSTER_NAME"),
		ValidArgsFunction: t.completeMembers,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args[1:]
			return t.restart(cmd.Context(), args[0], o)
		},
	}
	chooseFlags(c, &o.choice)
	c.Flags().BoolVar(&o.any, "any", false, "restart one of them, chosen at random")
	c.Flags().StringVar(&o.scheduled, "scheduled", "", "when, ISO 8601; now without it")
	c.Flags().StringVar(&o.version, "pg-version", "", "restart only where PostgreSQL is older than this version")
	c.Flags().BoolVar(&o.pending, "pending", false, "restart only where a setting waits for it")
	c.Flags().StringVar(&o.timeout, "timeout", "", "how long a restart may take before another member is preferred, in seconds")
	return c
}

// chooseFlags are the flags that choose members.
func chooseFlags(c *cobra.Command, o *choice) {
	o.role = "any"
	choiceVar(c, &o.role, "role", "r", "only members of a role: leader, primary, standby-leader, replica, standby or any", roles()...)
	groupFlag(c, &o.group)
	c.Flags().BoolVar(&o.force, "force", false, "do not ask")
}

func (t *tool) restart(ctx context.Context, name string, o restartOptions) error {
	s, err := t.selected(ctx, name, o.choice)
	if err != nil {
		return err
	}
	defer s.close()
	if err := t.restartTime(&o); err != nil {
		return err
	}
	if o.scheduled != "" && paused(s.picture) {
		return errors.New("Can't schedule restart in the paused state") //nolint:staticcheck // the text is part of the interface
	}
	members := narrow(s.members, o)
	if len(members) == 0 {
		t.printf("No setting waits for a restart\n")
		return nil
	}
	if err := t.sureOfRestart(members, o); err != nil {
		return err
	}
	if err := t.restartVersion(&o); err != nil {
		return err
	}
	for _, m := range members {
		t.restartOne(ctx, s.session, m, o)
	}
	return nil
}

// restartTime finds out when, and writes it as agents read it; empty is now.
func (t *tool) restartTime(o *restartOptions) (err error) {
	if o.scheduled == "" && !o.force {
		if o.scheduled, err = t.promptSchedule("restart", ""); err != nil {
			return err
		}
	}
	if o.scheduled == "" || o.scheduled == "now" {
		o.scheduled = ""
		return nil
	}
	o.scheduled, err = t.parseSchedule(o.scheduled)
	return err
}

// narrow leaves the members where a setting waits, when it is to be now, and one of them where any will do.
func narrow(members []cluster.Member, o restartOptions) []cluster.Member {
	if o.pending && o.scheduled == "" {
		members = slices.DeleteFunc(members, func(m cluster.Member) bool { return !m.PendingRestart })
	}
	if o.any && len(members) > 1 {
		i := rand.IntN(len(members)) //nolint:gosec // nothing is at stake
		return members[i : i+1]
	}
	return members
}

func (t *tool) sureOfRestart(members []cluster.Member, o restartOptions) error {
	switch {
	case o.scheduled != "" && o.pending:
		return t.sure(o.force, "The nodes needing a restart will be identified at the scheduled time, and might be different from the ones showing pending "+
			"restart right now. Is this fine?", "scheduled restart")
	case o.scheduled != "":
		question := fmt.Sprintf("Are you sure you want to schedule restart of members %s at %s?", namesOf(members), o.scheduled)
		return t.sure(o.force, question, "scheduled restart")
	}
	return t.sure(o.force, fmt.Sprintf("Are you sure you want to restart members %s?", namesOf(members)), "restart")
}

func (t *tool) restartVersion(o *restartOptions) (err error) {
	if o.version == "" && !o.force {
		if o.version, err = t.prompt("Restart if the PostgreSQL version is less than provided (e.g. 9.5.2) ", ""); err != nil {
			return err
		}
	}
	if o.version == "" {
		return nil
	}
	_, err = cluster.ParseServerVersion(o.version)
	return err
}

// restartOne asks one member and prints how that went.
func (t *tool) restartOne(ctx context.Context, s *session, m cluster.Member, o restartOptions) {
	body := map[string]any{}
	if o.pending {
		body["restart_pending"] = true
	}
	for name, value := range map[string]string{"schedule": o.scheduled, "postgres_version": o.version, "timeout": o.timeout} {
		if value != "" {
			body[name] = value
		}
	}
	if o.scheduled != "" && o.force && m.Restart != nil {
		if _, err := s.send(ctx, requestTimeout, m, http.MethodDelete, "/restart", nil); err != nil {
			t.failed("flush scheduled restart", m, err)
			return
		}
	}
	a, err := s.send(ctx, restartTimeout, m, http.MethodPost, "/restart", body)
	switch {
	case err != nil:
		t.failed("restart", m, err)
	case a.Code == http.StatusOK:
		t.printf("Success: restart on member %s\n", m.Name)
	case a.Code == http.StatusAccepted:
		t.printf("Success: restart scheduled on member %s\n", m.Name)
	case a.Code == http.StatusConflict:
		t.printf("Failed: another restart is already scheduled on member %s\n", m.Name)
	default:
		t.printf("Failed: restart for member %s, status code=%d, (%s)\n", m.Name, a.Code, a.Text)
	}
}

// failed says that a member did not answer: what it was asked may have happened all the same.
func (t *tool) failed(what string, m cluster.Member, err error) {
	t.printf("Failed: %s for member %s, no answer: %v%s\n", what, m.Name, err, hint(err))
}
