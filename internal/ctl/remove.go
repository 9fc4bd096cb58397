package ctl

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

type removeOptions struct {
	format, group string
}

func (t *tool) removeCommand() *cobra.Command {
	o := removeOptions{format: formatPretty}
	c := &cobra.Command{
		Use:   "remove CLUSTER_NAME",
		Short: "Delete everything that the DCS knows of a cluster",
		Long: `Deletes the cluster's configuration, history and leader key from the DCS. The data of its servers stay.
Stop the agents first: those that run begin a new entry at once.`,
		Example:           "  pgbaton remove postgresql-cluster",
		Args:              between(1, 1, "CLUSTER_NAME"),
		ValidArgsFunction: t.completeCluster,
		RunE:              func(cmd *cobra.Command, args []string) error { return t.remove(cmd.Context(), args[0], o) },
	}
	choiceVar(c, &o.format, "format", "f", "pretty, tsv, json or yaml", formats()...)
	groupFlag(c, &o.group)
	return c
}

func (t *tool) remove(ctx context.Context, name string, o removeOptions) error {
	s, c, err := t.load(ctx, name, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	text, err := listing{scope: s.scope, group: s.group, picture: c, format: o.format}.render()
	if err != nil {
		return err
	}
	t.printf("%s", text)
	const aware = "Yes I am aware"
	questions := []struct{ ask, want, otherwise string }{
		{"Please confirm the cluster name to remove", name, "Cluster names specified do not match"},
		{
			fmt.Sprintf(`You are about to remove all information in DCS for %s, please type: "%s"`, name, aware), aware,
			`You did not exactly type "` + aware + `"`,
		},
		{
			"This cluster currently is healthy. Please specify the leader name to continue", c.Leader.Name,
			"You did not specify the current leader of the cluster",
		},
	}
	for _, q := range questions {
		if q.want == "" {
			continue // nobody leads
		}
		answer, err := t.demand(q.ask)
		if err != nil {
			return err
		}
		if answer != q.want {
			return errors.New(q.otherwise)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := s.Remove(ctx); err != nil {
		return fmt.Errorf("remove cluster %s: %w; look with list what is left, and stop the agents that still run", name, err)
	}
	return nil
}
