package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/secret"
)

type etcdFile struct {
	Host      string      `yaml:"host"`
	Hosts     hostList    `yaml:"hosts"`
	Port      int         `yaml:"port"`
	Protocol  string      `yaml:"protocol"`
	URL       secret.Text `yaml:"url"`
	Proxy     secret.Text `yaml:"proxy"`
	Service   string      `yaml:"srv"`
	Discovery string      `yaml:"discovery_srv"`
	Domain    string      `yaml:"srv_domain"`
	Suffix    string      `yaml:"srv_suffix"`
	Username  string      `yaml:"username"`
	Password  secret.Text `yaml:"password"`
	CA        string      `yaml:"cacert"`
	Cert      string      `yaml:"cert"`
	Key       string      `yaml:"key"`
}

const etcdPort = 2379

// etcd is the section that counts: both mean etcd's v3 API.
func (f *file) etcd() etcdFile {
	switch {
	case f.Etcd3 != nil:
		return *f.Etcd3
	case f.Etcd != nil:
		return *f.Etcd
	}
	return etcdFile{}
}

// config works out where etcd is. Of several ways to say so a proxy counts first, then an address, then what the DNS
// knows, then hosts.
func (e etcdFile) config() (Etcd, error) {
	c := Etcd{
		Username: e.Username, Password: e.Password, Secure: strings.EqualFold(e.Protocol, "https"),
		ClientTLS: ClientTLS{CA: e.CA, Cert: e.Cert, Key: e.Key},
	}
	if at := cmp.Or(e.Proxy, e.URL); at != "" {
		return c.address(at)
	}
	if c.Service = cmp.Or(e.Service, e.Discovery, e.Domain); c.Service != "" {
		c.Suffix = e.Suffix
		return c, nil
	}
	hosts := []string(e.Hosts)
	if len(hosts) == 0 && e.Host != "" {
		hosts = []string{e.Host}
	}
	if len(hosts) == 0 {
		return Etcd{}, errors.New("etcd.hosts is missing: give the host:port of each etcd member")
	}
	for _, h := range hosts {
		at, err := hostPort(h, cmp.Or(e.Port, etcdPort))
		if err != nil {
			return Etcd{}, fmt.Errorf("etcd.hosts: %w", err)
		}
		c.Hosts = append(c.Hosts, at)
	}
	return c, nil
}

// address reads a URL. It may have a name and a password, so no error quotes it.
func (c Etcd) address(text secret.Text) (Etcd, error) {
	u, err := url.Parse(text.Reveal())
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Etcd{}, errors.New("etcd.url is not an address as http://host:port or https://host:port")
	}
	port, err := strconv.Atoi(cmp.Or(u.Port(), strconv.Itoa(etcdPort)))
	if err != nil || port < 1 || port > 65535 {
		return Etcd{}, errors.New("etcd.url has no port between 1 and 65535")
	}
	c.Hosts, c.Secure = []string{cluster.HostPort(u.Hostname(), port)}, u.Scheme == "https"
	if u.User != nil {
		word, _ := u.User.Password()
		c.Username, c.Password = u.User.Username(), secret.Text(word)
	}
	return c, nil
}

// hostPort completes host or host:port. An IPv6 address needs its brackets only where a port follows. What may have a
// password in it is not quoted.
func hostPort(text string, port int) (string, error) {
	if strings.Contains(text, "@") {
		return "", errors.New("an address is host:port; a name and a password have options of their own")
	}
	if strings.Contains(text, "://") {
		scheme, rest, _ := strings.Cut(text, "://")
		return "", fmt.Errorf("%q is not host:port; write %s, and protocol: %s beside it", text, rest, scheme)
	}
	host, given, err := net.SplitHostPort(text)
	if err != nil {
		host, given = strings.Trim(text, "[]"), strconv.Itoa(port)
	}
	n, err := strconv.Atoi(given)
	_, notAddress := netip.ParseAddr(host)
	if err != nil || n < 1 || n > 65535 || host == "" || strings.ContainsAny(host, " /[]") || strings.Contains(host, ":") && notAddress != nil {
		return "", fmt.Errorf("%q is not host:port", text)
	}
	return cluster.HostPort(host, n), nil
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

// splitHosts reads names with commas between them, in brackets or not. Those of an IPv6 address are its own.
func splitHosts(text string) []string {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") && !strings.Contains(strings.TrimSuffix(inner, "]"), "]") {
		text = strings.TrimSuffix(inner, "]")
	}
	var hosts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.Trim(part, ` '"`); part != "" {
			hosts = append(hosts, part)
		}
	}
	return hosts
}

// otherStores are the sections of coordination stores, and of what goes with them, that this version does not speak to.
func otherStores() []string {
	return []string{"citus", "consul", "exhibitor", "kubernetes", "raft", "zookeeper"}
}

// stores says what becomes of those: without etcd nothing can work, beside it they do nothing.
func (t *tree) stores() (warnings []string, err error) {
	given := func(name string) bool { node := child(t.root, name); return node != nil && !isNull(node) }
	etcd := given("etcd") || given("etcd3")
	for _, name := range otherStores() {
		switch {
		case !given(name):
		case name == "citus":
			warnings = append(warnings, "citus is not acted on by this version: members of it are led as those of any other cluster")
		case etcd:
			warnings = append(warnings, name+" is not acted on by this version; etcd is used")
		default:
			err = fmt.Errorf("%s: this version keeps clusters in etcd (v3 API) only; give etcd3.hosts in place of the section %s", name, name)
		}
	}
	return slices.Clip(warnings), err
}
