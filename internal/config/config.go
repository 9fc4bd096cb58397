package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// Config is everything an agent is configured with.
type Config struct {
	Scope     string
	Namespace string
	Name      string

	RestAPI   RestAPI
	Ctl       Ctl
	Log       Log
	Etcd      Etcd
	Postgres  Postgres
	Bootstrap Bootstrap
	Watchdog  Watchdog
	// Guard: a small process stops a primary whose agent died or hangs, before anybody else can lead.
	Guard bool
	// Tags are as other members shall see them.
	Tags cluster.Tags

	// Aliases are host names that resolve on this platform only, with their addresses.
	Aliases map[string]string
	// Warnings are sentences about options that are not acted on, or not as they stand.
	Warnings []string

	// layered lays the configuration over a dynamic one; see With.
	layered func(dynamic map[string]any) (Config, []string)
}

// Endpoint is where a server listens and under which address others reach it.
type Endpoint struct {
	// Hosts to listen on; "0.0.0.0" and the like stand for all.
	Hosts []string
	Port  int
	// Connect is the advertised host:port.
	Connect string
}

// Etcd says how to reach the DCS.
type Etcd struct {
	// Hosts are host:port each.
	Hosts []string
	// Service is the DNS name whose SRV records tell the hosts, where there are none; Suffix is added to the service's name.
	Service, Suffix string
	Username        string
	Password        secret.Text
	// Secure: TLS is spoken, as ClientTLS says.
	Secure bool
	ClientTLS
}

// Login is a PostgreSQL role and its password.
type Login struct {
	Username string
	Password secret.Text
	// Options are further parameters of libpq for connections of the role: sslmode, sslcert and the like.
	Options map[string]string
}

// Option is one command line option.
type Option struct{ Name, Value string }

// The roles that are used where the configuration names none.
const (
	defaultNamespace   = "service"
	defaultSuperuser   = "postgres"
	defaultReplication = "replicator"
)

// Source is where a configuration comes from.
type Source struct {
	// Path names the file; empty for none, everything then comes from the environment.
	Path string
	// Text is the content of the file when it was read already; nil reads it.
	Text []byte
	// Env is the environment of the process.
	Env map[string]string
	// Hostname stands in for {HOST} where the environment has none.
	Hostname string
}

func (s Source) read() ([]byte, error) {
	if s.Path == "" || s.Text != nil {
		return s.Text, nil
	}
	text, err := os.ReadFile(filepath.Clean(s.Path))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return text, nil
}

// Load reads and validates a configuration. The error names the file, the line or option, and what to do.
func Load(src Source) (Config, error) {
	text, err := src.read()
	if err != nil {
		return Config{}, err
	}
	return parse(filepath.Base(src.Path), string(text), src)
}

// Client is the part of a configuration that operator commands need: how to find a cluster.
type Client struct {
	// Scope is empty when the configuration names none.
	Scope     string
	Namespace string
	Etcd      Etcd
	Aliases   map[string]string
}

// LoadClient reads the part that operator commands need. Everything else may be missing, and placeholders of
// other options need no value.
func LoadClient(src Source) (Client, error) {
	text, err := src.read()
	if err != nil {
		return Client{}, err
	}
	tree, err := parseYAML(placeholder.ReplaceAllString(string(text), "unset"))
	if err != nil {
		return Client{}, fmt.Errorf("%s: %w", filepath.Base(src.Path), err)
	}
	doc, _, err := decode(clientPart(tree))
	if err != nil {
		return Client{}, fmt.Errorf("%s: %w", filepath.Base(src.Path), err)
	}
	doc.override(src.Env)
	etcd, err := doc.etcd().config()
	if err != nil {
		return Client{}, err
	}
	return Client{doc.Scope, cmp.Or(doc.Namespace, defaultNamespace), etcd, ParseAliases(src.Env[envAliases])}, nil
}

// clientPart leaves of a document what operator commands need.
func clientPart(tree *yaml.Node) *yaml.Node {
	if tree.Kind != yaml.MappingNode {
		return tree
	}
	part := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: tree.Line}
	for i := 0; i+1 < len(tree.Content); i += 2 {
		if slices.Contains([]string{"scope", "namespace", "etcd", "etcd3"}, tree.Content[i].Value) {
			part.Content = append(part.Content, tree.Content[i], tree.Content[i+1])
		}
	}
	return part
}

func parse(name, text string, src Source) (Config, error) {
	text, err := substitute(text, src)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	tree, err := parseYAML(text)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	cfg, err := build(tree, src.Env)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	cfg.layered = func(dynamic map[string]any) (Config, []string) { return layer(cfg, tree, dynamic, src.Env) }
	return cfg, nil
}

// build makes a configuration of a document and the environment over it.
func build(tree *yaml.Node, env map[string]string) (Config, error) {
	doc, warnings, err := decode(tree)
	if err != nil {
		return Config{}, err
	}
	doc.override(env)
	cfg, err := doc.config(env)
	if err != nil {
		return Config{}, err
	}
	cfg.Warnings = append(warnings, cfg.Warnings...)
	return cfg, nil
}
