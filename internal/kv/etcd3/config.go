package etcd3

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// Config says where an etcd cluster is and how to reach it.
type Config struct {
	// Endpoints are the client addresses of the members: "host:port", "http://host:port" or
	// "https://host:port". One is enough to work, all of them to survive the loss of a member.
	Endpoints []string

	// Username and Password are sent when the cluster demands authentication.
	Username string
	Password secret.Text

	// TLS is used for https endpoints and, when set, for those without a scheme.
	TLS *tls.Config

	// Resolve maps host names of Endpoints to addresses, before the resolver of the system is asked.
	// Certificates are still checked against the name.
	Resolve map[string]string

	// Lazy has Open return at once, whether anybody answers or not: for whoever has more to do than to wait for etcd.
	Lazy bool

	// DialTimeout bounds one attempt to connect to one endpoint; 3 s when zero.
	DialTimeout time.Duration

	// KeepAlive is the silence on a connection with an open watch after which it is probed, and
	// KeepAliveTimeout how long the probe may take before the connection, and with it the watch,
	// breaks. 10 s (gRPC's minimum) and 3 s when zero.
	KeepAlive        time.Duration
	KeepAliveTimeout time.Duration
}

// withDefaults returns the configuration with no zero durations.
func (c Config) withDefaults() Config {
	c.DialTimeout = cmp.Or(c.DialTimeout, 3*time.Second)
	c.KeepAlive = cmp.Or(c.KeepAlive, 10*time.Second)
	c.KeepAliveTimeout = cmp.Or(c.KeepAliveTimeout, 3*time.Second)
	return c
}

func (c Config) validate() error {
	if len(c.Endpoints) == 0 {
		return errors.New("no etcd endpoint is given")
	}
	for _, endpoint := range c.Endpoints {
		if err := validateEndpoint(endpoint); err != nil {
			return fmt.Errorf("etcd endpoint %q: %w", endpoint, err)
		}
	}
	return nil
}

func validateEndpoint(endpoint string) error {
	address := endpoint
	if strings.Contains(endpoint, "://") {
		u, err := url.Parse(endpoint)
		if err != nil {
			return errors.New("is not a URL: write http://host:port")
		}
		if u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("has the scheme %s: write http or https", u.Scheme)
		}
		if u.User != nil {
			return errors.New("carries a user: give it as user name and password")
		}
		if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return errors.New("has a path: write scheme, host and port only")
		}
		address = u.Host
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return errors.New("is not host:port")
	}
	return nil
}
