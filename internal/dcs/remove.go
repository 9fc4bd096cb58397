package dcs

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// Remove deletes all documents of the scope, whatever wrote them. What changes while they are deleted is read again, until
// nothing is left or the context ends; the leader key goes first, so that a member that still leads learns of it.
func (s *Store) Remove(ctx context.Context) error {
	defer s.outdate()
	for {
		left, err := s.kv.List(ctx, s.base)
		if err != nil {
			return fmt.Errorf("list %s: %w", s.base, err)
		}
		if len(left.Pairs) == 0 {
			return nil
		}
		if err := s.removeAll(ctx, left.Pairs); err != nil {
			return err
		}
	}
}

// removeAll deletes the keys that did not change since they were read.
func (s *Store) removeAll(ctx context.Context, pairs []kv.Pair) error {
	for _, leads := range []bool{true, false} {
		for _, pair := range pairs {
			if (pair.Key == s.key(keyLeader)) != leads {
				continue
			}
			err := s.kv.Delete(ctx, pair.Key, kv.IfVersion(pair.Version))
			if err != nil && !errors.Is(err, kv.ErrConflict) {
				return fmt.Errorf("delete %s: %w", pair.Key, err)
			}
		}
	}
	return nil
}
