package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// file is the shape of the YAML document. Texts and flags that are not there are empty, false or nil.
type file struct {
	Scope     string         `yaml:"scope"`
	Namespace string         `yaml:"namespace"`
	Name      string         `yaml:"name"`
	RestAPI   restFile       `yaml:"restapi"`
	Ctl       ctlFile        `yaml:"ctl"`
	Log       logFile        `yaml:"log"`
	Etcd      *etcdFile      `yaml:"etcd"`
	Etcd3     *etcdFile      `yaml:"etcd3"`
	Postgres  postgresFile   `yaml:"postgresql"`
	Bootstrap bootstrapFile  `yaml:"bootstrap"`
	Watchdog  watchdogFile   `yaml:"watchdog"`
	Guard     *bool          `yaml:"guard"`
	Tags      map[string]any `yaml:"tags"`
}

type endpointFile struct {
	Listen  string `yaml:"listen"`
	Connect string `yaml:"connect_address"`
}

type postgresFile struct {
	endpointFile `yaml:",inline"`

	Name           string            `yaml:"name"`
	Proxy          string            `yaml:"proxy_address"`
	Database       string            `yaml:"database"`
	DataDir        string            `yaml:"data_dir"`
	ConfigDir      string            `yaml:"config_dir"`
	ConfigBase     string            `yaml:"config_base_name"`
	BinDir         string            `yaml:"bin_dir"`
	BinName        map[string]string `yaml:"bin_name"`
	PgPass         string            `yaml:"pgpass"`
	Kerberos       string            `yaml:"krbsrvname"`
	SocketSuper    bool              `yaml:"use_unix_socket"`
	SocketRepl     bool              `yaml:"use_unix_socket_repl"`
	rolesFile      `yaml:",inline"`
	CustomConf     string          `yaml:"custom_conf"`
	RecoveryConf   map[string]any  `yaml:"recovery_conf"`
	Callbacks      map[string]line `yaml:"callbacks"`
	PrePromote     line            `yaml:"pre_promote"`
	BeforeStop     line            `yaml:"before_stop"`
	StartTimeout   *int            `yaml:"pg_ctl_timeout"`
	UseRewind      *bool           `yaml:"use_pg_rewind"`
	Rewind         optionList      `yaml:"rewind"`
	CloneMethods   []string        `yaml:"create_replica_methods"`
	CloneMethod    []string        `yaml:"create_replica_method"`
	BaseBackup     optionList      `yaml:"basebackup"`
	RemoveFailed   bool            `yaml:"remove_data_directory_on_rewind_failure"`
	RemoveDiverged bool            `yaml:"remove_data_directory_on_diverged_timelines"`
	Authentication *loginsFile     `yaml:"authentication"`
	// These are logins as they stood before there was a section authentication.
	OlderSuperuser   loginFile  `yaml:"superuser"`
	OlderReplication loginFile  `yaml:"replication"`
	OlderRewind      *loginFile `yaml:"pg_rewind"`
	// Others are the sections of methods, among what is not known.
	Others map[string]yaml.Node `yaml:",inline"`
}

type bootstrapFile struct {
	DCS           map[string]any       `yaml:"dcs"`
	Method        string               `yaml:"method"`
	Initdb        optionList           `yaml:"initdb"`
	HBA           []string             `yaml:"pg_hba"`
	PostBootstrap line                 `yaml:"post_bootstrap"`
	PostInit      line                 `yaml:"post_init"`
	Others        map[string]yaml.Node `yaml:",inline"`
}

type watchdogFile struct {
	Mode         *word  `yaml:"mode"`
	Device       string `yaml:"device"`
	Driver       string `yaml:"driver"`
	SafetyMargin *int   `yaml:"safety_margin"`
}

// word is a text that YAML may take for a yes or no.
type word string

// UnmarshalYAML takes the text as it stands.
func (w *word) UnmarshalYAML(node *yaml.Node) error {
	*w = word(strings.ToLower(node.Value))
	return nil
}

// line is a command on one line.
type line Command

// UnmarshalYAML splits it. Whether it can be split was checked before.
func (l *line) UnmarshalYAML(node *yaml.Node) error {
	words, err := Words(node.Value)
	*l = line(words)
	return err
}

// optionList are options of a program in their order, written as a list of names and of name: value, or as a section.
type optionList []Option

// UnmarshalYAML accepts both forms. In a section, an option without a value is one that is not given.
func (o *optionList) UnmarshalYAML(node *yaml.Node) error {
	*o = nil
	if node.Kind == yaml.MappingNode {
		o.add(node, false)
		return nil
	}
	for _, item := range node.Content {
		if item = target(item); item.Kind == yaml.MappingNode {
			o.add(item, true)
			continue
		}
		*o = append(*o, Option{Name: item.Value})
	}
	return nil
}

func (o *optionList) add(section *yaml.Node, evenEmpty bool) {
	for i := 0; i+1 < len(section.Content); i += 2 {
		value := scalarText(target(section.Content[i+1]))
		if value != "" || evenEmpty {
			*o = append(*o, Option{Name: section.Content[i].Value, Value: value})
		}
	}
}

// scalarText is a single value as a text; yes and no as Patroni hands them to programs.
func scalarText(node *yaml.Node) string {
	switch {
	case isNull(node):
		return ""
	case node.Tag == "!!bool" && node.Value == "true":
		return "True"
	case node.Tag == "!!bool" && node.Value == "false":
		return "False"
	}
	return node.Value
}

// parseYAML reads a document into its tree. An empty file is an empty section.
func parseYAML(source string) (*yaml.Node, error) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(source), &document); err != nil {
		return nil, notYAML(err)
	}
	if len(document.Content) == 0 || isNull(target(document.Content[0])) {
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, nil
	}
	return target(document.Content[0]), nil
}

// notYAML hides the name of an alias: it may be a password that begins with an asterisk.
func notYAML(err error) error {
	if strings.Contains(err.Error(), "unknown anchor") {
		return errors.New("this is not the YAML of a configuration: an alias stands for nothing; write a text that begins with * in quotes")
	}
	return fmt.Errorf("this is not the YAML of a configuration: %s", strings.ReplaceAll(err.Error(), "\n", " "))
}

// decode checks a tree and reads it. It returns what is worth a warning; the error lists everything that is wrong.
func (t *tree) decode() (file, []string, error) {
	c := checker{place: t.place}
	c.section("", t.root, schema(findWays(t.root)).in)
	slices.Sort(c.warnings)
	if problems := slices.Concat(c.problems, t.problems); len(problems) > 0 {
		return file{}, nil, &InvalidError{Problems: problems}
	}
	var doc file
	if err := t.root.Decode(&doc); err != nil {
		return file{}, nil, notYAML(err)
	}
	return doc, append(c.warnings, t.warnings...), nil
}

var placeholder = regexp.MustCompile(`\{[A-Z][A-Z0-9_]*\}`)

// substitute replaces {NAME} by the environment variable NAME before the text is parsed: with the braces it
// would not be YAML. Comments are left alone.
func (s Source) substitute(text string) (string, error) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		var missing string
		lines[i] = placeholder.ReplaceAllStringFunc(line, func(found string) string {
			name := strings.Trim(found, "{}")
			if value := s.Env[name]; value != "" {
				return value
			}
			if host := s.Env[envHost]; name == envHostIP && host != "" {
				return host // plain Marathon gives no address, and members reach each other by name as well
			}
			if name == envHost && s.Hostname != "" {
				return s.Hostname
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

// unset is substitute for whoever needs none of the values.
func unset(text string) (string, error) { return placeholder.ReplaceAllString(text, "unset"), nil }
