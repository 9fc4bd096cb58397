package configure

import (
	"context"
	"crypto/tls"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/tlsfiles"
)

// Options say what is looked at.
type Options struct {
	// IgnorePorts leaves out whether the ports to listen on are free: a member that runs has them itself.
	IgnorePorts bool
}

// Check looks whether a configuration fits this machine, and returns a sentence for each thing that does not; none when all
// is well. Each begins with the path of an option.
func Check(ctx context.Context, cfg config.Config, o Options) []string {
	var c findings
	if !o.IgnorePorts {
		c.ports(ctx, "restapi.listen", cfg.RestAPI.Endpoint)
		c.ports(ctx, "postgresql.listen", cfg.Postgres.Endpoint)
	}
	c.etcd(ctx, cfg)
	c.certificates(cfg)
	c.programs(ctx, cfg.Postgres)
	c.paths(cfg)
	c.blanks(cfg)
	return c
}

type findings []string

func (c *findings) say(format string, args ...any) { *c = append(*c, fmt.Sprintf(format, args...)) }

func (c *findings) ports(ctx context.Context, path string, at config.Endpoint) {
	for _, host := range at.Hosts {
		if host == "*" {
			host = ""
		}
		address := net.JoinHostPort(host, strconv.Itoa(at.Port))
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			c.say("%s: %s cannot be listened on (%v): end what uses it, or check with --ignore-listen-port", path, address, reason(err))
			continue
		}
		l.Close() //nolint:errcheck // nothing was accepted
	}
}

// reason is the last part of an error of package net, which says it all beside the address.
func reason(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok || inner.Unwrap() == nil {
			return err
		}
		err = inner.Unwrap()
	}
}

// answerTo is how long a member of etcd has to take a connection.
const answerTo = 2 * time.Second

// etcd wants a connection with each member that is configured.
func (c *findings) etcd(ctx context.Context, cfg config.Config) {
	for _, at := range cfg.Etcd.Hosts {
		host, port, err := net.SplitHostPort(at)
		if known, ok := cfg.Aliases[host]; ok && err == nil {
			at = net.JoinHostPort(known, port)
		}
		d := net.Dialer{Timeout: answerTo}
		conn, err := d.DialContext(ctx, "tcp", at)
		if err != nil {
			c.say("etcd.hosts: %s is not reachable (%v)", at, reason(err))
			continue
		}
		conn.Close() //nolint:errcheck // nothing was said
	}
}

// certificates reads the files of TLS as they are read later.
func (c *findings) certificates(cfg config.Config) {
	rest := cfg.RestAPI.TLS
	if rest.On() {
		if _, err := tlsfiles.Server(rest.Cert, rest.Key, rest.KeyPassword, rest.CA, tls.NoClientCert); err != nil {
			c.say("restapi: %v", err)
		}
	}
	c.client("ctl", cfg.Ctl.ClientTLS)
	if cfg.Etcd.Secure || cfg.Etcd.Cert != "" || cfg.Etcd.CA != "" {
		c.client("etcd", cfg.Etcd.ClientTLS)
	}
	for role, login := range map[string]config.Login{
		"superuser": cfg.Postgres.Superuser, "replication": cfg.Postgres.Replication, "rewind": cfg.Postgres.Rewind,
	} {
		for _, option := range []string{"sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir"} {
			if name := login.Options[option]; filepath.IsAbs(name) {
				c.readable("postgresql.authentication."+role+"."+option, name)
			}
		}
	}
	slices.Sort(*c)
}

func (c *findings) client(section string, files config.ClientTLS) {
	if files.CA == "" && files.Cert == "" {
		return
	}
	if _, err := tlsfiles.Client(files.CA, files.Cert, files.Key, files.KeyPassword, tlsfiles.VerifyFull); err != nil {
		c.say("%s: %v", section, err)
	}
}

func (c *findings) readable(path, name string) {
	if _, err := os.Stat(name); err != nil {
		c.say("%s: %s cannot be read (%v)", path, name, reason(err))
	}
}

// programs looks for PostgreSQL's programs, and whether they can read what is in the data directory.
func (c *findings) programs(ctx context.Context, pg config.Postgres) {
	major := c.data(pg.DataDir)
	if pg.BinDir != "" {
		if _, err := os.Stat(pg.BinDir); err != nil {
			c.say("postgresql.bin_dir: %s cannot be read (%v)", pg.BinDir, reason(err))
			return
		}
	}
	found := postgres.Binaries{Dir: pg.BinDir}
	if pg.Programs["postgres"] == "" { // else it is not looked for by its own name
		usable, warning, err := postgres.FindBinaries(ctx, pg.BinDir, major)
		if err != nil {
			warning = err.Error()
		}
		if warning != "" {
			c.say("postgresql.bin_dir: %s", warning)
			return
		}
		found = usable
	}
	found.Names = pg.Programs
	for _, program := range []string{"pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_isready"} {
		if !found.Has(program) {
			c.say("postgresql.bin_dir: there is no program %s", found.Path(program))
		}
	}
}

// data looks at the data directory and returns the major version of its server; zero where there is none yet.
func (c *findings) data(dir string) int {
	entries, err := os.ReadDir(dir)
	switch {
	case os.IsNotExist(err):
		return 0
	case err != nil:
		c.say("postgresql.data_dir: %s cannot be read (%v)", dir, reason(err))
		return 0
	case len(entries) == 0:
		return 0
	}
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err != nil {
		c.say("postgresql.data_dir: %s is not empty, and has no PG_VERSION: it is no data directory of PostgreSQL", dir)
		return 0
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		c.say("postgresql.data_dir: PG_VERSION in %s says %.20q, which is no version from 12 on", dir, strings.TrimSpace(string(text)))
		return 0
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "pg_wal" }) {
		c.say("postgresql.data_dir: there is no pg_wal in %s: it is no whole data directory", dir)
	}
	return major
}

// paths looks at files and folders that have to be there, and at those that have to be files.
func (c *findings) paths(cfg config.Config) {
	if cfg.Postgres.CustomConf != "" {
		c.readable("postgresql.custom_conf", cfg.Postgres.CustomConf)
	}
	if info, err := os.Stat(cfg.Postgres.PgPass); cfg.Postgres.PgPass != "" && err == nil && info.IsDir() {
		c.say("postgresql.pgpass: %s is a folder; give the name of a file", cfg.Postgres.PgPass)
	}
	if cfg.Log.Dir != "" {
		c.readable("log.dir", cfg.Log.Dir)
	}
}

// blanks finds what a generated file leaves to the operator.
func (c *findings) blanks(cfg config.Config) {
	for _, one := range []struct{ path, value string }{
		{"scope", cfg.Scope},
		{"postgresql.authentication.superuser.password", cfg.Postgres.Superuser.Password.Reveal()},
		{"postgresql.authentication.replication.password", cfg.Postgres.Replication.Password.Reveal()},
		{"postgresql.authentication.rewind.password", cfg.Postgres.Rewind.Password.Reveal()},
	} {
		if one.value == blank {
			c.say("%s: it is still %s; give a value of your own", one.path, blank)
		}
	}
}
