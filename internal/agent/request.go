package agent

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/health"
)

// requests are what operators asked and nobody has answered yet.
type requests struct {
	mu   sync.Mutex
	last int
	open []openRequest
	// closed is true once the loop has ended; nobody takes up what comes then.
	closed bool
}

type openRequest struct {
	ha.Request

	// begun is true once a decision took the request up.
	begun  bool
	answer chan error
}

// ErrDropped is the answer to a request that was replaced before it was done, or that the end of the agent overtook.
var ErrDropped = errors.New("the request was dropped")

func (r *requests) add(q ha.Request) (int, <-chan error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		answer := make(chan error, 1)
		answer <- ErrDropped
		return 0, answer
	}
	return r.push(q)
}

// push keeps a request. r.mu is held.
func (r *requests) push(q ha.Request) (int, <-chan error) {
	r.last++
	q.ID = r.last
	answer := make(chan error, 1)
	r.open = append(r.open, openRequest{Request: q, answer: answer})
	return q.ID, answer
}

// pending are the requests that no decision has taken up.
func (r *requests) pending() []ha.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []ha.Request
	for _, o := range r.open {
		if !o.begun {
			out = append(out, o.Request)
		}
	}
	return out
}

// begin marks a request as taken up; it is not shown to the rules again.
func (r *requests) begin(id int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.open {
		if r.open[i].ID == id {
			r.open[i].begun = true
		}
	}
}

// finish answers a request.
func (r *requests) finish(id int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = slices.DeleteFunc(r.open, func(o openRequest) bool {
		if o.ID != id {
			return false
		}
		o.answer <- err
		return true
	})
}

// close answers all that are open, and whatever comes later.
func (r *requests) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.open {
		o.answer <- ErrDropped
	}
	r.open, r.closed = nil, true
}

// Request hands a request to the loop and waits for its answer.
func (a *Agent) Request(ctx context.Context, q ha.Request) error {
	id, answer := a.requests.add(q)
	a.Wake()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		a.requests.finish(id, ErrDropped)
		return context.Cause(ctx)
	}
}

// Queue hands a request to the loop.
func (a *Agent) Queue(q ha.Request) {
	a.requests.add(q)
	a.Wake()
}

// Manual asks for a switchover or failover by writing the failover key over the version last seen.
func (a *Agent) Manual(ctx context.Context, f cluster.Failover) error {
	ctx, cancel := context.WithTimeout(ctx, dcsTimeout)
	defer cancel()
	err := a.dcs.WriteFailover(ctx, f, a.Snapshot().Cluster.Failover.Version)
	a.Wake()
	return err
}

// Configure writes the dynamic configuration over an old version.
func (a *Agent) Configure(ctx context.Context, data map[string]any, old cluster.Version) error {
	ctx, cancel := context.WithTimeout(ctx, dcsTimeout)
	defer cancel()
	err := a.dcs.WriteConfig(ctx, data, old)
	a.Wake()
	return err
}

// Ask asks the named members for their status.
func (a *Agent) Ask(ctx context.Context, names []string) map[string]ha.Peer {
	return a.ask(ctx, a.Snapshot().Cluster, names)
}

// Snapshot is the last one; never nil.
func (a *Agent) Snapshot() *health.Snapshot { return a.snapshot.Load() }

// After waits for a snapshot newer than the given one.
func (a *Agent) After(ctx context.Context, s *health.Snapshot) (*health.Snapshot, error) {
	for {
		a.turnMu.Lock()
		turn := a.turn
		a.turnMu.Unlock()
		if now := a.Snapshot(); now != s {
			return now, nil
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Fresh wakes the loop and returns a snapshot of a tick that began after the call, or the last one when the
// context ends first.
func (a *Agent) Fresh(ctx context.Context) *health.Snapshot {
	asked := a.now()
	a.Wake()
	s := a.Snapshot()
	for s.Began.Before(asked) {
		next, err := a.After(ctx, s)
		if err != nil {
			return s
		}
		s = next
	}
	return s
}
