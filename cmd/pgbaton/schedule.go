package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/marathon/api"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/docker"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/local"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
	"github.com/pgbaton/pgbaton/internal/supervise"
	"github.com/pgbaton/pgbaton/internal/up"
)

// runScheduler schedules until the context ends. Tasks are left as they are.
func runScheduler(ctx context.Context, out io.Writer, o schedulerOptions) (err error) {
	p, err := o.plan(ctx, out, processEnv())
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", p.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	p.screen.Say("etcd", "looking for etcd")
	kvstore, err := openEtcd(ctx, p.etcd, p.aliases, false)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, kvstore.Close()) }()
	d, err := p.openDriver() //nolint:contextcheck // what it starts lives as long as the driver
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	s := run.New(run.Config{}, store.New(kvstore, p.prefix), d, newMembers(client.New(p.aliases, client.Options{})), p.log)
	group, life := supervise.New(ctx)
	events := s.Watch(life)
	group.Go("scheduler", s.Run)
	group.Go("scheduler events", func(context.Context) error {
		for e := range events {
			p.tell(e)
		}
		return nil
	})
	server := api.New(api.Config{
		Address: p.address(l), Version: build, FrameworkID: s.FrameworkID, User: p.login.user, Password: p.login.password,
		AllowOrigins: p.origins, Concurrent: p.concurrent,
	}, backend(s), p.log)
	group.Go("Marathon API", func(ctx context.Context) error { return server.Serve(ctx, l) })
	p.screen.Say("scheduler", "Marathon's API on http://"+p.address(l)+", driver "+p.driver)
	<-life.Done()
	if ctx.Err() != nil {
		p.screen.Say("stop", "the scheduler ends, tasks go on")
	}
	return group.Wait()
}

// backend is what the API serves of a scheduler.
func backend(s *run.Scheduler) api.Backend {
	b := api.Backend{
		Scheduler: s, History: s, Tasks: s, Feed: s, Clusters: s, Metrics: s, Drains: s, Volumes: s, Groups: s, Loaded: s.Loaded,
	}
	if s.Switchable() {
		b.Hosts = s
	}
	return b
}

func (p *schedulerPlan) tell(e run.Event) {
	if text := sentence(e); text != "" {
		p.screen.Say("scheduler", text)
	}
}

// openDriver opens the machines.
func (p *schedulerPlan) openDriver() (driver.Driver, error) {
	if p.driver == driverLocal {
		return p.openLocal()
	}
	return docker.Open(p.docker, p.log)
}

// openLocal writes what tasks need into the state directory and opens the driver below it.
func (p *schedulerPlan) openLocal() (_ driver.Driver, err error) {
	state, err := up.OpenState(p.stateDir, p.local.Credential)
	if err != nil {
		return nil, err
	}
	program, err := state.InstallProgram()
	if err == nil {
		var agents string
		if agents, err = state.InstallConfig(p.agentText); err == nil {
			return p.openLocalIn(state, program, agents)
		}
	}
	return nil, errors.Join(err, state.Close())
}

func (p *schedulerPlan) openLocalIn(state *up.State, program, agents string) (driver.Driver, error) {
	cfg := p.local
	sockets, err := state.OwnFolder("run")
	if err != nil {
		return nil, errors.Join(err, state.Close())
	}
	if cfg.Dir, err = state.Folder("tasks"); err != nil {
		return nil, errors.Join(err, state.Close())
	}
	cfg.Env["PGBATON_RUN_DIR"] = sockets
	for _, pattern := range []string{"patroni:*", "pgbaton:*"} {
		cfg.Images = append(cfg.Images, local.Image{Pattern: pattern, Command: []string{program, "agent", agents}})
	}
	d, err := local.Open(cfg, p.log)
	if err != nil {
		return nil, errors.Join(err, state.Close())
	}
	p.screen.Say("driver", hostsLine(cfg)+", state in "+filepath.Clean(p.stateDir))
	return heldDriver{d, state}, nil
}

// hostsLine says what the local driver has.
func hostsLine(cfg local.Config) string {
	if len(cfg.Hosts) == 1 {
		h := cfg.Hosts[0]
		return fmt.Sprintf("local: host %s at %s with %g cpus, %g MiB of memory, %g MiB of disk",
			h.Name, h.Address, h.Resources.CPUs, h.Resources.Mem, h.Resources.Disk)
	}
	return "local: " + strconv.Itoa(len(cfg.Hosts)) + " hosts"
}

// heldDriver holds the state directory for as long as the driver is open.
type heldDriver struct {
	*local.Driver

	state *up.State
}

// Close implements driver.Driver.
func (d heldDriver) Close() error { return errors.Join(d.Driver.Close(), d.state.Close()) }
