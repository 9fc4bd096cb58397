package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/guard"
)

// guardCommand is for the agent alone, which starts it with a connection to itself.
func guardCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "guard DATADIR",
		Short:  "Stop the server on a data directory when its agent cannot",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return guard.Serve(args[0], cmd.ErrOrStderr())
		},
	}
}

// openGuard starts the guard of a data directory, unless it is turned off. The returned function ends it.
func openGuard(ctx context.Context, wanted bool, dataDir string, log *slog.Logger) (g agent.Guard, leave func() error, err error) {
	if !wanted {
		log.WarnContext(ctx, "the guard is turned off: if this agent dies or hangs, its server goes on accepting writes beside the next leader's")
		return nil, func() error { return nil }, nil
	}
	opened, err := guard.Open(ctx, guard.Config{DataDir: dataDir}, log)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; guard: off does without, at the risk of two servers that accept writes", err)
	}
	return opened, opened.Close, nil
}
