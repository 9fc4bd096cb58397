package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// tree is a configuration before anybody says what its options are: all its files laid over each other, the environment
// over them. It has no aliases and no merge keys any more.
type tree struct {
	root *yaml.Node
	// from says in which file or variable a node stood, where that is not the only one.
	from map[*yaml.Node]string
	// problems and warnings are about variables: those that cannot be read, and those that nobody knows.
	problems, warnings []string
}

// read makes the tree of a source. Unset placeholders are as the caller says: an operator command does not need them.
func read(src Source, fill func(string) (string, error)) (*tree, error) {
	pages, err := src.pages()
	if err != nil {
		return nil, err
	}
	t := &tree{root: emptySection(), from: map[*yaml.Node]string{}}
	var problems []error
	for _, p := range pages {
		root, err := p.parse(fill)
		if err != nil && len(pages) > 1 {
			err = fmt.Errorf("%s: %w", p.name, err)
		}
		problems = append(problems, err)
		if err != nil {
			continue
		}
		if len(pages) == 1 {
			t.root = root
			break
		}
		t.mark(root, p.name)
		problems = append(problems, t.lay(root))
	}
	t.environment(src.variables())
	return t, invalid(src.Name(), problems...)
}

func (p page) parse(fill func(string) (string, error)) (*yaml.Node, error) {
	text, err := fill(p.text)
	if err != nil {
		return nil, err
	}
	root, err := parseYAML(text)
	if err != nil {
		return nil, err
	}
	e := expander{left: mostNodes}
	root, err = e.expand(root, nil)
	if err != nil {
		return nil, notYAML(err)
	}
	return root, nil
}

// lay lays a file over those before it.
func (t *tree) lay(over *yaml.Node) error {
	if over.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: a section with options of its own is expected in the whole file", t.from[over])
	}
	patch(t.root, over)
	return nil
}

// patch changes a section as a merge patch says (RFC 7386): null removes, sections are merged, everything else replaces.
func patch(section, over *yaml.Node) {
	for i := 0; i+1 < len(over.Content); i += 2 {
		name, value := over.Content[i], over.Content[i+1]
		at := indexOf(section, name.Value)
		switch {
		case isNull(value):
			if at >= 0 {
				section.Content = slices.Delete(section.Content, at, at+2)
			}
		case at < 0:
			section.Content = append(section.Content, name, value)
		case value.Kind == yaml.MappingNode && section.Content[at+1].Kind == yaml.MappingNode:
			patch(section.Content[at+1], value)
		default:
			section.Content[at], section.Content[at+1] = name, value
		}
	}
}

// indexOf is where the name of an option stands among a section's nodes; below zero where it does not.
func indexOf(section *yaml.Node, name string) int {
	for i := 0; i+1 < len(section.Content); i += 2 {
		if section.Content[i].Value == name {
			return i
		}
	}
	return -1
}

// set puts a value under a path of sections, which are made where there are none. What is no section stays: the schema says
// what is wrong with it.
func set(root *yaml.Node, path []string, value *yaml.Node) {
	for _, name := range path[:len(path)-1] {
		if inner := child(root, name); inner != nil && inner.Kind != yaml.MappingNode && !isNull(inner) {
			return
		}
		root = ownSection(root, name)
	}
	last := path[len(path)-1]
	if at := indexOf(root, last); at >= 0 {
		root.Content[at+1] = value
		return
	}
	root.Content = append(root.Content, nameNode(last), value)
}

func (t *tree) mark(node *yaml.Node, from string) {
	t.from[node] = from
	for _, child := range node.Content {
		t.mark(child, from)
	}
}

// place says where a node stands: in a file or variable where there are several, and in a line.
func (t *tree) place(node *yaml.Node) string {
	var words []string
	if from := t.from[node]; from != "" {
		words = append(words, from)
	}
	if node.Line > 0 {
		words = append(words, fmt.Sprintf("line %d", node.Line))
	}
	if len(words) == 0 {
		return ""
	}
	return strings.Join(words, ": ") + ": "
}

// locate adds to a sentence that begins with the path of an option where that stands, if it does.
func (t *tree) locate(sentence string) string {
	path, _, _ := strings.Cut(sentence, " ")
	path = strings.TrimSuffix(path, ":")
	node := t.at(path)
	if option, ok := strings.CutPrefix(path, "etcd."); ok && node == nil {
		node = t.at("etcd3." + option)
	}
	if node == nil {
		return sentence
	}
	return t.place(node) + sentence
}

// at is the node under a path; nil where nothing stands there.
func (t *tree) at(path string) *yaml.Node {
	node := t.root
	for name := range strings.SplitSeq(path, ".") {
		node = child(node, name)
	}
	return node
}

// mostNodes is far more than anybody writes: a few lines of aliases of aliases can stand for millions.
const mostNodes = 200_000

var errTooLarge = errors.New("it is too large, or its aliases stand for too much")

// expander puts what aliases and merge keys stand for in their place.
type expander struct{ left int }

// expand returns a copy. inside are the anchors that are being expanded.
func (e *expander) expand(node *yaml.Node, inside []*yaml.Node) (*yaml.Node, error) {
	if e.left--; e.left < 0 {
		return nil, errTooLarge
	}
	if node.Kind == yaml.AliasNode {
		if slices.Contains(inside, node.Alias) {
			return nil, fmt.Errorf("anchor '%s' value contains itself", node.Value)
		}
		return e.expand(node.Alias, inside)
	}
	if node.Anchor != "" {
		inside = append(slices.Clone(inside), node)
	}
	twin := *node
	twin.Anchor, twin.Content = "", nil
	var merged []*yaml.Node
	for i, child := range node.Content {
		c, err := e.expand(child, inside)
		if err != nil {
			return nil, err
		}
		if node.Kind == yaml.MappingNode && i%2 == 0 && c.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: the name of an option is a text", c.Line)
		}
		if node.Kind == yaml.MappingNode && i%2 == 1 && node.Content[i-1].Tag == "!!merge" {
			twin.Content = twin.Content[:len(twin.Content)-1]
			merged = append(merged, c)
			continue
		}
		twin.Content = append(twin.Content, c)
	}
	for _, m := range merged {
		if err := inherit(&twin, m); err != nil {
			return nil, err
		}
	}
	return &twin, nil
}

// inherit adds what a section does not say itself.
func inherit(section, merged *yaml.Node) error {
	if merged.Kind == yaml.SequenceNode {
		for _, m := range merged.Content {
			if err := inherit(section, m); err != nil {
				return err
			}
		}
		return nil
	}
	if merged.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: << stands for no section", merged.Line)
	}
	for i := 0; i+1 < len(merged.Content); i += 2 {
		if indexOf(section, merged.Content[i].Value) < 0 {
			section.Content = append(section.Content, merged.Content[i], merged.Content[i+1])
		}
	}
	return nil
}

func emptySection() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"} }

func nameNode(name string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}
}
