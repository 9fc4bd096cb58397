package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// defaultScheduler is where `pgbaton up` serves Marathon's API unless told otherwise.
const defaultScheduler = "http://127.0.0.1:8080"

func hostCommand() *cobra.Command {
	url := ""
	c := &cobra.Command{
		Use:   "host",
		Short: "Look at the virtual hosts of pgbaton up, and cut or restore their power",
		Example: `  pgbaton host list
  pgbaton host kill node1    # everything on it dies at once
  pgbaton host start node1`,
	}
	c.PersistentFlags().StringVar(&url, "url", cmp.Or(processEnv()["MARATHON_URL"], readEnvFile(defaultStateDir())["MARATHON_URL"], defaultScheduler),
		"address of the scheduler")
	c.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the hosts", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return listHosts(cmd, url) },
		},
		&cobra.Command{
			Use: "kill HOST", Short: "Cut the power of a host", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return switchHost(cmd, url, args[0], "kill") },
		},
		&cobra.Command{
			Use: "start HOST", Short: "Restore the power of a host", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return switchHost(cmd, url, args[0], "start") },
		},
	)
	return c
}

// schedulerTimeout is longer than the death of all processes of a host takes.
const schedulerTimeout = 30 * time.Second

func askScheduler(ctx context.Context, method, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, schedulerTimeout)
	defer cancel()
	c := client.New(nil, client.Options{})
	defer c.Close()
	a, err := c.Send(ctx, method, url, nil)
	if err != nil {
		return "", fmt.Errorf("the scheduler does not answer (%w): is `pgbaton up` running, or is it elsewhere (--url)?", err)
	}
	if a.OK() {
		return a.Text, nil
	}
	var body struct{ Message string }
	if json.Unmarshal([]byte(a.Text), &body) == nil && body.Message != "" {
		return "", errors.New(body.Message)
	}
	return "", fmt.Errorf("the scheduler answers %d: %s", a.Code, a.Text)
}

func listHosts(cmd *cobra.Command, url string) error {
	text, err := askScheduler(cmd.Context(), http.MethodGet, url+"/pg/v1/hosts")
	if err != nil {
		return err
	}
	var body struct{ Hosts []app.HostStatus }
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		return fmt.Errorf("read the answer of the scheduler: %w", err)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tADDRESS\tSTATE\tCPUS\tMEM\tDISK\tTASKS")
	for _, h := range body.Hosts {
		fmt.Fprintf(w, "%s\t%s\t%s\t%g/%g\t%g/%g\t%g/%g\t%s\n", h.Name, h.Address, h.State,
			h.CPUs.Used, h.CPUs.Total, h.Mem.Used, h.Mem.Total, h.Disk.Used, h.Disk.Total, tasksOf(h))
	}
	return w.Flush()
}

func tasksOf(h app.HostStatus) string {
	var names []string
	for _, t := range h.Tasks {
		names = append(names, string(t))
	}
	return cmp.Or(strings.Join(names, " "), "-")
}

func switchHost(cmd *cobra.Command, url, host, what string) error {
	if _, err := askScheduler(cmd.Context(), http.MethodPost, url+"/pg/v1/hosts/"+host+"/"+what); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", host, map[string]string{"kill": "power cut", "start": "power restored"}[what])
	return nil
}
