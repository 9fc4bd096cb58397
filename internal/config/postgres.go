package config

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// Postgres configures the server.
type Postgres struct {
	Endpoint
	DataDir string
	// BinDir is the folder of PostgreSQL's programs as configured; it may not exist.
	BinDir string
	PgPass string
	// SocketDir is a folder for the server's Unix socket; empty leaves the choice to the server's adapter.
	SocketDir   string
	Superuser   Login
	Replication Login
	Rewind      Login
	// Database is what the agent's own connections go to, and others find in the member's address.
	Database string
	// Proxy is the host:port of a connection pool in front of the server; empty: none.
	Proxy string
	// ConfigDir is where postgresql.conf and its neighbours lie; empty: in the data directory. ConfigBase is the name of
	// the main one without its ending.
	ConfigDir, ConfigBase string
	// Programs are names of PostgreSQL's programs where they are called otherwise.
	Programs map[string]string
	// Kerberos is the service name of the servers; empty: PostgreSQL's default.
	Kerberos string
	// SocketForSuperuser and SocketForReplication: the agent's own connections go over the Unix socket.
	SocketForSuperuser, SocketForReplication bool
	RoleSettings
	// ByRole are what takes the place of RoleSettings in a role: parameters are merged, the lists are replaced.
	ByRole map[cluster.Role]RoleSettings
	// CustomConf is a file that is included in place of the original postgresql.conf.
	CustomConf string
	// Recovery are settings of a server that recovers or follows: restore_command and the like.
	Recovery map[string]any
	// Callbacks are told of what happened, by event; see CallbackEvents.
	Callbacks map[string]Command
	// PrePromote may refuse a promotion. BeforeStop is run before the server is stopped.
	PrePromote, BeforeStop Command
	// StartTimeout is how long a start is waited for where nothing else says so.
	StartTimeout time.Duration
	// CloneMethods are the ways to make a replica, in the order in which they are tried; RemoteMethods those to make
	// one of the server that a standby cluster follows.
	CloneMethods, RemoteMethods []Method
	UseRewind                   bool
	// RewindOptions are further options of pg_rewind.
	RewindOptions []Option
	// RemoveFailed: a data directory that cannot be rewound is replaced by a clone. RemoveDiverged: one that
	// diverged is, without trying to rewind it, where pg_rewind cannot be used.
	RemoveFailed, RemoveDiverged bool
}

// RoleSettings are settings of the server that may differ with its role.
type RoleSettings struct {
	Parameters map[string]any
	HBA        []string
	Ident      []string
}

// CallbackEvents are the events a callback can be given for.
func CallbackEvents() []string {
	return []string{"on_start", "on_stop", "on_restart", "on_reload", "on_role_change"}
}

// programNames are those of PostgreSQL's programs that may be called otherwise.
func programNames() []string {
	return []string{"pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_isready", "pg_rewind"}
}

// Bootstrap configures the birth of a cluster.
type Bootstrap struct {
	// DCS is the first dynamic configuration.
	DCS map[string]any
	// Method is how the cluster is made: by initdb with options, or by the operator's program.
	Method Method
	// Initdb are the options of initdb: name and value, the value empty for a flag.
	Initdb []Option
	HBA    []string
	// Post is run when the new cluster accepts writes, with a connection string as its last argument; where it
	// fails, the bootstrap has failed.
	Post Command
}

const (
	defaultDatabase   = "postgres"
	defaultConfigBase = "postgresql"

	defaultStart = 60
	leastStart   = 1
)

func (p place) postgres(f postgresFile, etcd []string, letsIn bool) (Postgres, error) {
	at, err := p.endpoint("postgresql", f.endpointFile, 5432, etcd)
	pg := Postgres{
		Endpoint:             at,
		DataDir:              p.inVolume(f.DataDir),
		BinDir:               f.BinDir,
		PgPass:               p.inVolume(f.PgPass),
		Database:             cmp.Or(f.Database, defaultDatabase),
		ConfigDir:            p.inVolume(f.ConfigDir),
		ConfigBase:           cmp.Or(f.ConfigBase, defaultConfigBase),
		Programs:             f.BinName,
		Kerberos:             f.Kerberos,
		SocketForSuperuser:   f.SocketSuper,
		SocketForReplication: f.SocketRepl,
		RoleSettings:         RoleSettings{Parameters: f.Parameters, HBA: f.HBA, Ident: f.Ident},
		ByRole:               f.byRole(),
		CustomConf:           p.inVolume(f.CustomConf),
		Recovery:             f.RecoveryConf,
		PrePromote:           Command(f.PrePromote),
		BeforeStop:           Command(f.BeforeStop),
		StartTimeout:         max(seconds(f.StartTimeout, defaultStart), leastStart*time.Second),
		UseRewind:            f.rewinds(),
		RewindOptions:        f.Rewind,
		RemoveFailed:         f.RemoveFailed,
		RemoveDiverged:       f.RemoveDiverged,
	}
	pg.Superuser, pg.Replication, pg.Rewind = f.logins()
	for event, c := range f.Callbacks {
		if pg.Callbacks == nil {
			pg.Callbacks = map[string]Command{}
		}
		pg.Callbacks[event] = Command(c)
	}
	var proxy error
	pg.Proxy, proxy = f.proxy(at.Port)
	problems := []error{err, proxy, f.checkPaths(), pg.checkPasswords(letsIn), f.checkOptions()}
	pg.CloneMethods, err = f.cloneMethods(f.methodNames())
	pg.RemoteMethods = pg.CloneMethods
	problems = append(problems, err)
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return pg, errors.Join(problems...)
}

// rewinds is use_pg_rewind. In older files a login for it says that it is to be used, and the lack of one that it is not.
func (f postgresFile) rewinds() bool {
	older := f.Authentication == nil && (f.OlderSuperuser.Username != "" || f.OlderReplication.Username != "")
	switch {
	case f.UseRewind != nil:
		return *f.UseRewind
	case older:
		return f.OlderRewind != nil
	}
	return true
}

func (f postgresFile) proxy(port int) (string, error) {
	if f.Proxy == "" {
		return "", nil
	}
	at, err := hostPort(f.Proxy, port)
	if err != nil {
		return "", fmt.Errorf("postgresql.proxy_address: %w", err)
	}
	return at, nil
}

func (f postgresFile) checkPaths() error {
	problems := []error{required("postgresql.data_dir", f.DataDir, "an absolute path")}
	for path, value := range map[string]string{"data_dir": f.DataDir, "custom_conf": f.CustomConf, "config_dir": f.ConfigDir} {
		if value != "" && !filepath.IsAbs(value) {
			problems = append(problems, fmt.Errorf("postgresql.%s: %q is not an absolute path", path, value))
		}
	}
	if strings.ContainsAny(f.ConfigBase, "/") {
		problems = append(problems, fmt.Errorf("postgresql.config_base_name: %q is a path; give the name of the file without .conf", f.ConfigBase))
	}
	return errors.Join(problems...)
}

// checkOptions refuses options of PostgreSQL's programs that would put a copy elsewhere or make it unsafe.
func (f postgresFile) checkOptions() error {
	return errors.Join(
		reserved("postgresql.basebackup", f.BaseBackup, "pgdata", "format", "wal-method", "xlog-method", "gzip", "version",
			"dbname", "host", "port", "username", "password", "no-password", "D", "F", "X", "z", "V", "d", "h", "p", "U", "W", "w"),
		reserved("postgresql.rewind", f.Rewind, "target-pgdata", "source-pgdata", "source-server", "write-recovery-conf", "dry-run",
			"restore-target-wal", "config-file", "no-ensure-shutdown", "version", "help", "D", "R", "n", "c", "V"),
	)
}

func reserved(path string, given []Option, names ...string) error {
	for _, o := range given {
		if slices.Contains(names, o.Name) {
			return fmt.Errorf("%s: %s is set by the agent itself; remove it", path, o.Name)
		}
	}
	return nil
}

func (f bootstrapFile) config() (Bootstrap, error) {
	b := Bootstrap{DCS: f.DCS, Initdb: f.Initdb, HBA: f.HBA, Post: Command(f.PostBootstrap)}
	if b.Post == nil {
		b.Post = Command(f.PostInit)
	}
	problems := []error{reserved("bootstrap.initdb", f.Initdb, "pgdata", "nosync", "pwfile", "sync-only", "version")}
	method, ok, err := f.firstMethod()
	if !ok {
		// initdb in its place would make an empty cluster where one was to be restored.
		problems = append(problems, fmt.Errorf("bootstrap.method: there is no bootstrap.%s.command; give it, or remove the method to make a new cluster by initdb", f.Method))
	}
	b.Method = method
	return b, errors.Join(append(problems, err)...)
}
