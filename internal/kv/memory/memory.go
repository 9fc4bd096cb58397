package memory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// The causes wrapped beside kv.ErrUnavailable.
var (
	errClosed       = errors.New("the client is closed")
	errDisconnected = errors.New("the client is disconnected")
	errAnswerLost   = errors.New("the answer was lost")
)

// Store is one client's handle on a store. It implements kv.Store and is safe for concurrent use.
type Store struct {
	world *world

	mu     sync.Mutex
	link   *link
	closed bool
	faint  map[string]bool

	watches sync.WaitGroup
}

// link is the connection of a client, from one Reconnect to the next Disconnect.
type link struct {
	cut chan struct{} // closed with it
	why error         // set before cut is closed
}

func newLink() *link { return &link{cut: make(chan struct{})} }

// end cuts the link unless it is cut already.
func (l *link) end(why error) {
	if l.why == nil {
		l.why = why
		close(l.cut)
	}
}

// New makes an empty store and returns the first client of it.
func New() *Store {
	return newClient(newWorld())
}

func newClient(w *world) *Store {
	return &Store{world: w, link: newLink(), faint: map[string]bool{}}
}

// Client returns another client of the same store, connected and without faults whatever happened to
// this one. Each is closed by its owner.
func (s *Store) Client() *Store {
	return newClient(s.world)
}

// Disconnect takes the network away from this client: its watches break, and until Reconnect every call
// waits for the end of its context, then returns kv.ErrUnavailable without having reached the store. A
// context that cannot end returns at once, for there would be no end to wait for.
func (s *Store) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link.end(errDisconnected)
}

// Reconnect ends what Disconnect began. Calls that began before it stay lost; watches stay broken.
func (s *Store) Reconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link.why != nil && !s.closed {
		s.link = newLink()
	}
}

// LoseNextAnswer lets the next Put or Delete of exactly this key by this client happen as asked, then
// answers it with kv.ErrUnavailable at once, whatever the true answer was.
func (s *Store) LoseNextAnswer(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faint[key] = true
}

// Get implements kv.Store.
func (s *Store) Get(ctx context.Context, key string) (kv.Pair, bool, error) {
	if err := s.reach(ctx); err != nil {
		return kv.Pair{}, false, err
	}
	pair, ok := s.world.get(key)
	return pair, ok, nil
}

// List implements kv.Store.
func (s *Store) List(ctx context.Context, prefix string) (kv.Snapshot, error) {
	if err := s.reach(ctx); err != nil {
		return kv.Snapshot{}, err
	}
	return s.world.list(prefix), nil
}

// Put implements kv.Store.
func (s *Store) Put(ctx context.Context, key, value string, cond kv.Condition, lease kv.LeaseID) (kv.Version, error) {
	if err := s.reach(ctx); err != nil {
		return 0, err
	}
	version, err := s.world.put(key, value, cond, lease)
	if lost := s.answer(key); lost != nil {
		return 0, lost
	}
	return version, err
}

// Delete implements kv.Store.
func (s *Store) Delete(ctx context.Context, key string, cond kv.Condition) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	err := s.world.remove(key, cond)
	if lost := s.answer(key); lost != nil {
		return lost
	}
	return err
}

// Watch implements kv.Store. It breaks when the client is disconnected or closed, and when it asks for
// events that are not kept anymore.
func (s *Store) Watch(ctx context.Context, prefix string, after kv.Version) <-chan kv.Event {
	events := make(chan kv.Event)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link.why != nil {
		close(events)
		return events
	}
	cut := s.link.cut
	s.watches.Go(func() {
		defer close(events)
		s.world.feed(ctx, cut, prefix, after, events)
	})
	return events
}

// Grant implements kv.Store.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (kv.LeaseID, error) {
	if err := s.reach(ctx); err != nil {
		return 0, err
	}
	return s.world.grant(ttl), nil
}

// Renew implements kv.Store.
func (s *Store) Renew(ctx context.Context, lease kv.LeaseID) (kv.Version, error) {
	if err := s.reach(ctx); err != nil {
		return 0, err
	}
	return s.world.renew(lease)
}

// Revoke implements kv.Store.
func (s *Store) Revoke(ctx context.Context, lease kv.LeaseID) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	s.world.revoke(lease)
	return nil
}

// Close ends the watches of this client and waits for them; later calls return kv.ErrUnavailable.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.link.end(errClosed)
	s.mu.Unlock()
	s.watches.Wait()
	return nil
}

// reach says whether a call gets to the store.
func (s *Store) reach(ctx context.Context) error {
	s.mu.Lock()
	cause, closed := s.link.why, s.closed
	s.mu.Unlock()
	if closed {
		cause = errClosed
	} else if cause != nil && ctx.Done() != nil {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		cause = context.Cause(ctx)
	}
	if cause != nil {
		return fmt.Errorf("%w: %w", kv.ErrUnavailable, cause)
	}
	return nil
}

// answer says whether the answer of a write to the key is lost.
func (s *Store) answer(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.faint[key] {
		return nil
	}
	delete(s.faint, key)
	return fmt.Errorf("%w: %w", kv.ErrUnavailable, errAnswerLost)
}
