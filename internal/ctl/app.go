package ctl

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// appCommand is about the apps of the scheduler.
func (t *tool) appCommand(at *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "app",
		Short: "Run, change and look at apps of the scheduler",
		Long: `Speaks to a scheduler through Marathon's API: that of pgbaton, or any other. What changes an app
waits until the deployment is done and tells each step of it; Ctrl-C ends the waiting, not the
deployment.`,
	}
	c.AddCommand(
		t.appListCommand(at), t.appShowCommand(at), t.appAddCommand(at), t.appScaleCommand(at), t.appRestartCommand(at), t.appRemoveCommand(at),
		t.appKillCommand(at), t.appVersionsCommand(at), t.appRollbackCommand(at), t.appQueueCommand(at), t.appDeploymentsCommand(at), t.appEventsCommand(at),
	)
	for _, sub := range c.Commands() {
		sub.Use, sub.DisableFlagsInUseLine = withOptions(sub.Use), true
	}
	return c
}

// appAnswer is an app as the API shows it.
type appAnswer struct {
	app.App
	app.Counts
	Deployments []struct{ ID string }
	Tasks       []app.Task
	LastFailure *struct {
		Host, Message, State string
		Timestamp            app.Timestamp
	} `json:"lastTaskFailure"`
}

// queueAnswer is an entry of the launch queue as the API shows it.
type queueAnswer struct {
	App   struct{ ID app.ID }
	Count int
	Delay struct {
		TimeLeftSeconds int
		Overdue         bool
	}
	Since   app.Timestamp
	Summary struct {
		Last []app.Rejection `json:"rejectSummaryLastOffers"`
		Why  string          // pgbaton's sentence; Marathon has none
	} `json:"processedOffersSummary"`
}

// why is why an entry waits.
func (q queueAnswer) why() string {
	if q.Summary.Why != "" {
		return q.Summary.Why
	}
	if !q.Delay.Overdue && q.Delay.TimeLeftSeconds > 0 {
		return fmt.Sprintf("its tasks ended too soon, the next start is in %d s", q.Delay.TimeLeftSeconds)
	}
	var parts []string
	for _, r := range q.Summary.Last {
		if r.Declined > 0 {
			parts = append(parts, fmt.Sprintf("%s at %d of %d", r.Reason, r.Declined, r.Processed))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "waiting for an offer that fits")
}

func (m *marathon) queue(ctx context.Context) ([]queueAnswer, error) {
	var body struct{ Queue []queueAnswer }
	err := m.ask(ctx, http.MethodGet, "/v2/queue", nil, &body)
	if hasCode(err, http.StatusNotFound) {
		return nil, nil // a scheduler that has none has nothing to say about waiting
	}
	return body.Queue, err
}

func (m *marathon) apps(ctx context.Context, label string) ([]appAnswer, error) {
	var body struct{ Apps []appAnswer }
	err := m.ask(ctx, http.MethodGet, "/v2/apps"+query("embed", "apps.counts", "label", label), nil, &body)
	return body.Apps, err
}

func (m *marathon) app(ctx context.Context, id app.ID) (appAnswer, error) {
	var body struct{ App appAnswer }
	err := m.ask(ctx, http.MethodGet, appPath(id), nil, &body)
	return body.App, err
}

// clusters are the PostgreSQL apps by id; none from a scheduler that has no such endpoint.
func (m *marathon) clusters(ctx context.Context) (map[app.ID]app.Cluster, error) {
	var body struct{ Clusters []app.Cluster }
	err := m.ask(ctx, http.MethodGet, "/pg/v1/clusters", nil, &body)
	if err != nil && !hasCode(err, http.StatusNotFound) {
		return nil, err
	}
	all := map[app.ID]app.Cluster{}
	for _, c := range body.Clusters {
		all[c.App] = c
	}
	return all, nil
}

// cluster is one of them, nil for an app that is none and from a scheduler that has no such endpoint.
func (m *marathon) cluster(ctx context.Context, id app.ID) (*app.Cluster, error) {
	var c app.Cluster
	err := m.ask(ctx, http.MethodGet, "/pg/v1/clusters"+string(id), nil, &c)
	switch {
	case hasCode(err, http.StatusNotFound):
		return nil, nil //nolint:nilnil // an app that is no cluster has none, and that is no error
	case err != nil:
		return nil, err
	}
	return &c, nil
}

func (t *tool) appListCommand(at *string) *cobra.Command {
	format, label := formatPretty, ""
	c := &cobra.Command{
		Use: "list", Short: "List the apps with what runs of them", Args: between(0, 0, ""),
		Example: "  pgbaton app list\n  pgbaton app list --label 'tier==db' -f json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return t.listApps(cmd.Context(), *at, label, format) },
	}
	choiceVar(c, &format, "format", "f", "pretty, tsv, json or yaml", formats()...)
	c.Flags().StringVarP(&label, "label", "l", "", "only apps with such labels: KEY, KEY==VALUE, KEY!=VALUE, KEY in (A,B); all of several with commas")
	return c
}

func (t *tool) listApps(ctx context.Context, at, label, format string) error {
	m, err := t.marathon(at)
	if err != nil {
		return err
	}
	apps, err := m.apps(ctx, label)
	if err != nil {
		return err
	}
	queue, err := m.queue(ctx)
	if err != nil {
		return err
	}
	clusters, err := m.clusters(ctx)
	if err != nil {
		return err
	}
	s := sheet{title: "Apps", columns: []column{
		{"App", false}, {"Tasks", true}, {"Wanted", true}, {"Healthy", true}, {"State", false}, {"Leader", false}, {"CPUs", true}, {"Mem", true}, {"Runs", false},
	}}
	for _, a := range apps {
		s.add(string(a.ID), a.Running+a.Staged, a.Instances, a.healthCell(), a.state(queue), clusters[a.ID].Leader, a.CPUs, a.Mem, a.runs())
	}
	if len(apps) == 0 && format == formatPretty {
		t.printf("no apps: add one with app add FILE\n")
		return nil
	}
	text, err := s.render(format)
	t.printf("%s", text)
	return err
}

// healthCell is how many are healthy; empty where nothing asks.
func (a appAnswer) healthCell() any {
	if len(a.HealthChecks) == 0 {
		return nil
	}
	return a.Healthy
}

// state is what the app is doing, in a word and the reason.
func (a appAnswer) state(queue []queueAnswer) string {
	i := slices.IndexFunc(queue, func(q queueAnswer) bool { return q.App.ID == a.ID })
	switch {
	case i >= 0:
		return "waiting: " + queue[i].why()
	case len(a.Deployments) > 0:
		return "deploying"
	case a.Instances == 0 && a.Running+a.Staged == 0:
		return "suspended"
	case a.Unhealthy > 0:
		return fmt.Sprintf("%d unhealthy", a.Unhealthy)
	case a.Running < a.Instances:
		return "starting"
	}
	return "running"
}

// runs is what the tasks are made of, on one line.
func (a appAnswer) runs() string {
	text := a.Cmd
	if a.Container != nil && a.Container.Docker != nil {
		text = strings.TrimSpace(a.Container.Docker.Image + " " + text)
	}
	const most = 40
	if line := []rune(strings.Join(strings.Fields(cmp.Or(text, strings.Join(a.Args, " "))), " ")); len(line) > most {
		return string(line[:most-1]) + "…"
	}
	return strings.Join(strings.Fields(cmp.Or(text, strings.Join(a.Args, " "))), " ")
}

// completeApps completes the id of one app.
func (t *tool) completeApps(at *string) completion {
	return t.completeWith(at, func(ctx context.Context, m *marathon, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		return m.appNames(ctx)
	})
}

func (m *marathon) appNames(ctx context.Context) []string {
	apps, err := m.apps(ctx, "")
	if err != nil {
		return nil
	}
	var names []string
	for _, a := range apps {
		names = append(names, string(a.ID))
	}
	return names
}
