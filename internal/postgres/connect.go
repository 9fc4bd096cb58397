package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// firstDatabase is the one that every new cluster has for whoever connects to none in particular.
const firstDatabase = "postgres"

// database is where the agent's own connections go.
func (s *Server) database() string {
	if s.cfg.Database == "" {
		return firstDatabase
	}
	return s.cfg.Database
}

// connect makes a superuser connection to the local server, the way the running server listens whatever
// the configuration says by now. Nothing it does ever waits for a standby. The caller closes it.
func (s *Server) connect(ctx context.Context, name string, settings map[string]string) (*pgx.Conn, error) {
	conn, err := s.connectTo(ctx, s.database(), name, settings)
	if sqlState(err) == noSuchDatabase && s.database() != firstDatabase {
		// Whoever makes it needs a primary first, which would not be one without an answer.
		return s.connectTo(ctx, firstDatabase, name, settings)
	}
	return conn, err
}

// What a server answers to whom it does not let in (PostgreSQL documentation, "PostgreSQL Error Codes").
const (
	noSuchDatabase  = "3D000"
	refusedSession  = "28000" // by the rules, or the method of a rule
	refusedPassword = "28P01"
)

// sqlState is what a server answered; empty where it did not.
func sqlState(err error) string {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refused.Code
	}
	return ""
}

// connectTo does the same in another database. It goes over the socket, which no network stands in the way of. The rules of
// a configuration made for Patroni may only let the superuser in over TCP, which then is the way until it fails.
func (s *Server) connectTo(ctx context.Context, database, name string, settings map[string]string) (*pgx.Conn, error) {
	file, err := readPidFile(s.dir)
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", ErrNotRunning)
	}
	hosts := file.hosts()
	if s.cfg.SocketOnly {
		hosts = hosts[:1]
	}
	if first := min(int(s.way.Load()), len(hosts)-1); first > 0 {
		hosts[0], hosts[first] = hosts[first], hosts[0]
	}
	var failed error
	for i, host := range hosts {
		conn, err := s.connectAt(ctx, host, file.port, database, name, settings)
		if err == nil {
			s.remember(ctx, host, file, i > 0)
			return conn, nil
		}
		failed = errors.Join(failed, err)
		if !refuses(err) {
			break // a server that is silent is as silent elsewhere, and there is only so much time
		}
	}
	return nil, fmt.Errorf("connect to the server: %w", failed)
}

// remember notes the way in that worked, so that the server's log is not filled with refusals.
func (s *Server) remember(ctx context.Context, host string, file pidFile, another bool) {
	if !another {
		return
	}
	way := int32(0)
	if host != file.hosts()[0] {
		way = 1
	}
	s.way.Store(way)
	s.log.InfoContext(ctx, "the superuser is let in another way than before", slog.String("host", host))
}

// refuses reports whether there is another way in to be tried: there is no such socket, or nobody is let in there.
func refuses(err error) bool {
	switch sqlState(err) {
	case refusedSession, refusedPassword:
		return true
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrPermission)
}

func (s *Server) connectAt(ctx context.Context, host string, port int, database, name string, settings map[string]string) (*pgx.Conn, error) {
	superuser := s.logins().Superuser
	cfg, err := pgx.ParseConfig(conninfo(append(superuser.ownOptions(),
		pair{"host", host}, pair{"port", strconv.Itoa(port)}, pair{"user", superuser.Username}, pair{"dbname", database}, pair{"target_session_attrs", "any"},
	)...))
	if err != nil {
		return nil, superuser.hide(err)
	}
	cfg.Password = superuser.Password.Reveal()
	cfg.ConnectTimeout = connectTimeout
	cfg.RuntimeParams = map[string]string{
		"application_name": name, "search_path": "pg_catalog", "client_encoding": "UTF8", "datestyle": "ISO", localCommit: "local",
	}
	maps.Copy(cfg.RuntimeParams, settings)
	return pgx.ConnectConfig(ctx, cfg)
}

// hide makes an error of one that may quote a connection string with the password of a key.
func (l Login) hide(err error) error {
	word := l.KeyPassword.Reveal()
	if word == "" || !strings.Contains(err.Error(), quoteConninfo(word)) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), quoteConninfo(word), "[hidden]"))
}

// dial opens a connection to another server. The password is given to the library, not written into a connection
// string.
func (s *Server) dial(ctx context.Context, up Upstream, login Login, parameters map[string]string) (*pgconn.PgConn, error) {
	conn, err := s.dialTo(ctx, up, login, s.database(), parameters)
	if sqlState(err) == noSuchDatabase && s.database() != firstDatabase {
		return s.dialTo(ctx, up, login, firstDatabase, parameters)
	}
	return conn, err
}

func (s *Server) dialTo(ctx context.Context, up Upstream, login Login, database string, parameters map[string]string) (*pgconn.PgConn, error) {
	cfg, err := pgconn.ParseConfig(conninfo(append(append(login.ownOptions(), up.pairs()...),
		pair{"user", login.Username}, pair{"dbname", database}, pair{"target_session_attrs", "any"},
	)...))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", up.Name, login.hide(err))
	}
	cfg.Password = login.Password.Reveal()
	cfg.ConnectTimeout = connectTimeout
	if up.several() {
		cfg.ValidateConnect = acceptsWrites
	}
	cfg.RuntimeParams = map[string]string{"application_name": s.cfg.MemberName + " agent", localCommit: "local"}
	maps.Copy(cfg.RuntimeParams, parameters)
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: connect to %s at %s port %s: %w", ErrSourceUnreachable, up.Name, up.Host, up.ports(), err)
	}
	return conn, nil
}
