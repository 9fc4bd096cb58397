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

// watchedOptions is in the order of a file, each option once. What is fixed while the agent runs is where it and its server are, how it
// proves who it is, and which cluster it belongs to.
func watchedOptions() []watched {
	return slices.Concat(identityOptions(), interfaceOptions(), serverOptions(), []watched{
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
		{"postgresql.bin_name", true, func(c Config) any { return c.Postgres.Programs }},
		{"postgresql.config_dir", true, func(c Config) any { return c.Postgres.ConfigDir }},
		{"postgresql.config_base_name", true, func(c Config) any { return c.Postgres.ConfigBase }},
		{"postgresql.database", true, func(c Config) any { return c.Postgres.Database }},
		{"postgresql.proxy_address", true, func(c Config) any { return c.Postgres.Proxy }},
		{"postgresql.krbsrvname", true, func(c Config) any { return c.Postgres.Kerberos }},
		{"postgresql.use_unix_socket", true, func(c Config) any { return c.Postgres.SocketForSuperuser }},
		{"postgresql.use_unix_socket_repl", true, func(c Config) any { return c.Postgres.SocketForReplication }},
	}
}

// interfaceOptions are about whoever talks with the agent, and about what it says by itself.
func interfaceOptions() []watched {
	return []watched{
		{"restapi.authentication", false, func(c Config) any { return c.RestAPI.Login }},
		{"restapi.certfile, keyfile, cafile, verify_client", false, func(c Config) any { return c.RestAPI.TLS }},
		{"restapi.allowlist", false, func(c Config) any { return c.RestAPI.Allowlist }},
		{"restapi.allowlist_include_members", false, func(c Config) any { return c.RestAPI.AllowMembers }},
		{"restapi.allow_from_anywhere", false, func(c Config) any { return c.RestAPI.Open }},
		{"restapi.http_extra_headers", false, func(c Config) any { return c.RestAPI.Headers }},
		{"restapi.https_extra_headers", false, func(c Config) any { return c.RestAPI.HTTPSHeaders }},
		{"restapi.server_tokens", false, func(c Config) any { return c.RestAPI.ServerTokens }},
		{"ctl", false, func(c Config) any { return c.Ctl }},
		{"log", false, func(c Config) any { return c.Log }},
	}
}

func serverOptions() []watched {
	return []watched{
		{"postgresql.authentication", false, func(c Config) any {
			return []Login{c.Postgres.Superuser, c.Postgres.Replication, c.Postgres.Rewind}
		}},
		{"postgresql.parameters", false, func(c Config) any { return c.Postgres.Parameters }},
		{"postgresql.pg_hba", false, func(c Config) any { return c.Postgres.HBA }},
		{"postgresql.pg_ident", false, func(c Config) any { return c.Postgres.Ident }},
		{"postgresql.*_primary, *_replica, *_standby_leader", false, func(c Config) any { return c.Postgres.ByRole }},
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
