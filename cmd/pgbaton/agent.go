package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/api"
	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/ctl"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
	"github.com/pgbaton/pgbaton/internal/postgres"
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
	hostname, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find out the name of this host: %w", err)
	}
	cfg, err := config.Load(config.Source{Path: path, Env: processEnv(), Hostname: hostname})
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
	documents, err := openDocuments(ctx, cfg.Etcd, cfg.Aliases, dcs.Config{Namespace: cfg.Namespace, Scope: cfg.Scope, Name: cfg.Name})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, documents.Close()) }()
	peers := client.New(cfg.Aliases)
	defer peers.Close()
	a := agent.New(agentConfig(cfg), documents, pg, peers, log)
	group, serving := supervise.New(context.WithoutCancel(ctx))
	group.Go("REST API", func(context.Context) error { return api.New(a, log).Serve(serving, listener) })
	err = a.Run(ctx)
	return errors.Join(err, group.Stop(errEnd))
}

var errEnd = errors.New("the program ends")

func agentConfig(cfg config.Config) agent.Config {
	return agent.Config{
		Name: cfg.Name, Scope: cfg.Scope, Tags: cfg.Tags,
		ConnURL:   "postgres://" + cfg.Postgres.Connect + "/postgres",
		APIURL:    "http://" + cfg.RestAPI.Connect + "/patroni",
		Dynamic:   cfg.Dynamic(),
		UseRewind: cfg.Postgres.UseRewind,
		Postgres:  func(dynamic cluster.Settings) postgres.Settings { return settings(cfg, dynamic.Parameters) },
	}
}

// settings are the effective settings of the server: the dynamic parameters with the local ones over them, where
// those may be local.
func settings(cfg config.Config, dynamic map[string]any) postgres.Settings {
	hba := cfg.Postgres.HBA
	if len(hba) == 0 {
		hba = cfg.Bootstrap.HBA
	}
	return postgres.Settings{Parameters: guc.Merge(dynamic, cfg.Postgres.Parameters), HBA: hba, Ident: cfg.Postgres.Ident}
}

func postgresConfig(cfg config.Config) postgres.Config {
	pg := cfg.Postgres
	out := postgres.Config{
		DataDir: pg.DataDir, BinDir: pg.BinDir, ListenAddresses: pg.Hosts, Port: pg.Port,
		SocketDir: pg.SocketDir, ClusterName: cfg.Scope, MemberName: cfg.Name, PgPassFile: pg.PgPass,
		Superuser: postgres.Login(pg.Superuser), Replication: postgres.Login(pg.Replication), Rewind: postgres.Login(pg.Rewind),
		Settings: settings(cfg, cluster.Config{Data: cfg.Dynamic()}.Settings().Parameters),
	}
	for _, o := range cfg.Bootstrap.Initdb {
		out.Initdb = append(out.Initdb, postgres.InitdbOption(o))
	}
	return out
}

// documents is a cluster's documents together with the connection they are read through.
type documents struct {
	*dcs.Store

	conn *etcd3.Store
}

// Close closes the connection.
func (d documents) Close() error { return d.conn.Close() }

func openDocuments(ctx context.Context, etcd config.Etcd, aliases map[string]string, cfg dcs.Config) (documents, error) {
	store, err := etcd3.Open(ctx, etcd3.Config{Endpoints: etcd.Hosts, Username: etcd.Username, Password: etcd.Password, Resolve: aliases})
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
	return openDocuments(ctx, c.Etcd, c.Aliases, dcs.Config{Namespace: c.Namespace, Scope: c.Scope, Name: "pgbaton"})
}
