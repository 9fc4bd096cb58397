package lead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// elect looks at the key once: where somebody holds it, it waits until that changes; where nobody does, it tries to take it.
// A term is returned when this process leads, nil when it has to look again.
func (c *Campaign) elect(ctx context.Context) (*term, error) {
	snapshot, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	for _, pair := range snapshot.Pairs {
		if pair.Key == c.cfg.Key {
			c.see(read(pair.Value))
			return nil, c.follow(ctx, snapshot.Revision)
		}
	}
	c.see(holder{})
	return c.take(ctx)
}

func (c *Campaign) look(ctx context.Context) (kv.Snapshot, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience(), errSilent)
	defer cancel()
	snapshot, err := c.kv.List(ctx, c.cfg.Key)
	if err != nil {
		return kv.Snapshot{}, fmt.Errorf("read the leader of the schedulers: %w", err)
	}
	return snapshot, nil
}

var errSilent = errors.New("the store was silent for too long")

// patience bounds one call to the store, so that several fit into a lease.
func (c *Campaign) patience() time.Duration { return c.cfg.TTL / 6 }

// follow returns when the key has changed since the revision, or when nobody can say any more.
func (c *Campaign) follow(ctx context.Context, since kv.Version) error {
	watch, stop := context.WithCancel(ctx)
	defer stop()
	for e := range c.kv.Watch(watch, c.cfg.Key, since) {
		if e.Key == c.cfg.Key {
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("watch the leader of the schedulers: %w", kv.ErrUnavailable)
}

// take tries to become the leader. A lease on which nothing came to lie ends by itself.
func (c *Campaign) take(ctx context.Context) (*term, error) {
	limited, cancel := context.WithTimeoutCause(ctx, c.patience(), errSilent)
	defer cancel()
	t := c.newTerm(ctx)
	lease, err := c.kv.Grant(limited, c.cfg.TTL)
	if err != nil {
		return nil, fmt.Errorf("take a lease: %w", err)
	}
	t.lease = lease
	t.version, err = c.kv.Put(limited, c.cfg.Key, c.value(), kv.IfAbsent(), lease)
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, kv.ErrHeld):
		return nil, c.revoke(ctx, lease)
	}
	return c.taken(ctx, t, fmt.Errorf("take the lead: %w", err))
}

// taken finds out whether a write whose answer was lost has made this process the leader.
func (c *Campaign) taken(ctx context.Context, t *term, unknown error) (*term, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience(), errSilent)
	defer cancel()
	pair, there, err := c.kv.Get(ctx, c.cfg.Key)
	switch {
	case err != nil:
		return nil, unknown
	case there && pair.Lease == t.lease && time.Until(t.end()) > 0:
		t.version = pair.Version
		return t, nil
	}
	return nil, unknown
}

func (c *Campaign) revoke(ctx context.Context, lease kv.LeaseID) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience(), errSilent)
	defer cancel()
	_ = c.kv.Revoke(ctx, lease) // it ends by itself if not
	return nil
}
