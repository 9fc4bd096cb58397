package configure

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/config"
)

// blank stands where the operator has to say something.
const blank = "FIXME"

// Write makes a file for its owner only, since it has passwords, with the folders that it lies in; without a path the text
// goes to out.
func Write(out io.Writer, path string, text []byte) error {
	if path == "" {
		_, err := out.Write(text)
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("make the folder of the configuration: %w", err)
	}
	if err := renameio.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// section makes a section of names and values in the order in which they are given. A nil value is left out.
func section(pairs ...any) *yaml.Node {
	s := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			continue
		}
		value, ok := pairs[i+1].(*yaml.Node)
		if !ok {
			value = &yaml.Node{}
			if err := value.Encode(pairs[i+1]); err != nil {
				continue // only texts, numbers and collections of them come here
			}
		}
		name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: fmt.Sprint(pairs[i])}
		s.Content = append(s.Content, name, value)
	}
	return s
}

// remark writes a comment above an option of a section.
func remark(s *yaml.Node, name, text string) {
	for i := 0; i+1 < len(s.Content); i += 2 {
		if s.Content[i].Value == name {
			s.Content[i].HeadComment = text
		}
	}
}

// render writes the document with the variables PATRONI_* in it, and looks whether it can be read.
func render(root *yaml.Node, env map[string]string) ([]byte, error) {
	text, err := yaml.Marshal(root)
	if err != nil {
		return nil, fmt.Errorf("write the configuration as YAML: %w", err)
	}
	src := config.Source{Path: "the generated configuration", Text: text, Env: env}
	laid, err := config.Overlaid(src)
	if err != nil {
		return nil, err
	}
	return bytes.TrimLeft(laid, "\n"), nil
}

// machine is what the generated file says of this one.
type machine struct{ name, address string }

// thisMachine finds a name and an address under which others may reach it. Where there is only a loopback address, it is
// for a try on one machine.
func thisMachine() machine {
	m := machine{name: "node1", address: "127.0.0.1"}
	if name, err := os.Hostname(); err == nil && name != "" {
		m.name = strings.ToLower(name)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return m
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			m.address = n.IP.String()
			break
		}
	}
	return m
}

func (m machine) at(port int) string { return net.JoinHostPort(m.address, strconv.Itoa(port)) }

// parts are the sections that differ between a file that was thought up and that of a server that runs.
type parts struct {
	scope               string
	dynamic, postgresql *yaml.Node
	initdb              bool
}

// whole makes a document of them, with comments for whoever opens it.
func whole(m machine, p parts) *yaml.Node {
	bootstrap := section("dcs", p.dynamic)
	if p.initdb {
		bootstrap = section("dcs", p.dynamic, "initdb", []any{map[string]any{"encoding": "UTF8"}, "data-checksums"})
	}
	root := section(
		"scope", p.scope, "name", m.name,
		"log", section("level", "INFO"),
		"restapi", section("listen", m.at(8008), "connect_address", m.at(8008)),
		"etcd3", section("hosts", []string{"127.0.0.1:2379"}),
		"bootstrap", bootstrap,
		"postgresql", p.postgresql,
		"tags", section("failover_priority", 1, "noloadbalance", false, "clonefrom", true, "nosync", false, "nostream", false),
	)
	remark(root, "scope", "The same for all members of the cluster; the name is each member's own.\nWhere "+blank+" stands, a value of yours is needed.")
	remark(root, "etcd3", "The host:port of each member of etcd.")
	remark(root, "bootstrap", "This founds a new cluster. Later changes are for pgbaton edit-config (or patronictl edit-config).")
	remark(root, "postgresql", "The server of this member.")
	return root
}

// times are the dynamic options that every file begins with, and more.
func times(more ...any) *yaml.Node {
	return section(append([]any{"ttl", 30, "loop_wait", 10, "retry_timeout", 10, "maximum_lag_on_failover", 1 << 20}, more...)...)
}
