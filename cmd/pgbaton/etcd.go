package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/kv/embedded"
)

func etcdCommand() *cobra.Command {
	var m embedded.Member
	var initial []string
	c := &cobra.Command{
		Use:   "etcd",
		Short: "Run one member of an etcd cluster",
		Long: `A member of an etcd cluster, for places that have none yet. It serves etcd's v3 API and
its data directory is etcd's own, so that etcd itself can take it over.`,
		Example: `  pgbaton etcd --name etcd-node1 --data-dir /var/lib/etcd --client-url http://10.0.0.1:2379 \
    --peer-url http://10.0.0.1:2380 --initial-cluster etcd-node1=http://10.0.0.1:2380`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			m.Logger = newLog(slog.LevelInfo)
			m.Cluster, err = parseCluster(initial)
			if err != nil {
				return err
			}
			return runEtcd(cmd.Context(), m)
		},
	}
	f := c.Flags()
	f.StringVar(&m.Name, "name", "", "name of this member in --initial-cluster")
	f.StringVar(&m.Dir, "data-dir", "", "directory for its data")
	f.StringSliceVar(&m.ClientURLs, "client-url", nil, "where clients are served, http://host:port; may be repeated")
	f.StringVar(&m.PeerURL, "peer-url", "", "where the other members are served, http://host:port")
	f.StringSliceVar(&initial, "initial-cluster", nil, "all members as name=peer-url, separated by commas")
	f.StringVar(&m.Token, "token", "", "distinguishes clusters that have the same addresses")
	f.BoolVar(&m.Existing, "existing", false, "the cluster has run before: without data, wait for its members")
	return c
}

func parseCluster(entries []string) (map[string]string, error) {
	members := map[string]string{}
	for _, e := range entries {
		name, url, ok := strings.Cut(e, "=")
		if !ok {
			return nil, fmt.Errorf("--initial-cluster: %q is not name=url", e)
		}
		members[name] = url
	}
	return members, nil
}

// closeWithin bounds how long a member takes to end; its data are safe at any moment.
const closeWithin = 5 * time.Second

func runEtcd(ctx context.Context, m embedded.Member) error {
	s, err := embedded.Start(ctx, m)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-s.Stopped():
		return s.Err()
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Close() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(closeWithin):
		return errors.New("the etcd member did not end in time")
	}
}
