package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
)

// paused reports whether the agents keep their hands off the cluster.
func paused(c cluster.Cluster) bool { return c.Config.Settings().Pause }

func (t *tool) pauseCommand(pause bool) *cobra.Command {
	wait := false
	c := &cobra.Command{
		Use:     "pause [CLUSTER]",
		Short:   "Take the agents' hands off: no failover, nothing started or stopped by itself",
		Example: "  pgbaton pause --wait   # returns once every member knows",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.pause(cmd.Context(), strings.Join(args, ""), pause, wait)
		},
	}
	if !pause {
		c.Use, c.Short, c.Example = "resume [CLUSTER]", "End the pause", "  pgbaton resume --wait"
	}
	c.Flags().BoolVar(&wait, "wait", false, "wait until every member knows")
	return c
}

func (t *tool) pause(ctx context.Context, name string, pause, wait bool) error {
	s, err := t.open(ctx, name)
	if err != nil {
		return err
	}
	defer s.close()
	c, err := s.load(ctx)
	switch {
	case err != nil:
		return err
	case pause && paused(c):
		return errors.New("Cluster is already paused") //nolint:staticcheck // the text is part of the interface
	case !pause && !paused(c):
		return errors.New("Cluster is not paused") //nolint:staticcheck // the text is part of the interface
	}
	a, err := s.sendAny(ctx, c, http.MethodPatch, "/config", pausePatch(pause))
	if err != nil {
		return err
	}
	verb, done := "pause", "paused"
	if !pause {
		verb, done = "resume", "resumed"
	}
	if !a.OK() {
		t.printf("Failed: %s cluster management status code=%d, (%s)\n", verb, a.Code, a.Text)
		return nil
	}
	if wait {
		t.awaitPause(ctx, s, c, verb, pause)
	}
	t.printf("Success: cluster management is %s\n", done)
	return nil
}

func pausePatch(pause bool) map[string]any {
	if pause {
		return map[string]any{"pause": true}
	}
	return map[string]any{"pause": nil}
}

// awaitPause waits until every member says that it knows.
func (t *tool) awaitPause(ctx context.Context, s *session, c cluster.Cluster, verb string, pause bool) {
	t.printf("'%s' request sent, waiting until it is recognized by all nodes\n", verb)
	limit := c.Config.Settings().LoopWait + time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var missing []string
	s.await(ctx, c, func(c cluster.Cluster) bool {
		missing = nil
		for _, m := range c.Members {
			if m.Pause != pause {
				missing = append(missing, m.Name)
			}
		}
		return len(missing) == 0
	})
	if len(missing) > 0 {
		t.printf("%s members didn't recognized pause state after %d seconds\n", strings.Join(missing, ", "), int(limit.Seconds()))
	}
}

// requestTimeout bounds a request that is answered at once.
const requestTimeout = 10 * time.Second

// sendAny sends a request that any member can grant: to the leader, else to whoever is reached first.
func (s *session) sendAny(ctx context.Context, c cluster.Cluster, method, path string, body any) (client.Answer, error) {
	members := slices.Clone(c.Members)
	slices.SortStableFunc(members, func(a, b cluster.Member) int {
		return rank(b.Name == c.Leader.Name) - rank(a.Name == c.Leader.Name)
	})
	var errs []error
	for _, m := range members {
		if m.APIURL == "" {
			continue
		}
		a, err := s.send(ctx, requestTimeout, method, m.API(path), body)
		if err == nil {
			return a, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", m.Name, err))
	}
	//nolint:staticcheck // the text is part of the interface
	return client.Answer{}, errors.Join(append([]error{errors.New("Can not find accessible cluster member")}, errs...)...)
}

func rank(first bool) int {
	if first {
		return 1
	}
	return 0
}

// send sends one request and waits that long for its answer.
func (s *session) send(ctx context.Context, limit time.Duration, method, target string, body any) (client.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.client.Send(ctx, method, target, body)
}
