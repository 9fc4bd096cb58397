package config

import (
	"cmp"
	"errors"
	"slices"
	"strings"

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

// Option is one command line option.
type Option struct{ Name, Value string }

// The roles that are used where the configuration names none.
const (
	defaultNamespace   = "service"
	defaultSuperuser   = "postgres"
	defaultReplication = "replicator"
)

// Load reads and validates a configuration. The error names the file, the line or option, and what to do; it is an
// *InvalidError where the configuration could be read.
func Load(src Source) (Config, error) {
	t, err := read(src, src.substitute)
	if err != nil {
		return Config{}, err
	}
	env := src.variables()
	cfg, err := t.build(env)
	if err != nil {
		return Config{}, t.blame(src.Name(), err)
	}
	cfg.layered = func(dynamic map[string]any) (Config, []string) { return layer(cfg, t.root, dynamic, env) }
	return cfg, nil
}

// Client is the part of a configuration that operator commands need: how to find a cluster.
type Client struct {
	// Scope is empty when the configuration names none.
	Scope     string
	Namespace string
	Etcd      Etcd
	// Ctl says how members are called.
	Ctl     Ctl
	Aliases map[string]string
}

// LoadClient reads the part that operator commands need. Everything else may be missing, and placeholders of
// other options need no value.
func LoadClient(src Source) (Client, error) {
	t, err := read(src, unset)
	if err != nil {
		return Client{}, err
	}
	t.root, t.problems, t.warnings = clientPart(t.root), nil, nil // they are about other parts, too
	doc, _, err := t.decode()
	if err != nil {
		return Client{}, t.blame(src.Name(), err)
	}
	etcd, err := doc.etcd().config()
	if _, elsewhere := t.stores(); elsewhere != nil {
		err = elsewhere
	}
	ctl, wrong := doc.Ctl.config(doc.RestAPI)
	if err := errors.Join(err, wrong); err != nil {
		return Client{}, t.blame(src.Name(), err)
	}
	return Client{
		Scope: doc.Scope, Namespace: cmp.Or(doc.Namespace, defaultNamespace), Etcd: etcd, Ctl: ctl, Aliases: ParseAliases(src.Env[envAliases]),
	}, nil
}

// clientPart leaves of a document what operator commands need.
func clientPart(root *yaml.Node) *yaml.Node {
	return part(root, append(otherStores(), "scope", "namespace", "etcd", "etcd3", "ctl", "restapi")...)
}

// part is a section with some of its options only. Of the REST API operators need how to prove who they are.
func part(section *yaml.Node, names ...string) *yaml.Node {
	if section.Kind != yaml.MappingNode {
		return section
	}
	some := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: section.Line}
	for i := 0; i+1 < len(section.Content); i += 2 {
		name, value := section.Content[i], section.Content[i+1]
		if name.Value == "restapi" {
			value = part(value, "authentication", "cafile")
		}
		if slices.Contains(names, name.Value) {
			some.Content = append(some.Content, name, value)
		}
	}
	return some
}

// build makes a configuration of a document.
func (t *tree) build(env map[string]string) (Config, error) {
	doc, warnings, err := t.decode()
	if err != nil {
		return Config{}, err
	}
	more, elsewhere := t.stores()
	cfg, err := doc.config(env, elsewhere)
	if err != nil {
		return Config{}, err
	}
	cfg.Warnings = slices.Concat(warnings, more, cfg.Warnings)
	return cfg, nil
}

// blame says of a source what is wrong with it, and where as far as that is known.
func (t *tree) blame(source string, err error) error {
	var problems []string
	if known, ok := errors.AsType[*InvalidError](err); ok {
		problems = known.Problems
	} else {
		problems = strings.Split(err.Error(), "\n")
	}
	for i, p := range problems {
		problems[i] = concealAddress(t.locate(p))
	}
	return &InvalidError{Source: source, Problems: problems}
}
