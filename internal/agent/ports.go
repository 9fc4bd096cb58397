package agent

import (
	"context"
	"time"

	"github.com/pgbaton/pgbaton/internal/callback"
	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/guard"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/wal"
	"github.com/pgbaton/pgbaton/internal/watchdog"
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
	WriteFailsafe(ctx context.Context, members map[string]string) error
	WriteSync(ctx context.Context, promise cluster.Sync) (cluster.Version, error)
	DeleteSync(ctx context.Context, old cluster.Version) error
}

// Postgres is what the agent needs of the server. Every job of it may be called again after it was cancelled.
type Postgres interface {
	Status(ctx context.Context) postgres.Status
	Exited() <-chan struct{}

	Bootstrap(ctx context.Context) error
	Clone(ctx context.Context, o postgres.CloneOptions) error
	Start(ctx context.Context, o postgres.StartOptions) error
	Stop(ctx context.Context, o postgres.StopOptions) (postgres.Shutdown, error)
	Restart(ctx context.Context, o postgres.RestartOptions) error
	Promote(ctx context.Context) error
	Follow(ctx context.Context, up postgres.Upstream) (postgres.Followed, error)
	Rewind(ctx context.Context, o postgres.RewindOptions) error
	Checkpoint(ctx context.Context) error
	Reload(ctx context.Context, s postgres.Settings) (bool, error)
	Reread() (bool, error)

	SetSyncNames(ctx context.Context, n postgres.SyncNames) error
	EmitWAL(ctx context.Context) error
	AdmitClients(ctx context.Context) error

	// Slots, SlotsOf, OldestWAL and what changes slots may be called beside a job.
	Slots(ctx context.Context) ([]postgres.Slot, error)
	SlotsOf(ctx context.Context, up postgres.Upstream) ([]postgres.Slot, error)
	OldestWAL(ctx context.Context) (wal.LSN, error)
	CreateSlot(ctx context.Context, slot postgres.Slot) error
	DropSlot(ctx context.Context, name string) error
	AdvanceSlot(ctx context.Context, slot postgres.Slot, to wal.LSN) error
	// CopySlots is a job.
	CopySlots(ctx context.Context, up postgres.Upstream, names []string) error

	// Activity says in a few words what the job under way is doing, and since when; empty when there is nothing to say.
	Activity() (what string, since time.Time)

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
	Failsafe(ctx context.Context, apiURL string, call client.FailsafeCall) (client.Answer, error)
}

// Guard stops the server when this process cannot: what it was ordered last it does even if nobody here runs any more
// (rule S3). Its methods return within the context's time and may be called from any goroutine.
type Guard interface {
	// Arm gives an order in place of any earlier one. When it returns nil the order is in force.
	Arm(ctx context.Context, o guard.Order) error
	// Disarm takes the last order back. It returns when the guard is through with what it may be doing.
	Disarm(ctx context.Context) error
	// Note is what a guard that stopped the server left, once.
	Note() (guard.Note, bool)
}

// Watchdog is what the agent needs of the device that resets the host (see package watchdog). Nothing of it waits for
// long.
type Watchdog interface {
	State(t watchdog.Terms) watchdog.State
	Timer() (ends time.Time, timeout time.Duration)
	Activate(t watchdog.Terms) error
	Keepalive(t watchdog.Terms, renewed time.Time) error
	Disable() error
}

// Callbacks tells the operator's scripts what happened. It does not wait for them.
type Callbacks interface {
	Call(event callback.Event, role cluster.Role)
}

// Manager is told how the agent is getting on (see package service).
type Manager interface {
	Ready(ctx context.Context)
	Reloading(ctx context.Context)
	Stopping(ctx context.Context)
}
