package ctl

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/config"
)

// globalFlags are the options that may stand before a command and, unless they have another meaning there, after it.
func (t *tool) globalFlags(c *cobra.Command, short bool) {
	letter := func(l string) string {
		if short {
			return l
		}
		return ""
	}
	vars := t.env.Vars
	f := c.Flags()
	f.StringVarP(&t.file, "config-file", letter("c"), cmp.Or(vars["PATRONICTL_CONFIG_FILE"], vars["PGBATON_CONFIG_FILE"]),
		"configuration file that names the cluster and its DCS; without one, the PATRONI_* environment does")
	f.StringVarP(&t.url, "dcs-url", letter("d"), vars["DCS_URL"], "the DCS instead: [etcd3://]HOST[:PORT][/NAMESPACE]")
	f.StringVar(&t.url, "dcs", vars["DCS_URL"], "another name of --dcs-url")
	f.BoolVarP(&t.insecure, "insecure", letter("k"), false, "do not check the certificates of members")
	c.MarkFlagFilename("config-file", "yml", "yaml") //nolint:errcheck // the flag is there
	hide(c, "dcs")
}

// hide leaves a flag out of the help.
func hide(c *cobra.Command, name string) { c.Flags().Lookup(name).Hidden = true }

// config reads how the cluster is reached.
func (t *tool) config(named string) (config.Client, error) {
	cfg, err := t.readConfig()
	if err != nil {
		return config.Client{}, err
	}
	cfg.Scope = cmp.Or(named, cfg.Scope)
	cfg.Ctl.Insecure = cfg.Ctl.Insecure || t.insecure
	if cfg.Scope == "" {
		return config.Client{}, errNoScope
	}
	return cfg, nil
}

var errNoScope = errors.New("no cluster was named: give its name, or a configuration with -c FILE")

func (t *tool) readConfig() (config.Client, error) {
	file, err := t.configFile()
	if err != nil {
		return config.Client{}, err
	}
	at, err := parseDCS(t.url)
	if err != nil {
		return config.Client{}, err
	}
	vars := t.variables(file)
	if at.host != "" {
		vars = at.over(vars)
	}
	cfg, err := config.LoadClient(config.Source{Path: file, Env: vars})
	if err != nil {
		return config.Client{}, fmt.Errorf("%w. Give a configuration with -c FILE, or set PATRONI_SCOPE and PATRONI_ETCD_HOSTS; "+
			"for a cluster of pgbaton up, load its environment first: . STATE_DIR/env", err)
	}
	if at.host != "" {
		cfg.Etcd = config.Etcd{Hosts: []string{at.host}} // a login of another place is none of its business
		cfg.Namespace = cmp.Or(at.namespace, cfg.Namespace)
	}
	return cfg, nil
}

// configFile is the file to read; empty for none. One that was asked for has to be there.
func (t *tool) configFile() (string, error) {
	file := cmp.Or(t.file, t.env.DefaultFile)
	if file == "" {
		return "", nil
	}
	f, err := os.Open(filepath.Clean(file))
	if err == nil {
		return file, f.Close()
	}
	if t.file == "" {
		return "", nil
	}
	//nolint:staticcheck // the text is part of the interface
	return "", fmt.Errorf("Provided config file %s not existing or no read rights. Check the -c/--config-file parameter", file)
}

// variables is the environment, with what is beside where nothing says which cluster is meant.
func (t *tool) variables(file string) map[string]string {
	vars := t.env.Vars
	if file != "" || t.url != "" || t.env.Beside == nil {
		return vars
	}
	for name := range vars {
		if strings.HasPrefix(name, "PATRONI_") {
			return vars
		}
	}
	out := t.env.Beside()
	if out == nil {
		return vars
	}
	t.beside = true
	maps.Copy(out, vars)
	return out
}

// location is a DCS as an operator names it.
type location struct {
	host, namespace string
}

// over returns an environment that leads to the location and to nothing else.
func (l location) over(vars map[string]string) map[string]string {
	out := maps.Clone(vars)
	maps.DeleteFunc(out, func(name, _ string) bool {
		return strings.HasPrefix(name, "PATRONI_ETCD") || strings.HasPrefix(name, "PATRONI_DCS_ETCD")
	})
	if out == nil {
		out = map[string]string{}
	}
	out["PATRONI_ETCD3_HOSTS"] = l.host
	return out
}

// parseDCS reads [scheme://]host[:port][/namespace]. Without a scheme the port says what it is.
func parseDCS(text string) (location, error) {
	if text == "" {
		return location{}, nil
	}
	if !strings.Contains(text, "//") {
		text = "//" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return location{}, fmt.Errorf("read --dcs-url: %w; give [etcd3://]HOST[:PORT][/NAMESPACE]", err)
	}
	ports := map[string]string{"zookeeper": "2181", "exhibitor": "8181", "consul": "8500", "etcd": "2379", "etcd3": "2379"}
	scheme := u.Scheme
	if scheme == "" {
		scheme = schemeOf(ports, u.Port())
	}
	switch {
	case ports[scheme] == "":
		return location{}, fmt.Errorf("Unknown dcs scheme: %s", scheme) //nolint:staticcheck // the text is part of the interface
	case !strings.HasPrefix(scheme, "etcd"):
		return location{}, fmt.Errorf("the DCS %s is not supported: give the address of an etcd", scheme)
	}
	host := net.JoinHostPort(cmp.Or(u.Hostname(), "localhost"), cmp.Or(u.Port(), ports[scheme]))
	return location{host: host, namespace: strings.Trim(u.Path, "/")}, nil
}

// schemeOf is the DCS that is usually behind a port; etcd when none is.
func schemeOf(ports map[string]string, port string) string {
	for scheme, usual := range ports {
		if usual == port && !strings.HasPrefix(scheme, "etcd") {
			return scheme
		}
	}
	return "etcd"
}

// choiceFlag is an option that takes one of a few words.
type choiceFlag struct {
	value *string
	words []string
}

// newChoice makes an option whose default is what the value holds.
func newChoice(value *string, words ...string) *choiceFlag { return &choiceFlag{value, words} }

// Set takes one of the words.
func (f *choiceFlag) Set(text string) error {
	if !slices.Contains(f.words, text) {
		return fmt.Errorf("%q is not one of %s", text, strings.Join(f.words, ", "))
	}
	*f.value = text
	return nil
}

func (f *choiceFlag) String() string { return *f.value }

// Type names the kind of value in the help.
func (*choiceFlag) Type() string { return "word" }

// choiceVar adds such an option with its completion.
func choiceVar(c *cobra.Command, value *string, name, short, usage string, words ...string) {
	c.Flags().VarP(newChoice(value, words...), name, short, usage)
	//nolint:errcheck // the flag is there
	c.RegisterFlagCompletionFunc(name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	})
}

// groupFlag adds --group, for a cluster that is part of a Citus cluster.
func groupFlag(c *cobra.Command, group *string) {
	c.Flags().Var(groupValue{group}, "group", "number of the group, where the cluster is one of Citus")
}

type groupValue struct{ value *string }

// Set takes a number.
func (g groupValue) Set(text string) error {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return fmt.Errorf("%q is not a valid integer", text)
	}
	*g.value = text
	return nil
}

func (g groupValue) String() string {
	if g.value == nil {
		return ""
	}
	return *g.value
}

// Type names the kind of value in the help.
func (groupValue) Type() string { return "number" }

// between says how many arguments a command takes; missing is the name of the first that has to be there. A negative most
// is no bound.
func between(least, most int, missing string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("Missing argument '%s'.", missing) //nolint:staticcheck,revive // as patronictl's users know it
		case most >= 0 && len(args) > most:
			return fmt.Errorf("Got unexpected extra argument (%s)", strings.Join(args[most:], " ")) //nolint:staticcheck // as above
		}
		return nil
	}
}
