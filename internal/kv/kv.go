package kv

import (
	"context"
	"errors"
	"time"
)

// The errors a caller may branch on; see the package comment for what each of them promises.
// Implementations wrap them, so test with errors.Is.
var (
	ErrHeld        = errors.New("key exists already")
	ErrConflict    = errors.New("key was changed by somebody else")
	ErrFenced      = errors.New("key that the write depends on was changed")
	ErrLost        = errors.New("lease is gone")
	ErrUnavailable = errors.New("store did not answer")
)

// Version is the revision at which a key was last modified. It grows with every write to the store
// and is only ever compared for equality. Zero is never the version of an existing key.
type Version int64

// LeaseID names a lease. Zero is no lease.
type LeaseID int64

// Pair is one key as it was read.
type Pair struct {
	Key     string
	Value   string
	Version Version
	// Lease is the lease the key is bound to, zero when it is not bound to one.
	Lease LeaseID
}

// Snapshot is a set of keys as they stood together at one revision of the store.
type Snapshot struct {
	// Pairs is sorted by key.
	Pairs []Pair
	// Revision is the revision of the store at which all of them were read; Watch after it misses
	// nothing.
	Revision Version
}

// Condition says when a Put or Delete may happen; made by IfAbsent, IfVersion or Always. Its zero value
// matches nothing, so a forgotten condition cannot overwrite.
type Condition struct {
	absent  bool
	always  bool
	version Version
	guard   Guard
}

// Guard is a key that has to have exactly this version for a write to another key to happen: that of a leader, for what only
// the leader may write. Its zero value demands nothing.
type Guard struct {
	Key     string
	Version Version
}

// IfAbsent lets a Put happen only when the key does not exist. It fails with ErrHeld. There is nothing to
// delete where it holds: a Delete with it always fails with ErrConflict.
func IfAbsent() Condition { return Condition{absent: true} }

// IfVersion lets a Put or Delete happen only when the key exists with exactly this version. It fails
// with ErrConflict. Only positive versions exist; the others are never matched, so a forgotten version
// cannot overwrite.
func IfVersion(v Version) Condition { return Condition{version: v} }

// Always puts no condition on the write. The leader key is never written with it (rule S8).
func Always() Condition { return Condition{always: true} }

// While adds to a condition that the write happens only while the guard holds, in the same atomic step. It fails with
// ErrFenced, also where the rest of the condition does not hold either. Only positive versions exist, so a guard without one
// is never met.
func (c Condition) While(g Guard) Condition {
	c.guard = g
	return c
}

// Guard returns the guard and whether there is one.
func (c Condition) Guard() (Guard, bool) { return c.guard, c.guard != Guard{} }

// Absent reports whether the condition demands that the key does not exist.
func (c Condition) Absent() bool { return c.absent }

// Version returns the demanded version and whether one is demanded.
func (c Condition) Version() (Version, bool) { return c.version, !c.absent && !c.always }

// Event is one change seen by a Watch.
type Event struct {
	Key string
	// Value is the new value; empty when the key was deleted.
	Value   string
	Version Version
	// Deleted is true when the key was deleted or its lease ended.
	Deleted bool
}

// Store is the port. Every method honours the deadline of its context and returns ErrUnavailable
// when it passes; implementations set no deadline of their own beyond it and never retry a write.
type Store interface {
	// Get reads one key with linearizable consistency. The bool is false when it does not exist.
	Get(ctx context.Context, key string) (Pair, bool, error)
	// List reads every key that starts with prefix, at one revision, with linearizable consistency.
	List(ctx context.Context, prefix string) (Snapshot, error)
	// Put writes the key when the condition holds, bound to the lease unless that is zero, and
	// returns the new version. Errors: ErrHeld, ErrConflict, ErrFenced, ErrLost (the lease does not
	// exist), ErrUnavailable (may have been applied).
	Put(ctx context.Context, key, value string, cond Condition, lease LeaseID) (Version, error)
	// Delete removes the key when the condition holds. Deleting an absent key without a version
	// condition is not an error. Errors: ErrConflict, ErrFenced, ErrUnavailable (may have been applied).
	Delete(ctx context.Context, key string, cond Condition) error
	// Watch delivers every change below prefix that happened after the revision, in order, until
	// the context ends or the stream breaks; then the channel is closed. A closed channel says
	// nothing about the keys: List again and Watch from there.
	Watch(ctx context.Context, prefix string, after Version) <-chan Event
	// Grant creates a lease that ends ttl after its last renewal. ttl is rounded up to seconds.
	Grant(ctx context.Context, ttl time.Duration) (LeaseID, error)
	// Renew restarts the lease's clock and returns the revision of the store then: whoever has read everything at that
	// revision has seen all changes until this call. Repeating it does no harm. Errors: ErrLost, ErrUnavailable.
	Renew(ctx context.Context, lease LeaseID) (Version, error)
	// Revoke ends a lease and deletes its keys. Revoking a lease that is gone is not an error.
	Revoke(ctx context.Context, lease LeaseID) error
	// Close releases connections. Leases go on until their ttl ends.
	Close() error
}
