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

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

func (t *tool) appShowCommand(at *string) *cobra.Command {
	format := formatPretty
	c := &cobra.Command{
		Use: "show APP", Short: "Show an app with its tasks, or the members of its database", Args: between(1, 1, "APP"),
		Example:           "  pgbaton app show /postgresql/patroni\n  pgbaton app show /web -f json      # the whole of it, definition and tasks",
		ValidArgsFunction: t.completeApps(at),
		RunE:              func(cmd *cobra.Command, args []string) error { return t.showApp(cmd.Context(), *at, args[0], format) },
	}
	choiceVar(c, &format, "format", "f", "pretty, tsv, json or yaml", formats()...)
	return c
}

func (t *tool) showApp(ctx context.Context, at, name, format string) error {
	m, id, err := t.reach(at, name)
	if err != nil {
		return err
	}
	text, err := m.raw(ctx, http.MethodGet, appPath(id), nil)
	if err != nil {
		return err
	}
	var body struct{ App appAnswer }
	if err := unmarshal(text, &body); err != nil {
		return err
	}
	if format == formatJSON || format == formatYAML || format == formatYML {
		out, err := documentText(text, format)
		t.printf("%s", out)
		return err
	}
	cluster, err := m.cluster(ctx, id)
	if err != nil {
		return err
	}
	s := taskSheet(body.App, t.env.Now())
	if cluster != nil {
		s = memberSheet(*cluster)
	}
	if format == formatPretty {
		queue, err := m.queue(ctx)
		if err != nil {
			return err
		}
		t.printf("%s", body.App.summary(queue, cluster))
	}
	out, err := s.render(format)
	t.printf("%s", out)
	if cluster != nil && format == formatPretty {
		t.printf("%s", gateNotes(*cluster))
	}
	return err
}

// reach finds the scheduler and reads the id of an app.
func (t *tool) reach(at, name string) (*marathon, app.ID, error) {
	id, err := parseID(name)
	if err != nil {
		return nil, "", err
	}
	m, err := t.marathon(at)
	return m, id, err
}

// summary is what is to be said above the tasks.
func (a appAnswer) summary(queue []queueAnswer, c *app.Cluster) string {
	var b strings.Builder
	say := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-12s %s\n", name, text)
		}
	}
	say("App", string(a.ID))
	say("Runs", a.runs())
	say("Instances", fmt.Sprintf("%d wanted, %d running, %d starting%s", a.Instances, a.Running, a.Staged, a.healthText()))
	say("Each", fmt.Sprintf("%s cpus, %s MiB of memory, %s MiB of disk%s", amountText(a.CPUs), amountText(a.Mem), amountText(a.Disk), gpuText(a.GPUs)))
	say("State", a.state(queue))
	if c != nil {
		say("Leader", cmp.Or(c.Leader, c.Doubt, "nobody"))
		say("Paused", yes(c.Paused))
		if !c.Gate.Open && c.Gate.Why != "" {
			say("Gate", "closed: "+c.Gate.Why)
		}
	}
	say("Version", a.Version.String())
	if f := a.LastFailure; f != nil {
		say("Last failure", fmt.Sprintf("%s on %s: %s %s", f.Timestamp, f.Host, f.State, strings.Join(strings.Fields(f.Message), " ")))
	}
	return b.String()
}

func (a appAnswer) healthText() string {
	if len(a.HealthChecks) == 0 {
		return ""
	}
	return fmt.Sprintf(", %d healthy, %d unhealthy", a.Healthy, a.Unhealthy)
}

func amountText(v float64) string { return number(v).Value }

func gpuText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d gpus", n)
}

func taskSheet(a appAnswer, now time.Time) sheet {
	s := sheet{title: "Tasks of " + string(a.ID), columns: []column{
		{"Task", false}, {"Host", false}, {"Ports", false}, {"State", false}, {"Health", false}, {"For", true}, {"Version", false},
	}}
	for _, task := range a.Tasks {
		var ports []any
		for _, p := range task.Ports {
			ports = append(ports, p)
		}
		version := task.Version.String()
		if task.Version != 0 && task.Version < a.VersionInfo.LastConfigChangeAt {
			version += " (old)"
		}
		s.add(string(task.ID), task.Host, ports, stateWord(task.State), healthWord(a, task), age(task, now), version)
	}
	return s
}

// stateWord is a state without the word that begins all of them.
func stateWord(s app.TaskState) string {
	return strings.ToLower(strings.TrimPrefix(string(s), "TASK_"))
}

func healthWord(a appAnswer, task app.Task) string {
	switch {
	case len(a.HealthChecks) == 0:
		return ""
	case len(task.HealthCheckResults) == 0:
		return "unknown"
	case slices.ContainsFunc(task.HealthCheckResults, func(r app.HealthResult) bool { return !r.Alive }):
		return "unhealthy"
	}
	return "healthy"
}

// age is how long a task runs.
func age(task app.Task, now time.Time) string {
	began := cmp.Or(task.StartedAt, task.StagedAt)
	if began == 0 {
		return ""
	}
	d := max(now.Sub(began.Time()), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

func memberSheet(c app.Cluster) sheet {
	s := sheet{title: "Members of " + string(c.App), columns: []column{
		{"Member", false}, {"Host", false}, {"Role", false}, {"State", false}, {"TL", true}, {"Lag", true}, {"Server", false}, {"May stop", false}, {"Task", false},
	}}
	for _, m := range c.Members {
		var timeline, lag any
		if m.Timeline > 0 {
			timeline = m.Timeline
		}
		if m.Lag != nil {
			lag = int(*m.Lag)
		}
		role := m.Role
		if role != "" {
			role = roleWords(role)
		}
		s.add(m.Name, m.Host, role, memberState(m), timeline, lag, m.Address, mayStop(m), string(cmp.Or(m.Task, app.TaskID(m.Instance))))
	}
	return s
}

// dataOnly reports whether nothing is left of a member but its data, which wait for it.
func dataOnly(m app.Member) bool { return m.State.Terminal() && m.Server == "" }

func memberState(m app.Member) string {
	if dataOnly(m) {
		return "data kept"
	}
	return cmp.Or(m.Server, stateWord(m.State))
}

// mayStop is the gate's word about a member that runs.
func mayStop(m app.Member) string {
	switch {
	case dataOnly(m):
		return ""
	case m.Gate.Open:
		return "yes"
	}
	return "no"
}

// gateNotes say why members may not be stopped now, each reason once.
func gateNotes(c app.Cluster) string {
	var reasons []string
	names := map[string][]string{}
	for _, m := range c.Members {
		if m.Gate.Open || m.Gate.Why == "" || dataOnly(m) {
			continue
		}
		if names[m.Gate.Why] == nil {
			reasons = append(reasons, m.Gate.Why)
		}
		names[m.Gate.Why] = append(names[m.Gate.Why], cmp.Or(m.Name, m.Host))
	}
	var b strings.Builder
	for _, why := range reasons {
		fmt.Fprintf(&b, " %s may not be stopped now: %s\n", strings.Join(names[why], ", "), why)
	}
	return b.String()
}

func (t *tool) appVersionsCommand(at *string) *cobra.Command {
	format := formatPretty
	c := &cobra.Command{
		Use: "versions APP [VERSION]", Short: "List the versions of an app, or show one", Args: between(1, 2, "APP"),
		Example:           "  pgbaton app versions /web\n  pgbaton app versions /web 2026-01-02T03:04:05.678Z",
		ValidArgsFunction: t.completeVersions(at),
		RunE:              func(cmd *cobra.Command, args []string) error { return t.listVersions(cmd.Context(), *at, args, format) },
	}
	choiceVar(c, &format, "format", "f", "pretty, tsv, json or yaml", formats()...)
	return c
}

func (m *marathon) versions(ctx context.Context, id app.ID) ([]string, error) {
	var body struct{ Versions []string }
	err := m.ask(ctx, http.MethodGet, appPath(id, "versions"), nil, &body)
	return body.Versions, err
}

func (t *tool) listVersions(ctx context.Context, at string, args []string, format string) error {
	m, id, err := t.reach(at, args[0])
	if err != nil {
		return err
	}
	if len(args) == 2 {
		text, err := m.raw(ctx, http.MethodGet, appPath(id, "versions", args[1]), nil)
		if err != nil {
			return err
		}
		if format == formatPretty || format == formatTSV {
			format = formatJSON
		}
		out, err := documentText(text, format)
		t.printf("%s", out)
		return err
	}
	versions, err := m.versions(ctx, id)
	if err != nil {
		return err
	}
	s := sheet{title: "Versions of " + string(id), columns: []column{{"Version", false}, {"In use", false}}}
	for i, v := range versions {
		s.add(v, map[bool]string{true: "*"}[i == 0])
	}
	out, err := s.render(format)
	t.printf("%s", out)
	return err
}

// completeVersions completes an app, then one of its versions.
func (t *tool) completeVersions(at *string) completion {
	return t.completeWith(at, func(ctx context.Context, m *marathon, args []string) []string {
		if len(args) == 0 {
			return m.appNames(ctx)
		}
		id, err := parseID(args[0])
		if err != nil || len(args) > 1 {
			return nil
		}
		versions, err := m.versions(ctx, id)
		if err != nil {
			return nil
		}
		return versions
	})
}

func (t *tool) appQueueCommand(at *string) *cobra.Command {
	format, reset := formatPretty, ""
	c := &cobra.Command{
		Use: "queue", Short: "List what waits to be started, and why", Args: between(0, 0, ""),
		Example: "  pgbaton app queue\n  pgbaton app queue --reset /web     # start it now although its tasks ended too soon",
		RunE:    func(cmd *cobra.Command, _ []string) error { return t.showQueue(cmd.Context(), *at, reset, format) },
	}
	choiceVar(c, &format, "format", "f", "pretty, tsv, json or yaml", formats()...)
	c.Flags().StringVar(&reset, "reset", "", "APP whose pause ends now")
	c.RegisterFlagCompletionFunc("reset", t.completeApps(at)) //nolint:errcheck // the flag is there
	return c
}

func (t *tool) showQueue(ctx context.Context, at, reset, format string) error {
	m, err := t.marathon(at)
	if err != nil {
		return err
	}
	if reset != "" {
		id, err := parseID(reset)
		if err == nil {
			err = m.ask(ctx, http.MethodDelete, "/v2/queue"+string(id)+"/delay", nil, nil)
		}
		return err
	}
	queue, err := m.queue(ctx)
	if err != nil {
		return err
	}
	s := sheet{title: "Queue", columns: []column{{"App", false}, {"Instances", true}, {"Since", false}, {"Delay", true}, {"Why", false}}}
	for _, q := range queue {
		var delay any
		if q.Delay.TimeLeftSeconds > 0 {
			delay = q.Delay.TimeLeftSeconds
		}
		s.add(string(q.App.ID), q.Count, q.Since.String(), delay, q.why())
	}
	if len(queue) == 0 && format == formatPretty {
		t.printf("nothing waits\n")
		return nil
	}
	out, err := s.render(format)
	t.printf("%s", out)
	return err
}
