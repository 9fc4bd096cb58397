package run

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/lead"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

const leadTTL = 6 * time.Second

// candidate is one of several schedulers over the same machines.
type candidate struct {
	*Scheduler
	campaign *lead.Campaign
	db       *memory.Store
	stop     context.CancelFunc
	ended    chan error
}

// panel is a test with several schedulers.
type panel struct {
	*world
	candidates []*candidate
}

func inPanel(t *testing.T, schedulers int, test func(t *testing.T, p *panel)) {
	synctest.Test(t, func(t *testing.T) {
		root := memory.New()
		defer func() { _ = root.Close() }()
		p := &panel{world: &world{t: t, db: root.Client(), m: newMachines(t, root)}}
		defer func() { _ = p.db.Close() }()
		for n := range schedulers {
			p.join(n)
			p.pass(100 * time.Millisecond)
		}
		p.s = p.candidates[0].Scheduler
		test(t, p)
		for _, c := range p.candidates {
			c.db.Reconnect()
			p.leave(c)
		}
	})
}

func (p *panel) join(n int) *candidate {
	c := &candidate{db: p.db.Client(), ended: make(chan error, 1)}
	log := slog.New(slog.DiscardHandler)
	c.Scheduler = New(Config{}, store.New(c.db, prefix), nil, agents{p.m}, log)
	c.campaign = lead.New(c.db, lead.Config{Key: "/test.leader", Address: fmt.Sprintf("s%d:8080", n), TTL: leadTTL}, log)
	var ctx context.Context
	ctx, c.stop = context.WithCancel(p.t.Context())
	go func() {
		c.ended <- c.campaign.Run(ctx, func(ctx context.Context) error {
			p.m.open()
			return c.Lead(ctx, c.campaign, p.m)
		})
	}()
	p.candidates = append(p.candidates, c)
	return c
}

func (p *panel) leave(c *candidate) {
	p.t.Helper()
	c.stop()
	if err := <-c.ended; err != nil {
		p.t.Errorf("a scheduler ended with %v", err)
	}
	_ = c.db.Close()
	c.ended <- nil // leaving twice is leaving once
}

// wantLeader holds the scheduler that acts against the one that should.
func (p *panel) wantLeader(n int) {
	p.t.Helper()
	for m, c := range p.candidates {
		if c.campaign.Leads() != (m == n) {
			p.t.Fatalf("scheduler %d leads: %t, want that %d does", m, c.campaign.Leads(), n)
		}
	}
	p.s = p.candidates[n].Scheduler
}

// TestTheNextSchedulerTakesOver says: after an orderly end another scheduler acts within a second, after a cut when the lease
// has ended; it finds everything as it is, and what died meanwhile is launched again, once.
func TestTheNextSchedulerTakesOver(t *testing.T) {
	inPanel(t, 3, func(t *testing.T, p *panel) {
		p.wantLeader(0)
		p.up()
		p.leave(p.candidates[0])
		p.pass(time.Second)
		next := 1
		if !p.candidates[1].campaign.Leads() {
			next = 2
		}
		p.wantLeader(next)
		p.m.die("node2")
		p.pass(5 * time.Second)
		p.wantRunning("/pg", "node1", "node2", "node3")

		p.candidates[next].db.Disconnect()
		p.m.die("node3")
		p.pass(2*leadTTL + 5*time.Second)
		p.wantLeader(3 - next)
		p.wantRunning("/pg", "node1", "node2", "node3")
		if got := len(p.m.launched()); got != 5 || len(p.m.killed()) > 0 {
			t.Errorf("%d launches and kills %v, want 5 and none", got, p.m.killed())
		}
	})
}

// TestAFollowerChangesNothing says: a scheduler that does not lead takes no change, whether it has led before or not.
func TestAFollowerChangesNothing(t *testing.T) {
	inPanel(t, 2, func(t *testing.T, p *panel) {
		p.wantLeader(0)
		for range 2 {
			limited, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := p.candidates[1].Apply(limited, func(*app.Definitions) error { return nil }, app.ApplyOptions{})
			cancel()
			if err == nil {
				t.Error("a follower took a change")
			}
			if err := p.candidates[0].campaign.Abdicate(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.pass(time.Second)
			p.wantLeader(1)
			p.candidates[0], p.candidates[1] = p.candidates[1], p.candidates[0]
		}
	})
}

// frozen is a driver whose scheduler stops in the middle of a launch, like a process that gets SIGSTOP, and goes on when its
// term is long over.
type frozen struct {
	driver.Driver
	once  sync.Once
	sleep time.Duration
}

// Offers implements driver.Driver.
func (f *frozen) Offers(ctx context.Context) (offers []place.Offer, err error) {
	offers, err = f.Driver.Offers(ctx)
	f.once.Do(func() { time.Sleep(f.sleep) })
	return offers, err
}

// TestAFrozenSchedulerDoesNothingWhenItGoesOn says: what was decided in a term that is over is neither stored nor asked for.
func TestAFrozenSchedulerDoesNothingWhenItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := memory.New()
		defer func() { _ = root.Close() }()
		db := root.Client()
		defer func() { _ = db.Close() }()
		m := newMachines(t, root)
		s := New(Config{}, store.New(db, prefix), nil, agents{m}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		term := until{time.Now().Add(10 * time.Second)}
		go func() { ended <- s.Lead(ctx, term, &frozen{Driver: m, sleep: time.Minute}) }()
		w := &world{t: t, db: db, m: m, s: s}
		w.pass(time.Second)
		w.put(web(3))
		w.pass(2 * time.Minute)
		if got := m.launched(); len(got) > 0 {
			t.Errorf("launched after the term: %v", got)
		}
		snapshot, err := root.List(t.Context(), prefix+"instances/")
		if err != nil || len(snapshot.Pairs) > 0 {
			t.Errorf("%d instances were stored after the term (%v)", len(snapshot.Pairs), err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// until is a term with a fixed end.
type until struct{ end time.Time }

func (u until) Left() time.Duration { return time.Until(u.end) }

func (until) Fence() kv.Guard { return kv.Guard{} }
