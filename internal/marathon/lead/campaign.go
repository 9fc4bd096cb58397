package lead

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// Config says who campaigns for what. Key and Address are required.
type Config struct {
	Key     string // of the leader, outside of what the scheduler keeps
	Address string // host:port at which others reach the API of this scheduler
	// TTL is how long after a crash the next scheduler takes over; 10 s by default, at least 3.
	TTL time.Duration
	// Suspended is how long the machine was suspended so far, see package clock. Nil: never.
	Suspended func() time.Duration
}

const (
	defaultTTL = 10 * time.Second
	leastTTL   = 3 * time.Second
	// retryPause is how long after silence of the store it is asked again.
	retryPause = 500 * time.Millisecond
	// abdicatePause is how long others have to take what was given up, before this process tries again.
	abdicatePause = 3 * time.Second
)

// The causes with which the context of a term ends.
var (
	ErrTermOver  = errors.New("the lead was lost: the store has not renewed it in time")
	ErrAbdicated = errors.New("the lead was given up as asked")
)

// Campaign is one process's part in deciding who leads. New makes one and Run is its life; the other methods may be called
// from any goroutine, also before Run.
type Campaign struct {
	kv   kv.Store
	cfg  Config
	name string // of this process, different for each
	log  *slog.Logger

	mu      sync.Mutex
	leader  holder // as last seen
	term    *term  // nil while this process does not lead
	changed chan struct{}
}

// holder is the value of the key.
type holder struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// New makes a campaign.
func New(store kv.Store, cfg Config, log *slog.Logger) *Campaign {
	if cfg.TTL == 0 {
		cfg.TTL = defaultTTL
	}
	cfg.TTL = max(cfg.TTL, leastTTL)
	if cfg.Suspended == nil {
		cfg.Suspended = func() time.Duration { return 0 }
	}
	return &Campaign{kv: store, cfg: cfg, name: rand.Text(), log: log, changed: make(chan struct{})}
}

// Run campaigns until ctx ends, and returns nil then. Each time this process leads it calls work with a context that ends
// with the term; the lead is given up after work has returned. Where work returns while its term goes on, Run returns its
// error.
func (c *Campaign) Run(ctx context.Context, work func(ctx context.Context) error) error {
	for ctx.Err() == nil {
		t, err := c.elect(ctx)
		if err != nil {
			c.log.WarnContext(ctx, "nobody can say who leads the schedulers", slog.Any("err", err))
			rest(ctx, retryPause)
			continue
		}
		if t == nil {
			continue
		}
		if err := c.serve(ctx, t, work); err != nil {
			return err
		}
	}
	return nil
}

// Leader is the address of the API of the scheduler that leads, as it was last seen; false when nobody does.
func (c *Campaign) Leader() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leader.Address, c.leader.Address != ""
}

// Leads reports whether this process leads at this moment.
func (c *Campaign) Leads() bool { return c.Left() > 0 }

// Left is how long this process leads for certain, zero or less when it does not. Whoever acts for the leader asks right
// before each act: a process that was frozen finds that its context has not heard of the end yet.
func (c *Campaign) Left() time.Duration {
	c.mu.Lock()
	t := c.term
	c.mu.Unlock()
	if t == nil || t.ctx.Err() != nil {
		return 0
	}
	return time.Until(t.end())
}

// Fence is what holds exactly as long as nobody else can have begun a term after the one of now: the key, as this process
// wrote it. It never holds when this process does not lead. Whoever writes for the leader asks once for each term and makes
// every write depend on it.
func (c *Campaign) Fence() kv.Guard {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.term == nil {
		return kv.Guard{Key: c.cfg.Key}
	}
	return kv.Guard{Key: c.cfg.Key, Version: c.term.version}
}

// Changed is closed when somebody else leads than when it was asked for.
func (c *Campaign) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Abdicate gives the lead up and returns when that is done. It is no error where this process does not lead.
func (c *Campaign) Abdicate(ctx context.Context) error {
	c.mu.Lock()
	t := c.term
	c.mu.Unlock()
	if t == nil {
		return nil
	}
	t.cancel(ErrAbdicated)
	select {
	case <-t.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("give up the lead: %w", context.Cause(ctx))
	}
}

// see notes who leads.
func (c *Campaign) see(h holder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h == c.leader {
		return
	}
	c.leader = h
	close(c.changed)
	c.changed = make(chan struct{})
	if h.Address != "" {
		c.log.Info("a scheduler leads", slog.String("address", h.Address), slog.Bool("this_one", h.Name == c.name))
	}
}

func (c *Campaign) setTerm(t *term) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.term = t
}

// value is what the key says while this process leads.
func (c *Campaign) value() string {
	b, err := json.Marshal(holder{Name: c.name, Address: c.cfg.Address})
	if err != nil {
		panic("lead: two strings that are no JSON: " + err.Error())
	}
	return string(b)
}

// read is the holder a value names. A value of somebody else's making names nobody that can be reached.
func read(value string) holder {
	var h holder
	if err := json.Unmarshal([]byte(value), &h); err != nil {
		return holder{Name: value}
	}
	return h
}

// rest waits for d or for the end of ctx.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
