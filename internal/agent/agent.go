package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/health"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/supervise"
)

// Version is what the agent calls itself in member documents. Other agents compare it as Patroni's own.
const Version = "4.1.0"

// Config is what an agent knows of itself from the start.
type Config struct {
	Name, Scope     string
	Tags            cluster.Tags
	ConnURL, APIURL string
	// Dynamic is the dynamic configuration to begin with, where the DCS has none yet.
	Dynamic map[string]any
	// Postgres computes the settings of the server from the dynamic configuration in force.
	Postgres func(dynamic cluster.Settings) postgres.Settings
	// UseRewind allows pg_rewind.
	UseRewind bool
}

// Agent runs beside one server.
type Agent struct {
	cfg   Config
	dcs   DCS
	pg    Postgres
	peers Peers
	log   *slog.Logger

	// wake has a token when something happened.
	wake     chan struct{}
	snapshot atomic.Pointer[health.Snapshot]
	requests requests
	job      jobSlot

	turnMu sync.Mutex
	// turn is closed and replaced when a snapshot is published.
	turn chan struct{}

	// What follows belongs to the loop alone.
	mem      ha.Memory
	outcomes []ha.Outcome
	seen     picture
	asked    map[string]ha.Peer
	upstream ha.Upstream
	told     announcement
	server   lastServer
	applied  string
	leaving  bool
}

// picture is the last shared picture that could be read.
type picture struct {
	cluster cluster.Cluster
	at      time.Time
	// blind is true while the last try to read it failed.
	blind bool
	// data is the last dynamic configuration that was one.
	data map[string]any
}

// errStop cancels what the loop started when the loop ends.
var errStop = errors.New("the agent ends")

// New makes an agent. It does nothing before Run.
func New(cfg Config, dcs DCS, pg Postgres, peers Peers, log *slog.Logger) *Agent {
	a := &Agent{
		cfg: cfg, dcs: dcs, pg: pg, peers: peers, log: log,
		wake: make(chan struct{}, 1), turn: make(chan struct{}), asked: map[string]ha.Peer{},
		seen: picture{data: cfg.Dynamic},
	}
	now := time.Now()
	a.snapshot.Store(&health.Snapshot{
		Began: now, Next: now, Name: cfg.Name, Scope: cfg.Scope, AgentVersion: Version, Tags: cfg.Tags,
		State: cluster.StateUnknown, Role: cluster.RoleUninitialized, Settings: a.settings(),
	})
	return a
}

// Run turns the loop until the context ends, then leaves: the server stops, the lead is handed over. It returns
// nil after leaving, or why the agent cannot go on.
func (a *Agent) Run(ctx context.Context) error {
	if err := a.unique(ctx); err != nil {
		return err
	}
	group, loop := supervise.New(context.WithoutCancel(ctx))
	group.Go("dcs watcher", func(ctx context.Context) error { return a.watch(ctx) })
	err := a.turnUntilExit(ctx, loop)
	a.job.cancel(errStop)
	a.requests.close()
	return errors.Join(err, group.Stop(errStop))
}

// unique refuses to run beside another living agent of the same name, which would fight over one member key. A
// document with the own address is the own one of an earlier life: nobody else can listen there. A DCS that does not
// answer must not keep the loop from looking after a server that may run.
func (a *Agent) unique(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dcsTimeout)
	defer cancel()
	c, err := a.dcs.Load(ctx)
	if err != nil {
		a.log.WarnContext(ctx, "the DCS does not answer yet", slog.Any("err", err))
		return nil
	}
	m, known := c.Member(a.cfg.Name)
	if known && m.APIURL != a.cfg.APIURL && a.peers.Alive(ctx, m) {
		return fmt.Errorf("a member named %s runs already at %s: give this one another name", a.cfg.Name, m.APIURL)
	}
	return nil
}

// maxAgain bounds how often a tick may follow the last one at once, so that a rule that never settles costs a
// little time instead of a processor.
const maxAgain = 20

func (a *Agent) turnUntilExit(ctx, loop context.Context) error {
	again := 0
	for {
		if err := context.Cause(ctx); err != nil {
			a.leaving = true
		}
		began := time.Now()
		d := a.tick(loop, began)
		if exit, why := exits(d); exit {
			if a.leaving {
				return nil
			}
			return errors.New(why)
		}
		if d.Again && again < maxAgain {
			again++
			continue
		}
		again = 0
		a.sleep(ctx, d, began)
	}
}

func exits(d ha.Decision) (bool, string) {
	for _, action := range d.Do {
		if _, ok := action.(ha.Exit); ok {
			return true, d.Why
		}
	}
	return false, ""
}

// sleep waits for the next tick. The time counts from when the last one began, as the decision's view does: what the
// tick took must not add to a wait for the end of the lease.
func (a *Agent) sleep(ctx context.Context, d ha.Decision, began time.Time) {
	if d.Again {
		d.Wake = time.Second
	}
	timer := time.NewTimer(a.pause(d) - time.Since(began))
	defer timer.Stop()
	told := ctx.Done()
	if a.leaving {
		told = nil
	}
	select {
	case <-timer.C:
	case <-a.wake:
	case <-a.pg.Exited():
	case <-told:
	}
}

func (a *Agent) pause(d ha.Decision) time.Duration {
	wait := a.settings().LoopWait
	if d.Wake > 0 {
		wait = min(wait, d.Wake)
	}
	return wait
}

// Wake makes the loop turn soon.
func (a *Agent) Wake() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// watch wakes the loop when a document that matters changed.
func (a *Agent) watch(ctx context.Context) error {
	for range a.dcs.Watch(ctx, 0) {
		a.Wake()
	}
	return nil
}

func (a *Agent) tick(ctx context.Context, now time.Time) ha.Decision {
	v := a.observe(ctx, now)
	mem, d := ha.Next(a.mem, v)
	a.explain(ctx, d)
	a.mem = mem
	a.outcomes = a.act(ctx, v, d)
	a.publish(ctx, v, d)
	return d
}

// explain logs a decision when it differs from the last one: one line per change, not per tick.
func (a *Agent) explain(ctx context.Context, d ha.Decision) {
	level := slog.LevelDebug
	if d.Why != a.snapshot.Load().Reason {
		level = slog.LevelInfo
	}
	var actions []string
	for _, action := range d.Do {
		actions = append(actions, action.String())
	}
	a.log.Log(ctx, level, d.Why, slog.Any("action", actions)) //nolint:sloglint // the decision's own sentence is the message
}

func (a *Agent) settings() cluster.Settings {
	return cluster.Config{Data: a.seen.data}.Settings()
}
