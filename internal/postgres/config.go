package postgres

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// Config says which server to work with. Everything but Settings is fixed while the agent runs.
type Config struct {
	// DataDir is an absolute path. It must not be a mount point itself: it is renamed.
	DataDir string
	// BinDir holds PostgreSQL's programs; see FindBinaries. Empty: the newest that is installed. Programs are names of
	// those that are called otherwise.
	BinDir   string
	Programs map[string]string
	// ConfigDir is an absolute path of the folder of the configuration files; empty: the data directory. ConfigBase is the
	// name of the main one without its ending; empty: postgresql.
	ConfigDir, ConfigBase string
	// ListenAddresses and Port are where the server listens; never taken from parameters.
	ListenAddresses []string
	Port            int
	// SocketDir is where the server makes its socket. Empty: DATADIR.run.
	SocketDir string
	// SocketOnly: the agent's own connections never go over TCP. Otherwise they do where the rules of pg_hba.conf do not
	// let the superuser in over the socket.
	SocketOnly bool
	// Database is where the agent's own connections go; empty, or as long as there is none of that name: postgres.
	Database string
	// Kerberos is the service name of the servers for GSSAPI; empty: PostgreSQL's own default.
	Kerberos string
	// ClusterName appears in the titles of the server's processes.
	ClusterName string
	// MemberName is the application_name of the server's replication connection. Synchronous replication
	// depends on it.
	MemberName string
	// PgPassFile is written with mode 0600. Empty: DATADIR.pgpass.
	PgPassFile string

	// Initdb are further options of initdb, without the leading dashes.
	Initdb []Option
	// Restore makes the new cluster in place of initdb where it has a program.
	Restore Method
	// PostBootstrap is run once on a new cluster, which must accept writes for it, with a connection string as its
	// last argument; where it fails, the bootstrap has failed.
	PostBootstrap Program

	Settings
}

// Settings may change while the agent runs; see Server.Reload.
type Settings struct {
	// Logins without usernames stay as they were.
	Logins
	// Parameters are the effective ones: see guc.Merge.
	Parameters map[string]any
	// Recovery are further parameters that only matter to a server that recovers or follows, such as
	// restore_command; they win. Whom to follow, and up to where, is never taken from them.
	Recovery map[string]any
	// HBA and Ident are the lines of pg_hba.conf and pg_ident.conf. Empty: the files are left alone, and
	// Bootstrap writes a pg_hba.conf that lets everybody in who proves a password.
	HBA, Ident []string
	// ByRole are what differs while the server is cluster.RolePrimary, RoleReplica or RoleStandbyLeader.
	ByRole map[cluster.Role]Variant
	// CustomConf is the absolute path of a file that is included in place of the original postgresql.conf.
	CustomConf string
	// CloneMethods are tried in their order by Clone, RemoteMethods where it copies a server of another cluster;
	// empty: pg_basebackup, or the same as CloneMethods.
	CloneMethods, RemoteMethods []Method
	// PrePromote is run before a promotion and may refuse it. BeforeStop is run before an orderly stop.
	PrePromote, BeforeStop Program
	// RewindOptions are further options of pg_rewind.
	RewindOptions []Option
	// Strict: a server one of whose processes crashed ends, unless restart_after_crash is configured, instead of starting
	// anew by itself. Then the agent starts it, and can keep clients out (StartOptions.Hold).
	Strict bool
}

// Variant is what takes the place of settings while the server has a role: parameters are laid over the others, lists
// that are not empty replace theirs. What all members must agree on cannot differ.
type Variant struct {
	Parameters map[string]any
	HBA, Ident []string
}

// Logins are the database roles that the agent uses. A Rewind without a username is the same as Superuser.
type Logins struct{ Superuser, Replication, Rewind Login }

// Login is a database role the agent uses.
type Login struct {
	Username string
	// Password may be empty where the server knows the role otherwise (peer, certificates).
	Password secret.Text
	// KeyPassword opens the key of the login's certificate (sslpassword).
	KeyPassword secret.Text
	// Options are further parameters of libpq for its connections: sslmode, sslcert and the like; see loginOptions.
	Options map[string]string
}

// minMajor is the oldest major version whose recovery settings lie in postgresql.conf.
const minMajor = 12

// check finds what would otherwise fail later and less clearly.
func (c Config) check() error {
	var problems []error
	say := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !filepath.IsAbs(c.DataDir) || filepath.Clean(c.DataDir) == "/" {
		say("data_dir %q is no absolute path of a folder", c.DataDir)
	}
	if c.Port < 1 || c.Port > 65535 {
		say("port %d is not between 1 and 65535", c.Port)
	}
	if len(c.ListenAddresses) == 0 {
		say("there is no address to listen on")
	}
	if c.MemberName == "" {
		say("the member has no name")
	}
	problems = append(problems, c.Logins.check())
	if c.ConfigDir != "" && !filepath.IsAbs(c.ConfigDir) {
		say("config_dir %q is no absolute path", c.ConfigDir)
	}
	if c.ConfigBase != filepath.Base(c.ConfigBase) && c.ConfigBase != "" {
		say("config_base_name %q is no name of a file", c.ConfigBase)
	}
	if c.CustomConf != "" && !filepath.IsAbs(c.CustomConf) {
		say("custom_conf %q is no absolute path", c.CustomConf)
	}
	for _, o := range c.Initdb {
		if slices.Contains(refusedInitdb, o.Name) {
			say("bootstrap.initdb must not contain %q, the agent sets it", o.Name)
		}
	}
	return errors.Join(problems...)
}

// complete lets the agent rewind as the superuser where no other role is configured.
func (l Logins) complete() Logins {
	if l.Rewind.Username == "" {
		l.Rewind = l.Superuser
	}
	return l
}

func (l Logins) check() error {
	var problems []error
	for _, one := range []struct {
		role string
		Login
	}{{"superuser", l.Superuser}, {"replication", l.Replication}, {"rewind", l.Rewind}} {
		texts := strings.Join(slices.Concat([]string{one.Username, one.Password.Reveal(), one.KeyPassword.Reveal()}, slices.Collect(maps.Values(one.Options))), "")
		if one.Username == "" {
			problems = append(problems, fmt.Errorf("authentication.%s has no username", one.role))
		}
		if strings.ContainsAny(texts, "\x00\r\n") {
			problems = append(problems, fmt.Errorf("authentication.%s has a line break in its username, password or options", one.role))
		}
	}
	return errors.Join(problems...)
}

// refusedInitdb are options of initdb that would put the cluster elsewhere or make it unsafe.
var refusedInitdb = []string{
	"pgdata", "D", "username", "U", "pwfile", "pwprompt", "W", "no-sync", "nosync", "N", "sync-only", "S", "version", "V", "show", "s", "no-clean", "n",
}
