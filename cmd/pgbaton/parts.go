package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/ctl"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/haproxy"
	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
	"github.com/pgbaton/pgbaton/internal/marathon/api"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/local"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
	"github.com/pgbaton/pgbaton/internal/proxy"
	"github.com/pgbaton/pgbaton/internal/route"
	"github.com/pgbaton/pgbaton/internal/up"
)

// startEtcd starts the etcd members, or adopts them.
func (p *platform) startEtcd(ctx, life context.Context, program string, begun *stops) error {
	dir, err := p.state.Folder("etcd")
	if err != nil {
		return err
	}
	var hosts []local.Host
	for _, e := range p.layout.Etcd {
		hosts = append(hosts, local.Host{Name: e.Name, Address: e.Address.String(), Ports: place.Ranges{{Begin: 31000, End: 31999}}})
	}
	d, err := local.Open(local.Config{ //nolint:contextcheck // what it starts lives as long as the driver
		Dir: dir, Hosts: hosts, Credential: p.cred,
		Images: []local.Image{{Pattern: up.EtcdImage + ":*", Command: []string{program, "etcd", "--data-dir", "{MESOS_SANDBOX}/data"}}},
	}, p.log)
	if err != nil {
		return err
	}
	*begun = append(*begun, func(context.Context) error { return d.Close() })
	etcd, err := up.NewEtcd(d, p.layout, p.state.EtcdNotes(), p.log, p.screen.Say)
	if err != nil {
		return err
	}
	err = etcd.Start(ctx)
	p.adopted = etcd.Adopted() > 0
	*begun = append(*begun, etcd.Stop)
	if err != nil {
		return err
	}
	keeping, letGo := context.WithCancel(life)
	kept := make(chan struct{})
	p.group.Go("etcd", func(context.Context) error {
		defer close(kept)
		return etcd.Keep(keeping)
	})
	*begun = append(*begun, func(context.Context) error {
		letGo()
		<-kept
		return nil
	})
	return nil
}

// quorum waits until etcd answers.
func (p *platform) quorum(ctx context.Context) (*etcd3.Store, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("etcd has no quorum after a minute; its logs are in "+p.state.Path("etcd", "logs")))
	defer cancel()
	for {
		kvstore, err := etcd3.Open(ctx, etcd3.Config{Endpoints: p.layout.EtcdEndpoints()})
		if err == nil {
			if _, _, err = kvstore.Get(ctx, "/pgbaton"); err == nil {
				p.screen.Say("etcd", "quorum: the store answers")
				return kvstore, nil
			}
			err = errors.Join(err, kvstore.Close())
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// startScheduler starts the scheduler and Marathon's API.
func (p *platform) startScheduler(ctx, life context.Context, program, agents string, kvstore *etcd3.Store, begun *stops) (*run.Scheduler, error) {
	dir, err := p.state.Folder("tasks")
	if err != nil {
		return nil, err
	}
	sockets, err := p.state.OwnFolder("run")
	if err != nil {
		return nil, err
	}
	passwords, err := p.state.Passwords()
	if err != nil {
		return nil, err
	}
	tasks, err := local.Open(local.Config{ //nolint:contextcheck // what it starts lives as long as the driver
		Dir: dir, Hosts: p.hosts(), Credential: p.cred, Aliases: p.layout.Aliases(),
		Images: []local.Image{
			{Pattern: "patroni:*", Command: []string{program, "agent", agents}},
			{Pattern: "pgbaton:*", Command: []string{program, "agent", agents}},
		},
		Env: map[string]string{
			"PGBATON_RUN_DIR":              sockets,
			"PATRONI_SUPERUSER_PASSWORD":   passwords.Superuser.Reveal(),
			"PATRONI_REPLICATION_PASSWORD": passwords.Replication.Reveal(),
		},
	}, p.log)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", p.layout.Listen.String())
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if p.called, err = agentPeerOptions(p.cluster.Ctl); err != nil {
		return nil, err
	}
	s := run.New(run.Config{}, store.New(kvstore, "/pgbaton/marathon/"), tasks, newMembers(client.New(p.cluster.Aliases, p.called)), p.log)
	events := s.Watch(life)
	scheduling, letGo := context.WithCancel(life)
	ended := make(chan struct{})
	p.group.Go("scheduler", func(context.Context) error {
		defer close(ended)
		return s.Run(scheduling)
	})
	p.group.Go("scheduler events", func(context.Context) error {
		for e := range events {
			p.tell(e)
		}
		return nil
	})
	server := api.New(api.Config{Address: p.layout.Listen.String(), Version: build, FrameworkID: s.FrameworkID}, backend(s), p.log)
	p.group.Go("Marathon API", func(ctx context.Context) error { return server.Serve(ctx, l) })
	p.screen.Say("scheduler", "Marathon's API on "+p.urls.Marathon+", "+strconv.Itoa(len(p.layout.Hosts))+" virtual hosts")
	*begun = append(*begun, func(context.Context) error {
		letGo()
		<-ended
		return tasks.Close()
	}, func(ctx context.Context) error {
		if err := s.StopAll(ctx, nil); err != nil {
			return err
		}
		p.screen.Say("stop", "all members are stopped; etcd follows")
		return nil
	})
	return s, nil
}

func (p *platform) hosts() []local.Host {
	var hosts []local.Host
	for _, h := range p.layout.Hosts {
		hosts = append(hosts, local.Host{
			Name: h.Name, Address: h.Address.String(),
			Resources: place.Resources{CPUs: 4, Mem: 8192, Disk: 100000},
			Ports:     place.Ranges{{Begin: 31000, End: 31999}, {Begin: 5432, End: 5432}, {Begin: 8008, End: 8008}},
		})
	}
	return hosts
}

// tell prints what the scheduler did.
func (p *platform) tell(e run.Event) {
	if text := sentence(e); text != "" {
		p.screen.Say("scheduler", text)
	}
}

// post sends the app through the API, as anybody would. An app that is there already stays as it is.
func (p *platform) post(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.urls.Marathon+"/v2/apps", bytes.NewReader(p.posted))
	if err != nil {
		return fmt.Errorf("post the app: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("post the app: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("post the app: %w", err)
	}
	switch resp.StatusCode {
	case http.StatusCreated:
		p.screen.Say("app", fmt.Sprintf("%s posted: %d instances", p.app.ID, p.app.Instances))
	case http.StatusConflict:
		p.screen.Say("app", string(p.app.ID)+" is there already and stays as it is")
	default:
		return fmt.Errorf("post the app: the scheduler answers %d: %s", resp.StatusCode, strings.TrimSpace(string(text)))
	}
	return nil
}

func (p *platform) startProxy(ctx, life context.Context, documents *dcs.Store, begun *stops) error {
	dir, err := p.state.Folder("haproxy")
	if err != nil {
		return err
	}
	on := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(p.layout.Listen.Addr(), port) }
	services := []route.Service{
		{Name: "writes", Bind: on(p.ports.Writes), Kind: route.Writes},
		{Name: "leader", Bind: on(p.ports.LeaderAPI), Kind: route.LeaderAPI},
		{Name: "reads", Bind: on(p.ports.Reads), Kind: route.Reads},
	}
	process, err := haproxy.Open(ctx, haproxy.Config{Dir: dir, Services: services, Statistics: on(p.ports.Statistics), Credential: p.cred}, p.log)
	if err != nil {
		return err
	}
	driving, letGo := context.WithCancel(life)
	var driven sync.WaitGroup
	drive := func(name string, do func(context.Context) error) {
		driven.Add(1)
		p.group.Go(name, func(context.Context) error {
			defer driven.Done()
			return do(driving)
		})
	}
	cfg := proxy.Config{Services: services, Progress: func(line string) { p.screen.Say("proxy", line) }}
	drive("HAProxy", process.Run)
	drive("proxy", func(ctx context.Context) error { return proxy.Run(ctx, cfg, picture{documents}, process, p.log) })
	*begun = append(*begun, func(ctx context.Context) error {
		letGo()
		driven.Wait()
		return errors.Join(process.Stop(ctx), process.Close())
	})
	return nil
}

// narrate tells what becomes of the members, and prints how to connect once all are there.
func (p *platform) narrate(documents *dcs.Store, scheduler *run.Scheduler) {
	peers := client.New(p.cluster.Aliases, p.called)
	wanted := func() int {
		if a, ok := scheduler.App(p.app.ID); ok {
			return a.Instances
		}
		return p.app.Instances
	}
	n := up.NewNarrator(narrated{picture{documents}}, peers, wanted, p.screen.Say)
	p.group.Go("narrator", n.Run)
	p.group.Go("summary", func(ctx context.Context) error {
		defer peers.Close()
		select {
		case <-ctx.Done():
			return nil
		case <-n.Ready():
		}
		c, err := documents.Load(ctx)
		if err != nil {
			p.screen.Say("list", "the members cannot be listed now: "+err.Error())
			return nil
		}
		p.screen.Print("\n" + ctl.Table(p.cluster.Scope, c) + "\n" + p.urls.Summary(up.EnvFile(p.options.stateDir)) + "\n")
		p.screen.Clock()
		<-ctx.Done()
		return nil
	})
}
