package ctl

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func (t *tool) reloadCommand() *cobra.Command {
	var o choice
	c := &cobra.Command{
		Use:               "reload CLUSTER_NAME [MEMBER...]",
		Short:             "Have agents read their configuration files again",
		Example:           "  pgbaton reload postgresql-cluster --role replica --force",
		Args:              between(1, -1, "CLUSTER_NAME"),
		ValidArgsFunction: t.completeMembers,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args[1:]
			return t.reload(cmd.Context(), args[0], o)
		},
	}
	chooseFlags(c, &o)
	return c
}

func (t *tool) reload(ctx context.Context, name string, o choice) error {
	s, err := t.selected(ctx, name, o)
	if err != nil {
		return err
	}
	defer s.close()
	if err := t.sure(o.force, fmt.Sprintf("Are you sure you want to reload members %s?", namesOf(s.members)), "reload"); err != nil {
		return err
	}
	for _, m := range s.members {
		a, err := s.send(ctx, requestTimeout, m, http.MethodPost, "/reload", nil)
		switch {
		case err != nil:
			t.failed("reload", m, err)
		case a.Code == http.StatusAccepted:
			t.printf("Reload request received for member %s and will be processed within %d seconds\n", m.Name, int(s.picture.Config.Settings().LoopWait.Seconds()))
		case a.Code == http.StatusOK:
			t.printf("No changes to apply on member %s\n", m.Name)
		default:
			t.printf("Failed: reload for member %s, status code=%d, (%s)\n", m.Name, a.Code, a.Text)
		}
	}
	return nil
}
