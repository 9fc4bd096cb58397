package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// The errors beside those of kv.
var (
	ErrStale   = errors.New("the state has to be read again first")
	ErrDamaged = errors.New("the scheduler's state is damaged")
	ErrSchema  = errors.New("the scheduler's state was written by a newer program")
	ErrOlder   = errors.New("the scheduler's state is older than it was")
)

// Store reads and writes the state. It belongs to one goroutine.
type Store struct {
	kv       *guarded
	prefix   string
	versions map[string]kv.Version // of the documents as they were last read or written
	seen     kv.Version            // the highest revision that was read
	fresh    bool                  // versions are those of the store, as far as anybody can know
}

// New makes a store whose keys begin with prefix, "/pgbaton/scheduler/" for example. Load comes before any write.
func New(store kv.Store, prefix string) *Store {
	return &Store{kv: &guarded{Store: store}, prefix: prefix}
}

// Load reads everything at one revision.
func (s *Store) Load(ctx context.Context) (State, error) {
	s.fresh = false
	snapshot, err := s.kv.List(ctx, s.prefix)
	if err != nil {
		return State{}, fmt.Errorf("read the scheduler's state: %w", err)
	}
	if snapshot.Revision < s.seen {
		return State{}, fmt.Errorf("%w: its revision went back from %d to %d", ErrOlder, s.seen, snapshot.Revision)
	}
	state, head, err := read(s.prefix, snapshot.Pairs)
	if err != nil {
		return State{}, err
	}
	s.versions = map[string]kv.Version{}
	for _, pair := range snapshot.Pairs {
		s.versions[pair.Key] = pair.Version
	}
	s.seen, s.fresh = snapshot.Revision, true
	return state, s.migrate(ctx, state, head)
}

// migrate brings the documents of an older program to the present schema. The header, which says so, is written last: what
// is interrupted begins again, and each step leaves alone what it finds done.
func (s *Store) migrate(ctx context.Context, state State, head *header) error {
	if head == nil || head.Schema == schema {
		return nil
	}
	calls := make([]func(context.Context) error, 0, len(state.Apps))
	for _, a := range state.Apps {
		calls = append(calls, func(ctx context.Context) error { return s.Archive().keep(ctx, a) })
	}
	if err := together(ctx, calls); err != nil {
		s.fresh = false
		return fmt.Errorf("bring the scheduler's state from schema %d to %d: %w", head.Schema, schema, err)
	}
	return s.SaveFramework(ctx, head.Framework, head.Former...)
}

// SaveFramework remembers the id under which the driver knows this scheduler, and those under which it did before.
func (s *Store) SaveFramework(ctx context.Context, id string, former ...string) error {
	return s.save(ctx, keyHeader, header{Schema: schema, Framework: id, Former: former})
}

// SaveDefinitions replaces apps and deployments together.
func (s *Store) SaveDefinitions(ctx context.Context, d Definitions) error {
	return s.save(ctx, keyDefinitions, d)
}

// SaveInstances writes instances, each for itself and in no order. After an error some may be written and others not.
func (s *Store) SaveInstances(ctx context.Context, list ...deploy.Instance) error {
	if !s.fresh {
		return ErrStale
	}
	versions := make([]kv.Version, len(list))
	calls := make([]func(context.Context) error, len(list))
	for n, i := range list {
		calls[n] = func(ctx context.Context) error {
			var err error
			versions[n], err = s.put(ctx, keyInstances+string(i.ID), i)
			return err
		}
	}
	err := together(ctx, calls)
	for n, i := range list {
		if versions[n] != 0 {
			s.versions[s.prefix+keyInstances+string(i.ID)] = versions[n]
		}
	}
	s.fresh = err == nil
	return err
}

// SaveDraining remembers that a host is to become empty, and why.
func (s *Store) SaveDraining(ctx context.Context, host, cause string) error {
	return s.save(ctx, keyDraining+url.PathEscape(host), draining{host, cause})
}

// DeleteDraining forgets that a host was to become empty.
func (s *Store) DeleteDraining(ctx context.Context, host string) error {
	return s.delete(ctx, keyDraining+url.PathEscape(host))
}

// DeleteInstance removes one instance.
func (s *Store) DeleteInstance(ctx context.Context, id app.InstanceID) error {
	return s.delete(ctx, keyInstances+string(id))
}

func (s *Store) delete(ctx context.Context, name string) error {
	key := s.prefix + name
	version, known := s.versions[key]
	if !s.fresh {
		return ErrStale
	}
	if !known {
		return nil
	}
	if err := s.kv.Delete(ctx, key, kv.IfVersion(version)); err != nil {
		s.fresh = false
		return fmt.Errorf("delete %s: %w", key, err)
	}
	delete(s.versions, key)
	return nil
}

func (s *Store) save(ctx context.Context, name string, v any) error {
	if !s.fresh {
		return ErrStale
	}
	version, err := s.put(ctx, name, v)
	if err != nil {
		s.fresh = false
		return err
	}
	s.versions[s.prefix+name] = version
	return nil
}

// put writes a document on the condition that it is the one that was read.
func (s *Store) put(ctx context.Context, name string, v any) (kv.Version, error) {
	text, err := encode(v)
	if err != nil {
		return 0, fmt.Errorf("encode %s: %w", name, err)
	}
	key, condition := s.prefix+name, kv.IfAbsent()
	if version, known := s.versions[key]; known {
		condition = kv.IfVersion(version)
	}
	version, err := s.kv.Put(ctx, key, text, condition, 0)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", key, err)
	}
	return version, nil
}
