package dcs

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// The writes below happen only if the document still has the old version, zero meaning that there was none.
// kv.ErrHeld or kv.ErrConflict says that it was changed meanwhile.

// WriteInitialize says which database cluster this is, for good: no lease ends it.
func (s *Store) WriteInitialize(ctx context.Context, id wal.SystemID, old cluster.Version) error {
	_, err := s.swap(ctx, keyInitialize, string(id), old)
	return err
}

// DeleteInitialize gives the right to bootstrap back.
func (s *Store) DeleteInitialize(ctx context.Context, old cluster.Version) error {
	return s.remove(ctx, keyInitialize, old)
}

// WriteConfig writes the dynamic configuration.
func (s *Store) WriteConfig(ctx context.Context, data map[string]any, old cluster.Version) error {
	_, err := s.swap(ctx, keyConfig, cluster.Config{Data: data}.JSON(), old)
	return err
}

// WriteFailover asks for a switchover or failover. The zero Failover clears the key, which stays there as
// {}: members of other kinds take a deletion for something else.
func (s *Store) WriteFailover(ctx context.Context, f cluster.Failover, old cluster.Version) error {
	_, err := s.swap(ctx, keyFailover, f.JSON(), old)
	return err
}

// WriteSync writes the promise about synchronous standbys over the one with the version in it, and returns
// the new version.
func (s *Store) WriteSync(ctx context.Context, promise cluster.Sync) (cluster.Version, error) {
	version, err := s.swap(ctx, keySync, promise.JSON(), promise.Version)
	return cluster.Version(version), err
}

// DeleteSync withdraws the promise about synchronous standbys.
func (s *Store) DeleteSync(ctx context.Context, old cluster.Version) error {
	return s.remove(ctx, keySync, old)
}

// WriteHistory writes the timelines that ended over the history with the version in it.
func (s *Store) WriteHistory(ctx context.Context, h cluster.History) error {
	_, err := s.swap(ctx, keyHistory, h.JSON(), h.Version)
	return err
}

// WriteStatus says how far the leader is, unless the store says so already. Slots and retained slots
// that are nil are carried over from the last status seen.
func (s *Store) WriteStatus(ctx context.Context, status cluster.Status) error {
	old, _ := s.seen(keyStatus)
	last := cluster.ParseStatus(old.Value)
	if status.Slots == nil {
		status.Slots = last.Slots
	}
	if status.RetainSlots == nil {
		status.RetainSlots = last.RetainSlots
	}
	return s.update(ctx, keyStatus, status.JSON())
}

// WriteFailsafe names the members to ask, by their REST addresses, when the store is gone, unless the store
// says so already.
func (s *Store) WriteFailsafe(ctx context.Context, members map[string]string) error {
	object := map[string]any{}
	for name, url := range members {
		object[name] = url
	}
	return s.update(ctx, keyFailsafe, cluster.Config{Data: object}.JSON()) // any object is rendered like that one
}

// swap writes a document over its old version.
func (s *Store) swap(ctx context.Context, key, value string, old cluster.Version) (kv.Version, error) {
	defer s.outdate()
	version, err := s.kv.Put(ctx, s.key(key), value, onVersion(old), 0)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", key, err)
	}
	return version, nil
}

// remove deletes a document of an old version. There is nothing to delete where there was none.
func (s *Store) remove(ctx context.Context, key string, old cluster.Version) error {
	defer s.outdate()
	if err := s.kv.Delete(ctx, s.key(key), kv.IfVersion(kv.Version(old))); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// update writes a document over the last one that was seen, when it differs.
func (s *Store) update(ctx context.Context, key, value string) error {
	old, ok := s.seen(key)
	if ok && old.Value == value {
		return nil
	}
	version, err := s.swap(ctx, key, value, cluster.Version(old.Version))
	s.note(key, kv.Pair{Value: value, Version: version}, err)
	return err
}

// seen returns the document as it was last read or written.
func (s *Store) seen(key string) (kv.Pair, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pair, ok := s.known[key]
	return pair, ok
}

// note keeps what was written. After a write of which nobody knows whether it happened, nothing is known
// of the document until it is read again.
func (s *Store) note(key string, pair kv.Pair, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.known[key] = pair
		s.knownAt = max(s.knownAt, pair.Version)
	case !errors.Is(err, kv.ErrHeld) && !errors.Is(err, kv.ErrConflict):
		delete(s.known, key)
	}
}
