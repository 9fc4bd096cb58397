package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// changeOptions are those of every command that changes apps.
type changeOptions struct {
	force, yes, noWait bool
}

func changeFlags(c *cobra.Command, o *changeOptions) {
	c.Flags().BoolVar(&o.force, "force", false, "put it in the place of a deployment that holds the app")
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait until the deployment is done")
}

// yesFlag is for what asks first.
func yesFlag(c *cobra.Command, o *changeOptions) {
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "ask nothing")
}

func (t *tool) appAddCommand(at *string) *cobra.Command {
	var o changeOptions
	update := false
	c := &cobra.Command{
		Use: "add FILE", Short: "Run the app, or the list of apps, of a file in Marathon's JSON (- reads standard input)", Args: between(1, 1, "FILE"),
		Example: "  pgbaton app add examples/mesos/patroni-marathon.json\n  pgbaton app add --update web.json   # it may be there already",
		RunE:    func(cmd *cobra.Command, args []string) error { return t.addApp(cmd.Context(), *at, args[0], update, o) },
	}
	changeFlags(c, &o)
	c.Flags().BoolVar(&update, "update", false, "change the app where it is there already: fields that the file does not name stay as they are")
	c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return c
}

func (t *tool) addApp(ctx context.Context, at, file string, update bool, o changeOptions) error {
	m, err := t.marathon(at)
	if err != nil {
		return err
	}
	body, err := t.readFile(file)
	if err != nil {
		return err
	}
	var named struct{ ID string }
	many := strings.HasPrefix(strings.TrimSpace(string(body)), "[")
	if !many {
		if err := unmarshal(body, &named); err != nil {
			return fmt.Errorf("%s is no JSON: %w", file, errors.Unwrap(err))
		}
	}
	method, path := http.MethodPost, "/v2/apps"
	switch {
	case many:
		method = http.MethodPut
	case update && named.ID != "":
		id, err := parseID(named.ID)
		if err != nil {
			return err
		}
		method, path = http.MethodPut, appPath(id)
	}
	err = t.deploy(ctx, m, method, path+query("force", yes(o.force)), body, o)
	if hasCode(err, http.StatusConflict) && method == http.MethodPost && !update {
		if r, ok := errors.AsType[*refusal](err); ok && len(r.deployments) == 0 {
			r.text = strings.TrimSuffix(r.text, ".") + ": change it with --update"
		}
	}
	return err
}

// mostFile bounds a file with definitions.
const mostFile = 16 << 20

func (t *tool) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(t.env.In, mostFile))
	}
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return nil, fmt.Errorf("read the app: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(f, mostFile))
}

func (t *tool) appScaleCommand(at *string) *cobra.Command {
	var o changeOptions
	c := &cobra.Command{
		Use: "scale APP INSTANCES", Short: "Run so many instances of an app", Args: between(2, 2, "APP INSTANCES"),
		Long: `Starts or ends instances until so many run. Of a database, replicas go before the leader, and the
one that is furthest behind goes first.`,
		Example: "  pgbaton app scale /postgresql/patroni 5", ValidArgsFunction: t.completeApps(at),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.scaleApp(cmd.Context(), *at, args[0], args[1], o)
		},
	}
	changeFlags(c, &o)
	yesFlag(c, &o)
	return c
}

func (t *tool) scaleApp(ctx context.Context, at, name, count string, o changeOptions) error {
	m, id, err := t.reach(at, name)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is no number of instances", count)
	}
	cluster, err := m.cluster(ctx, id)
	if err != nil {
		return err
	}
	if cluster != nil && n == 0 && !o.yes {
		if ok, err := t.confirm("This stops every member of the database " + string(id) + "; its data stay. Are you sure?"); err != nil || !ok {
			return cmpErr(err)
		}
	}
	// A PUT would make an app of nothing; this one has to be there.
	if _, err := m.app(ctx, id); err != nil {
		return err
	}
	return t.deploy(ctx, m, http.MethodPut, appPath(id)+query("force", yes(o.force)), map[string]int{"instances": n}, o)
}

// cmpErr is the end of a question that was not answered with yes.
func cmpErr(err error) error {
	if err == nil {
		return ErrAborted
	}
	return err
}

func (t *tool) appRestartCommand(at *string) *cobra.Command {
	var o changeOptions
	c := &cobra.Command{
		Use: "restart APP", Short: "Replace every task of an app, a few at a time as its definition says", Args: between(1, 1, "APP"),
		Long: `Replaces every task. Of a database one member at a time, replicas first, and the leader last after
it has handed the lead over.`,
		Example: "  pgbaton app restart /postgresql/patroni", ValidArgsFunction: t.completeApps(at),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, id, err := t.reach(*at, args[0])
			if err != nil {
				return err
			}
			return t.deploy(cmd.Context(), m, http.MethodPost, appPath(id, "restart")+query("force", yes(o.force)), nil, o)
		},
	}
	changeFlags(c, &o)
	return c
}

func (t *tool) appRemoveCommand(at *string) *cobra.Command {
	var o changeOptions
	wipe := false
	c := &cobra.Command{
		Use: "remove APP", Short: "End an app and forget its definition", Args: between(1, 1, "APP"),
		Long: `Ends every task and forgets the definition. The data of a database stay, and an app that is added
again under the same name takes them back; with --wipe they are deleted. Other apps lose their
persistent volumes in any case, as with Marathon.`,
		Example: "  pgbaton app remove /web\n  pgbaton app remove --wipe /postgresql/patroni   # asks for the name", ValidArgsFunction: t.completeApps(at),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.removeApp(cmd.Context(), *at, args[0], wipe, o)
		},
	}
	changeFlags(c, &o)
	yesFlag(c, &o)
	c.Flags().BoolVar(&wipe, "wipe", false, "delete its volumes with all data")
	return c
}

func (t *tool) removeApp(ctx context.Context, at, name string, wipe bool, o changeOptions) error {
	m, id, err := t.reach(at, name)
	if err != nil {
		return err
	}
	a, err := m.app(ctx, id)
	if err != nil {
		return err
	}
	if err := t.sureToRemove(a, wipe, o); err != nil {
		return err
	}
	return t.deploy(ctx, m, http.MethodDelete, appPath(id)+query("force", strconv.FormatBool(o.force), "wipe", yes(wipe)), nil, o)
}

func (t *tool) sureToRemove(a appAnswer, wipe bool, o changeOptions) error {
	switch {
	case o.yes:
		return nil
	case wipe:
		t.printf("This deletes the app and all of its data: %d tasks run.\n", a.Running)
		answer, err := t.demand("Type the name of the app to go on")
		if err != nil {
			return err
		}
		if answer != string(a.ID) && "/"+answer != string(a.ID) {
			return errors.New("that is not the name of the app: nothing was changed")
		}
		return nil
	}
	ok, err := t.confirm(fmt.Sprintf("Remove %s, of which %d tasks run?", a.ID, a.Running))
	if err != nil || !ok {
		return cmpErr(err)
	}
	return nil
}

// killOptions say which tasks end and what follows.
type killOptions struct {
	changeOptions

	host        string
	scale, wipe bool
}

func (t *tool) appKillCommand(at *string) *cobra.Command {
	var o killOptions
	c := &cobra.Command{
		Use: "kill APP [TASK...]", Short: "End tasks of an app; others take their places unless --scale", Args: between(1, -1, "APP"),
		Example:           "  pgbaton app kill /web web.instance-UUID._app.1\n  pgbaton app kill /web --host node2\n  pgbaton app kill /web TASK --scale      # and run one less",
		ValidArgsFunction: t.completeTasks(at),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.killTasks(cmd.Context(), *at, args[0], args[1:], o)
		},
	}
	changeFlags(c, &o.changeOptions)
	yesFlag(c, &o.changeOptions)
	c.Flags().StringVar(&o.host, "host", "", "all of its tasks on this host")
	c.Flags().BoolVar(&o.scale, "scale", false, "run as many fewer from now on")
	c.Flags().BoolVar(&o.wipe, "wipe", false, "delete the volumes of the tasks with all data")
	c.RegisterFlagCompletionFunc("host", t.completeHosts(at)) //nolint:errcheck // the flag is there
	return c
}

func (t *tool) killTasks(ctx context.Context, at, name string, tasks []string, o killOptions) error {
	m, id, err := t.reach(at, name)
	if err != nil {
		return err
	}
	a, err := m.app(ctx, id)
	if err != nil {
		return err
	}
	doomed, err := a.choose(tasks, o.host)
	if err != nil {
		return err
	}
	cluster, err := m.cluster(ctx, id)
	if err != nil {
		return err
	}
	if err := t.sureToKill(cluster, a, doomed, o); err != nil {
		return err
	}
	q := query("force", yes(o.force), "scale", yes(o.scale), "wipe", yes(o.wipe))
	if o.scale {
		return t.deploy(ctx, m, http.MethodPost, "/v2/tasks/delete"+q, map[string][]string{"ids": doomed}, o.changeOptions)
	}
	if err := m.ask(ctx, http.MethodPost, "/v2/tasks/delete"+q, map[string][]string{"ids": doomed}, nil); err != nil {
		return err
	}
	for _, task := range doomed {
		t.printf("%s: asked to end\n", task)
	}
	return nil
}

// choose are the tasks that were named, those on the host, or all.
func (a appAnswer) choose(tasks []string, host string) ([]string, error) {
	var doomed, known []string
	for _, task := range a.Tasks {
		known = append(known, string(task.ID))
		if host == "" || task.Host == host {
			doomed = append(doomed, string(task.ID))
		}
	}
	for _, task := range tasks {
		if !slices.Contains(known, task) {
			return nil, fmt.Errorf("%s has no task %s: app show %s lists them", a.ID, task, a.ID)
		}
	}
	switch {
	case len(tasks) > 0 && host != "":
		return nil, errors.New("give tasks or --host, not both")
	case len(tasks) > 0:
		return tasks, nil
	case len(doomed) == 0:
		return nil, fmt.Errorf("%s has no task there", a.ID)
	}
	return doomed, nil
}

func (t *tool) sureToKill(c *app.Cluster, a appAnswer, doomed []string, o killOptions) error {
	if o.yes {
		return nil
	}
	var question string
	leads := c != nil && slices.ContainsFunc(c.Members, func(m app.Member) bool {
		return m.Name != "" && m.Name == c.Leader && slices.Contains(doomed, string(m.Task))
	})
	switch {
	case o.wipe:
		question = fmt.Sprintf("End %d tasks of %s and delete their data?", len(doomed), a.ID)
	case leads && o.force:
		question = fmt.Sprintf("End the leader %s at once, without handing the lead over?", c.Leader)
	case leads:
		question = fmt.Sprintf("End %d tasks of %s, the leader %s among them, once it has handed the lead over?", len(doomed), a.ID, c.Leader)
	case len(doomed) == len(a.Tasks) && len(doomed) > 1:
		question = fmt.Sprintf("End all %d tasks of %s?", len(doomed), a.ID)
	default:
		return nil
	}
	ok, err := t.confirm(question)
	if err != nil || !ok {
		return cmpErr(err)
	}
	return nil
}

// completeTasks completes an app, then its tasks.
func (t *tool) completeTasks(at *string) completion {
	return t.completeWith(at, func(ctx context.Context, m *marathon, args []string) []string {
		if len(args) == 0 {
			return m.appNames(ctx)
		}
		id, err := parseID(args[0])
		if err != nil {
			return nil
		}
		a, err := m.app(ctx, id)
		if err != nil {
			return nil
		}
		var names []string
		for _, task := range a.Tasks {
			names = append(names, string(task.ID))
		}
		return names
	})
}

func (t *tool) appRollbackCommand(at *string) *cobra.Command {
	var o changeOptions
	c := &cobra.Command{
		Use: "rollback APP [VERSION]", Short: "Go back to a version of an app, the one before by default", Args: between(1, 2, "APP"),
		Example: "  pgbaton app rollback /web\n  pgbaton app rollback /web 2026-01-02T03:04:05.678Z", ValidArgsFunction: t.completeVersions(at),
		RunE: func(cmd *cobra.Command, args []string) error { return t.rollback(cmd.Context(), *at, args, o) },
	}
	changeFlags(c, &o)
	return c
}

func (t *tool) rollback(ctx context.Context, at string, args []string, o changeOptions) error {
	m, id, err := t.reach(at, args[0])
	if err != nil {
		return err
	}
	versions, err := m.versions(ctx, id)
	if err != nil {
		return err
	}
	var version string
	switch {
	case len(args) == 2 && !slices.Contains(versions, args[1]):
		return fmt.Errorf("%s has no version %s: app versions %s lists them", id, args[1], id)
	case len(args) == 2:
		version = args[1]
	case len(versions) < 2:
		return fmt.Errorf("%s has only one version: there is nothing to go back to", id)
	default:
		version = versions[1]
	}
	t.printf("%s goes back to %s\n", id, version)
	return t.deploy(ctx, m, http.MethodPut, appPath(id)+query("force", yes(o.force)), map[string]string{"id": string(id), "version": version}, o)
}

func (t *tool) appDeploymentsCommand(at *string) *cobra.Command {
	var o changeOptions
	format, cancel := formatPretty, ""
	c := &cobra.Command{
		Use: "deployments", Short: "List the running deployments, or end one", Args: between(0, 0, ""),
		Long: `Lists the deployments. --cancel leads back to what was before; with --force it only ends the
deployment and leaves everything where it is.`,
		Example: "  pgbaton app deployments\n  pgbaton app deployments --cancel 97c136bf-5a28-4821-9d94-480d9fbb01c8",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := t.marathon(*at)
			switch {
			case err != nil:
				return err
			case cancel != "":
				return t.deploy(cmd.Context(), m, http.MethodDelete, "/v2/deployments/"+url.PathEscape(cancel)+query("force", yes(o.force)), nil, o)
			}
			return t.listDeployments(cmd.Context(), m, format)
		},
	}
	choiceVar(c, &format, "format", "f", "pretty, tsv, json or yaml", formats()...)
	c.Flags().StringVar(&cancel, "cancel", "", "ID of a deployment to undo")
	c.Flags().BoolVar(&o.force, "force", false, "with --cancel: leave everything where it is")
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "with --cancel: do not wait until everything is as it was")
	//nolint:errcheck // the flag is there
	c.RegisterFlagCompletionFunc("cancel", t.completeWith(at, func(ctx context.Context, m *marathon, _ []string) []string {
		var ids []string
		list, _ := m.deployments(ctx)
		for _, d := range list {
			ids = append(ids, d.ID)
		}
		return ids
	}))
	return c
}

func (m *marathon) deployments(ctx context.Context) ([]app.Deployment, error) {
	var list []app.Deployment
	err := m.ask(ctx, http.MethodGet, "/v2/deployments", nil, &list)
	return list, err
}

func (t *tool) listDeployments(ctx context.Context, m *marathon, format string) error {
	list, err := m.deployments(ctx)
	if err != nil {
		return err
	}
	s := sheet{title: "Deployments", columns: []column{{"Deployment", false}, {"Apps", false}, {"Step", true}, {"of", true}, {"Doing", false}, {"Version", false}}}
	for _, d := range list {
		var apps []any
		for _, id := range d.AffectedApps {
			apps = append(apps, string(id))
		}
		s.add(d.ID, apps, d.CurrentStep, len(d.Steps), doing(d.CurrentActions()), d.Version.String())
	}
	if len(list) == 0 && format == formatPretty {
		t.printf("no deployment runs\n")
		return nil
	}
	text, err := s.render(format)
	t.printf("%s", text)
	return err
}

// doing is a step in words.
func doing(actions []app.Action) string {
	words := map[app.ActionKind]string{
		app.StartApplication: "start", app.ScaleApplication: "scale", app.RestartApplication: "restart", app.StopApplication: "stop",
	}
	var parts []string
	for _, a := range actions {
		parts = append(parts, words[a.Kind]+" "+string(a.App))
	}
	return strings.Join(parts, ", ")
}
