package lead_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/lead"
)

const (
	key = "/test/leader"
	ttl = 6 * time.Second
)

// field is a store and the schedulers that campaign over it.
type field struct {
	t     *testing.T
	world *memory.Store

	mu     sync.Mutex
	acting []string      // who works at this moment
	terms  []string      // who began a term, in order
	linger time.Duration // of work after its term has ended
}

// runner is one of them.
type runner struct {
	*lead.Campaign
	name  string
	store *memory.Store
	stop  context.CancelFunc
	ended chan error
}

func newField(t *testing.T) *field { return &field{t: t, world: memory.New()} }

func (f *field) start(name string) *runner {
	store := f.world.Client()
	r := &runner{name: name, store: store, ended: make(chan error, 1)}
	r.Campaign = lead.New(store, lead.Config{Key: key, Address: name + ":8080", TTL: ttl}, slog.New(slog.DiscardHandler))
	var ctx context.Context
	ctx, r.stop = context.WithCancel(f.t.Context())
	go func() { r.ended <- r.Run(ctx, func(ctx context.Context) error { return f.work(ctx, name) }) }()
	return r
}

// work is a term: no two of them overlap.
func (f *field) work(ctx context.Context, name string) error {
	f.mu.Lock()
	if len(f.acting) > 0 {
		f.t.Errorf("%s acts while %v do", name, f.acting)
	}
	f.acting, f.terms = append(f.acting, name), append(f.terms, name)
	f.mu.Unlock()
	<-ctx.Done()
	time.Sleep(f.linger)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acting = nil
	return nil
}

func (f *field) actor() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprint(f.acting)
}

// leave is an orderly end.
func (r *runner) leave() {
	r.stop()
	<-r.ended //nolint:errcheck // what it ended with is seen by whoever leads next
}

func (f *field) end(runners ...*runner) { f.endWithin(0, runners...) }

// endWithin ends them and gives the key some time to go: of one whose last answer gets lost it ends with its lease.
func (f *field) endWithin(d time.Duration, runners ...*runner) {
	for _, r := range runners {
		r.store.Reconnect()
		r.stop()
		if err := <-r.ended; err != nil {
			f.t.Errorf("%s ended with %v", r.name, err)
		}
	}
	time.Sleep(d)
	if _, there, err := f.world.Get(f.t.Context(), key); there || err != nil {
		f.t.Errorf("the key is left behind (%v)", err)
	}
}

func (f *field) wants(who string) {
	f.t.Helper()
	synctest.Wait()
	if got := f.actor(); got != who {
		f.t.Fatalf("%s acts, want %s", got, who)
	}
}

func TestOneLeadsAndTheOthersKnowIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(t)
		a := f.start("a")
		f.wants("[a]")
		b := f.start("b")
		time.Sleep(time.Minute) // renewals
		f.wants("[a]")
		if at, ok := b.Leader(); !ok || at != "a:8080" || b.Leads() || !a.Leads() {
			t.Errorf("b sees %q (%v), leads %v; a leads %v", at, ok, b.Leads(), a.Leads())
		}
		f.end(b, a)
	})
}

func TestAnOrderlyEndHandsTheLeadOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(t)
		f.linger = 200 * time.Millisecond // the work of a term ends in its own time
		a := f.start("a")
		f.wants("[a]")
		b := f.start("b")
		synctest.Wait()
		began := time.Now()
		a.leave()
		f.wants("[b]")
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
		f.end(b)
	})
}

func TestAfterACrashTheNextTermBeginsWhenTheLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(t)
		a := f.start("a")
		f.wants("[a]")
		b := f.start("b")
		synctest.Wait()
		a.store.Disconnect() // its term is over before b's begins, or work complains
		began := time.Now()
		for f.actor() != "[b]" {
			time.Sleep(100 * time.Millisecond)
			if time.Since(began) > ttl+time.Second {
				t.Fatalf("after %s %s acts", time.Since(began), f.actor())
			}
		}
		if a.Leads() {
			t.Error("a still thinks it leads")
		}
		a.store.Reconnect()
		time.Sleep(time.Minute)
		f.wants("[b]")
		f.end(a, b)
	})
}

func TestAnAnswerLostOnTheWayLosesNoLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(t)
		store := f.world.Client()
		store.LoseNextAnswer(key)
		c := lead.New(store, lead.Config{Key: key, Address: "a:8080", TTL: ttl}, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx, func(ctx context.Context) error { return f.work(ctx, "a") }) }()
		f.wants("[a]")
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAbdication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(t)
		a := f.start("a")
		f.wants("[a]")
		b := f.start("b")
		synctest.Wait()
		if err := a.Abdicate(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.wants("[b]")
		if err := a.Abdicate(t.Context()); err != nil { // it has nothing to give up
			t.Error(err)
		}
		f.wants("[b]")
		b.leave()
		f.wants("[a]")
		// Alone, it leads again after a while.
		if err := a.Abdicate(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.wants("[]")
		time.Sleep(4 * time.Second)
		f.wants("[a]")
		f.end(a)
	})
}

func TestADeletedKeyEndsTheTermAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(t)
		a := f.start("a")
		f.wants("[a]")
		if err := f.world.Delete(t.Context(), key, kv.Always()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		f.wants("[a]")
		if len(f.terms) != 2 {
			t.Errorf("terms: %v", f.terms)
		}
		f.end(a)
	})
}

func TestWorkThatEndsEarlyEndsTheCampaign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(t)
		broken := errors.New("the state is damaged")
		c := lead.New(f.world.Client(), lead.Config{Key: key, Address: "a:8080", TTL: ttl}, slog.New(slog.DiscardHandler))
		err := c.Run(t.Context(), func(context.Context) error { return broken })
		if !errors.Is(err, broken) {
			t.Errorf("ended with %v", err)
		}
		if _, there, _ := f.world.Get(t.Context(), key); there {
			t.Error("the lead was not given up")
		}
	})
}

// A clock that stood still with the machine is taken off: the store has counted that time.
func TestTimeInWhichTheMachineSleptCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asleep := time.Duration(0)
		f := newField(t)
		c := lead.New(f.world.Client(), lead.Config{
			Key: key, Address: "a:8080", TTL: ttl,
			Suspended: func() time.Duration { mu.Lock(); defer mu.Unlock(); return asleep },
		}, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx, func(ctx context.Context) error { return f.work(ctx, "a") }) }()
		f.wants("[a]")
		mu.Lock()
		asleep = time.Hour
		mu.Unlock()
		if c.Leads() {
			t.Error("it leads on a lease that has ended an hour ago")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Three schedulers, and connections that come and go at random: never two act, and in the end one does.
func TestNeverTwoTerms(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			f := newField(t)
			f.linger = time.Duration(rng.IntN(500)) * time.Millisecond
			runners := []*runner{f.start("a"), f.start("b"), f.start("c")}
			for range 40 {
				r := runners[rng.IntN(len(runners))]
				switch rng.IntN(4) {
				case 0:
					r.store.Disconnect()
				case 1:
					r.store.LoseNextAnswer(key)
				default:
					r.store.Reconnect()
				}
				time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond)
			}
			for _, r := range runners {
				r.store.Reconnect()
			}
			time.Sleep(2 * ttl)
			if f.actor() == "[]" {
				t.Errorf("seed %d: nobody leads", seed)
			}
			f.endWithin(2*ttl, runners...)
		})
	}
}

// The fence of a term is the key in the version that was written for it; whoever does not lead has one that never holds.
func TestFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(t)
		a := f.start("a")
		f.wants("[a]")
		b := f.start("b")
		time.Sleep(time.Minute) // renewals
		pair, there, err := f.world.Get(t.Context(), key)
		if err != nil || !there {
			t.Fatalf("the key: %v %v", there, err)
		}
		if got, want := a.Fence(), (kv.Guard{Key: key, Version: pair.Version}); got != want {
			t.Errorf("the leader's is %v, want %v", got, want)
		}
		if got := b.Fence(); got != (kv.Guard{Key: key}) {
			t.Errorf("that of one who does not lead is %v", got)
		}
		f.end(b, a)
	})
}
