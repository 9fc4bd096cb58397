package ctl

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// completionTimeout bounds what a shell waits for when a key is pressed.
const completionTimeout = time.Second

// Completion never says what went wrong: there is nothing that a shell could do with it. The options before the cursor
// count, so that another configuration file completes with another cluster's members.

// completeClusters completes any number of cluster names.
func (t *tool) completeClusters(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return without(t.scopes(cmd.Context()), args), cobra.ShellCompDirectiveNoFileComp
}

// completeCluster completes one cluster name.
func (t *tool) completeCluster(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return t.completeClusters(cmd, args, word)
}

// completeMembers completes a cluster name, then names of its members.
func (t *tool) completeMembers(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return t.completeRole(cmd, args, word, "any")
}

// completeReplicas completes a cluster name, then names of its replicas.
func (t *tool) completeReplicas(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return t.completeRole(cmd, args, word, "replica")
}

func (t *tool) completeRole(cmd *cobra.Command, args []string, word, role string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return t.completeClusters(cmd, args, word)
	}
	return without(t.memberNames(cmd.Context(), args[0], role), args[1:]), cobra.ShellCompDirectiveNoFileComp
}

// completeFlush completes a cluster name, then names of its members and what to forget.
func (t *tool) completeFlush(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	names, directive := t.completeMembers(cmd, args, word)
	if len(args) > 0 {
		names = append([]string{"restart", "switchover"}, names...)
	}
	return names, directive
}

// completeOwnMember completes one member of the cluster of the configuration.
func (t *tool) completeOwnMember(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return t.memberNames(cmd.Context(), "", "any"), cobra.ShellCompDirectiveNoFileComp
}

// memberFlag completes the value of an option with members of a role.
func (t *tool) memberFlag(c *cobra.Command, name, role string) {
	//nolint:errcheck // the flag is there
	c.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		named := ""
		if len(args) > 0 {
			named = args[0]
		}
		return t.memberNames(cmd.Context(), named, role), cobra.ShellCompDirectiveNoFileComp
	})
}

func without(names, given []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(given, name) })
}

// scopes are the clusters of the namespace, or at least the one of the configuration.
func (t *tool) scopes(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	cfg, err := t.readConfig()
	if err != nil {
		return nil
	}
	if t.env.Scopes != nil {
		if names, err := t.env.Scopes(ctx, cfg); err == nil {
			return names
		}
	}
	if cfg.Scope == "" {
		return nil
	}
	return []string{cfg.Scope}
}

// memberNames are the members of a cluster that have a role.
func (t *tool) memberNames(ctx context.Context, named, role string) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	s, c, err := t.load(ctx, named, "")
	if err != nil {
		return nil
	}
	defer s.close()
	return ofRole(c, role)
}
