package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The variables a platform describes a task's place with. The first four belong to our local driver, whose
// tasks have no file system and no network of their own; HOST and PORT_n are Marathon's.
const (
	// envVolume is the folder that every absolute path of the task lies in.
	envVolume = "PGBATON_VOLUME_ROOT"
	// envBind is the address a task binds to where it was told "all addresses".
	envBind = "PGBATON_BIND_ADDRESS"
	// envAliases is a list of name=address for host names that only this platform knows.
	envAliases = "PGBATON_HOST_ALIASES"
	// envRun is a folder with a short path for sockets, shared by the tasks of a machine.
	envRun    = "PGBATON_RUN_DIR"
	envHost   = "HOST"
	envHostIP = "HOST_IP"
	envPort   = "PORT_"
)

// envPrefix begins the names of all variables that stand for options.
const envPrefix = "PATRONI_"

// form is how the text of a variable is read (Patroni documentation, "Environment Configuration Settings"). Numbers, yes
// and no are texts here: what they must be is the schema's business.
type form int

const (
	plainText   form = iota
	listText         // a YAML list, also without its brackets
	sectionText      // a YAML section, also without its braces
	layoutText       // a list unless it has a place such as %(message)s
)

// variable is one environment variable.
type variable struct {
	name string // without the prefix
	path string // of the option it stands for; empty: of none here
	form form
	// newer is the name that wins over this older one.
	newer string
}

// variables are all that are known, in the order in which they are laid over the files.
func variables() []variable {
	all := []variable{{name: "CONFIGURATION"}, {name: "GUARD"}}
	all = append(all, standing("", "", "name", "namespace", "scope", "thread_pool_size", "thread_stack_size")...)
	all = append(all, standing("RESTAPI_", "restapi.", "listen", "connect_address", "certfile", "keyfile", "keyfile_password", "cafile", "ciphers",
		"verify_client", "allowlist_include_members", "request_queue_size", "server_tokens", "thread_pool_size", "allow_from_anywhere")...)
	all = append(all, standing("CTL_", "ctl.", "insecure", "cacert", "certfile", "keyfile", "keyfile_password")...)
	for _, section := range []string{"restapi", "ctl"} {
		all = append(all, standing(strings.ToUpper(section)+"_", section+".authentication.", "username", "password")...)
	}
	all = append(all, standing("LOG_", "log.", "type", "level", "traceback_level", "dateformat", "max_queue_size", "dir", "mode", "file_size",
		"file_num", "deduplicate_heartbeat_logs")...)
	all = append(all, standing("POSTGRESQL_", "postgresql.", "listen", "connect_address", "proxy_address", "config_dir", "data_dir", "pgpass", "bin_dir")...)
	all = append(all, standing("POSTGRESQL_BIN_", "postgresql.bin_name.", programNames()...)...)
	for _, role := range []string{"superuser", "replication", "rewind"} {
		all = append(all, standing(strings.ToUpper(role)+"_", "postgresql.authentication."+role+".", loginOptions()...)...)
	}
	all = append(all,
		variable{name: "RESTAPI_ALLOWLIST", path: "restapi.allowlist", form: listText},
		variable{name: "RESTAPI_HTTP_EXTRA_HEADERS", path: "restapi.http_extra_headers", form: sectionText},
		variable{name: "RESTAPI_HTTPS_EXTRA_HEADERS", path: "restapi.https_extra_headers", form: sectionText},
		variable{name: "LOG_FORMAT", path: "log.format", form: layoutText},
		variable{name: "LOG_STATIC_FIELDS", path: "log.static_fields", form: sectionText},
		variable{name: "LOG_LOGGERS", path: "log.loggers", form: sectionText},
		variable{name: "LOGLEVEL", path: "log.level", newer: "LOG_LEVEL"},
		variable{name: "LOGFORMAT", path: "log.format", form: layoutText, newer: "LOG_FORMAT"},
		variable{name: "LOG_DATEFMT", path: "log.dateformat", newer: "LOG_DATEFORMAT"},
	)
	return slices.Concat(all, storeVariables())
}

// standing are variables of one section whose names are those of its options in capitals.
func standing(prefix, section string, options ...string) []variable {
	var all []variable
	for _, o := range options {
		all = append(all, variable{name: prefix + strings.ToUpper(o), path: section + o})
	}
	return all
}

// storeVariables are those of coordination stores. PATRONI_DCS_ETCD_HOSTS is another name of PATRONI_ETCD_HOSTS, used by
// deployments older than that one.
func storeVariables() []variable {
	var all []variable
	for _, prefix := range []string{"DCS_ETCD_", "ETCD_", "ETCD3_"} {
		section := "etcd."
		if prefix == "ETCD3_" {
			section = "etcd3."
		}
		all = append(all, variable{name: prefix + "HOSTS", path: section + "hosts", form: listText})
		all = append(all, standing(prefix, section, "host", "port", "protocol", "url", "proxy", "use_proxies", "srv", "srv_suffix",
			"username", "password", "cacert", "cert", "key")...)
	}
	for section, options := range map[string][]string{
		"consul": {
			"host", "port", "url", "token", "verify", "cacert", "cert", "key", "dc", "consistency", "checks", "register_service", "service_tags",
			"service_check_interval", "service_check_tls_server_name",
		},
		"zookeeper": {"hosts", "use_ssl", "verify", "cacert", "cert", "key", "key_password", "set_acls", "auth_data"},
		"exhibitor": {"hosts", "port"},
		"kubernetes": {
			"labels", "namespace", "scope_label", "role_label", "leader_label_value", "follower_label_value",
			"standby_leader_label_value", "tmp_role_label", "use_endpoints", "pod_ip", "ports", "cacert", "context", "bypass_api_service",
			"retriable_http_codes",
		},
		"raft":  {"self_addr", "bind_addr", "partner_addrs", "data_dir", "password"},
		"citus": {"group", "database"},
	} {
		all = append(all, standing(strings.ToUpper(section)+"_", section+".", options...)...)
	}
	return all
}

// environment lays the variables over the files. Empty ones count as unset. Names nobody knows are worth a warning, since
// somebody meant them to do something.
func (t *tree) environment(env map[string]string) {
	known := variables()
	etcd := t.etcdSection(env)
	for _, v := range known {
		value := env[envPrefix+v.name]
		if value == "" || v.path == "" || v.newer != "" && env[envPrefix+v.newer] != "" {
			continue
		}
		if t.root.Kind != yaml.MappingNode {
			break // the schema says what is wrong with it
		}
		node, ok := v.form.read(value)
		if !ok {
			t.problems = append(t.problems, fmt.Sprintf("%s%s: %s: %s is expected", envPrefix, v.name, v.path, v.form))
			continue
		}
		t.mark(node, envPrefix+v.name)
		path := strings.Split(v.path, ".")
		if path[0] == "etcd" || path[0] == "etcd3" {
			path[0] = etcd
		}
		set(t.root, path, node)
	}
	t.unknownVariables(env, known)
}

func (t *tree) unknownVariables(env map[string]string, known []variable) {
	var names []string
	for _, v := range known {
		names = append(names, envPrefix+v.name)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !strings.HasPrefix(name, envPrefix) || env[name] == "" || slices.Contains(names, name) {
			continue
		}
		said := "the variable " + name + " is not acted on by this version"
		if near := nearest(name, names); near != "" {
			said += "; did you mean " + near + "?"
		}
		t.warnings = append(t.warnings, said)
	}
}

// etcdSection is the section that the variables of etcd are laid over: both of its names mean etcd's v3 API. Where one of
// them says where etcd is, nothing else does.
func (t *tree) etcdSection(env map[string]string) string {
	name := "etcd"
	inFile := child(t.root, "etcd3")
	if inFile != nil && !isNull(inFile) {
		name = "etcd3"
	} else if inFile = child(t.root, "etcd"); inFile == nil || isNull(inFile) {
		inFile = nil
		if slices.ContainsFunc(slices.Collect(maps.Keys(env)), func(v string) bool { return strings.HasPrefix(v, "PATRONI_ETCD3_") && env[v] != "" }) {
			name = "etcd3"
		}
	}
	said := false
	for _, prefix := range []string{"DCS_ETCD_", "ETCD_", "ETCD3_"} {
		for _, option := range []string{"HOST", "HOSTS", "URL", "PROXY", "SRV"} {
			said = said || env[envPrefix+prefix+option] != ""
		}
	}
	if said && inFile != nil && inFile.Kind == yaml.MappingNode {
		for _, option := range []string{"host", "hosts", "url", "proxy", "srv", "discovery_srv", "srv_domain"} {
			if at := indexOf(inFile, option); at >= 0 {
				inFile.Content = slices.Delete(inFile.Content, at, at+2)
			}
		}
	}
	return name
}

// String is what is expected, in words.
func (f form) String() string {
	switch f {
	case listText:
		return "a YAML list"
	case sectionText:
		return "a YAML section of name: value"
	case plainText, layoutText:
	}
	return "a text"
}

var placeOfLayout = regexp.MustCompile(`%\(\w+\)`)

// read makes a node of a variable's text.
func (f form) read(value string) (*yaml.Node, bool) {
	asText := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	if _, word := truth(value); word {
		asText.Style = yaml.SingleQuotedStyle // it stays a text where nobody wants a yes or no
	}
	trimmed := strings.TrimSpace(value)
	switch {
	case f == plainText, f == layoutText && placeOfLayout.MatchString(value):
		return asText, true
	case f == sectionText:
		if !strings.HasPrefix(trimmed, "{") {
			value = "{" + value + "}"
		}
		node, err := parseValue(value)
		return node, err == nil && node.Kind == yaml.MappingNode
	case !strings.HasPrefix(trimmed, "-") && !strings.Contains(value, "["):
		value = "[" + value + "]"
	}
	node, err := parseValue(value)
	if err != nil || node.Kind != yaml.SequenceNode {
		return asText, f == listText // host names and addresses may also stand with commas between them
	}
	return node, true
}

// parseValue reads a YAML text of a variable. Its lines are not those of a file.
func parseValue(text string) (*yaml.Node, error) {
	node, err := page{text: text}.parse(func(text string) (string, error) { return text, nil })
	if err == nil {
		unlined(node)
	}
	return node, err
}

func unlined(node *yaml.Node) {
	node.Line = 0
	for _, child := range node.Content {
		unlined(child)
	}
}

// ParseEnv makes a map of a process environment.
func ParseEnv(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	return env
}

// ParseAliases reads a list of name=address; entries without an address are left out.
func ParseAliases(text string) map[string]string {
	aliases := map[string]string{}
	for entry := range strings.SplitSeq(text, ",") {
		if name, address, ok := strings.Cut(strings.TrimSpace(entry), "="); ok && name != "" && address != "" {
			aliases[name] = address
		}
	}
	return aliases
}
