package postgres

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// Config says which server to work with. Everything but Settings is fixed while the agent runs.
type Config struct {
	// DataDir is an absolute path. It must not be a mount point itself: it is renamed.
	DataDir string
	// BinDir holds PostgreSQL's programs; see FindBinaries. Empty: the newest that is installed.
	BinDir string
	// ListenAddresses and Port are where the server listens; never taken from parameters.
	ListenAddresses []string
	Port            int
	// SocketDir is where the server makes its socket. Empty: DATADIR.run.
	SocketDir string
	// ClusterName appears in the titles of the server's processes.
	ClusterName string
	// MemberName is the application_name of the server's replication connection. Synchronous replication
	// depends on it.
	MemberName string
	// PgPassFile is written with mode 0600. Empty: DATADIR.pgpass.
	PgPassFile string

	Superuser, Replication, Rewind Login

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
	// Parameters are the effective ones: see guc.Merge.
	Parameters map[string]any
	// Recovery are further parameters that only matter to a server that recovers or follows, such as
	// restore_command; they win. Whom to follow, and up to where, is never taken from them.
	Recovery map[string]any
	// HBA and Ident are the lines of pg_hba.conf and pg_ident.conf. Empty: the files are left alone, and
	// Bootstrap writes a pg_hba.conf that lets everybody in who proves a password.
	HBA, Ident []string
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

// Login is a database role the agent uses.
type Login struct {
	Username string
	// Password may be empty where the server knows the role otherwise (peer, certificates).
	Password secret.Text
	// Options are further parameters of libpq for its connections: sslmode, sslcert and the like.
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
	logins := []struct {
		role string
		Login
	}{{"superuser", c.Superuser}, {"replication", c.Replication}, {"rewind", c.Rewind}}
	for _, l := range logins {
		if l.Username == "" {
			say("authentication.%s has no username", l.role)
		}
		if strings.ContainsAny(l.Username+l.Password.Reveal(), "\x00\r\n") {
			say("authentication.%s has a line break in its username or password", l.role)
		}
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

// refusedInitdb are options of initdb that would put the cluster elsewhere or make it unsafe.
var refusedInitdb = []string{
	"pgdata", "D", "username", "U", "pwfile", "pwprompt", "W", "no-sync", "nosync", "N", "sync-only", "S", "version", "V", "show", "s", "no-clean", "n",
}
