package ctl

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

func (t *tool) flushCommand() *cobra.Command {
	var o choice
	c := &cobra.Command{
		Use:   "flush CLUSTER [MEMBER...] restart|switchover",
		Short: "Forget what is scheduled",
		Example: `  pgbaton flush postgresql-cluster restart
  pgbaton flush postgresql-cluster switchover`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args[1 : len(args)-1]
			switch what := args[len(args)-1]; what {
			case "restart":
				return t.flushRestarts(cmd.Context(), args[0], o)
			case "switchover":
				return t.flushSwitchover(cmd.Context(), args[0])
			default:
				return fmt.Errorf("nothing named %q is ever scheduled: choose restart or switchover", what)
			}
		},
	}
	chooseFlags(c, &o)
	return c
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
	a, err := s.send(ctx, requestTimeout, http.MethodDelete, m.API("/restart"), nil)
	switch {
	case err != nil:
		t.failed("flush scheduled restart", m, err)
	case a.OK():
		t.printf("Success: flush scheduled restart for member %s\n", m.Name)
	default:
		t.printf("Failed: flush scheduled restart for member %s, status code=%d, (%s)\n", m.Name, a.Code, a.Text)
	}
}

func (t *tool) flushSwitchover(ctx context.Context, name string) error {
	s, err := t.open(ctx, name)
	if err != nil {
		return err
	}
	defer s.close()
	c, err := s.load(ctx)
	if err != nil {
		return err
	}
	if c.Failover.ScheduledAt == "" {
		t.printf("No pending scheduled switchover\n")
		return nil
	}
	a, err := s.sendAny(ctx, c, http.MethodDelete, "/switchover", nil)
	switch {
	case err != nil:
		return err
	case a.OK():
		t.printf("Success: %s\n", a.Text)
	case a.Code == http.StatusNotFound:
		t.printf("Failed: %s\n", a.Text)
	default:
		t.printf("Failed: status_code=%d, (%s)\n", a.Code, a.Text)
	}
	return nil
}
