package quorum

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// View is what was seen at one instant by the leader, whose server is a primary and answers. Next never changes it.
type View struct {
	Now time.Time
	// Self is the leader's name.
	Self string
	// Mode is SyncOn or SyncQuorum. Count is how many standbys a commit shall wait for, at least one where Strict.
	Mode   cluster.SyncMode
	Count  int
	Strict bool
	// MaximumLag in bytes: a standby further behind the best one is left out; zero sets no limit.
	MaximumLag uint64
	// Patience is how long a standby that vanished counts as there: a moment without its connection, as around a restart or
	// a change of leaders, is no reason to stop waiting for it.
	Patience time.Duration
	// Promise is the one in the sync key, Names what the server goes by.
	Promise cluster.Sync
	Names   guc.SyncNames
	// Doubt is true while it is not certain that every process of the server was told to go by Names, as in a new life of
	// the agent, and after a SetNames that failed or whose answer was lost.
	Doubt bool
	// Settle asks for certainty that the names are settled even where nothing is to change.
	Settle bool
	// Position is where the server's WAL ends on disk.
	Position wal.LSN
	// Standbys are the members that stream from the server. Whoever streams under one of Names has to be among them, for its
	// sender acknowledges commits.
	Standbys []Standby
}

// Standby is a member that streams from the leader.
type Standby struct {
	Name string
	// Priority orders the choice, the highest first.
	Priority int
	// NoFailover is true for one that never leads: it is the last choice. Barred is true for one that may not be
	// synchronous any more, though commits may still wait for it.
	NoFailover, Barred bool
	// Sent and Flushed are how far the leader's WAL was sent, and is safe on its disk.
	Sent, Flushed wal.LSN
}

// Memory is what one step leaves for the next. Its zero value knows nothing, which is always safe.
type Memory struct {
	// Begun is true once names were seen; Names are the last ones.
	Begun bool
	Names guc.SyncNames
	// Owed are other names under which commits may have been acknowledged, or may be soon, that do not satisfy Names. Unsure
	// says that there may be more, of which nothing is known.
	Owed   []guc.SyncNames
	Unsure bool
	// Mark is the position that was seen first, at MarkedAt, after Names came into force, and anew after every process that
	// sends WAL was Heard to go by them; zero before.
	Heard    bool
	Mark     wal.LSN
	MarkedAt time.Time
	// Seen is when each standby was last there.
	Seen map[string]time.Time
}

// Settled reports whether every commit that was ever acknowledged satisfies the names in force.
func (m Memory) Settled() bool { return m.Begun && !m.Unsure && len(m.Owed) == 0 }

// Kind is what a step does.
type Kind int

// The kinds of steps.
const (
	// Rest: everything is as it shall be.
	Rest Kind = iota
	// Await: the standbys have to flush more before the next step. Look again soon.
	Await
	// Emit: the same, and the server's WAL does not move by itself.
	Emit
	// SetNames: the server's commits shall wait for Step.Names.
	SetNames
	// MakePromise: Step.Promise goes into the sync key, over the version in it.
	MakePromise
)

// Step is the next safe one.
type Step struct {
	Kind    Kind
	Names   guc.SyncNames
	Promise cluster.Sync
	// Why is one clause for people.
	Why string
}
