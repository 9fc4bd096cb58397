package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

func (t *tool) flushCommand() *cobra.Command {
	var o choice
	c := &cobra.Command{
		Use:   "flush CLUSTER_NAME [MEMBER...] restart|switchover",
		Short: "Forget what is scheduled",
		Example: `  pgbaton flush postgresql-cluster restart
  pgbaton flush postgresql-cluster switchover`,
		Args:              flushArgs,
		ValidArgsFunction: t.completeFlush,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args[1 : len(args)-1]
			if args[len(args)-1] == "restart" {
				return t.flushRestarts(cmd.Context(), args[0], o)
			}
			return t.flushSwitchover(cmd.Context(), args[0], o.group)
		},
	}
	chooseFlags(c, &o)
	return c
}

// flushArgs demands a cluster and, last, what is to be forgotten.
func flushArgs(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("Missing argument 'CLUSTER_NAME'.") //nolint:staticcheck,revive // as patronictl's users know it
	case len(args) == 1:
		return errors.New("Missing argument '{restart|switchover}'.") //nolint:staticcheck,revive // as patronictl's users know it
	}
	if what := args[len(args)-1]; what != "restart" && what != "switchover" {
		return fmt.Errorf("nothing named %q is ever scheduled: choose restart or switchover", what)
	}
	return nil
}

func (t *tool) flushRestarts(ctx context.Context, name string, o choice) error {
	s, err := t.selected(ctx, name, o)
	if err != nil {
		return err
	}
	defer s.close()
	if err := t.sure(o.force, fmt.Sprintf("Are you sure you want to flush members %s?", namesOf(s.members)), "flush"); err != nil {
		return err
	}
	for _, m := range s.members {
		t.flushRestart(ctx, s.session, m)
	}
	return nil
}

func (t *tool) flushRestart(ctx context.Context, s *session, m cluster.Member) {
	if m.Restart == nil {
		t.printf("No scheduled restart for member %s\n", m.Name)
		return
	}
	a, err := s.send(ctx, requestTimeout, m, http.MethodDelete, "/restart", nil)
	switch {
	case err != nil:
		t.failed("flush scheduled restart", m, err)
	case a.OK():
		t.printf("Success: flush scheduled restart for member %s\n", m.Name)
	default:
		t.printf("Failed: flush scheduled restart for member %s, status code=%d, (%s)\n", m.Name, a.Code, a.Text)
	}
}

func (t *tool) flushSwitchover(ctx context.Context, name, group string) error {
	s, c, err := t.load(ctx, name, group)
	if err != nil {
		return err
	}
	defer s.close()
	if c.Failover.ScheduledAt == "" {
		t.printf("No pending scheduled switchover\n")
		return nil
	}
	for _, m := range leaderFirst(c) {
		a, err := s.send(ctx, requestTimeout, m, http.MethodDelete, "/switchover", nil)
		switch {
		case err != nil:
			t.inaccessible(m, err)
			continue
		case a.Code == http.StatusOK:
			t.printf("Success: %s\n", a.Text)
			return nil
		case a.Code == http.StatusNotFound:
			t.printf("Failed: %s\n", a.Text)
			return nil
		}
		t.printf("Failed: member=%s, status_code=%d, (%s)\n", m.Name, a.Code, a.Text)
	}
	t.warn("Failing over to DCS")
	t.printf("%s Could not find any accessible member of cluster %s\n", t.moment(), s.scope)
	return changed(s.WriteFailover(ctx, cluster.Failover{}, c.Failover.Version), "the scheduled switchover")
}
