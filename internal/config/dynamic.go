package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// Dynamic is the first dynamic configuration: bootstrap.dcs as it stands, else the defaults that people change
// most, so that whoever looks at it sees what can be changed.
func (c Config) Dynamic() map[string]any {
	if c.Bootstrap.DCS == nil {
		return map[string]any{"ttl": 30, "loop_wait": 10, "retry_timeout": 10, "maximum_lag_on_failover": 1 << 20}
	}
	return c.Bootstrap.DCS
}

// With lays the configuration over a dynamic one, whose section postgresql may have all that members need not agree
// on in their own files. An option that the member has of its own wins as a whole; parameters are merged by guc.Merge.
// Of what stands there wrongly nothing is used but a warning is made: a mistake in the cluster's configuration must
// not end every member.
func (c Config) With(dynamic map[string]any) (Config, []string) {
	if c.layered == nil {
		return c, nil
	}
	return c.layered(dynamic)
}

func layer(own Config, root *yaml.Node, dynamic map[string]any, env map[string]string) (Config, []string) {
	shared, _ := dynamic["postgresql"].(map[string]any)
	remote, _ := dynamic["standby_cluster"].(map[string]any)
	merged, warnings := overlay(root, shared)
	cfg, err := (&tree{root: merged}).build(env)
	if err != nil {
		warnings = append(warnings, "of the cluster's configuration nothing in the section postgresql is used but parameters: "+err.Error())
		cfg = own
	}
	parameters, _ := shared["parameters"].(map[string]any)
	cfg.Postgres.Parameters = guc.Merge(parameters, own.Postgres.Parameters)
	cfg.layered = own.layered
	methods, err := remoteMethods(merged, remote)
	if err != nil {
		warnings = append(warnings, "the cluster's configuration: standby_cluster.create_replica_methods: "+err.Error())
	}
	warnings = append(warnings, misspelt(dynamic)...)
	if methods != nil {
		cfg.Postgres.RemoteMethods = methods
	}
	return cfg, warnings
}

// misspelt says what is wrong with the dynamic options outside the section postgresql. Agents act on what is left of them: a
// synchronous_mode that cannot be read is none.
func misspelt(dynamic map[string]any) []string {
	known := dynamicSchema(nil)
	known["postgresql"] = is(anything) // overlay looks at it
	problems, warnings := compare(dynamic, known)
	var said []string
	for _, s := range slices.Concat(problems, warnings, timing(dynamic)) {
		said = append(said, "the cluster's configuration: "+s)
	}
	return said
}

// compare looks at a dynamic configuration as the schema of a file does.
func compare(dynamic map[string]any, known map[string]option) (problems, warnings []string) {
	var node yaml.Node
	if err := node.Encode(whole(dynamic)); err != nil || node.Kind != yaml.MappingNode {
		return nil, nil
	}
	var c checker
	c.section("", &node, known)
	return c.problems, c.warnings
}

// whole makes integers of the whole numbers of a JSON document, which YAML would write with an exponent.
func whole(v any) any {
	switch v := v.(type) {
	case float64:
		if n := int64(v); float64(n) == v {
			return n
		}
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			out[name] = whole(value)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, value := range v {
			out = append(out, whole(value))
		}
		return out
	}
	return v
}

// overlay returns a copy of the tree with the options of the shared section that it does not have.
func overlay(root *yaml.Node, shared map[string]any) (*yaml.Node, []string) {
	merged := copied(root)
	var node yaml.Node
	if err := node.Encode(shared); err != nil || node.Kind != yaml.MappingNode {
		return merged, nil
	}
	own := ownSection(merged, "postgresql")
	known := sharedSchema(slices.Concat(methodsOf(&node), methodsOf(own), withCommand(&node)))
	delete(known, "parameters") // they are merged
	var warnings []string
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		o, acts := known[name.Value]
		if !acts || child(own, name.Value) != nil {
			continue
		}
		var c checker
		c.check("postgresql."+name.Value, value, o)
		for _, problem := range c.problems {
			warnings = append(warnings, "the cluster's configuration: "+problem+"; it is not used")
		}
		if len(c.problems) == 0 {
			own.Content = append(own.Content, name, value)
		}
	}
	return merged, warnings
}

// ownSection is a section of a tree, which is added where it is missing or empty.
func ownSection(root *yaml.Node, name string) *yaml.Node {
	if own := child(root, name); own != nil && own.Kind == yaml.MappingNode {
		return own
	}
	own := emptySection()
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == name {
			root.Content[i+1] = own
			return own
		}
	}
	root.Content = append(root.Content, nameNode(name), own)
	return own
}

// remoteMethods are those that the standby cluster's configuration names; nil where it names none.
func remoteMethods(merged *yaml.Node, remote map[string]any) ([]Method, error) {
	list, ok := remote["create_replica_methods"].([]any)
	if !ok || len(list) == 0 {
		return nil, nil
	}
	var names []string
	for _, item := range list {
		names = append(names, fmt.Sprint(item))
	}
	var f postgresFile
	if section := child(merged, "postgresql"); section != nil {
		if err := section.Decode(&f); err != nil {
			return nil, err
		}
	}
	return f.cloneMethods(names)
}

// copied is a tree without anything in common with the original.
func copied(node *yaml.Node) *yaml.Node {
	node = target(node)
	twin := *node
	twin.Content = slices.Clone(node.Content)
	for i, c := range twin.Content {
		twin.Content[i] = copied(c)
	}
	return &twin
}
