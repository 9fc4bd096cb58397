package ctl

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// hostCommand is about the hosts of the scheduler.
func (t *tool) hostCommand(at *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "host",
		Short: "Look at the scheduler's hosts, drain them, and cut or restore the power of virtual ones",
	}
	c.AddCommand(
		t.hostListCommand(at),
		t.hostChange(at, "kill", "Cut the power of a virtual host: everything on it dies at once",
			"  pgbaton host kill node1", "power cut; its tasks are unreachable until it is back"),
		t.hostChange(at, "start", "Restore the power of a virtual host", "  pgbaton host start node1", "power restored"),
		t.hostDrainCommand(at),
	)
	return c
}

func (t *tool) hostListCommand(at *string) *cobra.Command {
	format := formatPretty
	c := &cobra.Command{
		Use: "list [OPTIONS]", Short: "List the hosts with what they have and what is used", DisableFlagsInUseLine: true,
		Example: "  pgbaton host list\n  pgbaton host list -f json", Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return t.listHosts(cmd.Context(), *at, format) },
	}
	choiceVar(c, &format, "format", "f", "pretty, tsv, json or yaml", formats()...)
	return c
}

// hosts asks for the hosts.
func (m *marathon) hosts(ctx context.Context) ([]app.HostStatus, error) {
	var body struct{ Hosts []app.HostStatus }
	err := m.ask(ctx, http.MethodGet, "/pg/v1/hosts", nil, &body)
	return body.Hosts, err
}

func (t *tool) listHosts(ctx context.Context, at, format string) error {
	m, err := t.marathon(at)
	if err != nil {
		return err
	}
	hosts, err := m.hosts(ctx)
	if err != nil {
		return err
	}
	s := sheet{title: "Hosts", columns: []column{
		{"Host", false}, {"Address", false}, {"State", false}, {"CPUs", true}, {"of", true}, {"Mem", true}, {"of", true}, {"Disk", true}, {"of", true}, {"Tasks", true},
	}}
	drained := slices.ContainsFunc(hosts, func(h app.HostStatus) bool { return h.Draining != "" })
	if drained {
		s.columns = append(s.columns, column{"Draining", false})
	}
	if format != formatPretty {
		for i, name := range map[int]string{4: "CPUs total", 6: "Mem total", 8: "Disk total"} {
			s.columns[i].title = name
		}
	}
	for _, h := range hosts {
		cells := []any{h.Name, h.Address, h.State, h.CPUs.Used, h.CPUs.Total, h.Mem.Used, h.Mem.Total, h.Disk.Used, h.Disk.Total, len(h.Tasks)}
		if drained {
			cells = append(cells, h.Draining)
		}
		s.add(cells...)
	}
	text, err := s.render(format)
	t.printf("%s", text)
	return err
}

// hostChange is a command that does one thing to one host.
func (t *tool) hostChange(at *string, verb, short, example, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " HOST", Short: short, Example: example, Args: between(1, 1, "HOST"), DisableFlagsInUseLine: true,
		ValidArgsFunction: t.completeHosts(at),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.changeHost(cmd.Context(), *at, http.MethodPost, args[0], verb, done)
		},
	}
}

func (t *tool) hostDrainCommand(at *string) *cobra.Command {
	end := false
	c := &cobra.Command{
		Use: "drain [OPTIONS] HOST", Short: "Move tasks off a host and start nothing on it until the drain ends", DisableFlagsInUseLine: true,
		Long: `Starts nothing more on the host, moves its tasks elsewhere one after the other, hands the lead of
databases over and stops the members that cannot move because their data are there. With --end
the host takes tasks again, and those members start.`,
		Example: "  pgbaton host drain node1\n  pgbaton host drain --end node1", Args: between(1, 1, "HOST"), ValidArgsFunction: t.completeHosts(at),
		RunE: func(cmd *cobra.Command, args []string) error {
			if end {
				return t.changeHost(cmd.Context(), *at, http.MethodDelete, args[0], "drain", "the drain is over, it takes tasks again")
			}
			return t.changeHost(cmd.Context(), *at, http.MethodPost, args[0], "drain", "draining; pgbaton app events tells how it goes")
		},
	}
	c.Flags().BoolVar(&end, "end", false, "end the drain")
	return c
}

func (t *tool) changeHost(ctx context.Context, at, method, host, verb, done string) error {
	m, err := t.marathon(at)
	if err != nil {
		return err
	}
	wait := t.waiting("waiting for the scheduler")
	err = m.ask(ctx, method, "/pg/v1/hosts/"+url.PathEscape(host)+"/"+verb, nil, nil)
	wait.over()
	if err != nil {
		return err
	}
	t.printf("%s: %s\n", host, done)
	return nil
}

// completion is what cobra asks for the arguments of a command.
type completion = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective)

// completeWith completes with what the scheduler answers in time.
func (t *tool) completeWith(at *string, ask func(ctx context.Context, m *marathon, args []string) []string) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		m, err := t.marathon(*at)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return without(ask(ctx, m, args), args), cobra.ShellCompDirectiveNoFileComp
	}
}

func (t *tool) completeHosts(at *string) completion {
	return t.completeWith(at, func(ctx context.Context, m *marathon, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		hosts, err := m.hosts(ctx)
		if err != nil {
			return nil
		}
		var names []string
		for _, h := range hosts {
			names = append(names, h.Name)
		}
		return names
	})
}
