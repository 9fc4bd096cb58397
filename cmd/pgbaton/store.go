package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/ctl"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
	"github.com/pgbaton/pgbaton/internal/tlsfiles"
)

// documents is a cluster's documents together with the connection they are read through.
type documents struct {
	*dcs.Store

	conn *etcd3.Store
}

// Close closes the connection.
func (d documents) Close() error { return d.conn.Close() }

func etcdConfig(c config.Etcd, aliases map[string]string, lazy bool) (etcd3.Config, error) {
	out := etcd3.Config{Endpoints: c.Hosts, Username: c.Username, Password: c.Password, Resolve: aliases, Lazy: lazy}
	if !c.Secure {
		return out, nil
	}
	verify := tlsfiles.VerifyFull
	if c.Insecure {
		verify = tlsfiles.VerifyNothing
	}
	var err error
	if out.TLS, err = tlsfiles.Client(c.CA, c.Cert, c.Key, c.KeyPassword, verify); err != nil {
		return etcd3.Config{}, fmt.Errorf("speak TLS with etcd: %w", err)
	}
	return out, nil
}

func openDocuments(ctx context.Context, etcd config.Etcd, aliases map[string]string, lazy bool, cfg dcs.Config) (documents, error) {
	store, err := openEtcd(ctx, etcd, aliases, lazy)
	if err != nil {
		return documents{}, err
	}
	d, err := dcs.New(store, cfg)
	if err != nil {
		return documents{}, errors.Join(err, store.Close())
	}
	return documents{Store: d, conn: store}, nil
}

func openEtcd(ctx context.Context, etcd config.Etcd, aliases map[string]string, lazy bool) (*etcd3.Store, error) {
	etcd, err := discovered(ctx, etcd, net.DefaultResolver.LookupSRV)
	if err != nil {
		return nil, err
	}
	cfg, err := etcdConfig(etcd, aliases, lazy)
	if err != nil {
		return nil, err
	}
	return etcd3.Open(ctx, cfg)
}

func openForOperator(ctx context.Context, c config.Client) (ctl.DCS, error) {
	return openDocuments(ctx, c.Etcd, c.Aliases, false, dcs.Config{Namespace: c.Namespace, Scope: c.Scope})
}

// scopes are the clusters that have documents in a namespace.
func scopes(ctx context.Context, c config.Client) ([]string, error) {
	store, err := openEtcd(ctx, c.Etcd, c.Aliases, false)
	if err != nil {
		return nil, err
	}
	defer store.Close() //nolint:errcheck // only read
	base := "/" + strings.Trim(c.Namespace, "/") + "/"
	found, err := store.List(ctx, base)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range found.Pairs {
		name, _, below := strings.Cut(strings.TrimPrefix(p.Key, base), "/")
		if below && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}
