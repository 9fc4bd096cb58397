package config

import (
	"strings"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// The variables a platform describes a task's place with. The first four belong to our local driver, whose
// tasks have no file system and no network of their own; HOST and PORT_n are Marathon's.
const (
	// envVolume is the folder that every absolute path of the task lies in.
	envVolume = "PGBATON_VOLUME_ROOT"
	// envBind is the address a task binds to where it was told "all addresses".
	envBind = "PGBATON_BIND_ADDRESS"
	// envAliases is a list of name=address for host names that only this platform knows.
	envAliases = "PGBATON_HOST_ALIASES"
	// envRun is a folder with a short path for sockets, shared by the tasks of a machine.
	envRun    = "PGBATON_RUN_DIR"
	envHost   = "HOST"
	envHostIP = "HOST_IP"
	envPort   = "PORT_"
)

// override puts the PATRONI_* variables over the file. Empty variables count as unset.
func (f *file) override(env map[string]string) {
	text := map[string]*string{
		"PATRONI_SCOPE":                      &f.Scope,
		"PATRONI_NAMESPACE":                  &f.Namespace,
		"PATRONI_NAME":                       &f.Name,
		"PATRONI_RESTAPI_LISTEN":             &f.RestAPI.Listen,
		"PATRONI_RESTAPI_CONNECT_ADDRESS":    &f.RestAPI.Connect,
		"PATRONI_POSTGRESQL_LISTEN":          &f.Postgres.Listen,
		"PATRONI_POSTGRESQL_CONNECT_ADDRESS": &f.Postgres.Connect,
		"PATRONI_POSTGRESQL_DATA_DIR":        &f.Postgres.DataDir,
		"PATRONI_POSTGRESQL_BIN_DIR":         &f.Postgres.BinDir,
		"PATRONI_POSTGRESQL_PGPASS":          &f.Postgres.PgPass,
		"PATRONI_SUPERUSER_USERNAME":         &f.Postgres.Authentication.Superuser.Username,
		"PATRONI_REPLICATION_USERNAME":       &f.Postgres.Authentication.Replication.Username,
		"PATRONI_REWIND_USERNAME":            &f.Postgres.Authentication.Rewind.Username,
	}
	for name, target := range text {
		if env[name] != "" {
			*target = env[name]
		}
	}
	secrets := map[string]*secret.Text{
		"PATRONI_SUPERUSER_PASSWORD":   &f.Postgres.Authentication.Superuser.Password,
		"PATRONI_REPLICATION_PASSWORD": &f.Postgres.Authentication.Replication.Password,
		"PATRONI_REWIND_PASSWORD":      &f.Postgres.Authentication.Rewind.Password,
	}
	for name, target := range secrets {
		if env[name] != "" {
			*target = secret.Text(env[name])
		}
	}
	f.overrideEtcd(env)
}

// overrideEtcd applies the variables of both etcd sections. PATRONI_DCS_ETCD_HOSTS is another name of
// PATRONI_ETCD_HOSTS, used by deployments older than that one.
func (f *file) overrideEtcd(env map[string]string) {
	section := f.etcd()
	for _, prefix := range []string{"PATRONI_DCS_ETCD", "PATRONI_ETCD", "PATRONI_ETCD3"} {
		if hosts := env[prefix+"_HOSTS"]; hosts != "" {
			section.Hosts, section.Host = splitHosts(hosts), ""
		}
		if host := env[prefix+"_HOST"]; host != "" {
			section.Hosts, section.Host = nil, host
		}
		if user := env[prefix+"_USERNAME"]; user != "" {
			section.Username = user
		}
		if password := env[prefix+"_PASSWORD"]; password != "" {
			section.Password = secret.Text(password)
		}
	}
	f.Etcd3 = &section
}

// etcd is the section that counts: both mean etcd's v3 API.
func (f *file) etcd() etcdFile {
	switch {
	case f.Etcd3 != nil:
		return *f.Etcd3
	case f.Etcd != nil:
		return *f.Etcd
	}
	return etcdFile{}
}

// ParseEnv makes a map of a process environment.
func ParseEnv(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	return env
}

// ParseAliases reads a list of name=address; entries without an address are left out.
func ParseAliases(text string) map[string]string {
	aliases := map[string]string{}
	for entry := range strings.SplitSeq(text, ",") {
		if name, address, ok := strings.Cut(strings.TrimSpace(entry), "="); ok && name != "" && address != "" {
			aliases[name] = address
		}
	}
	return aliases
}
