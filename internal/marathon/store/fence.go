package store

import (
	"context"
	"sync/atomic"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// Fence lets every write from now on, the archive's too, happen only while the guard holds, in the same step: kv.ErrFenced
// otherwise. It is the key of the leader in the version of this term. Versions of documents alone would not do: a write of a
// document that is not there yet is made from no version, and one that was on its way when a process was frozen would still
// be taken under the next leader. The zero guard demands nothing.
func (s *Store) Fence(guard kv.Guard) { s.kv.guard.Store(&guard) }

// guarded is a store whose writes need a guard.
type guarded struct {
	kv.Store

	guard atomic.Pointer[kv.Guard]
}

func (g *guarded) fence(c kv.Condition) kv.Condition {
	if guard := g.guard.Load(); guard != nil {
		return c.While(*guard)
	}
	return c
}

// Put implements kv.Store.
func (g *guarded) Put(ctx context.Context, key, value string, c kv.Condition, lease kv.LeaseID) (kv.Version, error) {
	return g.Store.Put(ctx, key, value, g.fence(c), lease)
}

// Delete implements kv.Store.
func (g *guarded) Delete(ctx context.Context, key string, c kv.Condition) error {
	return g.Store.Delete(ctx, key, g.fence(c))
}
