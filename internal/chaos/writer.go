package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// pace is the time between two rows.
	pace = 5 * time.Millisecond
	// patience is how long the writer waits for a connection and for an acknowledgement, before it tries anew.
	patience = time.Second
	// table is where the rows go. It has no key: a row that is there twice must show.
	table = "pgbaton_chaos"
)

// Writer is a client that writes a row every few milliseconds through the write URL, connects again at once when
// its connection breaks, and remembers what was acknowledged. A row whose acknowledgement did not come is not sent
// again: it may be there or not.
type Writer struct {
	config *pgx.ConnConfig
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	acks    []Ack
	next    chan struct{} // closed at the next acknowledgement
	account account
}

// StartWriter makes the table and begins. The writer goes on until Stop.
func StartWriter(ctx context.Context, url string) (*Writer, error) {
	return StartWriterWithin(ctx, url, patience)
}

// StartWriterWithin is StartWriter for members behind a network that loses packets while it is changed: one that is not reached
// within that time is passed over, where TCP would send again after a second only.
func StartWriterWithin(ctx context.Context, url string, reach time.Duration) (*Writer, error) {
	cfg, err := plainConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.ConnectTimeout = reach
	w := &Writer{config: cfg, next: make(chan struct{})}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("start the writer: %w", err)
	}
	_, err = conn.Exec(ctx, "create table if not exists "+table+" (id bigint not null, at timestamptz not null default clock_timestamp())")
	if err != nil {
		conn.Close(ctx) //nolint:errcheck // the table is what failed
		return nil, fmt.Errorf("start the writer: %w", err)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	w.done.Go(func() { w.run(life, conn) })
	return w, nil
}

// Stop ends the writer. What it heard stays known.
func (w *Writer) Stop() {
	w.stop()
	w.done.Wait()
}

func (w *Writer) run(ctx context.Context, conn *pgx.Conn) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for id := int64(1); ctx.Err() == nil; id++ {
		if conn == nil || conn.IsClosed() {
			conn = w.connect(ctx)
		}
		if conn != nil && w.write(ctx, conn, id) == nil {
			w.note(id)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	if conn != nil {
		w.drop(context.WithoutCancel(ctx), conn)
	}
}

func (w *Writer) connect(ctx context.Context) *pgx.Conn {
	conn, err := pgx.ConnectConfig(ctx, w.config.Copy())
	if err != nil {
		return nil
	}
	return conn
}

func (w *Writer) write(ctx context.Context, conn *pgx.Conn, id int64) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := conn.Exec(limited, "insert into "+table+" (id) values ($1)", id)
	if err != nil {
		w.drop(context.WithoutCancel(ctx), conn)
	}
	return err
}

// drop closes a connection. After an interrupted statement the library says goodbye in the background, which the
// writer waits for only when it ends.
func (w *Writer) drop(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn.Close(ctx) //nolint:errcheck // it is broken or not needed any more
	w.done.Go(func() { <-conn.PgConn().CleanupDone() })
}

func (w *Writer) note(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks = append(w.acks, Ack{ID: id, At: time.Now()})
	close(w.next)
	w.next = make(chan struct{})
}

// Acks is everything that was acknowledged so far, in that order.
func (w *Writer) Acks() []Ack {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acks)
}

// Outage is the longest time between two acknowledgements since then.
func (w *Writer) Outage(since time.Time) Gap { return longestGap(w.Acks(), since, time.Now()) }

// Written waits until the next row is acknowledged.
func (w *Writer) Written(ctx context.Context) error {
	w.mu.Lock()
	next := w.next
	w.mu.Unlock()
	select {
	case <-next:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no row is acknowledged: %w", context.Cause(ctx))
	}
}

// Audit reads all rows from the leader and compares them with what was acknowledged: it returns how many rows are
// lost that were not before, and an error for a loss that is not allowed. See account.
func (w *Writer) Audit(ctx context.Context, allowed *Gap) (int, error) {
	acks := w.Acks()
	held, err := w.rows(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the rows: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.account.audit(acks, held, allowed)
}

func (w *Writer) rows(ctx context.Context) ([]int64, error) {
	conn, err := pgx.ConnectConfig(ctx, w.config.Copy())
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx) //nolint:errcheck // only read
	rows, err := conn.Query(ctx, "select id from "+table+" order by id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
