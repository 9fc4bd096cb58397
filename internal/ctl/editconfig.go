package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
)

func (t *tool) showConfigCommand() *cobra.Command {
	group := ""
	c := &cobra.Command{
		Use:               "show-config [CLUSTER_NAME]",
		Short:             "Print the configuration that all members share",
		Example:           "  pgbaton show-config > shared.yml",
		Args:              between(0, 1, ""),
		ValidArgsFunction: t.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.showConfig(cmd.Context(), strings.Join(args, ""), group)
		},
	}
	groupFlag(c, &group)
	return c
}

func (t *tool) showConfig(ctx context.Context, name, group string) error {
	s, c, err := t.load(ctx, name, group)
	if err != nil {
		return err
	}
	defer s.close()
	if c.Config.Version == 0 {
		return nil
	}
	text, err := yamlText(plain(c.Config.Data), false)
	if err != nil {
		return err
	}
	t.printf("%s\n", text)
	return nil
}

type editOptions struct {
	group          string
	quiet, force   bool
	set, pg        []string
	apply, replace string
}

func (t *tool) editConfigCommand() *cobra.Command {
	var o editOptions
	c := &cobra.Command{
		Use:   "edit-config [CLUSTER_NAME]",
		Short: "Change the configuration that all members share",
		Long: `Without options, opens it in $EDITOR. Changes are shown before they are made, and are not
made when somebody else changed it meanwhile.`,
		Example: `  pgbaton edit-config                                   # in $EDITOR
  pgbaton edit-config -s ttl=20 -s synchronous_mode=true
  pgbaton edit-config -p work_mem=8MB -p log_min_duration_statement=null --force
  pgbaton edit-config --apply changes.yml               # a part; --replace for all of it`,
		Args:              between(0, 1, ""),
		ValidArgsFunction: t.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.editConfig(cmd.Context(), strings.Join(args, ""), o)
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.quiet, "quiet", "q", false, "do not show the changes")
	f.StringArrayVarP(&o.set, "set", "s", nil, "NAME=VALUE, with dots between the parts of the name; null takes it away; can be repeated")
	f.StringArrayVarP(&o.pg, "pg", "p", nil, "the same for a parameter of PostgreSQL; can be repeated")
	f.StringVar(&o.apply, "apply", "", "lay a YAML file over it; - for standard input")
	f.StringVar(&o.replace, "replace", "", "put a YAML file in its place; - for standard input")
	f.BoolVar(&o.force, "force", false, "do not ask")
	groupFlag(c, &o.group)
	return c
}

func (t *tool) editConfig(ctx context.Context, name string, o editOptions) error {
	s, c, err := t.load(ctx, name, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	if c.Config.Version == 0 {
		return fmt.Errorf("The config key does not exist in the cluster %s", s.scope) //nolint:staticcheck // the text is part of the interface
	}
	before, err := yamlText(plain(c.Config.Data), false)
	if err != nil {
		return err
	}
	data, after, err := t.edited(ctx, s.scope, c.Config.Data, before, o)
	if err != nil {
		return err
	}
	if cluster.SameConfig(uniform(c.Config.Data), uniform(data)) {
		if !o.quiet {
			t.printf("Not changed\n")
		}
		return nil
	}
	if !o.quiet {
		if err := t.showDifference(ctx, before, after); err != nil {
			return err
		}
	}
	return t.applyConfig(ctx, s, data, c.Config.Version, o)
}

// applyConfig makes the changes if they are meant, and nobody else made others.
func (t *tool) applyConfig(ctx context.Context, s *session, data map[string]any, old cluster.Version, o editOptions) error {
	t.judge(data)
	if (o.apply == stdin || o.replace == stdin) && !o.force {
		t.printf("Use --force option to apply changes\n")
		return nil
	}
	if !o.force {
		if yes, err := t.confirm("Apply these changes?"); err != nil || !yes {
			return err
		}
	}
	err := s.WriteConfig(ctx, data, old)
	if errors.Is(err, kv.ErrConflict) || errors.Is(err, kv.ErrHeld) {
		return errors.New("Config modification aborted due to concurrent changes") //nolint:staticcheck // the text is part of the interface
	}
	if err != nil {
		return err
	}
	t.printf("Configuration changed\n")
	return nil
}

// stdin is the name of standard input among files.
const stdin = "-"

// edited is the configuration with the changes that were asked for, and its text.
func (t *tool) edited(ctx context.Context, scope string, data map[string]any, before string, o editOptions) (map[string]any, string, error) {
	var err error
	if o.replace != "" {
		if data, err = t.patched(nil, o.replace); err != nil {
			return nil, "", err
		}
	}
	if o.apply != "" {
		if data, err = t.patched(data, o.apply); err != nil {
			return nil, "", err
		}
	}
	if data, err = assigned(data, o); err != nil {
		return nil, "", err
	}
	if o.replace == "" && o.apply == "" && len(o.set)+len(o.pg) == 0 {
		return t.inEditor(ctx, scope, before)
	}
	after, err := yamlText(plain(data), false)
	return data, after, err
}

// patched lays a file over a configuration.
func (t *tool) patched(data map[string]any, file string) (map[string]any, error) {
	var text []byte
	var err error
	if file == stdin {
		text, err = io.ReadAll(t.env.In)
	} else {
		text, err = os.ReadFile(filepath.Clean(file))
	}
	if err != nil {
		return nil, fmt.Errorf("read the changes: %w", err)
	}
	patch, err := parseConfig(string(text))
	if err != nil {
		return nil, fmt.Errorf("read the changes: %s: %w", file, err)
	}
	return cluster.Patch(data, patch), nil
}

// parseConfig reads a configuration from YAML.
func parseConfig(text string) (map[string]any, error) {
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return nil, err
	}
	doc, ok := plain(v).(map[string]any)
	if !ok {
		return nil, errors.New("it is no configuration: give names with values, as show-config prints them")
	}
	return doc, nil
}

// assigned makes the changes of --set and --pg.
func assigned(data map[string]any, o editOptions) (map[string]any, error) {
	pairs := o.set
	for _, p := range o.pg {
		pairs = append(slices.Clip(pairs), "postgresql.parameters."+strings.TrimLeft(p, " \t"))
	}
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("Invalid parameter setting %s", pair) //nolint:staticcheck // the text is part of the interface
		}
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("read the value of %s: %w", name, err)
		}
		data = assign(data, strings.Split(strings.TrimSpace(name), "."), plain(value), "")
	}
	return data, nil
}

// assign returns a document with another value at a path below it; nil takes it away, and whatever is empty then. The
// names of PostgreSQL's parameters are one part each, dots and all.
func assign(doc map[string]any, path []string, value any, above string) map[string]any {
	out := maps.Clone(doc)
	if out == nil {
		out = map[string]any{}
	}
	if above == "postgresql.parameters" {
		path = []string{strings.Join(path, ".")}
	}
	name := path[0]
	switch {
	case len(path) > 1:
		part, _ := out[name].(map[string]any)
		part = assign(part, path[1:], value, strings.TrimPrefix(above+"."+name, "."))
		out[name] = part
		if len(part) == 0 {
			delete(out, name)
		}
	case value == nil:
		delete(out, name)
	default:
		out[name] = value
	}
	return out
}

// uniform makes a configuration whose numbers are of one type: those of the DCS are of another than those of YAML.
func uniform(data map[string]any) map[string]any {
	out := map[string]any{}
	for name, part := range data {
		out[name] = wholeNumbers(plain(part))
	}
	return out
}

func wholeNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return uniform(v)
	case []any:
		out := make([]any, len(v))
		for i, part := range v {
			out[i] = wholeNumbers(part)
		}
		return out
	case int:
		return float64(v)
	}
	return v
}

// inEditor lets the operator change the text.
func (t *tool) inEditor(ctx context.Context, scope, before string) (data map[string]any, after string, err error) {
	f, err := os.CreateTemp("", strings.ReplaceAll(scope, string(filepath.Separator), "_")+"-config-*.yaml")
	if err != nil {
		return nil, "", fmt.Errorf("make a file to edit: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString(before)
	if err = cmp.Or(err, f.Close()); err != nil {
		return nil, "", fmt.Errorf("write a file to edit: %w", err)
	}
	if err := t.edit(ctx, f.Name()); err != nil {
		return nil, "", err
	}
	text, err := os.ReadFile(f.Name())
	if err != nil {
		return nil, "", fmt.Errorf("read what was edited: %w", err)
	}
	data, err = parseConfig(string(text))
	if err != nil {
		return nil, "", fmt.Errorf("what was edited cannot be used, and nothing was changed: %w", err)
	}
	return data, string(text), nil
}
