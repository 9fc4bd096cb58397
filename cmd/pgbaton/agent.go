package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/api"
	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/ctl"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
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
the file. PostgreSQL refuses root, so run it as an unprivileged user.`,
		Example: "  pgbaton agent /etc/patroni/postgres0.yml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			return runAgent(cmd.Context(), path, newLog(level))
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log why, every tick")
	return c
}

func runAgent(ctx context.Context, path string, log *slog.Logger) (err error) {
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
	for _, w := range cfg.Warnings {
		log.WarnContext(ctx, "configuration", slog.String("option", w))
	}
	log = log.With(slog.String("member", cfg.Name))
	pg, err := postgres.Open(ctx, postgresConfig(cfg), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.Close()) }()
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", net.JoinHostPort(cfg.RestAPI.Hosts[0], strconv.Itoa(cfg.RestAPI.Port)))
	if err != nil {
		return fmt.Errorf("open the REST API: %w; choose another restapi.listen or end what uses the port", err)
	}
	// The server has to be looked after whether etcd answers or not.
	documents, err := openDocuments(ctx, etcdConfig(cfg.Etcd, cfg.Aliases, true), dcs.Config{Namespace: cfg.Namespace, Scope: cfg.Scope, Name: cfg.Name})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, documents.Close()) }()
	peers := client.New(cfg.Aliases)
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
	own.Guard, own.Reread = g, (&reader{source, cfg, beside}).read
	a := agent.New(own, documents, pg, peers, log)
	group, serving := supervise.New(context.WithoutCancel(ctx))
	group.Go("REST API", func(context.Context) error { return api.New(a, log).Serve(serving, listener) })
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
		ConnURL: "postgres://" + cfg.Postgres.Connect + "/postgres",
		APIURL:  "http://" + cfg.RestAPI.Connect + "/patroni",
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

// allowed is what the agent may do with the data.
func allowed(pg config.Postgres) agent.Options {
	return agent.Options{
		UseRewind: pg.UseRewind, CloneAfterRewindFailure: pg.RemoveFailed, CloneDiverged: pg.RemoveDiverged,
		CloneAlone: slices.ContainsFunc(pg.CloneMethods, func(m config.Method) bool { return m.NoLeader }),
	}
}

// settings are the settings of the server in a configuration that lies over the dynamic one.
func settings(cfg config.Config) postgres.Settings {
	pg := cfg.Postgres
	if len(pg.HBA) == 0 {
		pg.HBA = cfg.Bootstrap.HBA
	}
	return postgres.Settings{
		Parameters: pg.Parameters, Recovery: pg.Recovery, HBA: pg.HBA, Ident: pg.Ident, CustomConf: pg.CustomConf,
		CloneMethods: methods(pg.CloneMethods), RemoteMethods: methods(pg.RemoteMethods),
		PrePromote: postgres.Program(pg.PrePromote), BeforeStop: postgres.Program(pg.BeforeStop),
		RewindOptions: options(pg.RewindOptions),
	}
}

func methods(configured []config.Method) []postgres.Method {
	var all []postgres.Method
	for _, m := range configured {
		all = append(all, method(m))
	}
	return all
}

func method(m config.Method) postgres.Method {
	return postgres.Method{
		Name: m.Name, Program: postgres.Program(m.Command), Options: options(m.Options), NoParams: m.NoParams, NoLeader: m.NoLeader,
		KeepData: m.KeepData, KeepRecovery: m.KeepRecovery, Recovery: m.Recovery,
	}
}

func options(configured []config.Option) []postgres.Option {
	var all []postgres.Option
	for _, o := range configured {
		all = append(all, postgres.Option(o))
	}
	return all
}

func postgresConfig(cfg config.Config) postgres.Config {
	pg := cfg.Postgres
	effective, _ := cfg.With(cfg.Dynamic()) // what is wrong with it is said when it comes into force
	return postgres.Config{
		DataDir: pg.DataDir, BinDir: pg.BinDir, ListenAddresses: pg.Hosts, Port: pg.Port,
		SocketDir: pg.SocketDir, ClusterName: cfg.Scope, MemberName: cfg.Name, PgPassFile: pg.PgPass,
		Superuser: postgres.Login(pg.Superuser), Replication: postgres.Login(pg.Replication), Rewind: postgres.Login(pg.Rewind),
		Initdb: options(cfg.Bootstrap.Initdb), Restore: method(cfg.Bootstrap.Method), PostBootstrap: postgres.Program(cfg.Bootstrap.Post),
		Settings: settings(effective),
	}
}

// documents is a cluster's documents together with the connection they are read through.
type documents struct {
	*dcs.Store

	conn *etcd3.Store
}

// Close closes the connection.
func (d documents) Close() error { return d.conn.Close() }

func etcdConfig(c config.Etcd, aliases map[string]string, lazy bool) etcd3.Config {
	return etcd3.Config{Endpoints: c.Hosts, Username: c.Username, Password: c.Password, Resolve: aliases, Lazy: lazy}
}

func openDocuments(ctx context.Context, etcd etcd3.Config, cfg dcs.Config) (documents, error) {
	store, err := etcd3.Open(ctx, etcd)
	if err != nil {
		return documents{}, err
	}
	d, err := dcs.New(store, cfg)
	if err != nil {
		return documents{}, errors.Join(err, store.Close())
	}
	return documents{Store: d, conn: store}, nil
}

func openForOperator(ctx context.Context, c config.Client) (ctl.DCS, error) {
	return openDocuments(ctx, etcdConfig(c.Etcd, c.Aliases, false), dcs.Config{Namespace: c.Namespace, Scope: c.Scope, Name: "pgbaton"})
}
