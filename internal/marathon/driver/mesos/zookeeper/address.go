package zookeeper

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"

	"github.com/pgbaton/pgbaton/internal/secret"
)

const (
	scheme      = "zk://"
	defaultPort = "2181"
)

// Ensemble is where masters tell who leads.
type Ensemble struct {
	Servers  []string // host:port
	Path     string   // of the folder of their nodes
	User     string   // of the scheme "digest", empty without a login
	Password secret.Text
	// Names has masters called by their names, as their certificates may have to; else by their addresses.
	Names bool
}

// IsURL reports whether a text is meant to be an ensemble's.
func IsURL(text string) bool { return strings.HasPrefix(text, scheme) }

// Parse reads zk://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/PATH, the form that Mesos' own programs take. Errors never
// contain the password.
func Parse(text string) (Ensemble, error) {
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return Ensemble{}, errors.New("it does not begin with " + scheme)
	}
	var e Ensemble
	at := strings.LastIndex(rest, "@")
	if at >= 0 {
		user, password, ok := strings.Cut(rest[:at], ":")
		if !ok || user == "" {
			return e, errors.New("what stands before @ is not USER:PASSWORD")
		}
		e.User, e.Password = decoded(user), secret.Text(decoded(password))
	}
	hosts, folder, _ := strings.Cut(rest[at+1:], "/")
	if e.Path = path.Clean("/" + folder); e.Path == "/" {
		return e, errors.New("the path of the masters is missing, such as /mesos")
	}
	for host := range strings.SplitSeq(hosts, ",") {
		server, err := server(strings.TrimSpace(host))
		if err != nil {
			return e, err
		}
		e.Servers = append(e.Servers, server)
	}
	return e, nil
}

// server adds the port that is usual.
func server(host string) (string, error) {
	if name, port, err := net.SplitHostPort(host); err == nil && name != "" && port != "" {
		return host, nil
	}
	if host == "" || strings.ContainsAny(host, ":[] ") {
		return "", fmt.Errorf("%q is no host:port of a ZooKeeper", host)
	}
	return net.JoinHostPort(host, defaultPort), nil
}

// decoded is a part of a URL without its percent signs; what is none stays as it is, as Mesos takes it.
func decoded(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// String is the ensemble without its password.
func (e Ensemble) String() string { return scheme + strings.Join(e.Servers, ",") + e.Path }
