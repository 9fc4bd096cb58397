package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// localCommit is the parameter that keeps a session of the agent's, set to "local", from waiting for a standby, which may
// never come: nothing that the agent does may hang on it.
const localCommit = "synchronous_commit"

// The bounds of one question. The server gives up first, so that the connection can be kept.
const (
	connectTimeout   = 3 * time.Second
	statementTimeout = 2 * time.Second
	answerTimeout    = 2500 * time.Millisecond
)

// querier keeps the one connection that Status uses. It never retries: what cannot be asked now is
// unknown now.
type querier struct {
	mu   sync.Mutex
	conn *pgx.Conn
	pm   *postmaster // the incarnation the connection goes to

	// compareAgain asks for a new comparison of the running settings with the wanted ones.
	compareAgain atomic.Bool
	loaded       time.Time // when the server had read the configuration that was compared
	pending      map[string]Pending
	// rules is what was last said of rules that cannot be read.
	rules string

	// identified is the position at which a standby that receives nothing was asked for the timeline that it replays.
	identified wal.LSN
	// timeline is the highest one the current incarnation was seen to receive; the control file of a
	// standby lags behind.
	timeline wal.Timeline
}

// answer is what one question tells.
type answer struct {
	inRecovery         bool
	version            int
	started, loaded    time.Time
	checkpointTimeline int64
	written, walFile   string
	received, replayed string
	replayPaused       bool
	replayedAt         *time.Time
	receiver           string
	receivedTimeline   int64
	recoveryTimeline   int64
	upstreamHost       string
	upstreamPort       int64
	upstreamEnd        string
	restores           bool
	syncNames          string
	senders            string
}

// question is asked in one round trip. Functions that a primary or a standby refuses are guarded.
// PostgreSQL 12 does not tell written from flushed WAL of the receiver.
func question(major int) string {
	written := "r.written_lsn"
	if major < 13 {
		written = "r.received_lsn"
	}
	return `SELECT pg_is_in_recovery(),
 current_setting('server_version_num')::int,
 pg_postmaster_start_time(),
 pg_conf_load_time(),
 (SELECT timeline_id FROM pg_control_checkpoint())::bigint,
 CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_wal_flush_lsn()::text END,
 CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END,
 COALESCE(` + written + `, pg_last_wal_receive_lsn(), '0/0')::text,
 COALESCE(pg_last_wal_replay_lsn(), '0/0')::text,
 CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
 pg_last_xact_replay_timestamp(),
 COALESCE(r.status, ''),
 COALESCE(r.received_tli, 0)::bigint,
 (SELECT min_recovery_end_timeline FROM pg_control_recovery())::bigint,
 COALESCE(r.sender_host, ''),
 COALESCE(r.sender_port, 0)::bigint,
 COALESCE(r.latest_end_lsn, '0/0')::text,
 current_setting('restore_command') <> '',
 current_setting('synchronous_standby_names'),
 COALESCE((SELECT json_agg(json_build_object(
   'usename', usename, 'application_name', application_name, 'client_addr', host(client_addr), 'state', state, 'slot', COALESCE(slot_name, ''),
   'sync_state', sync_state, 'sync_priority', sync_priority,
   'sent', COALESCE(sent_lsn - '0/0'::pg_lsn, 0), 'flushed', COALESCE(flush_lsn - '0/0'::pg_lsn, 0)) ORDER BY application_name, pid)
  FROM pg_stat_replication LEFT JOIN pg_replication_slots ON active_pid = pid), '[]')::text
FROM (SELECT 1) AS one LEFT JOIN pg_stat_wal_receiver r ON true`
}

func (a *answer) fields() []any {
	return []any{
		&a.inRecovery, &a.version, &a.started, &a.loaded, &a.checkpointTimeline, &a.written, &a.walFile,
		&a.received, &a.replayed, &a.replayPaused, &a.replayedAt, &a.receiver, &a.receivedTimeline,
		&a.recoveryTimeline, &a.upstreamHost, &a.upstreamPort, &a.upstreamEnd, &a.restores, &a.syncNames, &a.senders,
	}
}

// ask fills in what only SQL can tell.
func (s *Server) ask(ctx context.Context, pm *postmaster, st *Status) error {
	q := &s.query
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := s.reach(ctx, pm); err != nil {
		return err
	}
	asking, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	var a answer
	if err := q.conn.QueryRow(asking, question(s.binaries().Major)).Scan(a.fields()...); err != nil {
		q.dropBroken()
		return fmt.Errorf("ask the server for its status: %w", err)
	}
	if err := a.fill(st, q); err != nil {
		return fmt.Errorf("read the server's status: %w", err)
	}
	if st.InRecovery && a.receivedTimeline == 0 && q.identified != st.Replayed {
		if err := s.identifySelf(asking, st); err != nil {
			return err
		}
	}
	return s.compare(asking, a, st)
}

// query1 asks the kept connection for one row.
func (s *Server) query1(ctx context.Context, pm *postmaster, sql string, into ...any) error {
	q := &s.query
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := s.reach(ctx, pm); err != nil {
		return err
	}
	asking, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	if err := q.conn.QueryRow(asking, sql).Scan(into...); err != nil {
		q.dropBroken()
		return fmt.Errorf("ask the server: %w", err)
	}
	return nil
}

// identifySelf finds out which timeline a standby replays that receives nothing. Without a receiver only a replication
// connection tells: the control file knows it from the next restartpoint on.
func (s *Server) identifySelf(ctx context.Context, st *Status) (err error) {
	conn, err := s.connect(ctx, "pgbaton timeline", map[string]string{"replication": "database"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	row, err := oneRow(ctx, conn.PgConn(), "IDENTIFY_SYSTEM")
	if err != nil {
		return err
	}
	timeline, err := parseTimeline(row[1])
	if err != nil {
		return err
	}
	q := &s.query
	q.timeline, q.identified = max(q.timeline, timeline), st.Replayed
	st.Timeline = q.timeline
	return nil
}

// reach makes sure that there is a connection to this incarnation of the server.
func (s *Server) reach(ctx context.Context, pm *postmaster) error {
	q := &s.query
	if q.pm != pm {
		q.drop()
		q.pm, q.timeline, q.identified = pm, 0, 0
		q.compareAgain.Store(true)
	}
	if q.conn != nil && !q.conn.IsClosed() {
		return nil
	}
	conn, err := s.connect(ctx, "pgbaton", map[string]string{
		"statement_timeout": strconv.FormatInt(statementTimeout.Milliseconds(), 10), "pg_stat_statements.track": "none",
	})
	q.conn = conn
	return err
}

func (q *querier) drop() {
	if q.conn == nil {
		return
	}
	// Without a farewell, for which a frozen server would have to be waited.
	q.conn.PgConn().Conn().Close() //nolint:errcheck // nothing was written
	q.conn = nil
}

// dropBroken keeps a connection that only refused one statement.
func (q *querier) dropBroken() {
	if q.conn != nil && q.conn.IsClosed() {
		q.conn = nil
	}
}

func (q *querier) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop()
}

// sender is a Receiver as the question tells it.
type sender struct {
	Receiver
	Slot    string  `json:"slot"`
	Sent    wal.LSN `json:"sent"`
	Flushed wal.LSN `json:"flushed"`
}

func receivers(text string) ([]Receiver, error) {
	var senders []sender
	if err := json.Unmarshal([]byte(text), &senders); err != nil {
		return nil, err
	}
	var all []Receiver
	for _, s := range senders {
		s.Receiver.Slot, s.Receiver.Sent, s.Receiver.Flushed = s.Slot, s.Sent, s.Flushed
		all = append(all, s.Receiver)
	}
	return all, nil
}

// fill translates an answer; q remembers the timeline.
func (a *answer) fill(st *Status, q *querier) (err error) {
	st.Answers, st.InRecovery, st.ServerVersion = true, a.inRecovery, a.version
	st.PostmasterStarted, st.SyncNames = a.started, a.syncNames
	st.CheckpointTimeline = wal.Timeline(a.checkpointTimeline) //nolint:gosec // PostgreSQL's own timelines fit
	if st.Replication, err = receivers(a.senders); err != nil {
		return err
	}
	if a.inRecovery {
		return a.fillStandby(st, q)
	}
	if st.Written, err = wal.ParseLSN(a.written); err != nil {
		return err
	}
	st.Timeline, err = walFileTimeline(a.walFile)
	return err
}

func (a *answer) fillStandby(st *Status, q *querier) (err error) {
	if st.Received, err = wal.ParseLSN(a.received); err != nil {
		return err
	}
	if st.Replayed, err = wal.ParseLSN(a.replayed); err != nil {
		return err
	}
	if st.UpstreamEnd, err = wal.ParseLSN(a.upstreamEnd); err != nil {
		return err
	}
	st.ReplayPaused = a.replayPaused
	if a.replayedAt != nil {
		st.ReplayedAt = *a.replayedAt
	}
	seen := max(a.receivedTimeline, a.recoveryTimeline, a.checkpointTimeline)
	q.timeline = max(q.timeline, wal.Timeline(seen)) //nolint:gosec // PostgreSQL's own timelines fit
	st.Timeline = q.timeline
	st.Upstream = Upstream{Host: a.upstreamHost, Port: int(a.upstreamPort)}
	switch {
	case a.receiver == ReplicationStreaming:
		st.ReplicationState = ReplicationStreaming
	case a.restores:
		st.ReplicationState = ReplicationArchive
	}
	return nil
}

// walFileTimeline reads the timeline off the name of a WAL file: its first eight hexadecimal digits.
func walFileTimeline(name string) (wal.Timeline, error) {
	if len(name) != 24 {
		return 0, fmt.Errorf("%q is no name of a WAL file", name)
	}
	n, err := strconv.ParseUint(name[:8], 16, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no name of a WAL file", name)
	}
	return wal.Timeline(n), nil
}
