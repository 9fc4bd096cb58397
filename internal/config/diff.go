package config

import (
	"reflect"
	"slices"
	"strings"
)

// Difference are the options that differ between two configurations of a member, by their paths.
type Difference struct {
	// Live come into force while the agent runs.
	Live []string
	// Restart come into force only when the agent is started anew.
	Restart []string
}

// Has reports whether an option, or one of a section, is among those that come into force.
func (d Difference) Has(path string) bool {
	return slices.ContainsFunc(d.Live, func(p string) bool { return p == path || strings.HasPrefix(p, path+".") })
}

// Warnings say what does not come into force, and what to do.
func (d Difference) Warnings() []string {
	var all []string
	for _, path := range d.Restart {
		all = append(all, path+" changed, which comes into force when the agent is started anew; PostgreSQL goes on running meanwhile")
	}
	return all
}

// watched is one option that is compared.
type watched struct {
	path    string
	restart bool
	value   func(Config) any
}

// watchedOptions is in the order of a file. What is fixed while the agent runs is where it and its server are, how it
// proves who it is, and which cluster it belongs to.
func watchedOptions() []watched {
	return slices.Concat(identityOptions(), serverOptions(), []watched{
		{"bootstrap", false, func(c Config) any { return c.Bootstrap }},
		{"watchdog", false, func(c Config) any { return c.Watchdog }},
		{"guard", true, func(c Config) any { return c.Guard }},
		{"tags", false, func(c Config) any { return c.Tags }},
	})
}

func identityOptions() []watched {
	return []watched{
		{"scope", true, func(c Config) any { return c.Scope }},
		{"namespace", true, func(c Config) any { return c.Namespace }},
		{"name", true, func(c Config) any { return c.Name }},
		{"restapi.listen", true, func(c Config) any { return []any{c.RestAPI.Hosts, c.RestAPI.Port} }},
		{"restapi.connect_address", true, func(c Config) any { return c.RestAPI.Connect }},
		{"etcd", true, func(c Config) any { return c.Etcd }},
		{"postgresql.listen", true, func(c Config) any { return []any{c.Postgres.Hosts, c.Postgres.Port} }},
		{"postgresql.connect_address", true, func(c Config) any { return c.Postgres.Connect }},
		{"postgresql.data_dir", true, func(c Config) any { return c.Postgres.DataDir }},
		{"postgresql.bin_dir", true, func(c Config) any { return c.Postgres.BinDir }},
		{"postgresql.pgpass", true, func(c Config) any { return c.Postgres.PgPass }},
		{"postgresql.authentication", true, func(c Config) any {
			return []Login{c.Postgres.Superuser, c.Postgres.Replication, c.Postgres.Rewind}
		}},
	}
}

func serverOptions() []watched {
	return []watched{
		{"postgresql.parameters", false, func(c Config) any { return c.Postgres.Parameters }},
		{"postgresql.pg_hba", false, func(c Config) any { return c.Postgres.HBA }},
		{"postgresql.pg_ident", false, func(c Config) any { return c.Postgres.Ident }},
		{"postgresql.custom_conf", false, func(c Config) any { return c.Postgres.CustomConf }},
		{"postgresql.recovery_conf", false, func(c Config) any { return c.Postgres.Recovery }},
		{"postgresql.callbacks", false, func(c Config) any { return c.Postgres.Callbacks }},
		{"postgresql.pre_promote", false, func(c Config) any { return c.Postgres.PrePromote }},
		{"postgresql.before_stop", false, func(c Config) any { return c.Postgres.BeforeStop }},
		{"postgresql.pg_ctl_timeout", false, func(c Config) any { return c.Postgres.StartTimeout }},
		{"postgresql.create_replica_methods", false, func(c Config) any { return c.Postgres.CloneMethods }},
		{"postgresql.use_pg_rewind", false, func(c Config) any { return c.Postgres.UseRewind }},
		{"postgresql.rewind", false, func(c Config) any { return c.Postgres.RewindOptions }},
		{"postgresql.remove_data_directory_on_rewind_failure", false, func(c Config) any { return c.Postgres.RemoveFailed }},
		{"postgresql.remove_data_directory_on_diverged_timelines", false, func(c Config) any { return c.Postgres.RemoveDiverged }},
	}
}

// Diff compares the configuration in force with one that was read again.
func Diff(inForce, again Config) Difference {
	var d Difference
	for _, o := range watchedOptions() {
		switch {
		case reflect.DeepEqual(o.value(inForce), o.value(again)):
		case o.restart:
			d.Restart = append(d.Restart, o.path)
		default:
			d.Live = append(d.Live, o.path)
		}
	}
	return d
}
