package dcs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// Lease is this process's lease as it knows it.
type Lease struct {
	// ID is zero while there is none; a lease that was found lost has none.
	ID int64
	// TTL is what it was granted with; renewals restart it.
	TTL time.Duration
	// Renewed is the instant before the last successful renewal, or the grant, was sent.
	Renewed time.Time
	// Deadline is Renewed plus TTL: before it, the store has not ended the lease by itself.
	Deadline time.Time
}

// Lease returns the lease as it stands. The time the machine was suspended since the lease was renewed, which the instants
// of this process do not count, is taken off: the store has counted it.
func (s *Store) Lease() Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lease
	if gone := s.config.Suspended() - s.asleep; l.ID != 0 && gone > 0 {
		l.Renewed, l.Deadline = l.Renewed.Add(-gone), l.Deadline.Add(-gone)
	}
	return l
}

// Grant takes a new lease: when there is none, and when ttl changes. The keys of the old one stay bound to
// it until Adopt and Announce move them; it is left to end by itself, for revoking it could delete a key
// that an answer lost on the way has left there.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) error {
	sent, asleep := time.Now(), s.config.Suspended()
	id, err := s.kv.Grant(ctx, ttl)
	if err != nil {
		return fmt.Errorf("take a lease: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease, s.asleep = Lease{ID: int64(id), TTL: ttl, Renewed: sent, Deadline: sent.Add(ttl)}, asleep
	return nil
}

// Renew restarts the lease, once, and moves its deadline. It looks at no key.
func (s *Store) Renew(ctx context.Context) error {
	lease := s.Lease()
	if lease.ID == 0 {
		return fmt.Errorf("renew lease: %w", kv.ErrLost)
	}
	sent, asleep := time.Now(), s.config.Suspended()
	revision, err := s.kv.Renew(ctx, kv.LeaseID(lease.ID))
	if err != nil {
		return s.leaseFailed(lease, fmt.Errorf("renew lease: %w", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current = s.current && cluster.Version(revision) == s.picture.Revision; s.current {
		s.provedAt = sent
	}
	if s.lease.ID == lease.ID {
		s.lease.Renewed, s.lease.Deadline, s.asleep = sent, sent.Add(lease.TTL), asleep
	}
	return nil
}

// Acquire takes the leader key if nobody has it. kv.ErrHeld says that somebody does, which may be this
// member itself, after an answer that was lost.
func (s *Store) Acquire(ctx context.Context) error {
	_, err := s.bind(ctx, "acquire leader key", keyLeader, s.config.Name, kv.IfAbsent())
	return err
}

// Adopt binds the leader key of that version, which holds this member's name on another lease, to the
// lease of this process.
func (s *Store) Adopt(ctx context.Context, leader cluster.Version) error {
	_, err := s.bind(ctx, "adopt leader key", keyLeader, s.config.Name, kv.IfVersion(kv.Version(leader)))
	return err
}

// Release writes the last status, unless it has no position, and deletes the leader key of that version. Only
// the key counts: that the status could not be written is no error.
//
// When nobody knows whether the key was deleted, the lease is given up too: a request that is late may
// still delete the key of that version, and whoever goes on leading has to adopt it first, which gives it
// another.
func (s *Store) Release(ctx context.Context, leader cluster.Version, status cluster.Status) error {
	if status.Optime != 0 {
		s.lastStatus(ctx, status)
	}
	defer s.outdate()
	err := s.kv.Delete(ctx, s.key(keyLeader), kv.IfVersion(kv.Version(leader)))
	if err == nil {
		return nil
	}
	if !errors.Is(err, kv.ErrConflict) {
		s.forget(s.Lease())
	}
	return fmt.Errorf("release leader key: %w", err)
}

// lastStatus writes the status within a third of the time there is: an older position only makes others wait for less, and
// the key has to be released all the same.
func (s *Store) lastStatus(ctx context.Context, status cluster.Status) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, time.Now().Add(time.Until(end)/3))
		defer cancel()
	}
	_ = s.WriteStatus(ctx, status)
}

// Announce writes this member's document, bound to the lease, unless it stands there like that already.
func (s *Store) Announce(ctx context.Context, m cluster.Member) error {
	value, lease := m.JSON(), s.Lease()
	if old, ok := s.seen(s.own()); ok && lease.ID != 0 && old.Value == value && old.Lease == kv.LeaseID(lease.ID) {
		return nil
	}
	version, err := s.bind(ctx, "announce member", s.own(), value, kv.Always())
	s.note(s.own(), kv.Pair{Value: value, Version: version, Lease: kv.LeaseID(lease.ID)}, err)
	return err
}

// CreateInitialize takes the right to bootstrap, bound to the lease so that it ends with this process.
func (s *Store) CreateInitialize(ctx context.Context) error {
	_, err := s.bind(ctx, "create initialize key", keyInitialize, "", kv.IfAbsent())
	return err
}

// bind writes a key with the lease.
func (s *Store) bind(ctx context.Context, doing, key, value string, cond kv.Condition) (kv.Version, error) {
	lease := s.Lease()
	if s.config.Name == "" {
		return 0, fmt.Errorf("%s: this process is no member", doing)
	}
	if lease.ID == 0 {
		return 0, fmt.Errorf("%s: %w", doing, kv.ErrLost)
	}
	defer s.outdate()
	version, err := s.kv.Put(ctx, s.key(key), value, cond, kv.LeaseID(lease.ID))
	if err != nil {
		return 0, s.leaseFailed(lease, fmt.Errorf("%s: %w", doing, err))
	}
	return version, nil
}

// leaseFailed forgets the lease when the error says that it is gone, and returns the error.
func (s *Store) leaseFailed(lease Lease, err error) error {
	if errors.Is(err, kv.ErrLost) {
		s.forget(lease)
	}
	return err
}

// forget drops the lease if it is still the current one.
func (s *Store) forget(lease Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease.ID == lease.ID {
		s.lease = Lease{}
	}
}
