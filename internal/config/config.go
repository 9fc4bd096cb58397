package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// Config is everything an agent is configured with.
type Config struct {
	Scope     string
	Namespace string
	Name      string

	RestAPI   Endpoint
	Etcd      Etcd
	Postgres  Postgres
	Bootstrap Bootstrap
	Tags      cluster.Tags

	// Aliases are host names that resolve on this platform only, with their addresses.
	Aliases map[string]string
	// Warnings are sentences about options that are not acted on.
	Warnings []string
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
	Hosts    []string
	Username string
	Password secret.Text
}

// Login is a PostgreSQL role and its password.
type Login struct {
	Username string
	Password secret.Text
}

// Postgres configures the server.
type Postgres struct {
	Endpoint
	DataDir string
	// BinDir is the folder of PostgreSQL's programs as configured; it may not exist.
	BinDir string
	PgPass string
	// SocketDir is a folder for the server's Unix socket; empty leaves the choice to the server's adapter.
	SocketDir   string
	Superuser   Login
	Replication Login
	Rewind      Login
	Parameters  map[string]any
	HBA         []string
	Ident       []string
	UseRewind   bool
}

// Bootstrap configures the birth of a cluster.
type Bootstrap struct {
	// DCS is the first dynamic configuration.
	DCS map[string]any
	// Initdb are the options of initdb: name and value, the value empty for a flag.
	Initdb []Option
	HBA    []string
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
	doc, _, err := decode(placeholder.ReplaceAllString(string(text), "unset"))
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

func parse(name, text string, src Source) (Config, error) {
	text, err := substitute(text, src)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	doc, warnings, err := decode(text)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	doc.override(src.Env)
	cfg, err := doc.config(src.Env)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	cfg.Warnings = append(warnings, cfg.Warnings...)
	return cfg, nil
}

// Dynamic is the first dynamic configuration: bootstrap.dcs as it stands, else the defaults that people change
// most, so that whoever looks at it sees what can be changed.
func (c Config) Dynamic() map[string]any {
	if c.Bootstrap.DCS == nil {
		return map[string]any{"ttl": 30, "loop_wait": 10, "retry_timeout": 10, "maximum_lag_on_failover": 1 << 20}
	}
	return c.Bootstrap.DCS
}
