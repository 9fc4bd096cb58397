package agent

import (
	"context"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// DCS is what the agent needs of the document layer.
type DCS interface {
	Load(ctx context.Context) (cluster.Cluster, error)
	Watch(ctx context.Context, after cluster.Version) <-chan dcs.Change

	// Lease is the own lease as it stands; its ID is zero when there is none.
	Lease() dcs.Lease
	Grant(ctx context.Context, ttl time.Duration) error
	Renew(ctx context.Context) error

	Acquire(ctx context.Context) error
	Adopt(ctx context.Context, leader cluster.Version) error
	Release(ctx context.Context, leader cluster.Version, status cluster.Status) error
	Announce(ctx context.Context, m cluster.Member) error

	CreateInitialize(ctx context.Context) error
	WriteInitialize(ctx context.Context, id wal.SystemID, old cluster.Version) error
	DeleteInitialize(ctx context.Context, old cluster.Version) error
	WriteConfig(ctx context.Context, data map[string]any, old cluster.Version) error
	WriteFailover(ctx context.Context, f cluster.Failover, old cluster.Version) error
	WriteHistory(ctx context.Context, h cluster.History) error
	WriteStatus(ctx context.Context, s cluster.Status) error
}

// Postgres is what the agent needs of the server. Every job of it may be called again after it was cancelled.
type Postgres interface {
	Status(ctx context.Context) postgres.Status
	Exited() <-chan struct{}

	Bootstrap(ctx context.Context) error
	Clone(ctx context.Context, o postgres.CloneOptions) error
	Start(ctx context.Context, o postgres.StartOptions) error
	Stop(ctx context.Context, o postgres.StopOptions) (postgres.Shutdown, error)
	Restart(ctx context.Context, o postgres.StopOptions) error
	Promote(ctx context.Context) error
	Follow(ctx context.Context, up postgres.Upstream) (postgres.Followed, error)
	Rewind(ctx context.Context, o postgres.RewindOptions) error
	Checkpoint(ctx context.Context) error
	Reload(ctx context.Context, s postgres.Settings) (bool, error)

	SetAside() (string, error)
	Kept() []string
	Discard(kept string) error

	LocalHistory(tl wal.Timeline) (wal.History, error)
	IdentifySource(ctx context.Context, up postgres.Upstream) (postgres.Source, error)
	TimelineHistory(ctx context.Context, up postgres.Upstream, tl wal.Timeline) (wal.History, error)
}

// Peers asks other agents.
type Peers interface {
	Status(ctx context.Context, apiURL string) (client.Status, error)
	Alive(ctx context.Context, m cluster.Member) bool
}
