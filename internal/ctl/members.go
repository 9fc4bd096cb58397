package ctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// roles are the words that choose members.
func roles() []string {
	return []string{"leader", "primary", "standby-leader", "replica", "standby", "any"}
}

// ofRole are the names of the members that a role chooses.
func ofRole(c cluster.Cluster, role string) []string {
	var names []string
	for _, m := range c.Members {
		leads := m.Name == c.Leader.Name
		standby := m.Role == cluster.RoleStandbyLeader
		chosen := map[string]bool{
			"any": true, "leader": leads, "primary": leads && !standby, "standby-leader": leads && standby, "replica": !leads, "standby": !leads,
		}
		if chosen[role] {
			names = append(names, m.Name)
		}
	}
	return names
}

// choice is what an operator said about which members are meant.
type choice struct {
	names []string
	role  string
	group string
	force bool
	// ask asks for a name where none is given, instead of taking all.
	ask string
}

// selection is an open cluster, as it was read, with the members that a command is for.
type selection struct {
	*session

	picture cluster.Cluster
	members []cluster.Member
}

// selected opens a cluster and chooses members of it; the caller closes it.
func (t *tool) selected(ctx context.Context, name string, o choice) (selection, error) {
	s, c, err := t.load(ctx, name, o.group)
	if err != nil {
		return selection{}, err
	}
	members, err := t.choose(ctx, s, c, o)
	if err != nil {
		s.close()
		return selection{}, err
	}
	return selection{s, c, members}, nil
}

// choose shows the cluster and finds the members that are meant.
func (t *tool) choose(ctx context.Context, s *session, c cluster.Cluster, want choice) ([]cluster.Member, error) {
	candidates := ofRole(c, want.role)
	if len(want.names) == 0 && len(candidates) == 0 {
		return nil, fmt.Errorf("%s cluster doesn't have any members", s.scope)
	}
	err := t.show(ctx, s)
	if err != nil {
		return nil, err
	}
	names := want.names
	switch {
	case len(names) > 0:
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(candidates, name) })
	case want.ask == "":
		names = candidates
	case want.force:
		return nil, fmt.Errorf("no member was named to %s: name the replicas, or leave --force out to be asked", want.ask)
	default:
		names, err = t.askName(want.ask, candidates)
	}
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("No %s among provided members", roleInError(want)) //nolint:staticcheck // the text is part of the interface
	}
	var members []cluster.Member
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		m, _ := c.Member(name)
		members = append(members, m)
	}
	return members, nil
}

func roleInError(want choice) string {
	if want.ask != "" {
		return want.role
	}
	return "'" + want.role + "'"
}

func (t *tool) askName(action string, candidates []string) ([]string, error) {
	answer, err := t.prompt(fmt.Sprintf("Which member do you want to %s [%s]?", action, strings.Join(candidates, ", ")), "")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(candidates, answer) {
		return nil, fmt.Errorf("%s is not a member of cluster", answer)
	}
	return []string{answer}, nil
}

// sure asks whether an action on members is meant.
func (t *tool) sure(force bool, question, aborted string) error {
	if force {
		return nil
	}
	yes, err := t.confirm(question)
	if err == nil && !yes {
		return errors.New("Aborted " + aborted)
	}
	return err
}

func namesOf(members []cluster.Member) string {
	var names []string
	for _, m := range members {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}
