package ctl

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

type listOptions struct {
	format    string
	extended  bool
	timestamp bool
	watch     float64
	watch2    bool
}

func (t *tool) listCommand() *cobra.Command {
	var o listOptions
	c := &cobra.Command{
		Use:   "list [CLUSTER...]",
		Short: "List the members of a cluster with their roles and positions",
		Example: `  pgbaton list                      # the cluster of the environment or configuration
  pgbaton list -c postgres0.yml -e  # with all columns
  pgbaton list -f json              # for programs
  pgbaton list -w 1                 # again every second`,
		RunE: func(cmd *cobra.Command, args []string) error { return t.list(cmd.Context(), args, o) },
	}
	c.Flags().StringVarP(&o.format, "format", "f", formatPretty, "pretty, tsv, json or yaml")
	c.Flags().BoolVarP(&o.extended, "extended", "e", false, "show all columns")
	c.Flags().BoolVarP(&o.timestamp, "timestamp", "t", false, "print the time first")
	c.Flags().Float64VarP(&o.watch, "watch", "w", 0, "list again every so many seconds")
	c.Flags().BoolVarP(&o.watch2, "watch-2", "W", false, "list again every 2 seconds")
	return c
}

func (t *tool) list(ctx context.Context, clusters []string, o listOptions) error {
	if len(clusters) == 0 {
		clusters = []string{""}
	}
	if o.watch2 {
		o.watch = 2
	}
	for {
		for _, name := range clusters {
			if err := t.listOne(ctx, name, o); err != nil {
				return err
			}
		}
		if o.watch <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(o.watch * float64(time.Second))):
			t.printf("\x1b[H\x1b[2J")
		}
	}
}

func (t *tool) listOne(ctx context.Context, name string, o listOptions) error {
	s, err := t.open(ctx, name)
	if err != nil {
		return err
	}
	defer s.close()
	if o.timestamp {
		t.printf("%s\n", t.env.Now().Format("2006-01-02 15:04:05"))
	}
	return t.show(ctx, s, o.format, o.extended)
}

// show prints the cluster as it is now.
func (t *tool) show(ctx context.Context, s *session, format string, extended bool) error {
	c, err := s.load(ctx)
	if err != nil {
		return err
	}
	text, err := renderList(s.scope, c, format, extended)
	if err != nil {
		return err
	}
	t.printf("%s", text)
	return nil
}
