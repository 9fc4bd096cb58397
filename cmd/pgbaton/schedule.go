package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/clock"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/marathon/api"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/lead"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
	"github.com/pgbaton/pgbaton/internal/supervise"
)

// runScheduler schedules, or stands by, until the context ends. Tasks are left as they are.
func runScheduler(ctx context.Context, out io.Writer, o schedulerOptions) (err error) {
	p, err := o.plan(ctx, out, processEnv())
	if err != nil {
		return err
	}
	if o.mesos.check {
		return p.checkMesos(ctx, out)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", p.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	kvstore, err := p.openStore(ctx)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, kvstore.Close()) }()
	return p.schedule(ctx, l, kvstore)
}

// etcdWithin is how long etcd may take to answer at the start.
const etcdWithin = 10 * time.Second

func (p *schedulerPlan) openStore(ctx context.Context) (kv.Store, error) {
	silent := fmt.Errorf("etcd does not answer within %v: is it %s?", etcdWithin, strings.Join(p.etcd.Hosts, ", "))
	limited, cancel := context.WithTimeoutCause(ctx, etcdWithin, silent)
	defer cancel()
	kvstore, err := openEtcd(limited, p.etcd, p.aliases, false)
	if err == nil {
		if _, _, err = kvstore.Get(limited, leaderKey(p.prefix)); err != nil {
			err = errors.Join(err, kvstore.Close())
		}
	}
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil, silent
	}
	if err != nil {
		return nil, fmt.Errorf("open etcd: %w", err)
	}
	p.screen.Say("etcd", "the state is kept below "+p.prefix)
	return kvstore, nil
}

// leaderKey is the key of the scheduler that leads, beside what schedulers keep.
func leaderKey(prefix string) string { return strings.TrimRight(prefix, "/") + ".leader" }

func (p *schedulerPlan) schedule(ctx context.Context, l net.Listener, kvstore kv.Store) error {
	agents := client.New(p.aliases, client.Options{})
	defer agents.Close()
	s := run.New(run.Config{Secrets: p.secrets, Hosts: p.hostCount(), Framework: p.schedulerOptions.mesos.framework}, store.New(kvstore, p.prefix), nil, newMembers(agents), p.log)
	campaign := lead.New(kvstore, lead.Config{Key: leaderKey(p.prefix), Address: p.address(l), Suspended: clock.Suspended}, p.log)
	parts := backend(s)
	parts.Leadership = campaign
	if p.driver == driverLocal {
		parts.Hosts = s // the driver is opened with the lead and cannot be asked yet
	}
	server := api.New(p.apiConfig(l, s), parts, p.log)
	p.screen.Say("scheduler", "Marathon's API on http://"+p.address(l)+", driver "+p.driver)

	group, life := supervise.New(ctx)
	group.Go("Marathon API", func(ctx context.Context) error { return server.Serve(ctx, l) })
	group.Go("scheduler", func(ctx context.Context) error {
		return campaign.Run(ctx, func(term context.Context) error { return p.serveTerm(term, s, campaign) })
	})
	group.Go("scheduler events", func(ctx context.Context) error { return p.tellEvents(ctx, s) })
	group.Go("leadership", func(ctx context.Context) error { return p.tellLeader(ctx, campaign) })
	<-life.Done()
	if ctx.Err() != nil {
		p.screen.Say("stop", "this scheduler ends, tasks go on")
	}
	return group.Wait()
}

func (p *schedulerPlan) apiConfig(l net.Listener, s *run.Scheduler) api.Config {
	return api.Config{
		Address: p.address(l), Version: build, FrameworkID: s.FrameworkID, User: p.login.user, Password: p.login.password,
		Role: p.role(), AllowOrigins: p.origins, Concurrent: p.concurrent, Level: p.level,
	}
}

// role is that of all apps, empty where drivers have none.
func (p *schedulerPlan) role() string {
	if p.mesos.Role == app.DefaultRole {
		return ""
	}
	return p.mesos.Role
}

// backend is what the API serves of a scheduler.
func backend(s *run.Scheduler) api.Backend {
	b := api.Backend{
		Scheduler: s, History: s, Tasks: s, Feed: s, Clusters: s, Metrics: s, Drains: s, Volumes: s, Waits: s, Groups: s, Loaded: s.Loaded,
	}
	if s.Switchable() {
		b.Hosts = s
	}
	return b
}

// serveTerm schedules for as long as this process leads.
func (p *schedulerPlan) serveTerm(ctx context.Context, s *run.Scheduler, term run.Term) error {
	d, err := p.openDriver(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the term is over
		}
		return err
	}
	return errors.Join(s.Lead(ctx, term, d), d.Close())
}

// betweenTerms is how often it is looked whether this scheduler has something to tell again.
const betweenTerms = time.Second

// tellEvents prints what the scheduler does while it leads. Between terms nothing is said, and the stream of events ends.
func (p *schedulerPlan) tellEvents(ctx context.Context, s *run.Scheduler) error {
	known := ""
	for ctx.Err() == nil {
		for e := range s.Watch(ctx) {
			if id := s.FrameworkID(); id != known {
				known = id
				p.screen.Say("scheduler", "known to the driver as framework "+id)
			}
			if text := sentence(e); text != "" {
				p.screen.Say("scheduler", text)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(betweenTerms):
		}
	}
	return nil
}

// tellLeader prints who leads whenever that changes.
func (p *schedulerPlan) tellLeader(ctx context.Context, campaign *lead.Campaign) error {
	told := ""
	for {
		changed := campaign.Changed()
		leader, known := campaign.Leader()
		text := "nobody leads the schedulers"
		switch {
		case campaign.Leads():
			text = "this scheduler leads"
		case known:
			text = "the scheduler at http://" + leader + " leads, this one stands by"
		}
		if text != told && (known || told != "") {
			told = text
			p.screen.Say("lead", text)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
