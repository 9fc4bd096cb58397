package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Slot is one replication slot of a server (pg_replication_slots). What a version of PostgreSQL does not tell is zero.
type Slot struct {
	Name string
	// Logical slots have a plugin, and a database that they decode.
	Logical          bool
	Plugin, Database string
	// Active: somebody uses it now. Temporary slots end with the session that made them.
	Active, Temporary bool
	// Failover: PostgreSQL brings the slot to the standbys itself; Synced: it did, and this is the copy. From PostgreSQL 17
	// on.
	Failover, Synced bool
	// Lost: the slot cannot be used any more, because WAL or rows that it needs are gone. From PostgreSQL 13 on.
	Lost bool
	// Xmin and CatalogXmin are the oldest transactions whose rows, and rows of the system catalogs, are kept for it; zero for
	// none.
	Xmin, CatalogXmin uint32
	// Restart is where the WAL begins that is kept for it; zero for none.
	Restart wal.LSN
	// Confirmed is how far the consumer of a logical slot has confirmed.
	Confirmed wal.LSN
}

// What callers branch on when a slot could not be changed. Test with errors.Is.
var (
	// ErrSlotInUse: somebody uses the slot; it can be neither dropped nor advanced.
	ErrSlotInUse = errors.New("somebody uses the replication slot")
	// ErrSlotExists: there is a slot of that name.
	ErrSlotExists = errors.New("there is a replication slot of that name")
	// ErrNoSlot: there is no slot of that name.
	ErrNoSlot = errors.New("there is no replication slot of that name")
	// ErrTooManySlots: max_replication_slots is too small.
	ErrTooManySlots = errors.New("the server has no room for another replication slot: raise max_replication_slots")
	// ErrCopyAgain: a logical slot of a standby cannot be advanced, because WAL or rows that it needs are gone; a new copy of
	// the leader's may do. See CopySlots.
	ErrCopyAgain = errors.New("the replication slot cannot be advanced, it has to be copied again")
)

// slotSession keeps the one connection that slots are seen and changed through. It is not the one of Status, which never
// waits for it.
type slotSession struct {
	mu   sync.Mutex
	conn *pgx.Conn
	pm   *postmaster // the incarnation the connection goes to
}

func (q *slotSession) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop()
}

func (q *slotSession) drop() {
	if q.conn != nil {
		// Without a farewell, for which a frozen server would have to be waited.
		q.conn.PgConn().Conn().Close() //nolint:errcheck // nothing was written
		q.conn = nil
	}
}

// inSlotSession does something on the kept connection. ctx bounds it, with the waiting for whoever uses it now.
func (s *Server) inSlotSession(ctx context.Context, do func(ctx context.Context, conn *pgx.Conn) error) error {
	q := &s.slots
	q.mu.Lock()
	defer q.mu.Unlock()
	pm := s.postmaster()
	if pm == nil {
		q.drop()
		return ErrNotRunning
	}
	if q.pm != pm {
		q.drop()
		q.pm = pm
	}
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout+answerTimeout, errNoAnswer)
	defer cancel()
	if q.conn == nil || q.conn.IsClosed() {
		conn, err := s.connect(ctx, "pgbaton slots", map[string]string{
			"statement_timeout": strconv.FormatInt(statementTimeout.Milliseconds(), 10), "pg_stat_statements.track": "none",
		})
		if err != nil {
			return err
		}
		q.conn = conn
	}
	return do(ctx, q.conn)
}

// Slots lists the replication slots of the running server, sorted by name. It takes one short question on a connection of
// its own, and waits for no job. Errors: ErrNotRunning, or that the server did not answer.
func (s *Server) Slots(ctx context.Context) ([]Slot, error) {
	all := []Slot{}
	err := s.inSlotSession(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		all, err = listSlots(ctx, conn.PgConn(), s.binaries().Major, "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the replication slots: %w", err)
	}
	return all, nil
}

// CreateSlot makes a slot. A physical one keeps WAL from now on, whether somebody uses it or not; a logical one can be made
// on a primary with wal_level=logical, and waits for the transactions that run. ctx bounds it. Where there is one of that
// kind already, nothing is done.
//
// Errors: ErrNotRunning, ErrSlotExists for one of another kind, ErrTooManySlots, or PostgreSQL's own.
func (s *Server) CreateSlot(ctx context.Context, slot Slot) error {
	var err error
	if slot.Logical {
		err = s.inDatabase(ctx, slot.Database, func(conn *pgx.Conn) error {
			return create(ctx, conn, slot, "SELECT pg_create_logical_replication_slot($1, $2)", slot.Name, slot.Plugin)
		})
	} else {
		err = s.inSlotSession(ctx, func(ctx context.Context, conn *pgx.Conn) error {
			return create(ctx, conn, slot, "SELECT pg_create_physical_replication_slot($1, true)", slot.Name)
		})
	}
	if err != nil {
		return fmt.Errorf("create the replication slot %s: %w", slot.Name, err)
	}
	return nil
}

func create(ctx context.Context, conn *pgx.Conn, slot Slot, sql string, args ...any) error {
	_, err := conn.Exec(ctx, sql, args...)
	err = slotError(err)
	if !errors.Is(err, ErrSlotExists) {
		return err
	}
	here, listing := listSlots(ctx, conn.PgConn(), 0, slot.Name)
	if listing != nil || len(here) != 1 || here[0].Temporary {
		return err
	}
	e := here[0]
	if e.Logical == slot.Logical && (!e.Logical || e.Plugin == slot.Plugin && e.Database == slot.Database) {
		return nil
	}
	return err
}

// DropSlot removes a slot that nobody uses. One that is not there is fine. Errors: ErrNotRunning, ErrSlotInUse.
func (s *Server) DropSlot(ctx context.Context, name string) error {
	err := s.inSlotSession(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SELECT pg_drop_replication_slot($1)", name)
		if err = slotError(err); errors.Is(err, ErrNoSlot) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("drop the replication slot %s: %w", name, err)
	}
	return nil
}

// AdvanceSlot moves a slot forward to a position that the server has; PostgreSQL moves none back, and none further than
// its own WAL reaches. A logical slot is moved in its own database and reads all WAL in between, which takes as long as it
// takes: ctx alone bounds it.
//
// Errors: ErrNotRunning, ErrNoSlot, ErrSlotInUse, and ErrCopyAgain for a logical one.
func (s *Server) AdvanceSlot(ctx context.Context, slot Slot, to wal.LSN) error {
	var err error
	if slot.Logical {
		err = s.inDatabase(ctx, slot.Database, func(conn *pgx.Conn) error { return copyAgain(advance(ctx, conn, slot, to)) })
	} else {
		err = s.inSlotSession(ctx, func(ctx context.Context, conn *pgx.Conn) error { return advance(ctx, conn, slot, to) })
	}
	if err != nil {
		return fmt.Errorf("advance the replication slot %s to %s: %w", slot.Name, to, err)
	}
	return nil
}

func advance(ctx context.Context, conn *pgx.Conn, slot Slot, to wal.LSN) error {
	_, err := conn.Exec(ctx, "SELECT pg_replication_slot_advance($1, $2::text::pg_lsn)", slot.Name, to.String())
	return slotError(err)
}

// copyAgain finds out whether a logical slot is of no more use.
func copyAgain(err error) error {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && (refused.Code == "58P01" || refused.Code == "55000") {
		return fmt.Errorf("%w: %s", ErrCopyAgain, refused.Message)
	}
	return err
}

// inDatabase does something in another database, on a connection that is closed behind it: one that stayed would keep the
// database from being dropped.
func (s *Server) inDatabase(ctx context.Context, database string, do func(conn *pgx.Conn) error) error {
	conn, err := s.connectTo(ctx, database, "pgbaton slots", map[string]string{"statement_timeout": "0", "pg_stat_statements.track": "none"})
	if err != nil {
		return err
	}
	defer closeSource(ctx, conn.PgConn())
	return do(conn)
}

// slotError names the errors that callers branch on (PostgreSQL, "Error Codes").
func slotError(err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	switch refused.Code {
	case "42710":
		return ErrSlotExists
	case "42704":
		return ErrNoSlot
	case "55006":
		return ErrSlotInUse
	case "53400":
		return ErrTooManySlots
	}
	return err
}
