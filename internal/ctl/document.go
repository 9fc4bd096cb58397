package ctl

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"go.yaml.in/yaml/v4"
)

// The documents that patronictl writes come from Python; scripts and people compare them as text, so they are written here
// as that does.

// yamlText writes a value as YAML: keys in order, and texts in quotes only where they would read as something else.
func yamlText(v any, flow bool) (string, error) {
	node, err := yamlNode(v)
	if err != nil {
		return "", err
	}
	if flow {
		node.Style |= yaml.FlowStyle
	}
	text, err := yaml.Dump(node, yaml.WithIndent(2), yaml.WithCompactSeqIndent(), yaml.WithLineWidth(200), yaml.WithUnicode())
	if err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	return string(text), nil
}

func yamlNode(v any) (*yaml.Node, error) {
	switch v := v.(type) {
	case nil:
		return scalar("!!null", "null"), nil
	case bool:
		return scalar("!!bool", strconv.FormatBool(v)), nil
	case int:
		return scalar("!!int", strconv.Itoa(v)), nil
	case float64:
		return number(v), nil
	case string:
		return textNode(v), nil
	case []any:
		return listNode(v)
	case map[string]any:
		return mapNode(v)
	}
	return nil, fmt.Errorf("write YAML: %T is no part of a document", v)
}

func scalar(tag, text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
}

// number writes whole numbers as such: those of a JSON document are all of one type.
func number(v float64) *yaml.Node {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return scalar("!!int", strconv.FormatInt(int64(v), 10))
	}
	return scalar("!!float", strconv.FormatFloat(v, 'g', -1, 64))
}

// other matches texts that YAML 1.1 reads as something else than a text.
var other = regexp.MustCompile(`^(|~|null|Null|NULL|=|<<` +
	`|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF` +
	`|[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+` +
	`|[-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*` +
	`|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)` +
	`|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?)$`)

func textNode(v string) *yaml.Node {
	n := scalar("!!str", v)
	if other.MatchString(v) || strings.Contains(v, "\n") {
		n.Style = yaml.SingleQuotedStyle
	}
	return n
}

func listNode(v []any) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, item := range v {
		child, err := yamlNode(item)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, child)
	}
	return n, nil
}

func mapNode(v map[string]any) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		child, err := yamlNode(v[name])
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, textNode(name), child)
	}
	return n, nil
}

// field is one part of a document whose parts have an order.
type field struct {
	name  string
	value any
}

// jsonText writes rows as one line of JSON, each with its fields in order.
func jsonText(rows [][]field) (string, error) {
	var docs []string
	for _, row := range rows {
		var parts []string
		for _, f := range row {
			value, err := jsonValue(f.value)
			if err != nil {
				return "", err
			}
			parts = append(parts, quoted(f.name)+": "+value)
		}
		docs = append(docs, "{"+strings.Join(parts, ", ")+"}")
	}
	return "[" + strings.Join(docs, ", ") + "]\n", nil
}

func jsonValue(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return quoted(v), nil
	case float64:
		return number(v).Value, nil
	case []any:
		var parts []string
		for _, item := range v {
			part, err := jsonValue(item)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			part, err := jsonValue(v[name])
			if err != nil {
				return "", err
			}
			parts = append(parts, quoted(name)+": "+part)
		}
		return "{" + strings.Join(parts, ", ") + "}", nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("write JSON: %w", err)
	}
	return string(text), nil
}

// quoted writes a text with nothing in it but ASCII.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r >= 0x20 && r < 0x7f:
			b.WriteRune(r)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
	}
	return b.String() + `"`
}

// maps of rows for YAML, whose keys are sorted anyway.
func yamlRows(rows [][]field) (string, error) {
	docs := []any{}
	for _, row := range rows {
		doc := map[string]any{}
		for _, f := range row {
			doc[f.name] = f.value
		}
		docs = append(docs, doc)
	}
	text, err := yamlText(docs, false)
	return text + "\n", err
}
