package ctl

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type listOptions struct {
	format    string
	group     string
	extended  bool
	timestamp bool
	watch     watchOptions
}

func (t *tool) listCommand() *cobra.Command {
	o := listOptions{format: formatPretty}
	c := &cobra.Command{
		Use:   "list [CLUSTER_NAME...]",
		Short: "List the members of a cluster with their roles and positions",
		Example: `  pgbaton list                      # the cluster of the environment or configuration
  pgbaton list -c postgres0.yml -e  # with all columns
  pgbaton list -f json              # for programs
  pgbaton list -W                   # again every 2 seconds, in place`,
		ValidArgsFunction: t.completeClusters,
		RunE:              func(cmd *cobra.Command, args []string) error { return t.list(cmd.Context(), args, o) },
	}
	choiceVar(c, &o.format, "format", "f", "pretty, tsv, json or yaml", formats()...)
	c.Flags().BoolVarP(&o.extended, "extended", "e", false, "show all columns")
	c.Flags().BoolVarP(&o.timestamp, "timestamp", "t", false, "print the time first")
	groupFlag(c, &o.group)
	watchFlags(c, &o.watch)
	return c
}

func (t *tool) topologyCommand() *cobra.Command {
	o := listOptions{format: formatTopology}
	c := &cobra.Command{
		Use:               "topology [CLUSTER_NAME...]",
		Short:             "Show the members of a cluster below those that they stream from",
		Example:           "  pgbaton topology postgresql-cluster",
		ValidArgsFunction: t.completeClusters,
		RunE:              func(cmd *cobra.Command, args []string) error { return t.list(cmd.Context(), args, o) },
	}
	groupFlag(c, &o.group)
	watchFlags(c, &o.watch)
	return c
}

func (t *tool) list(ctx context.Context, clusters []string, o listOptions) error {
	if len(clusters) == 0 {
		clusters = []string{""}
	}
	var sessions []*session
	defer func() {
		for _, s := range sessions {
			s.close()
		}
	}()
	for _, name := range clusters {
		s, err := t.open(ctx, name, o.group)
		if errors.Is(err, errNoScope) {
			t.warn("Listing members: No cluster names were provided")
			return nil
		}
		if err != nil {
			return err
		}
		sessions = append(sessions, s)
	}
	return t.watching(ctx, o.watch, func() (string, error) { return t.listing(ctx, sessions, o) })
}

// listing is what list prints.
func (t *tool) listing(ctx context.Context, sessions []*session, o listOptions) (string, error) {
	var b strings.Builder
	if o.timestamp {
		b.WriteString(t.stamp() + "\n")
	}
	for _, s := range sessions {
		c, err := s.load(ctx)
		if err != nil {
			return b.String(), err
		}
		text, err := listing{s.scope, s.group, c, o.format, o.extended}.render()
		if err != nil {
			return b.String(), err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// show prints the cluster as it is now.
func (t *tool) show(ctx context.Context, s *session) error {
	text, err := t.listing(ctx, []*session{s}, listOptions{format: formatPretty})
	t.printf("%s", text)
	return err
}

func (t *tool) stamp() string { return t.env.Now().Format(time.DateTime) }
