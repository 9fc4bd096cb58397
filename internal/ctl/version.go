package ctl

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

func (t *tool) versionCommand() *cobra.Command {
	group := ""
	c := &cobra.Command{
		Use:               "version [CLUSTER_NAME] [MEMBER...]",
		Short:             "Print the version of this program, and of the members of a cluster",
		Example:           "  pgbaton version postgresql-cluster",
		ValidArgsFunction: t.completeMembers,
		RunE: func(cmd *cobra.Command, args []string) error {
			t.printf("patronictl version %s\n", t.env.Version)
			if len(args) == 0 {
				return nil
			}
			return t.versions(cmd.Context(), args[0], group, args[1:])
		},
	}
	groupFlag(c, &group)
	return c
}

// versions asks the members what they run.
func (t *tool) versions(ctx context.Context, name, group string, names []string) error {
	s, c, err := t.load(ctx, name, group)
	if err != nil {
		return err
	}
	defer s.close()
	t.printf("\n")
	for _, m := range c.Members {
		if m.APIURL == "" || len(names) > 0 && !slices.Contains(names, m.Name) {
			continue
		}
		status, err := s.status(ctx, m)
		if err != nil {
			t.printf("%s: failed to get version: %s\n", m.Name, err)
			continue
		}
		server := ""
		if status.ServerVersion != 0 {
			server = " PostgreSQL " + cluster.ServerVersionText(status.ServerVersion)
		}
		t.printf("%s: Patroni %s%s\n", m.Name, status.Agent.Version, server)
	}
	return nil
}
