package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/health"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
)

// halfTrip is how long a message travels one way.
const halfTrip = 500 * time.Microsecond

var (
	errRefused = errors.New("connection refused")
	errSilent  = errors.New("no answer")
)

// network lets one host's agent ask the others, with the bodies that the REST API answers.
type network struct{ at *host }

// Status implements agent.Peers.
func (n network) Status(ctx context.Context, apiURL string) (client.Status, error) {
	l, err := n.call(ctx, apiURL)
	if err != nil {
		return client.Status{}, err
	}
	body := health.Get("/patroni", url.Values{"fresh": {""}}, *l.agent.Observed(ctx), time.Now()).Body
	if l.dead() {
		return client.Status{}, errRefused
	}
	var s client.Status
	if err := json.Unmarshal(body, &s); err != nil {
		return client.Status{}, err
	}
	return s, sleep(ctx, halfTrip)
}

// Alive implements agent.Peers.
func (n network) Alive(ctx context.Context, m cluster.Member) bool {
	_, err := n.call(ctx, m.APIURL)
	return err == nil
}

// Failsafe implements agent.Peers.
func (n network) Failsafe(ctx context.Context, apiURL string, call client.FailsafeCall) (client.Answer, error) {
	l, err := n.call(ctx, apiURL)
	if err != nil {
		return client.Answer{}, err
	}
	body, err := json.Marshal(call)
	if err != nil {
		return client.Answer{}, err
	}
	code, text := l.host.post("/failsafe", string(body))
	if l.dead() {
		return client.Answer{}, errRefused
	}
	return client.Answer{Code: code, Text: text, Position: l.host.see().end}, sleep(ctx, halfTrip)
}

// call finds the agent at an address. One whose host cannot be reached keeps the caller waiting.
func (n network) call(ctx context.Context, apiURL string) (*life, error) {
	if err := sleep(ctx, halfTrip); err != nil {
		return nil, err
	}
	var l *life
	n.at.lab.mu.Lock()
	hidden := true
	for _, h := range n.at.lab.sorted() {
		if h.apiURL == apiURL {
			l, hidden = h.life, n.at.lab.apart(n.at.name, h.name) || h.frozen != nil
		}
	}
	n.at.lab.mu.Unlock()
	if hidden {
		<-ctx.Done()
		return nil, fmt.Errorf("%w: %w", errSilent, context.Cause(ctx))
	}
	if l == nil || !l.alive() {
		return nil, errRefused
	}
	return l, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// client is one agent's connection to the store: calls take time, they are counted, and an answer under way is lost
// when the connection is cut.
type kvClient struct {
	*memory.Store

	host *host

	mu    sync.Mutex
	cuts  int
	delay time.Duration
	calls map[string]int
}

func newClient(h *host) *kvClient {
	return &kvClient{Store: h.lab.store.Client(), host: h, calls: map[string]int{}}
}

func (c *kvClient) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cuts++
	c.Disconnect()
}

func (c *kvClient) mend() { c.Reconnect() }

// slow makes every call take that much longer.
func (c *kvClient) slow(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = by
}

// count returns how many calls were made, by kind, and begins anew.
func (c *kvClient) count() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = map[string]int{}
	return calls
}

// travel makes a call with the time it takes there and back.
func (c *kvClient) travel(ctx context.Context, kind string, do func() error) error {
	c.host.halt()
	defer c.host.halt()
	c.mu.Lock()
	c.calls[kind]++
	before, delay := c.cuts, c.delay
	c.mu.Unlock()
	if err := sleep(ctx, halfTrip+delay); err != nil {
		return fmt.Errorf("%w: %w", kv.ErrUnavailable, err)
	}
	answer := do()
	err := sleep(ctx, halfTrip)
	c.mu.Lock()
	lost := c.cuts != before
	c.mu.Unlock()
	if lost {
		<-ctx.Done()
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", kv.ErrUnavailable, err)
	}
	return answer
}

// Get implements kv.Store.
func (c *kvClient) Get(ctx context.Context, key string) (pair kv.Pair, ok bool, err error) {
	err = c.travel(ctx, "get", func() error {
		pair, ok, err = c.Store.Get(ctx, key)
		return err
	})
	return pair, ok, err
}

// List implements kv.Store.
func (c *kvClient) List(ctx context.Context, prefix string) (s kv.Snapshot, err error) {
	err = c.travel(ctx, "list", func() error {
		s, err = c.Store.List(ctx, prefix)
		return err
	})
	return s, err
}

// Put implements kv.Store.
func (c *kvClient) Put(ctx context.Context, key, value string, cond kv.Condition, lease kv.LeaseID) (v kv.Version, err error) {
	err = c.travel(ctx, "put", func() error {
		v, err = c.Store.Put(ctx, key, value, cond, lease)
		return err
	})
	return v, err
}

// Delete implements kv.Store.
func (c *kvClient) Delete(ctx context.Context, key string, cond kv.Condition) error {
	return c.travel(ctx, "delete", func() error { return c.Store.Delete(ctx, key, cond) })
}

// Grant implements kv.Store.
func (c *kvClient) Grant(ctx context.Context, ttl time.Duration) (id kv.LeaseID, err error) {
	err = c.travel(ctx, "grant", func() error {
		id, err = c.Store.Grant(ctx, ttl)
		return err
	})
	return id, err
}

// Renew implements kv.Store.
func (c *kvClient) Renew(ctx context.Context, lease kv.LeaseID) (v kv.Version, err error) {
	err = c.travel(ctx, "renew", func() error {
		v, err = c.Store.Renew(ctx, lease)
		return err
	})
	return v, err
}

// Revoke implements kv.Store.
func (c *kvClient) Revoke(ctx context.Context, lease kv.LeaseID) error {
	return c.travel(ctx, "revoke", func() error { return c.Store.Revoke(ctx, lease) })
}
