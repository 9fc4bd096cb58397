package psql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// Target is a server, and as whom to connect. What is empty is taken from the environment and the files of libpq.
type Target struct {
	Host     string
	Port     int
	Username string
	Password secret.Text
	Database string
}

// Conn is a connection.
type Conn struct{ pg *pgconn.PgConn }

// ServerError is what the server says against a statement; the connection is still of use.
type ServerError struct {
	// Code is the SQLSTATE.
	Code, Message string
}

func (e *ServerError) Error() string { return e.Message + " (SQLSTATE " + e.Code + ")" }

// Result is what the last statement returned.
type Result struct {
	// Columns is nil for a statement that returns no rows; Tag says then what was done.
	Columns []string
	// Rows hold nil, bool, int, float64 and, for everything else, the text that the server writes.
	Rows [][]any
	Tag  string
}

// applicationName is what the server shows of the connection where the environment says nothing else.
const applicationName = "Patroni ctl"

// Open connects.
func Open(ctx context.Context, to Target) (*Conn, error) {
	text := fmt.Sprintf("host=%s port=%d", to.Host, to.Port)
	if to.Database != "" {
		text += " dbname=" + quoted(to.Database)
	}
	if to.Username != "" {
		text += " user=" + quoted(to.Username)
	}
	cfg, err := pgconn.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to.Host, err)
	}
	cfg.Password = cmp.Or(to.Password.Reveal(), cfg.Password)
	cfg.Database = cmp.Or(cfg.Database, cfg.User)
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = applicationName
	}
	pg, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Conn{pg}, nil
}

// quoted writes a value of a connection string.
func quoted(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value) + "'"
}

// Close ends the connection.
func (c *Conn) Close(ctx context.Context) error { return c.pg.Close(ctx) }

// Standby reports whether the server is in recovery.
func (c *Conn) Standby(ctx context.Context) (bool, error) {
	r, err := c.Run(ctx, "SELECT pg_catalog.pg_is_in_recovery()")
	if err != nil {
		return false, err
	}
	standby, _ := r.Rows[0][0].(bool)
	return standby, nil
}

// Run runs statements, each in a transaction of its own unless they say otherwise, and returns what the last one does.
func (c *Conn) Run(ctx context.Context, statements string) (Result, error) {
	all := c.pg.Exec(ctx, statements)
	var last Result
	for all.NextResult() {
		last = read(all.ResultReader())
	}
	err := all.Close()
	if said, ok := errors.AsType[*pgconn.PgError](err); ok && !c.pg.IsClosed() {
		return Result{}, &ServerError{Code: said.Code, Message: said.Message}
	}
	return last, err
}

// read reads what one statement returns. What goes wrong is told when all of them are closed.
func read(r *pgconn.ResultReader) Result {
	var out Result
	fields := r.FieldDescriptions()
	for _, f := range fields {
		out.Columns = append(out.Columns, f.Name)
	}
	for r.NextRow() {
		var row []any
		for i, v := range r.Values() {
			row = append(row, decoded(fields[i].DataTypeOID, v))
		}
		out.Rows = append(out.Rows, row)
	}
	tag, _ := r.Close() // see above
	out.Tag = tag.String()
	return out
}

// decoded makes a value of the text that the server wrote.
func decoded(kind uint32, text []byte) any {
	if text == nil {
		return nil
	}
	value := string(text)
	switch kind {
	case pgtype.BoolOID:
		return value == "t"
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		if n, err := strconv.Atoi(value); err == nil {
			return n
		}
	case pgtype.Float4OID, pgtype.Float8OID:
		// NaN and the infinities are no numbers in JSON.
		if f, err := strconv.ParseFloat(value, 64); err == nil && f-f == 0 {
			return f
		}
	}
	return value
}
