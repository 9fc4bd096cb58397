package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// clientPace is the time between two rows of one client.
	clientPace = 20 * time.Millisecond
	// clientConnects bounds one attempt to connect to one server, which may be frozen.
	clientConnects = 500 * time.Millisecond
	// shortPatience and longPatience are how long a client waits for an acknowledgement. Who gives up early leaves a commit
	// behind that waits for its standby; who does not is told in the end.
	shortPatience = time.Second
	longPatience  = 30 * time.Second
	// clientTable is where the rows go. It has no key: a row that is there twice must show.
	clientTable = "pgbaton_sync"
	// clientRole is who the clients are: none of the roles that an agent needs itself, and may let in when others are kept out.
	clientRole = "pgbaton_client"
)

// Clients are several writers that find whichever server accepts writes. They know of each row that they sent whether it was
// acknowledged, denied or not answered, and compare that with what a leader has. A row is never sent twice.
type Clients struct {
	config *pgx.ConnConfig
	stop   context.CancelFunc
	done   sync.WaitGroup
	books  *books

	// finding is held by the one client that looks for the primary; the others find it where that one did.
	finding sync.Mutex
	found   string
}

// StartClients makes table and role, and begins. The clients go on until Stop.
func StartClients(ctx context.Context, url string, count int) (*Clients, error) {
	cfg, err := plainConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.ConnectTimeout = clientConnects
	c := &Clients{config: cfg, books: newBooks()}
	conn, err := pgx.ConnectConfig(ctx, cfg.Copy())
	if err != nil {
		return nil, fmt.Errorf("start the clients: %w", err)
	}
	_, err = conn.Exec(ctx, "create table "+clientTable+" (id bigint not null, what text not null, client int not null); "+
		"create role "+clientRole+" login password '"+agentsPassword+"'; grant insert on "+clientTable+" to "+clientRole)
	cfg.User = clientRole
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return nil, fmt.Errorf("start the clients: %w", err)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	for i := range count {
		one := &syncClient{Clients: c, number: i, patience: shortPatience}
		if i%2 == 1 {
			one.patience = longPatience
		}
		c.done.Go(func() { one.run(life) })
	}
	return c, nil
}

// Stop ends the clients. What they heard stays known.
func (c *Clients) Stop() {
	c.stop()
	c.done.Wait()
}

// Written waits until so many more rows are acknowledged.
func (c *Clients) Written(ctx context.Context, rows int) error {
	for range rows {
		c.books.mu.Lock()
		next := c.books.next
		c.books.mu.Unlock()
		select {
		case <-next:
		case <-ctx.Done():
			return fmt.Errorf("no row is acknowledged: %w", context.Cause(ctx))
		}
	}
	return nil
}

// Audit reads the rows from a server and compares them with what was sent: all rows, or those that no earlier audit has
// found in order.
func (c *Clients) Audit(ctx context.Context, conn *pgx.Conn, all bool) (Account, error) {
	e := c.books.expect(all)
	rows, err := conn.Query(ctx, "select id, what from "+clientTable+" where id > $1", e.after)
	if err != nil {
		return Account{}, fmt.Errorf("read the rows: %w", err)
	}
	held, err := pgx.CollectRows(rows, pgx.RowToStructByPos[heldRow])
	if err != nil {
		return Account{}, fmt.Errorf("read the rows: %w", err)
	}
	return c.books.audit(e, held), nil
}

// connect finds the server that accepts writes, beginning where one was found last.
func (c *Clients) connect(ctx context.Context, heard func(*pgconn.Notice)) (*pgx.Conn, error) {
	c.finding.Lock()
	defer c.finding.Unlock()
	cfg := c.config.Copy()
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { heard(n) }
	if i := slices.IndexFunc(cfg.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.Host == c.found }); i >= 0 {
		f := cfg.Fallbacks[i]
		cfg.Host, f.Host = f.Host, cfg.Host
		cfg.Port, f.Port = f.Port, cfg.Port
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err == nil {
		c.found = conn.Config().Host
	}
	return conn, err
}

// syncClient is one of the clients.
type syncClient struct {
	*Clients

	number   int
	patience time.Duration
	// warned is set when the server says that it gave up the wait for its standbys: what it then acknowledges it does not
	// promise.
	warned bool
}

func (c *syncClient) run(ctx context.Context) {
	ticker := time.NewTicker(clientPace)
	defer ticker.Stop()
	var conn *pgx.Conn
	for ctx.Err() == nil {
		if conn == nil || conn.IsClosed() {
			conn, _ = c.connect(ctx, func(*pgconn.Notice) { c.warned = true })
		}
		if conn != nil {
			c.write(ctx, conn)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	if conn != nil {
		c.drop(context.WithoutCancel(ctx), conn)
	}
}

// write sends one row and notes what comes of it.
func (c *syncClient) write(ctx context.Context, conn *pgx.Conn) {
	limited, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	id := c.books.send()
	c.warned = false
	_, err := conn.Exec(limited, "insert into "+clientTable+" (id, what, client) values ($1, $2, $3)", id, content(id), c.number)
	c.books.note(id, fateOf(err, c.warned))
	if err != nil {
		c.drop(context.WithoutCancel(ctx), conn)
	}
}

// fateOf is what an answer says about a row.
func fateOf(err error, warned bool) fate {
	const readOnly = "25006" // read_only_sql_transaction
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == readOnly {
		return denied
	}
	if err != nil || warned {
		return unanswered
	}
	return acknowledged
}

// drop closes a connection. After an interrupted statement the library says goodbye in the background.
func (c *syncClient) drop(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn.Close(ctx) //nolint:errcheck // it is broken or not needed any more
	c.done.Go(func() { <-conn.PgConn().CleanupDone() })
}
