package embeddedtest

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv/embedded"
	"github.com/pgbaton/pgbaton/internal/peer"
)

// patience is how long a member may take to be ready.
const patience = 30 * time.Second

// Start runs a cluster of one member in this process and returns its client URL once it is ready.
func Start(t *testing.T) string {
	t.Helper()
	member := Members(t, 1)[0]
	Run(t, member)
	return member.ClientURLs[0]
}

// Members describes a cluster of n members that fits on this machine.
func Members(t *testing.T, n int) []embedded.Member {
	t.Helper()
	cluster := map[string]string{}
	members := make([]embedded.Member, n)
	for i := range members {
		name := fmt.Sprintf("etcd-node%d", i+1)
		cluster[name] = FreeURL(t)
		members[i] = embedded.Member{
			Name:       name,
			Dir:        t.TempDir(),
			ClientURLs: []string{FreeURL(t)},
			PeerURL:    cluster[name],
			Cluster:    cluster,
			Logger:     slog.New(slog.DiscardHandler),
		}
	}
	return members
}

// Run starts the members at once, waits until all are ready and closes them when the test ends.
func Run(t *testing.T, members ...embedded.Member) []*embedded.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	servers := make([]*embedded.Server, len(members))
	for i, member := range members {
		server, err := embedded.Start(ctx, member)
		if err != nil {
			t.Fatalf("start %s: %v", member.Name, err)
		}
		t.Cleanup(func() { _ = server.Close() })
		servers[i] = server
	}
	for i, server := range servers {
		select {
		case <-server.Ready():
		case <-ctx.Done():
			t.Fatalf("%s is not ready after %v", members[i].Name, patience)
		}
	}
	return servers
}

// FreeURL returns the URL of a loopback port at which nobody listens.
func FreeURL(t *testing.T) string {
	t.Helper()
	return "http://" + peer.FreePort(t).String()
}
