package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
)

// span looks at a time.
func (c *checker) span(path string, node *yaml.Node) {
	n, ok := guc.ParseInteger(node.Value, "s")
	switch {
	case !ok:
		c.say(node, path, "%s is expected, not %s", is(span).expectation(), describe(node, option{}))
	case n < 0:
		c.warnings = append(c.warnings, c.sentence(node, path, "a time from 0 on is expected, not %s; the nearest allowed value is used", node.Value))
	}
}

// slots looks at permanent slots.
func (c *checker) slots(path string, node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		c.say(node, path, "%s is expected, not %s", is(slots).expectation(), describe(node, option{}))
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], target(node.Content[i+1])
		at := path + "." + name.Value
		if !cluster.ValidSlotName(name.Value) {
			c.say(name, at, "the name of a slot has small letters, digits and underscores, 63 at most")
			continue
		}
		c.slot(at, value)
	}
}

// slot looks at one permanent slot. Nothing, in all its spellings, is a physical one.
func (c *checker) slot(path string, node *yaml.Node) {
	normalise(node)
	nothing := node.Tag == "!!bool" && node.Value == "false" || node.Tag == "!!int" && node.Value == "0" || node.Tag == "!!str" && node.Value == ""
	if isNull(node) || nothing {
		return
	}
	given, ok := c.properties(path, node, map[string][]string{
		"type": {cluster.PhysicalSlot, cluster.LogicalSlot}, "cluster_type": {"primary", "standby"}, "database": nil, "plugin": nil,
	})
	if ok && given["type"] == cluster.LogicalSlot && (given["database"] == "" || given["plugin"] == "") {
		c.say(node, path, "a logical slot needs a database and a plugin")
	}
}

// patterns looks at descriptions of slots that are somebody else's.
func (c *checker) patterns(path string, node *yaml.Node) {
	if node.Kind != yaml.SequenceNode {
		c.say(node, path, "%s is expected, not %s", is(patterns).expectation(), describe(node, option{}))
		return
	}
	for i, item := range node.Content {
		at := indexed(path, i)
		given, ok := c.properties(at, target(item), map[string][]string{
			"name": nil, "type": {cluster.PhysicalSlot, cluster.LogicalSlot}, "database": nil, "plugin": nil,
		})
		if ok && len(given) == 0 {
			c.warnings = append(c.warnings, c.sentence(item, at, "it has none of name, type, database and plugin, so every slot is left alone"))
		}
	}
}

// properties looks at the properties of a slot, all of them texts and some of them one of a few words, and returns those that
// mean something.
func (c *checker) properties(path string, node *yaml.Node, known map[string][]string) (map[string]string, bool) {
	if node.Kind != yaml.MappingNode {
		c.say(node, path, "a section with the properties of a slot is expected, not %s", describe(node, option{}))
		return nil, false
	}
	before := len(c.problems)
	given := map[string]string{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i].Value, target(node.Content[i+1])
		words, means := known[name]
		switch {
		case !means, isNull(value):
		case value.Kind != yaml.ScalarNode || value.Tag != "!!str":
			c.say(value, path+"."+name, "a text is expected, not %s", describe(value, option{}))
		case words != nil && !slices.Contains(words, value.Value):
			c.say(value, path+"."+name, "%s is expected, not %s", strings.Join(words, " or "), describe(value, option{}))
		default:
			given[name] = value.Value
		}
	}
	return given, len(c.problems) == before
}
