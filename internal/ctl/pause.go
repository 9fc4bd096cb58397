package ctl

import (
	"context"
	"errors"
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
	wait, group := false, ""
	c := &cobra.Command{
		Use:               "pause [CLUSTER_NAME]",
		Short:             "Take the agents' hands off: no failover, nothing started or stopped by itself",
		Example:           "  pgbaton pause --wait   # returns once every member knows",
		Args:              between(0, 1, ""),
		ValidArgsFunction: t.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.pause(cmd.Context(), strings.Join(args, ""), group, pause, wait)
		},
	}
	if !pause {
		c.Use, c.Short, c.Example = "resume [CLUSTER_NAME]", "End the pause", "  pgbaton resume --wait"
	}
	groupFlag(c, &group)
	c.Flags().BoolVar(&wait, "wait", false, "wait until every member knows")
	return c
}

func (t *tool) pause(ctx context.Context, name, group string, pause, wait bool) error {
	s, c, err := t.load(ctx, name, group)
	if err != nil {
		return err
	}
	defer s.close()
	switch {
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
	if wait && !t.awaitPause(ctx, s, c, verb, pause) {
		return nil
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

// awaitPause waits until every member says that it knows. Those that did not change their word meanwhile are taken for
// dead, and are not waited for any longer. It reports whether all others know.
func (t *tool) awaitPause(ctx context.Context, s *session, before cluster.Cluster, verb string, pause bool) bool {
	t.printf("'%s' request sent, waiting until it is recognized by all nodes\n", verb)
	loopWait := before.Config.Settings().LoopWait
	ctx, cancel := context.WithTimeout(ctx, loopWait+time.Second)
	defer cancel()
	n := t.waiting("asking every member")
	var missing, alive []string
	s.await(ctx, before, func(c cluster.Cluster) bool {
		missing, alive = unaware(before, c, pause)
		n.say("waiting for " + strings.Join(missing, ", "))
		return len(missing) == 0
	})
	n.over()
	if len(alive) > 0 {
		t.printf("%s members didn't recognized pause state after %d seconds\n", strings.Join(alive, ", "), int(loopWait.Seconds()))
	}
	return len(alive) == 0
}

// unaware are the members that do not say what they are to say, and those among them that said anything since.
func unaware(before, now cluster.Cluster, pause bool) (all, alive []string) {
	for _, m := range now.Members {
		old, known := before.Member(m.Name)
		if !known || old.APIURL == "" || m.Pause == pause {
			continue
		}
		all = append(all, m.Name)
		if m.Version != old.Version {
			alive = append(alive, m.Name)
		}
	}
	return all, alive
}

// requestTimeout bounds a request that is answered at once.
const requestTimeout = 10 * time.Second

// sendAny sends a request that any member can grant: to the leader, else to whoever is reached first.
func (s *session) sendAny(ctx context.Context, c cluster.Cluster, method, path string, body any) (client.Answer, error) {
	for _, m := range leaderFirst(c) {
		a, err := s.send(ctx, requestTimeout, m, method, path, body)
		if err == nil {
			return a, nil
		}
		s.tool.inaccessible(m, err)
	}
	return client.Answer{}, errors.New("Can not find accessible cluster member") //nolint:staticcheck // the text is part of the interface
}

// inaccessible tells of a member that did not answer, and goes on.
func (t *tool) inaccessible(m cluster.Member, err error) {
	t.warn(err.Error())
	t.warn("Member " + m.Name + " is not accessible" + hint(err))
}

// hint is what to do where the certificates are why there is no answer.
func hint(err error) string {
	if !strings.Contains(err.Error(), "tls: ") {
		return ""
	}
	return ": give cacert, certfile and keyfile in the section ctl of the configuration, or -k where it may be anybody"
}

// leaderFirst are the members that announce a REST API, the leader before the others.
func leaderFirst(c cluster.Cluster) []cluster.Member {
	members := slices.DeleteFunc(slices.Clone(c.Members), func(m cluster.Member) bool { return m.APIURL == "" })
	slices.SortStableFunc(members, func(a, b cluster.Member) int {
		return rank(b.Name == c.Leader.Name) - rank(a.Name == c.Leader.Name)
	})
	return members
}

func rank(first bool) int {
	if first {
		return 1
	}
	return 0
}

// send sends one request to a member and waits that long for its answer. A terminal shows that it is waited for.
func (s *session) send(ctx context.Context, limit time.Duration, m cluster.Member, method, path string, body any) (client.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	n := s.tool.waiting("waiting for " + m.Name)
	defer n.over()
	return s.client.Send(ctx, method, m.API(path), body)
}
