package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
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
	// ProxyURL is that of a connection pool in front of the server; empty for none.
	ProxyURL string
	// Dynamic is the dynamic configuration to begin with, where the DCS has none yet.
	Dynamic map[string]any
	// Keep is told of a dynamic configuration that came into force, for the next life. Nil keeps nothing.
	Keep func(dynamic map[string]any) error
	// Postgres computes the settings of the server from the dynamic configuration in force.
	Postgres func(dynamic map[string]any) postgres.Settings
	// Options are what the agent may do, by the dynamic configuration in force.
	Options func(dynamic map[string]any) Options
	// Guard is nil where it is turned off: then an agent that does not run leaves its server as it is.
	Guard Guard
	// Watchdog, Callbacks and Manager may be nil: then there is none.
	Watchdog  Watchdog
	Callbacks Callbacks
	Manager   Manager
	// Logged tells how many lines of the log wait to be written, and how many were dropped. Nil tells nothing.
	Logged func() (waiting, lost int)
	// Reread reads the configuration again. Of what it returns only the tags, the address of the API and what concerns the
	// server comes into force. An error leaves everything as it is. Nil stands for a configuration that never changes.
	Reread func(ctx context.Context) (Config, error)
}

// Options are what the configuration allows the agent to do with the data.
type Options struct {
	// UseRewind allows pg_rewind.
	UseRewind bool
	// CloneAfterRewindFailure and CloneDiverged allow to give data up for a new copy, CloneAlone says that there is a way
	// to fill a data directory without another member (see ha.Self).
	CloneAfterRewindFailure, CloneDiverged, CloneAlone bool
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
	failsafe failsafe
	guarding guarding
	slots    slotKeeping
	changes  changes
	doubt    string // the last one that was logged, once and not every tick
	// reloading is the configuration file on its way into force.
	reloading reloading
	// last is nil before the first decision.
	last atomic.Pointer[record]

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
	options  Options
	leaving  bool
	scripts  toldScripts
	// watchdogTrouble is what was last said of the device.
	watchdogTrouble string
}

// picture is the last shared picture that could be read.
type picture struct {
	cluster cluster.Cluster
	at      time.Time
	// blind is true while the last try to read it failed.
	blind bool
	// data is the last dynamic configuration that was one, and settings what it means.
	data     map[string]any
	settings cluster.Settings
}

// configure takes note of a dynamic configuration.
func (p *picture) configure(data map[string]any) {
	p.data, p.settings = data, cluster.Config{Data: data}.Settings()
}

// errStop cancels what the loop started when the loop ends.
var errStop = errors.New("the agent ends")

// New makes an agent. It does nothing before Run.
func New(cfg Config, dcs DCS, pg Postgres, peers Peers, log *slog.Logger) *Agent {
	cfg.fill()
	a := &Agent{
		reloading: reloading{asked: make(chan struct{}, 1)},
		cfg:       cfg, dcs: dcs, pg: pg, peers: peers, log: log,
		wake: make(chan struct{}, 1), turn: make(chan struct{}), asked: map[string]ha.Peer{},
		guarding: guarding{turn: make(chan struct{}, 1)},
	}
	a.seen.configure(cfg.Dynamic)
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
	group.Go("configuration", func(ctx context.Context) error { return a.reread(ctx) })
	a.cfg.Manager.Ready(ctx)
	err := a.turnUntilExit(ctx, loop)
	a.job.cancel(errStop)
	a.slots.stop()
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
	if known && !sameHost(m.APIURL, a.cfg.APIURL) && a.peers.Alive(ctx, m) {
		return fmt.Errorf("a member named %s runs already at %s: give this one another name", a.cfg.Name, m.APIURL)
	}
	return nil
}

// sameHost reports whether two addresses are of one host and port, whatever is spoken there: TLS may have been turned on.
func sameHost(a, b string) bool {
	one, err := url.Parse(a)
	if err != nil {
		return false
	}
	other, err := url.Parse(b)
	return err == nil && one.Host == other.Host
}

// maxAgain bounds how often a tick may follow the last one at once, so that a rule that never settles costs a
// little time instead of a processor.
const maxAgain = 20

func (a *Agent) turnUntilExit(ctx, loop context.Context) error {
	again := 0
	for {
		if context.Cause(ctx) != nil && !a.leaving {
			a.leaving = true
			a.cfg.Manager.Stopping(loop)
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
	if a.renewalLost() {
		wait = min(wait, time.Second) // one lost answer must not cost a part of the lease as long as loop_wait
	}
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
	a.takeOver(ctx)
	v := a.observe(ctx, now)
	a.tellScripts(v)
	mem, d := ha.Next(a.mem, v)
	a.explain(ctx, v, d)
	a.mem = mem
	a.outcomes = a.act(ctx, v, d)
	a.keepSlots(ctx, v)
	a.last.Store(&record{mem, v, d, a.outcomes})
	a.publish(ctx, v, d)
	return d
}

func (a *Agent) settings() cluster.Settings { return a.seen.settings }
