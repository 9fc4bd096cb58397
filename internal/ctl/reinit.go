package ctl

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
)

type reinitOptions struct {
	choice

	fromLeader, wait bool
}

func (t *tool) reinitCommand() *cobra.Command {
	var o reinitOptions
	c := &cobra.Command{
		Use:   "reinit CLUSTER_NAME [MEMBER...]",
		Short: "Delete the data of a replica and clone it anew",
		Example: `  pgbaton reinit postgresql-cluster patroni-node3 --wait
  pgbaton reinit postgresql-cluster patroni-node3 --from-leader --force`,
		Args:              between(1, -1, "CLUSTER_NAME"),
		ValidArgsFunction: t.completeReplicas,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args[1:]
			return t.reinit(cmd.Context(), args[0], o)
		},
	}
	o.role, o.ask = "replica", "reinitialize"
	groupFlag(c, &o.group)
	c.Flags().BoolVar(&o.force, "force", false, "do not ask, and cancel what the member is doing")
	c.Flags().BoolVar(&o.fromLeader, "from-leader", false, "clone from the leader and from no other replica")
	c.Flags().BoolVar(&o.wait, "wait", false, "wait until the copy is complete")
	return c
}

func (t *tool) reinit(ctx context.Context, name string, o reinitOptions) error {
	s, err := t.selected(ctx, name, o.choice)
	if err != nil {
		return err
	}
	defer s.close()
	if err := t.sure(o.force, fmt.Sprintf("Are you sure you want to reinitialize members %s?", namesOf(s.members)), "reinitialize"); err != nil {
		return err
	}
	var begun []cluster.Member
	for _, m := range s.members {
		ok, err := t.reinitOne(ctx, s.session, m, o)
		if err != nil {
			return err
		}
		if ok {
			begun = append(begun, m)
		}
	}
	if o.wait {
		return t.awaitReinit(ctx, s.session, begun)
	}
	return nil
}

// reinitOne asks one member, a second time if it is busy and that does not matter. It reports whether the copy began.
func (t *tool) reinitOne(ctx context.Context, s *session, m cluster.Member, o reinitOptions) (bool, error) {
	for force := o.force; ; force = true {
		a, err := s.send(ctx, requestTimeout, m, http.MethodPost, "/reinitialize", map[string]bool{"force": force, "from_leader": o.fromLeader})
		switch {
		case err != nil:
			t.failed("reinitialize", m, err)
			return false, nil
		case a.Code == http.StatusOK:
			t.printf("Success: reinitialize for member %s\n", m.Name)
			return true, nil
		}
		t.printf("Failed: reinitialize for member %s, status code=%d, (%s)\n", m.Name, a.Code, a.Text)
		if force || !strings.HasSuffix(a.Text, " already in progress") {
			return false, nil
		}
		if yes, err := t.confirm("Do you want to cancel it and reinitialize anyway?"); err != nil || !yes {
			return false, err
		}
	}
}

// awaitReinit asks the members how far they are until all have their copy.
func (t *tool) awaitReinit(ctx context.Context, s *session, members []cluster.Member) error {
	told := 0
	for len(members) > 0 {
		if len(members) != told {
			t.printf("Waiting for reinitialize to complete on: %s\n", namesOf(members))
			told = len(members)
		}
		done, err := t.awaitCopy(ctx, s, members)
		if err != nil {
			return err
		}
		for _, name := range done {
			t.printf("Reinitialize is completed on: %s\n", name)
			members = slices.DeleteFunc(members, func(m cluster.Member) bool { return m.Name == name })
		}
	}
	return nil
}

// awaitCopy waits until one of the members, or several, have their copy. A terminal shows how far they are.
func (t *tool) awaitCopy(ctx context.Context, s *session, members []cluster.Member) (done []string, err error) {
	n := t.waiting("copying")
	defer n.over()
	for len(done) == 0 {
		if err := t.pollPause(ctx); err != nil {
			return nil, err
		}
		var progress []string
		for _, m := range members {
			status, err := s.status(ctx, m)
			switch {
			case err != nil:
				progress = append(progress, m.Name+" does not answer")
			case status.State != cluster.StateCreatingReplica:
				done = append(done, m.Name)
			default:
				progress = append(progress, m.Name+": "+cmp.Or(status.Progress, "copying"))
			}
		}
		n.say(strings.Join(progress, ", "))
	}
	return done, nil
}

// status asks a member what it does.
func (s *session) status(ctx context.Context, m cluster.Member) (client.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return s.client.Status(ctx, m.APIURL)
}

// pollPause waits before a member is asked again.
func (t *tool) pollPause(ctx context.Context) error {
	every := t.env.Poll
	if every == 0 {
		every = 2 * time.Second
	}
	timer := time.NewTimer(every)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
