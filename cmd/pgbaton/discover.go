package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/config"
)

// discoverTo is how long the DNS has to tell where etcd is.
const discoverTo = 10 * time.Second

// lookup asks the DNS for SRV records (net.Resolver.LookupSRV).
type lookup func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)

// discovered is the configuration with the hosts that the DNS knows for its service, where it names no hosts: those that
// speak TLS first, then those that do not, under the names that etcd's own tools and Patroni look for.
func discovered(ctx context.Context, etcd config.Etcd, ask lookup) (config.Etcd, error) {
	if len(etcd.Hosts) > 0 || etcd.Service == "" {
		return etcd, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, discoverTo, errors.New("the DNS does not answer in time"))
	defer cancel()
	var silent error
	for _, service := range []string{"etcd-client-ssl", "etcd-client", "etcd-ssl", "etcd"} {
		if etcd.Suffix != "" {
			service += "-" + etcd.Suffix
		}
		_, records, err := ask(ctx, service, "tcp", etcd.Service)
		if unknown, ok := errors.AsType[*net.DNSError](err); err != nil && (!ok || !unknown.IsNotFound) {
			silent = err
		}
		for _, r := range records {
			etcd.Hosts = append(etcd.Hosts, cluster.HostPort(strings.TrimSuffix(r.Target, "."), int(r.Port)))
		}
		if len(records) > 0 {
			etcd.Secure = strings.Contains(service, "-ssl")
			return etcd, nil
		}
	}
	if silent != nil {
		return etcd, fmt.Errorf("ask the DNS for the members of etcd: %w", silent)
	}
	return etcd, errors.New("the DNS has no members of etcd at " + strconv.Quote(etcd.Service) + ": give SRV records such as _etcd-client._tcp." + etcd.Service + ", or etcd3.hosts")
}
