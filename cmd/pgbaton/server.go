package main

import (
	"net/url"
	"slices"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

// postgresConfig is the server as the agent finds or makes it.
func postgresConfig(cfg config.Config) postgres.Config {
	pg := cfg.Postgres
	effective, _ := cfg.With(cfg.Dynamic()) // what is wrong with it is said when it comes into force
	return postgres.Config{
		DataDir: pg.DataDir, BinDir: pg.BinDir, Programs: pg.Programs, ConfigDir: pg.ConfigDir, ConfigBase: pg.ConfigBase,
		ListenAddresses: pg.Hosts, Port: pg.Port, SocketDir: pg.SocketDir, SocketOnly: pg.SocketForSuperuser,
		Database: pg.Database, Kerberos: pg.Kerberos, ClusterName: cfg.Scope, MemberName: cfg.Name, PgPassFile: pg.PgPass,
		Initdb: options(cfg.Bootstrap.Initdb), Restore: method(cfg.Bootstrap.Method), PostBootstrap: postgres.Program(cfg.Bootstrap.Post),
		Settings: settings(effective),
	}
}

// settings are the settings of the server in a configuration that lies over the dynamic one.
func settings(cfg config.Config) postgres.Settings {
	pg := cfg.Postgres
	if len(pg.HBA) == 0 {
		pg.HBA = cfg.Bootstrap.HBA
	}
	all := postgres.Settings{
		Logins: postgres.Logins{
			Superuser: postgres.Login(pg.Superuser), Replication: postgres.Login(pg.Replication), Rewind: postgres.Login(pg.Rewind),
		},
		Parameters: pg.Parameters, Recovery: pg.Recovery, HBA: pg.HBA, Ident: pg.Ident, CustomConf: pg.CustomConf,
		CloneMethods: methods(pg.CloneMethods), RemoteMethods: methods(pg.RemoteMethods),
		PrePromote: postgres.Program(pg.PrePromote), BeforeStop: postgres.Program(pg.BeforeStop),
		RewindOptions: options(pg.RewindOptions),
	}
	for role, v := range pg.ByRole {
		if all.ByRole == nil {
			all.ByRole = map[cluster.Role]postgres.Variant{}
		}
		all.ByRole[role] = postgres.Variant(v)
	}
	return all
}

// allowed is what the agent may do with the data.
func allowed(pg config.Postgres) agent.Options {
	return agent.Options{
		UseRewind: pg.UseRewind, CloneAfterRewindFailure: pg.RemoveFailed, CloneDiverged: pg.RemoveDiverged,
		CloneAlone: slices.ContainsFunc(pg.CloneMethods, func(m config.Method) bool { return m.NoLeader }),
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

// connURL is the address of a database as member documents have it; empty where there is none.
func connURL(address, database string) string {
	if address == "" {
		return ""
	}
	return (&url.URL{Scheme: "postgres", Host: address, Path: "/" + database}).String()
}
