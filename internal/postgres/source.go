package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Source is what another server says of itself.
type Source struct {
	SystemID wal.SystemID
	Timeline wal.Timeline
	// Position is the flush position of a primary, the receive position of a standby.
	Position wal.LSN
	// InRecovery: it is a standby, or a primary that is not ready to be rewound from.
	InRecovery bool
	// Major is its major version.
	Major int
}

// errNoAnswer is the cause of giving up a question.
var errNoAnswer = errors.New("no answer in time")

// IdentifySource asks another server who it is, over a replication connection. The error is
// ErrSourceUnreachable when it does not answer or refuses.
func (s *Server) IdentifySource(ctx context.Context, up Upstream) (Source, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout+answerTimeout, errNoAnswer)
	defer cancel()
	conn, err := s.connectSource(ctx, up)
	if err != nil {
		return Source{}, err
	}
	defer closeSource(ctx, conn)
	source, err := identify(ctx, conn)
	if err != nil {
		return Source{}, fmt.Errorf("%w: ask %s who it is: %w", ErrSourceUnreachable, up.Name, err)
	}
	return source, nil
}

// TimelineHistory asks another server for the ancestry of a timeline. Timeline 1 has none.
func (s *Server) TimelineHistory(ctx context.Context, up Upstream, timeline wal.Timeline) (wal.History, error) {
	if timeline <= 1 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout+answerTimeout, errNoAnswer)
	defer cancel()
	conn, err := s.connectSource(ctx, up)
	if err != nil {
		return nil, err
	}
	defer closeSource(ctx, conn)
	row, err := oneRow(ctx, conn, fmt.Sprintf("TIMELINE_HISTORY %d", timeline))
	if err != nil {
		return nil, fmt.Errorf("%w: ask %s for the history of timeline %d: %w", ErrSourceUnreachable, up.Name, timeline, err)
	}
	if len(row) < 2 {
		return nil, fmt.Errorf("ask %s for the history of timeline %d: it answers with %d columns", up.Name, timeline, len(row))
	}
	return wal.ParseHistory(row[1])
}

// LocalHistory reads the ancestry of a timeline from the local WAL directory. Timeline 1 has none; that
// the file of another is missing is an error.
func (s *Server) LocalHistory(timeline wal.Timeline) (wal.History, error) {
	if timeline <= 1 {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "pg_wal", fmt.Sprintf("%08X.history", uint32(timeline))))
	if err != nil {
		return nil, fmt.Errorf("read the history of timeline %d: %w", timeline, err)
	}
	return wal.ParseHistory(string(text))
}

// connectSource opens a replication connection.
func (s *Server) connectSource(ctx context.Context, up Upstream) (*pgconn.PgConn, error) {
	return s.dial(ctx, up, s.logins().Replication, map[string]string{"replication": "true"})
}

// acceptsWrites passes over servers that do not, in the one spelling that a replication connection understands.
func acceptsWrites(ctx context.Context, conn *pgconn.PgConn) error {
	row, err := oneRow(ctx, conn, "SHOW transaction_read_only")
	if err != nil {
		return err
	}
	if row[0] == "on" {
		return errors.New("it accepts no writes")
	}
	return nil
}

func closeSource(ctx context.Context, conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	conn.Close(ctx) //nolint:errcheck // nothing was written
}

func identify(ctx context.Context, conn *pgconn.PgConn) (Source, error) {
	row, err := oneRow(ctx, conn, "IDENTIFY_SYSTEM")
	if err != nil {
		return Source{}, err
	}
	if len(row) < 3 {
		return Source{}, fmt.Errorf("IDENTIFY_SYSTEM has %d columns", len(row))
	}
	timeline, err := parseTimeline(row[1])
	if err != nil {
		return Source{}, err
	}
	position, err := wal.ParseLSN(row[2])
	if err != nil {
		return Source{}, err
	}
	source := Source{SystemID: wal.SystemID(row[0]), Timeline: timeline, Position: position}
	if source.Major, err = majorOf(conn.ParameterStatus("server_version")); err != nil {
		return Source{}, err
	}
	source.InRecovery, err = recovering(ctx, conn, source.Major)
	return source, err
}

// recovering asks in the way that a replication connection allows. Before PostgreSQL 14 only the
// consequence can be seen: transactions in recovery are read-only.
func recovering(ctx context.Context, conn *pgconn.PgConn, major int) (bool, error) {
	show := "SHOW in_hot_standby"
	if major < 14 {
		show = "SHOW transaction_read_only"
	}
	row, err := oneRow(ctx, conn, show)
	if err != nil {
		return false, err
	}
	return len(row) == 1 && row[0] == "on", nil
}

// majorOf reads the major version off texts such as "15.4 (Debian 15.4-1)" and "18beta1".
func majorOf(version string) (int, error) {
	digits := len(version) - len(strings.TrimLeft(version, "0123456789"))
	major, err := strconv.Atoi(version[:digits])
	if err != nil {
		return 0, fmt.Errorf("%q is no version of PostgreSQL", version)
	}
	return major, nil
}

// oneRow runs a command that answers with one row and returns its columns as text.
func oneRow(ctx context.Context, conn *pgconn.PgConn, command string) ([]string, error) {
	results, err := conn.Exec(ctx, command).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return nil, errors.New("the answer to " + command + " is not one row")
	}
	var columns []string
	for _, c := range results[0].Rows[0] {
		columns = append(columns, string(c))
	}
	return columns, nil
}
