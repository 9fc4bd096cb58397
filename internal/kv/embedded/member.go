package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.uber.org/zap"
)

// Member describes one member of an etcd cluster. The members of one cluster agree on Cluster and
// Token.
type Member struct {
	// Name is this member's key in Cluster.
	Name string
	// Dir is the data directory; made when it does not exist.
	Dir string
	// ClientURLs are where clients are served and what the member tells them about itself:
	// http://host:port, the host an address other members and clients reach, not a wildcard.
	ClientURLs []string
	// PeerURL is where the other members are served; the same as in Cluster.
	PeerURL string
	// Cluster maps the name of each member, this one too, to its peer URL, as it was when the cluster
	// was made.
	Cluster map[string]string
	// Token distinguishes clusters whose members have the same addresses; may be empty.
	Token string
	// Existing says that the cluster is known to have run before. A member without data then waits for
	// an answer of the others. Without it, silence means that nobody has started yet, and the member
	// founds the cluster; when in truth all the others are down, that may found it a second time.
	Existing bool
	// Logger takes the few lines of etcd that an operator can act on.
	Logger *slog.Logger
}

func (m Member) validate() error {
	switch {
	case m.Name == "":
		return errors.New("etcd member has no name")
	case m.Dir == "":
		return fmt.Errorf("etcd member %s has no data directory", m.Name)
	case len(m.ClientURLs) == 0:
		return fmt.Errorf("etcd member %s has no client URL", m.Name)
	case m.Cluster[m.Name] != m.PeerURL:
		return fmt.Errorf("etcd member %s has the peer URL %q, but %q in its cluster", m.Name, m.PeerURL, m.Cluster[m.Name])
	case m.Logger == nil:
		return fmt.Errorf("etcd member %s has no logger", m.Name)
	}
	for _, text := range slices.Concat(m.ClientURLs, slices.Sorted(maps.Values(m.Cluster))) {
		if _, err := parseURL(text); err != nil {
			return fmt.Errorf("etcd member %s: URL %q %w", m.Name, text, err)
		}
	}
	return nil
}

// parseURL reads http://host:port with a host that can be told to others.
func parseURL(text string) (url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" || strings.Trim(u.Path, "/") != "" {
		return url.URL{}, errors.New("is not http://host:port")
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		return url.URL{}, errors.New("has a wildcard address, which others cannot connect to; name one address")
	}
	return *u, nil
}

// clusterID computes the identity etcd gives to a cluster made by this description.
func (m Member) clusterID() (types.ID, error) {
	urls, err := types.NewURLsMap(clusterText(m.Cluster))
	if err != nil {
		return 0, fmt.Errorf("etcd cluster of member %s: %w", m.Name, err)
	}
	cluster, err := membership.NewClusterFromURLsMap(zap.NewNop(), m.token(), urls)
	if err != nil {
		return 0, fmt.Errorf("etcd cluster of member %s: %w", m.Name, err)
	}
	return cluster.ID(), nil
}

func (m Member) token() string {
	return "pgbaton-" + m.Token
}

// others returns the peer URLs of the other members in a fixed order.
func (m Member) others() []string {
	var urls []string
	for _, name := range slices.Sorted(maps.Keys(m.Cluster)) {
		if name != m.Name {
			urls = append(urls, m.Cluster[name])
		}
	}
	return urls
}

// clusterText renders name=url,… as etcd reads it.
func clusterText(cluster map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(cluster)) {
		parts = append(parts, name+"="+cluster[name])
	}
	return strings.Join(parts, ",")
}
