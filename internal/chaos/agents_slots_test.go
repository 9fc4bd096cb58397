package chaos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// TestAgentsLogicalSlot has a consumer of a permanent logical slot read on while the lead goes from member to member, by
// request and by force, and former primaries are rewound. It reads every row once and in order; only one that was on its
// way when a primary was killed may come twice, since before PostgreSQL 17 a consumer is sent what no standby has yet.
func TestAgentsLogicalSlot(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 3, Dynamic: map[string]any{
		"primary_start_timeout": 0, "synchronous_mode": "quorum",
		"postgresql": map[string]any{"parameters": map[string]any{"wal_level": "logical"}},
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	leader := running(ctx, t, a).Leader
	ask(ctx, t, a, leader, "create table t (id int primary key); create publication everything for all tables")
	// A clone has no WAL from before itself, whatever a slot says: it is made when all members are there.
	if err := a.Configure(ctx, leader, `{"slots": {"logic": {"type": "logical", "plugin": "pgoutput", "database": "postgres"}}}`); err != nil {
		t.Fatal(err)
	}
	var c slotConsumer
	w := rowWriter{unsure: map[string]bool{}}
	stopReading, stopWriting := beside(ctx, func(ctx context.Context) { c.run(ctx, a.URL()) }), beside(ctx, func(ctx context.Context) { w.run(ctx, a.URL()) })
	defer stopReading()
	defer stopWriting()
	for round := range 4 {
		copied(ctx, t, a, "logic")
		leader = await(ctx, t, a, a.Whole).Leader
		if round%2 == 0 {
			post(ctx, t, a, leader, "/switchover", `{"leader":"`+leader+`"}`)
		} else if err := a.SignalServer(leader, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await(ctx, t, a, func(pic Picture) error {
			if pic.Leader == leader || pic.Leader == "" {
				return errors.New("nobody else leads")
			}
			return nil
		})
	}
	copied(ctx, t, a, "logic")
	stopWriting()
	leader = await(ctx, t, a, a.Whole).Leader
	want := strings.Fields(ask(ctx, t, a, leader, "select string_agg(id::text, ' ' order by id) from t"))
	until(ctx, t, a, func() error {
		if last := c.last(); last != want[len(want)-1] {
			return fmt.Errorf("%q of %d rows was read last", last, w.written)
		}
		return nil
	})
	stopReading()
	t.Logf("%d rows", w.written)
	got := slices.CompactFunc(c.ids, func(a, b string) bool { return a == b && w.unsure[a] })
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			near := func(ids []string) []string { return ids[min(max(i-3, 0), len(ids)):min(i+4, len(ids))] }
			t.Fatalf("row %d: the consumer read …%v…, and the table has …%v…", i+1, near(got), near(want))
		}
	}
}

// copied waits until every member has the slot.
func copied(ctx context.Context, t *testing.T, a *Agents, slot string) {
	t.Helper()
	for _, name := range a.Names() {
		until(ctx, t, a, func() error {
			return answers(ctx, a, name, "select count(*) from pg_replication_slots where slot_name = '"+slot+"'", "1")
		})
	}
}

// beside runs something until the returned function ends it.
func beside(ctx context.Context, run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// retryPause is how long a client that lost its server waits.
const retryPause = 20 * time.Millisecond

// rowWriter inserts one row after another, each until it is acknowledged. Those whose acknowledgement did not come at once
// are unsure.
type rowWriter struct {
	written int
	unsure  map[string]bool
}

func (w *rowWriter) run(ctx context.Context, url string) {
	for ctx.Err() == nil {
		w.write(ctx, url)
		time.Sleep(retryPause)
	}
}

func (w *rowWriter) write(ctx context.Context, url string) {
	conn, err := pgconn.Connect(ctx, url+"&connect_timeout=2")
	if err != nil {
		return
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the server may be gone
	for ctx.Err() == nil {
		// The row may be there although its acknowledgement was lost.
		next := strconv.Itoa(w.written + 1)
		if _, err := conn.Exec(ctx, "insert into t values ("+next+") on conflict do nothing").ReadAll(); err != nil {
			w.unsure[next] = true
			return
		}
		w.written++
	}
}

// slotConsumer reads the slot "logic" with pgoutput, and says where it goes on, as subscriptions do.
type slotConsumer struct {
	mu  sync.Mutex
	ids []string
	end wal.LSN
}

// last is the row that was read last; empty before the first one.
func (c *slotConsumer) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ids) == 0 {
		return ""
	}
	return c.ids[len(c.ids)-1]
}

func (c *slotConsumer) run(ctx context.Context, url string) {
	for ctx.Err() == nil {
		c.read(ctx, url)
		time.Sleep(retryPause)
	}
}

func (c *slotConsumer) read(ctx context.Context, url string) {
	conn, err := pgconn.Connect(ctx, url+"&replication=database&connect_timeout=2")
	if err != nil {
		return
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the server may be gone
	conn.Frontend().SendQuery(&pgproto3.Query{
		String: fmt.Sprintf("START_REPLICATION SLOT logic LOGICAL %s (proto_version '1', publication_names 'everything')", c.end),
	})
	var transaction []string
	for err = conn.Frontend().Flush(); err == nil; {
		var m pgproto3.BackendMessage
		if m, err = conn.ReceiveMessage(ctx); err == nil {
			transaction, err = c.take(conn, m, transaction)
		}
	}
}

// take adds a row to its transaction, or ends that and confirms it.
func (c *slotConsumer) take(conn *pgconn.PgConn, m pgproto3.BackendMessage, transaction []string) ([]string, error) {
	if refused, ok := m.(*pgproto3.ErrorResponse); ok {
		return nil, pgconn.ErrorResponseToPgError(refused)
	}
	data, ok := m.(*pgproto3.CopyData)
	switch {
	case ok && data.Data[0] == 'k' && data.Data[17] != 0 && len(transaction) == 0:
		// A server that is to end waits for an answer: everything before was read. Without one it waits for wal_sender_timeout.
		return nil, confirm(conn, wal.LSN(binary.BigEndian.Uint64(data.Data[1:])))
	case !ok || data.Data[0] != 'w':
		return transaction, nil
	}
	switch at, change := wal.LSN(binary.BigEndian.Uint64(data.Data[1:])), data.Data[25:]; change[0] {
	case 'I':
		size := binary.BigEndian.Uint32(change[9:])
		return append(transaction, string(change[13:13+size])), nil
	case 'C':
		c.mu.Lock()
		c.ids, c.end = append(c.ids, transaction...), at
		c.mu.Unlock()
		return nil, confirm(conn, at)
	}
	return transaction, nil
}

// confirm says how far the consumer is.
func confirm(conn *pgconn.PgConn, at wal.LSN) error {
	status := append([]byte{'r'}, make([]byte, 33)...)
	for i := range 3 {
		binary.BigEndian.PutUint64(status[1+8*i:], uint64(at))
	}
	conn.Frontend().Send(&pgproto3.CopyData{Data: status})
	return conn.Frontend().Flush()
}
