package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/process"
	"github.com/pgbaton/pgbaton/internal/service"
	"github.com/pgbaton/pgbaton/internal/supervise"
)

func agentCommand() *cobra.Command {
	verbose := false
	c := &cobra.Command{
		Use:   "agent [CONFIG.yml]",
		Short: "Run beside one PostgreSQL server and keep its cluster led",
		Long: `The agent elects the leader through etcd and starts, clones, promotes, demotes and
rewinds its server. It reads Patroni's configuration; PATRONI_* variables win over
the file. PostgreSQL refuses root, so run it as an unprivileged user; started by root
with PGBATON_RUN_AS=postgres it hands its folders to that user and goes on as postgres.`,
		Example: "  pgbaton agent /etc/patroni/postgres0.yml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
			}
			return runAgent(cmd.Context(), path, verbose)
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log why, every tick")
	return c
}

func runAgent(ctx context.Context, path string, verbose bool) (err error) {
	hangups, ignore := catchHangups()
	defer ignore()
	hostname, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find out the name of this host: %w", err)
	}
	source := config.Source{Path: path, Env: ownEnv(), Hostname: hostname}
	cfg, err := config.Load(source)
	if err != nil {
		return err
	}
	if err := runAs(cfg.Postgres.DataDir, source.Env); err != nil {
		return err
	}
	written, err := openJournal(cfg.Log, verbose)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, written.close(ctx)) }()
	log := slog.New(written.Handler()).With(slog.String("member", cfg.Name))
	for _, w := range cfg.Warnings {
		log.WarnContext(ctx, "configuration", slog.String("option", w))
	}
	pg, err := postgres.Open(ctx, postgresConfig(cfg), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.Close()) }()
	listener, err := openREST(ctx, cfg.RestAPI.Endpoint)
	if err != nil {
		return err
	}
	// The server has to be looked after whether etcd answers or not.
	documents, err := openDocuments(ctx, cfg.Etcd, cfg.Aliases, true, dcs.Config{Namespace: cfg.Namespace, Scope: cfg.Scope, Name: cfg.Name})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, documents.Close()) }()
	called, err := agentPeerOptions(cfg.Ctl)
	if err != nil {
		return err
	}
	peers := client.New(cfg.Aliases, called)
	defer peers.Close()
	beside := newAttendants(cfg, log)
	defer beside.close(ctx)
	own := agentConfig(ctx, cfg, beside)
	g, leave, err := openGuard(ctx, cfg.Guard, pg.DataDir(), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	memory := kept{dataDir: pg.DataDir(), log: log}
	if last := memory.load(ctx); last != nil {
		own.Dynamic = last
	}
	own.Keep = memory.save
	again := &reader{source: source, inForce: cfg, journal: written, peers: peers, attendants: beside}
	own.Guard, own.Reread = g, again.read
	own.Logged = func() (waiting, lost int) { return written.QueueSize(), written.Lost() }
	a := agent.New(own, documents, pg, peers, log)
	again.rest = newREST(a, cfg.Aliases, log)
	if err := again.rest.configure(ctx, cfg.RestAPI); err != nil {
		return err
	}
	group, serving := supervise.New(context.WithoutCancel(ctx))
	group.Go("REST API", func(context.Context) error { return again.rest.server.Serve(serving, listener) })
	group.Go("memory", func(ctx context.Context) error { return slimWhenSteady(ctx, a) })
	group.Go("hangups", func(ctx context.Context) error { return reloadOnHangup(ctx, hangups, a.Reload) })
	err = a.Run(ctx)
	return errors.Join(err, group.Stop(errEnd))
}

// steadyAfter is how many looks in a row have to find the server running before the agent counts as steady.
const steadyAfter = 5

// slimWhenSteady gives the memory back that the start took, once the server runs and nothing is under way.
func slimWhenSteady(ctx context.Context, a *agent.Agent) error {
	s := a.Snapshot()
	for steady := 0; steady < steadyAfter; steady++ {
		next, err := a.After(ctx, s)
		if err != nil {
			return nil //nolint:nilerr // the agent ends
		}
		if s = next; !s.Server.Running || s.Progress != "" {
			steady = 0
		}
	}
	process.Slim()
	return nil
}

var errEnd = errors.New("the program ends")

func agentConfig(ctx context.Context, cfg config.Config, beside attendants) agent.Config {
	return agent.Config{
		Name: cfg.Name, Scope: cfg.Scope, Tags: cfg.Tags,
		ConnURL: connURL(cfg.Postgres.Connect, cfg.Postgres.Database), ProxyURL: connURL(cfg.Postgres.Proxy, cfg.Postgres.Database),
		APIURL:  apiURL(cfg.RestAPI),
		Dynamic: cfg.Dynamic(),
		Options: func(dynamic map[string]any) agent.Options {
			effective, _ := cfg.With(dynamic) // what is wrong with it is said below
			return allowed(effective.Postgres)
		},
		Watchdog:  beside.watchdog,
		Callbacks: beside.callbacks,
		Manager:   service.NewManager(beside.log),
		Postgres: func(dynamic map[string]any) postgres.Settings {
			effective, warnings := cfg.With(dynamic)
			for _, w := range warnings {
				beside.log.WarnContext(ctx, "configuration", slog.String("option", w))
			}
			beside.callbacks.Configure(callbacks(effective)) // they may stand in the dynamic configuration, too
			all := settings(effective)
			in := cluster.Config{Data: dynamic}.Settings()
			all.Strict = in.Sync() != cluster.SyncOff && in.SynchronousStrict
			return all
		},
	}
}
