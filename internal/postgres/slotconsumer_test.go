package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// consumer reads a logical slot over a replication connection (PostgreSQL, "Streaming Replication Protocol").
type consumer struct {
	t      testing.TB
	server *Server
	slot   string
	plugin string
	conn   *pgconn.PgConn
}

// rows are what a consumer has made its own: it never takes a transaction twice, because it says where it goes on.
type rows struct {
	ids []string
	end wal.LSN
}

// replicate begins to read a slot after a position; zero is where the slot is.
func replicate(t testing.TB, s *Server, slot string, after wal.LSN, plugin string) *consumer {
	t.Helper()
	conn, err := pgconn.Connect(within(t), conninfo(
		pair{"host", "127.0.0.1"}, pair{"port", itoa(s.cfg.Port)}, pair{"user", "postgres"}, pair{"dbname", "postgres"}, pair{"replication", "database"},
		pair{"password", s.cfg.Superuser.Password.Reveal()}, pair{"sslmode", "disable"}))
	if err != nil {
		t.Fatal(err)
	}
	c := &consumer{t: t, server: s, slot: slot, plugin: plugin, conn: conn}
	t.Cleanup(c.close)
	options := ""
	if plugin == "pgoutput" {
		options = " (proto_version '1', publication_names 'everything')"
	}
	conn.Frontend().SendQuery(&pgproto3.Query{String: fmt.Sprintf("START_REPLICATION SLOT %s LOGICAL %s%s", slot, after, options)})
	if err := conn.Frontend().Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		switch m := c.receive().(type) {
		case *pgproto3.CopyBothResponse:
			return c
		case *pgproto3.ErrorResponse:
			t.Fatal(pgconn.ErrorResponseToPgError(m))
		}
	}
}

func (c *consumer) receive() pgproto3.BackendMessage {
	c.t.Helper()
	m, err := c.conn.ReceiveMessage(within(c.t))
	if err != nil {
		c.t.Fatalf("read the slot %s: %v", c.slot, err)
	}
	return m
}

// close ends reading, and waits until the server has noticed.
func (c *consumer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if c.conn.IsClosed() {
		return
	}
	c.conn.Close(ctx) //nolint:errcheck // the server may be gone
	for ctx.Err() == nil {
		all, err := c.server.Slots(ctx)
		if err != nil || !slices.ContainsFunc(all, func(s Slot) bool { return s.Name == c.slot && s.Active }) {
			return
		}
		time.Sleep(5 * time.Millisecond) // nothing tells that a walsender has ended
	}
}

// take reads whole transactions until there are n more rows, and confirms them.
func (r *rows) take(t testing.TB, c *consumer, n int) {
	t.Helper()
	var pending []string
	for want := len(r.ids) + n; len(r.ids) < want; {
		data, ok := c.receive().(*pgproto3.CopyData)
		if !ok || data.Data[0] != 'w' {
			continue
		}
		at, change := wal.LSN(binary.BigEndian.Uint64(data.Data[1:])), data.Data[25:]
		switch id, commits := read(c.plugin, change); {
		case commits:
			r.ids, r.end, pending = append(r.ids, pending...), at, nil
		case id != "":
			pending = append(pending, id)
		}
	}
	status := append([]byte{'r'}, make([]byte, 33)...)
	for i := range 3 {
		binary.BigEndian.PutUint64(status[1+8*i:], uint64(r.end))
	}
	c.conn.Frontend().Send(&pgproto3.CopyData{Data: status})
	if err := c.conn.Frontend().Flush(); err != nil {
		t.Fatal(err)
	}
}

// read finds the id of an inserted row, or the end of a transaction, in what an output plugin writes.
func read(plugin string, change []byte) (id string, commits bool) {
	if plugin == "test_decoding" {
		_, id, _ = strings.Cut(string(change), "INSERT: id[bigint]:")
		return id, strings.HasPrefix(string(change), "COMMIT")
	}
	if change[0] == 'I' {
		// The relation, "N", the number of columns; then for the only column "t", the length, the text.
		size := binary.BigEndian.Uint32(change[9:])
		return string(change[13 : 13+size]), false
	}
	return "", change[0] == 'C'
}
