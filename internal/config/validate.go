package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
)

// config turns the document into a Config. All problems are reported at once, each with the option's path. elsewhere says
// that the document wants another coordination store than etcd.
func (f *file) config(env map[string]string, elsewhere error) (Config, error) {
	p := place{env: env, aliases: ParseAliases(env[envAliases])}
	name := cmp.Or(f.Name, f.Postgres.Name)
	cfg := Config{
		Scope:     f.Scope,
		Namespace: cmp.Or(f.Namespace, defaultNamespace),
		Name:      name,
		Watchdog:  f.Watchdog.config(),
		Aliases:   p.aliases,
	}
	problems := []error{
		required("scope", f.Scope, "the name of the cluster"),
		named("scope", f.Scope),
		required("name", name, "a name for this member that no other member has"),
		memberNamed(name),
		tellable("tags", f.Tags),
		tellable("bootstrap.dcs", f.Bootstrap.DCS),
	}
	collect := func(e error) { problems = append(problems, e) }
	warn := func(more []string) { cfg.Warnings = append(cfg.Warnings, more...) }
	var err error
	var warnings []string
	cfg.Tags, warnings = publishedTags(f.Tags)
	warn(warnings)
	cfg.Guard, err = guardWanted(f.Guard, env)
	collect(err)
	cfg.Etcd, err = f.etcd().config()
	if elsewhere != nil {
		err = elsewhere
	}
	collect(err)
	at, err := p.endpoint("restapi", f.RestAPI.endpointFile, 8008, cfg.Etcd.Hosts)
	collect(err)
	cfg.RestAPI, warnings, err = f.RestAPI.config(at)
	warn(warnings)
	collect(err)
	cfg.Ctl, err = f.Ctl.config(f.RestAPI)
	collect(err)
	cfg.Log, warnings = f.Log.config(p.inVolume)
	warn(warnings)
	cfg.Postgres, err = p.postgres(f.Postgres, cfg.Etcd.Hosts, f.letsIn())
	collect(err)
	cfg.Postgres.SocketDir = p.socketDir(name)
	cfg.Bootstrap, err = f.Bootstrap.config()
	collect(err)
	return cfg, invalid("", problems...)
}

// tellable refuses values that no document of the DCS can hold: numbers that are none, and sections whose names are no texts.
func tellable(section string, values map[string]any) error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, err := json.Marshal(values[name]); err != nil {
			problems = append(problems, fmt.Errorf("%s.%s: other members could not be told of this value; give a text, a number, "+
				"true or false, or a list or section of those", section, name))
		}
	}
	return errors.Join(problems...)
}

func required(path, value, what string) error {
	if value == "" {
		return fmt.Errorf("%s is missing: give %s", path, what)
	}
	return nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// named refuses names that would break a path of the DCS.
func named(path, value string) error {
	if value != "" && !nameForm.MatchString(value) {
		return fmt.Errorf("%s: %q may only have letters, digits, dots, dashes and underscores", path, value)
	}
	return nil
}

// memberNamed refuses also the name that stands for nobody.
func memberNamed(name string) error {
	if strings.EqualFold(name, guc.NobodySync) {
		return fmt.Errorf("name: %s stands for no member at all in synchronous mode: give another name", name)
	}
	return named("name", name)
}

// place is where the task runs, as its platform describes it.
type place struct {
	env     map[string]string
	aliases map[string]string
}

// longestSocketDir is how long the path of a folder may be for a socket in it: a socket's path has 107 bytes, of which
// its name takes 22 ("/.s.PGSQL.65535.lock" and some air).
const longestSocketDir = 85

// socketDir is the member's folder for sockets where the platform has one and its path is short enough.
func (p place) socketDir(name string) string {
	run := p.env[envRun]
	dir := filepath.Join(run, name)
	if run == "" || name == "" || len(dir) > longestSocketDir || strings.Contains(dir, ",") {
		return ""
	}
	return dir
}

// inVolume moves an absolute path into the task's volume where the platform gives the task no file system of
// its own.
func (p place) inVolume(path string) string {
	root := p.env[envVolume]
	if root == "" || path == "" || !filepath.IsAbs(path) || strings.HasPrefix(path, root+"/") {
		return path
	}
	return filepath.Join(root, path)
}

// endpoint works out where to listen and what to advertise.
//
// A platform that maps ports says so in PORT_<number>. Where the task has a network of its own it listens as
// configured and advertises the mapped port; where it shares the host's (PGBATON_BIND_ADDRESS is set) it
// also listens on the mapped one.
func (p place) endpoint(path string, f endpointFile, port int, etcd []string) (Endpoint, error) {
	listen := cmp.Or(f.Listen, "0.0.0.0:"+strconv.Itoa(port))
	hosts, configured, err := parseListen(listen)
	if err != nil {
		return Endpoint{}, fmt.Errorf("%s.listen: %w", path, err)
	}
	mapped := p.mapped(configured)
	e := Endpoint{Hosts: hosts, Port: configured}
	if bind := p.env[envBind]; bind != "" {
		e.Port = mapped
		for i, h := range e.Hosts {
			if wildcard(h) {
				e.Hosts[i] = bind
			}
		}
	}
	e.Connect, err = p.advertised(path, f.Connect, e, mapped)
	if err != nil {
		return Endpoint{}, err
	}
	return e, p.reachable(path, e.Connect, etcd)
}

func (p place) mapped(port int) int {
	if n, err := strconv.Atoi(p.env[envPort+strconv.Itoa(port)]); err == nil && n > 0 {
		return n
	}
	return port
}

func (p place) advertised(path, connect string, e Endpoint, mapped int) (string, error) {
	if connect != "" {
		host, text, err := net.SplitHostPort(connect)
		if err != nil {
			host, text = connect, strconv.Itoa(mapped)
		}
		port, err := strconv.Atoi(text)
		if err != nil || host == "" || port < 1 || port > 65535 {
			return "", fmt.Errorf("%s.connect_address: %q is not host:port", path, connect)
		}
		return cluster.HostPort(host, p.mapped(port)), nil
	}
	for _, host := range append([]string{p.env[envHostIP], p.env[envHost]}, e.Hosts...) {
		if host != "" && !wildcard(host) {
			return cluster.HostPort(host, mapped), nil
		}
	}
	return "", fmt.Errorf("%s.connect_address is missing: give the host:port under which other members reach this one", path)
}

// reachable refuses to advertise a loopback address while the DCS, and so the other members, may be elsewhere.
func (p place) reachable(path, connect string, etcd []string) error {
	if !p.loopback(connect) {
		return nil
	}
	for _, h := range etcd {
		if !p.loopback(h) {
			return fmt.Errorf("%s.connect_address: %s is reachable from this machine only, but etcd (%s) is elsewhere; "+
				"give an address that other members can reach", path, connect, h)
		}
	}
	return nil
}

func (p place) loopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return false
	}
	if known, ok := p.aliases[host]; ok {
		host = known
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func wildcard(host string) bool {
	return host == "" || host == "*" || host == "0.0.0.0" || host == "::"
}

// parseListen reads "host,host:port".
func parseListen(listen string) ([]string, int, error) {
	cut := strings.LastIndex(listen, ":")
	if cut < 0 {
		return nil, 0, fmt.Errorf("%q is not host:port", listen)
	}
	port, err := strconv.Atoi(listen[cut+1:])
	if err != nil || port < 1 || port > 65535 {
		return nil, 0, fmt.Errorf("%q has no port between 1 and 65535", listen)
	}
	hosts := strings.Split(listen[:cut], ",")
	for i, h := range hosts {
		hosts[i] = strings.Trim(strings.TrimSpace(h), "[]")
	}
	return hosts, port, nil
}
