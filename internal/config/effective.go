package config

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Effective is the member's own configuration as YAML: all files with the environment over them, without the dynamic
// configuration and without defaults. Secrets are hidden, and comments left out, where somebody may have kept one.
func Effective(src Source) (string, error) {
	t, err := read(src, src.substitute)
	if err != nil {
		return "", err
	}
	if _, _, err := t.decode(); err != nil {
		return "", t.blame(src.Name(), err)
	}
	shown := copied(t.root)
	hide(shown, schema(findWays(t.root)))
	text, err := yaml.Marshal(shown)
	if err != nil {
		return "", notYAML(err)
	}
	return string(text), nil
}

const hidden = "[hidden]"

var (
	// telling are names of options that nobody has to describe for their values to be secrets.
	telling = regexp.MustCompile(`(?i)passw|token|secret|passphrase|auth_data`)
	// inText are secrets within connection strings, addresses and commands.
	inText    = regexp.MustCompile(`(?i)((?:passw(?:or)?d|passphrase|secret|token)\s*[=:]\s*)(?:'[^']*'|"[^"]*"|[^\s'"&]+)`)
	inAddress = regexp.MustCompile(`(://[^:/@\s]*:)[^/\s]+@`)
)

// hide replaces secrets, whether an option of that name is known or not, and drops comments.
func hide(node *yaml.Node, o option) {
	node.HeadComment, node.LineComment, node.FootComment = "", "", ""
	if node.Kind == yaml.ScalarNode {
		hideText(node, o)
		return
	}
	for i, child := range node.Content {
		if node.Kind != yaml.MappingNode {
			hide(child, option{kind: o.kind})
			continue
		}
		if i%2 == 0 {
			child.HeadComment, child.LineComment, child.FootComment = "", "", ""
			child.Value = concealAddress(child.Value)
			continue
		}
		name := node.Content[i-1].Value
		inner, known := o.in[name]
		if !known {
			inner = o.in[others]
		}
		if o.kind == password || telling.MatchString(name) && child.Tag != "!!bool" && name != "password_encryption" {
			inner.kind = password
		}
		hide(child, inner)
	}
}

// conceal hides what looks like a secret in a text.
func conceal(text string) string {
	return concealAddress(inText.ReplaceAllString(text, "${1}"+hidden))
}

// concealAddress hides the passwords of addresses, wherever somebody wrote them.
func concealAddress(text string) string { return inAddress.ReplaceAllString(text, "${1}"+hidden+"@") }

// hideText hides the whole of a secret, and of an address only the password in it.
func hideText(node *yaml.Node, o option) {
	address := o.kind == password && strings.Contains(node.Value, "://")
	switch {
	case isNull(node) || node.Value == "":
	case address || o.kind != password:
		node.Value = conceal(node.Value)
	default:
		node.Tag, node.Value, node.Style = "!!str", hidden, 0
	}
}

// Overlaid is a document with the environment over it as YAML, secrets and comments included: for whoever makes a file of
// it. The error says what is wrong with the result, if it could not be loaded.
func Overlaid(src Source) ([]byte, error) {
	if _, err := Load(src); err != nil {
		return nil, err
	}
	t, err := read(src, src.substitute)
	if err != nil {
		return nil, err
	}
	if _, _, err := t.decode(); err != nil { // which also makes numbers of texts
		return nil, t.blame(src.Name(), err)
	}
	text, err := yaml.Marshal(t.root)
	if err != nil {
		return nil, notYAML(err)
	}
	return text, nil
}
