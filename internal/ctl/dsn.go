package ctl

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// oneMember says which member is meant: by its name, or as the first of a role.
type oneMember struct {
	role, member string
}

func (t *tool) oneMemberFlags(c *cobra.Command, o *oneMember) {
	choiceVar(c, &o.role, "role", "r", "the first member of a role: leader, primary, standby-leader, replica, standby or any (default leader)", roles()...)
	c.Flags().StringVarP(&o.member, "member", "m", "", "the member with this name")
	t.memberFlag(c, "member", "any")
}

// settle refuses two answers to one question, and answers it where there is none.
func (o *oneMember) settle() error {
	switch {
	case o.member != "" && o.role != "":
		return errors.New("--role and --member are mutually exclusive options")
	case o.member != "":
		o.role = "any"
	case o.role == "":
		o.role = "leader"
	}
	return nil
}

// in finds the member; one without a name when there is none.
func (o *oneMember) in(c cluster.Cluster) cluster.Member {
	for _, name := range ofRole(c, o.role) {
		if o.member == "" || o.member == name {
			m, _ := c.Member(name)
			return m
		}
	}
	return cluster.Member{}
}

func (t *tool) dsnCommand() *cobra.Command {
	var o oneMember
	group := ""
	c := &cobra.Command{
		Use:   "dsn [CLUSTER_NAME]",
		Short: "Print how to connect to a member",
		Example: `  psql "$(pgbaton dsn) dbname=app"    # the leader
  pgbaton dsn -r replica`,
		Args:              between(0, 1, ""),
		ValidArgsFunction: t.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.dsn(cmd.Context(), strings.Join(args, ""), group, o)
		},
	}
	t.oneMemberFlags(c, &o)
	groupFlag(c, &group)
	return c
}

func (t *tool) dsn(ctx context.Context, name, group string, o oneMember) error {
	if err := o.settle(); err != nil {
		return err
	}
	s, c, err := t.load(ctx, name, group)
	if err != nil {
		return err
	}
	defer s.close()
	host, port, ok := o.in(c).Endpoint()
	if !ok {
		return errors.New("Can not find a suitable member") //nolint:staticcheck // the text is part of the interface
	}
	t.printf("host=%s port=%d\n", host, port)
	return nil
}
