package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// file is the shape of the YAML document.
type file struct {
	Scope     string         `yaml:"scope"`
	Namespace string         `yaml:"namespace"`
	Name      string         `yaml:"name"`
	RestAPI   endpointFile   `yaml:"restapi"`
	Etcd      *etcdFile      `yaml:"etcd"`
	Etcd3     *etcdFile      `yaml:"etcd3"`
	Postgres  postgresFile   `yaml:"postgresql"`
	Bootstrap bootstrapFile  `yaml:"bootstrap"`
	Tags      map[string]any `yaml:"tags"`
}

type endpointFile struct {
	Listen  string `yaml:"listen"`
	Connect string `yaml:"connect_address"`
}

type etcdFile struct {
	Host     string      `yaml:"host"`
	Hosts    hostList    `yaml:"hosts"`
	Username string      `yaml:"username"`
	Password secret.Text `yaml:"password"`
}

type postgresFile struct {
	endpointFile `yaml:",inline"`

	DataDir        string         `yaml:"data_dir"`
	BinDir         string         `yaml:"bin_dir"`
	PgPass         string         `yaml:"pgpass"`
	Parameters     map[string]any `yaml:"parameters"`
	HBA            []string       `yaml:"pg_hba"`
	Ident          []string       `yaml:"pg_ident"`
	UseRewind      *bool          `yaml:"use_pg_rewind"`
	Authentication struct {
		Superuser   loginFile `yaml:"superuser"`
		Replication loginFile `yaml:"replication"`
		Rewind      loginFile `yaml:"rewind"`
	} `yaml:"authentication"`
}

type loginFile struct {
	Username string      `yaml:"username"`
	Password secret.Text `yaml:"password"`
}

type bootstrapFile struct {
	DCS    map[string]any `yaml:"dcs"`
	Initdb []any          `yaml:"initdb"`
	HBA    []string       `yaml:"pg_hba"`
}

// hostList is a list of host:port, written as a YAML list or as one text with commas.
type hostList []string

// UnmarshalYAML accepts both forms.
func (h *hostList) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*h = splitHosts(node.Value)
		return nil
	}
	var list []string
	if err := node.Decode(&list); err != nil {
		return err
	}
	*h = list
	return nil
}

func splitHosts(text string) []string {
	var hosts []string
	for part := range strings.SplitSeq(strings.Trim(text, "[] "), ",") {
		if part = strings.Trim(part, ` '"`); part != "" {
			hosts = append(hosts, part)
		}
	}
	return hosts
}

// known are the options that are acted on; a path that ends in a dot stands for all below it.
func known() []string {
	return []string{
		"scope", "namespace", "name", "restapi.listen", "restapi.connect_address",
		"etcd.host", "etcd.hosts", "etcd.username", "etcd.password",
		"etcd3.host", "etcd3.hosts", "etcd3.username", "etcd3.password",
		"postgresql.listen", "postgresql.connect_address", "postgresql.data_dir", "postgresql.bin_dir", "postgresql.pgpass",
		"postgresql.parameters.", "postgresql.pg_hba", "postgresql.pg_ident", "postgresql.use_pg_rewind",
		"postgresql.authentication.superuser.username", "postgresql.authentication.superuser.password",
		"postgresql.authentication.replication.username", "postgresql.authentication.replication.password",
		"postgresql.authentication.rewind.username", "postgresql.authentication.rewind.password",
		"bootstrap.dcs.", "bootstrap.initdb", "bootstrap.pg_hba", "tags.",
	}
}

func decode(text string) (file, []string, error) {
	var doc file
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return file{}, nil, fmt.Errorf("this is not the YAML of a configuration: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	var all map[string]any
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		return file{}, nil, fmt.Errorf("this is not the YAML of a configuration: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return doc, unknown("", all), nil
}

// unknown lists the options that are set but not acted on.
func unknown(path string, options map[string]any) []string {
	var out []string
	for name, value := range options {
		at := path + name
		section, isSection := value.(map[string]any)
		switch {
		case slices.Contains(known(), at) || slices.Contains(known(), at+"."):
		case isSection && slices.ContainsFunc(known(), func(k string) bool { return strings.HasPrefix(k, at+".") }):
			out = append(out, unknown(at+".", section)...)
		default:
			out = append(out, at+" is not acted on by this version")
		}
	}
	slices.Sort(out)
	return out
}

var placeholder = regexp.MustCompile(`\{[A-Z][A-Z0-9_]*\}`)

// substitute replaces {NAME} by the environment variable NAME before the text is parsed: with the braces it
// would not be YAML. Comments are left alone.
func substitute(text string, src Source) (string, error) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		var missing string
		lines[i] = placeholder.ReplaceAllStringFunc(line, func(found string) string {
			name := strings.Trim(found, "{}")
			if value := src.Env[name]; value != "" {
				return value
			}
			if name == "HOST" && src.Hostname != "" {
				return src.Hostname
			}
			missing = name
			return found
		})
		if missing != "" {
			return "", fmt.Errorf("line %d: {%s} has no value; set the environment variable %s", i+1, missing, missing)
		}
	}
	return strings.Join(lines, "\n"), nil
}
