package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// siteOptions say where a cluster is to get its WAL from.
type siteOptions struct {
	host, restoreCommand, slot string
	port                       int
	force                      bool
}

func (t *tool) demoteClusterCommand() *cobra.Command {
	var o siteOptions
	c := &cobra.Command{
		Use:   "demote-cluster [CLUSTER_NAME]",
		Short: "Make the cluster a standby of another one, which is to take the writes",
		Example: `  pgbaton demote-cluster --host 10.1.0.1,10.1.0.2 --port 5432 --primary-slot-name site_b
  pgbaton demote-cluster --restore-command 'cp /archive/%f %p' --force`,
		Args:              between(0, 1, ""),
		ValidArgsFunction: t.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error {
			patch, err := o.section()
			if err != nil {
				return err
			}
			return t.site(cmd.Context(), strings.Join(args, ""), demotion(), patch, o.force)
		},
	}
	c.Flags().StringVar(&o.host, "host", "", "address of the other cluster's primary, or several with commas between")
	c.Flags().IntVar(&o.port, "port", 0, "its port")
	c.Flags().StringVar(&o.restoreCommand, "restore-command", "", "how WAL is fetched from an archive")
	c.Flags().StringVar(&o.slot, "primary-slot-name", "", "the replication slot that it keeps for this cluster")
	c.Flags().BoolVar(&o.force, "force", false, "do not ask")
	return c
}

func (t *tool) promoteClusterCommand() *cobra.Command {
	force := false
	c := &cobra.Command{
		Use:               "promote-cluster [CLUSTER_NAME]",
		Short:             "Make a standby cluster one of its own, which accepts writes",
		Example:           "  pgbaton promote-cluster",
		Args:              between(0, 1, ""),
		ValidArgsFunction: t.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.site(cmd.Context(), strings.Join(args, ""), promotion(), nil, force)
		},
	}
	c.Flags().BoolVar(&force, "force", false, "do not ask")
	return c
}

// section is standby_cluster of the dynamic configuration.
func (o siteOptions) section() (map[string]any, error) {
	section := map[string]any{}
	for name, value := range map[string]string{"host": o.host, "restore_command": o.restoreCommand, "primary_slot_name": o.slot} {
		if value != "" {
			section[name] = value
		}
	}
	if o.port != 0 {
		section["port"] = o.port
	}
	if o.host == "" && o.port == 0 && o.restoreCommand == "" {
		//nolint:staticcheck // the text is part of the interface
		return nil, errors.New("At least --host, --port or --restore-command should be specified")
	}
	return section, nil
}

// direction is what becomes of a cluster.
type direction struct {
	verb, noun string
	role       cluster.Role
}

func demotion() direction { return direction{"demote", "demotion", cluster.RoleStandbyLeader} }

func promotion() direction { return direction{"promote", "promotion", cluster.RolePrimary} }

// site makes a cluster a standby of another one, or ends that, and waits until its leader is what it shall be.
func (t *tool) site(ctx context.Context, name string, to direction, section map[string]any, force bool) error {
	s, c, err := t.load(ctx, name, "")
	if err != nil {
		return err
	}
	defer s.close()
	leader, ok := c.LeaderMember()
	switch {
	case !ok:
		return fmt.Errorf("Cluster has no leader, %s is not possible", to.noun) //nolint:staticcheck // the text is part of the interface
	case leader.Role == to.role:
		return errors.New("Cluster is already in the required state") //nolint:staticcheck // the text is part of the interface
	}
	t.printf("Current cluster topology\n")
	if err := t.show(ctx, s); err != nil {
		return err
	}
	if err := t.sure(force, fmt.Sprintf("Are you sure you want to %s %s cluster?", to.verb, s.scope), "cluster "+to.noun); err != nil {
		return err
	}
	var value any
	if section != nil {
		value = section
	}
	a, err := s.send(ctx, requestTimeout, leader, http.MethodPatch, "/config", map[string]any{"standby_cluster": value})
	if err != nil {
		return fmt.Errorf("the request to %s %s was sent to %s but its answer did not come (%w): look with pgbaton list before asking again",
			to.verb, s.scope, leader.Name, err)
	}
	if !a.OK() {
		t.printf("Failed to %s %s cluster: %d, %s\n", to.verb, s.scope, a.Code, a.Text)
		return nil
	}
	return t.awaitSite(ctx, s, c, leader, to)
}

// awaitSite tells each new state of the cluster until its leader is what it shall be, and the former one runs.
func (t *tool) awaitSite(ctx context.Context, s *session, c cluster.Cluster, former cluster.Member, to direction) error {
	told, reached := "", false
	s.await(ctx, c, func(c cluster.Cluster) bool {
		leader, _ := c.LeaderMember()
		text := fmt.Sprintf("cluster is unlocked: %s, leader role: %s, leader state: %s", title(!c.Locked()), leader.Role, leader.State)
		reached = leader.Role == to.role && leader.Running()
		if before, known := c.Member(former.Name); known && before.Name != leader.Name && to == demotion() {
			text += ", previous leader state: " + string(before.State)
			reached = reached && before.Running()
		}
		if text != told {
			t.printf("%s %s\n", t.stamp(), text)
			told = text
		}
		return reached
	})
	if !reached {
		return context.Cause(ctx)
	}
	t.printf("%s cluster is successfully %sd\n", t.stamp(), to.verb)
	return t.show(ctx, s)
}

// title writes a boolean as other tools read it here.
func title(b bool) string {
	if b {
		return "True"
	}
	return "False"
}
