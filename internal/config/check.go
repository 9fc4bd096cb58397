package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// checker compares a document with the schema, finds everything that is wrong with it at once, and brings values to
// the spelling that the decoder knows.
type checker struct {
	problems, warnings []string
	// place says where a node stands; nil: in which line.
	place func(*yaml.Node) string
}

func (c *checker) say(node *yaml.Node, path, format string, args ...any) {
	c.problems = append(c.problems, c.sentence(node, path, format, args...))
}

func (c *checker) sentence(node *yaml.Node, path, format string, args ...any) string {
	if c.place == nil {
		c.place = (&tree{}).place
	}
	return concealAddress(c.place(node) + path + ": " + fmt.Sprintf(format, args...))
}

// check looks at the value of an option. Null is the same as an option that is not there.
func (c *checker) check(path string, node *yaml.Node, o option) {
	node = target(node)
	switch {
	case isNull(node) || o.kind == anything:
		normalise(node)
	case o.kind == section:
		c.section(path, node, o.in)
	case slices.Contains([]kind{texts, hosts, options, values}, o.kind):
		c.many(path, node, o)
	case o.kind == slots:
		c.slots(path, node)
	case o.kind == patterns:
		c.patterns(path, node)
	case o.kind == layout && node.Kind == yaml.SequenceNode:
		c.fields(path, node)
	case node.Kind != yaml.ScalarNode:
		c.say(node, path, "%s is expected, not %s", o.expectation(), describe(node, o))
	default:
		c.scalar(path, node, o)
	}
}

// section looks at the options of a section.
func (c *checker) section(path string, node *yaml.Node, in map[string]option) {
	if node.Kind != yaml.MappingNode {
		shown := option{}
		if mayBePassword(path) {
			shown.kind = password
		}
		c.say(node, cmpPath(path), "a section with options of its own is expected, not %s", describe(node, shown))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		at := strings.TrimPrefix(path+"."+name.Value, ".")
		if name.Tag == "!!merge" {
			c.section(path, target(value), in)
			continue
		}
		if line, twice := seen[name.Value]; twice {
			c.say(name, at, "it is given twice, first in line %d", line)
		}
		seen[name.Value] = name.Line
		o, known := in[name.Value]
		if !known {
			o, known = in[others]
		}
		if !known {
			c.unknown(at, name.Value, in)
			continue
		}
		c.check(at, value, o)
	}
}

// mayBePassword reports whether somebody may have written a password alone where a section is expected.
func mayBePassword(path string) bool {
	older := []string{"postgresql.superuser", "postgresql.replication", "postgresql.pg_rewind"}
	return strings.Contains(path, "authentication") || slices.Contains(older, path)
}

// unknown says that an option does nothing, and what may have been meant.
func (c *checker) unknown(path, name string, in map[string]option) {
	said := path + " is not acted on by this version"
	if near := nearest(name, slices.Sorted(maps.Keys(in))); near != "" {
		said += "; did you mean " + near + "?"
	}
	c.warnings = append(c.warnings, concealAddress(said))
}

// fields looks at the fields of a log's line: their names, or a section of what they are called.
func (c *checker) fields(path string, node *yaml.Node) {
	for i, item := range node.Content {
		c.item(indexed(path, i), target(item), option{kind: options})
	}
}

// many looks at lists, and at sections of free names.
func (c *checker) many(path string, node *yaml.Node, o option) {
	switch {
	case node.Kind == yaml.SequenceNode && o.kind != values:
		for i, item := range node.Content {
			c.item(indexed(path, i), target(item), o)
		}
	case node.Kind == yaml.MappingNode && (o.kind == values || o.kind == options):
		for i := 1; i < len(node.Content); i += 2 {
			c.item(path+"."+node.Content[i-1].Value, target(node.Content[i]), option{kind: values})
		}
	case node.Kind == yaml.ScalarNode && (o.kind == hosts || o.kind == texts && node.Value == ""):
	default:
		c.say(node, path, "%s is expected, not %s", o.expectation(), describe(node, o))
	}
}

// item looks at one member of a list or section.
func (c *checker) item(path string, node *yaml.Node, o option) {
	switch {
	case isNull(node):
	case node.Kind == yaml.ScalarNode:
		if o.kind == values {
			normalise(node)
		}
	case node.Kind == yaml.MappingNode && o.kind == options:
		for i := 1; i < len(node.Content); i += 2 {
			c.item(path+"."+node.Content[i-1].Value, target(node.Content[i]), option{kind: values})
		}
	default:
		c.say(node, path, "a single value is expected, not %s", describe(node, o))
	}
}

// scalar looks at a single value.
func (c *checker) scalar(path string, node *yaml.Node, o option) {
	switch o.kind {
	case flag:
		value, ok := truth(node.Value)
		if !ok {
			c.say(node, path, "true or false is expected, not %s", describe(node, o))
			return
		}
		node.Tag, node.Value, node.Style = "!!bool", strconv.FormatBool(value), 0
	case number:
		c.number(path, node, o)
	case choice:
		c.choice(path, node, o)
	case command:
		if _, err := Words(node.Value); err != nil {
			c.say(node, path, "this cannot be split into a program and its arguments: %s", err)
		}
	case handed:
		normalise(node)
	case span:
		c.span(path, node)
	case mode:
		c.mode(path, node)
	case section, text, password, texts, hosts, options, values, slots, patterns, layout, anything:
	}
}

func (c *checker) number(path string, node *yaml.Node, o option) {
	n, ok := wholeNumber(node.Value)
	if !ok {
		c.say(node, path, "%s is expected, not %s", o.expectation(), describe(node, o))
		return
	}
	if n >= o.least && n <= o.most {
		node.Tag, node.Value, node.Style = "!!int", strconv.Itoa(n), 0
		return
	}
	said := c.sentence(node, path, "%s is expected, not %d", o.expectation(), n)
	if o.lenient {
		c.warnings = append(c.warnings, said+"; the nearest allowed value is used")
		return
	}
	c.problems = append(c.problems, said)
}

// wholeNumber reads the integers of YAML 1.1: hexadecimal, octal with a leading 0, digits grouped by underscores.
func wholeNumber(text string) (int, bool) {
	text = strings.TrimSpace(text)
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		n, err = strconv.ParseInt(text, 10, 64)
	}
	return int(n), err == nil
}

func (c *checker) mode(path string, node *yaml.Node) {
	n, ok := wholeNumber(node.Value)
	if !ok || n < 0 || n > 0o777 {
		c.say(node, path, "%s is expected, not %s", is(mode).expectation(), describe(node, option{}))
		return
	}
	node.Tag, node.Value, node.Style = "!!int", strconv.Itoa(n), 0
}

func (c *checker) choice(path string, node *yaml.Node, o option) {
	word := node.Value
	if value, ok := truth(word); ok && node.Tag != "!!int" {
		word = map[bool]string{true: "on", false: "off"}[value]
	}
	if !slices.ContainsFunc(o.words, func(w string) bool { return strings.EqualFold(w, word) }) {
		c.say(node, path, "%s is expected, not %s", o.expectation(), describe(node, o))
		return
	}
	if word == "on" || word == "off" {
		normalise(node)
	}
}

// expectation is what a value must be, in words.
func (o option) expectation() string {
	switch o.kind {
	case flag:
		return "true or false"
	case number:
		if o.most < 1<<31-1 {
			return fmt.Sprintf("a whole number from %d to %d", o.least, o.most)
		}
		return fmt.Sprintf("a whole number, %d or more,", o.least)
	case choice:
		return "one of " + strings.Join(o.words, ", ")
	case command:
		return "a command on one line"
	case texts:
		return "a list"
	case hosts:
		return "a list, or names with commas between them,"
	case options:
		return "a list of options, or of option: value,"
	case values, section:
		return "a section of name: value"
	case span:
		return "a number of seconds, or a time as 30min,"
	case slots:
		return "a section of slots by their names"
	case patterns:
		return "a list of sections with the properties of slots"
	case layout:
		return "a text with places such as %(message)s, or a list of fields,"
	case mode:
		return "permissions as 0644"
	case text, handed, password, anything:
	}
	return "a single value"
}

// describe says what stands there instead, never a secret.
func describe(node *yaml.Node, o option) string {
	switch {
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case node.Kind == yaml.MappingNode:
		return "a section"
	case o.kind == password:
		return "what stands there"
	case node.Tag == "!!int" || node.Tag == "!!float":
		return "the number " + node.Value
	case node.Tag == "!!bool":
		return node.Value
	}
	return fmt.Sprintf("the text %.60q", conceal(node.Value))
}

// indexed is the path of a member of a list, which people count from one.
func indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i+1) }

func cmpPath(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// target follows an alias to what it stands for.
func target(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

// truth reads YAML 1.1's and Patroni's spellings of yes and no.
func truth(word string) (value, ok bool) {
	switch strings.ToLower(word) {
	case "true", "yes", "on", "1":
		return true, true
	case "false", "no", "off", "0":
		return false, true
	}
	return false, false
}

// normalise makes booleans of the words that YAML 1.1 takes for them, below a node whose types nobody prescribes:
// other members and programs write and read them as such.
func normalise(node *yaml.Node) {
	for i, child := range node.Content {
		if node.Kind != yaml.MappingNode || i%2 == 1 { // names stay texts
			normalise(child)
		}
	}
	if node.Kind != yaml.ScalarNode || node.Tag != "!!str" || node.Style != 0 {
		return
	}
	if value, ok := truth(node.Value); ok {
		node.Tag, node.Value = "!!bool", strconv.FormatBool(value)
	}
}
