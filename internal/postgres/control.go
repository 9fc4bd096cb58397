package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Control is what the control file of a data directory says (pg_controldata). The zero value is unknown.
type Control struct {
	SystemID wal.SystemID
	// State is the cluster state in pg_controldata's words; see the constants.
	State ControlState
	// Checkpoint is the beginning of the latest checkpoint record.
	Checkpoint         wal.LSN
	CheckpointTimeline wal.Timeline
	// MinRecoveryEnd is how far a standby must replay before it is consistent; zero on a former primary.
	MinRecoveryEnd         wal.LSN
	MinRecoveryEndTimeline wal.Timeline
	// DataChecksums or WALLogHints must be true for pg_rewind.
	DataChecksums, WALLogHints bool
	// SegmentSize and WALBlockSize are in bytes.
	SegmentSize, WALBlockSize uint64
	// Limits are the settings in force on the primary when it wrote its WAL, by the names of the
	// settings; a standby needs at least as much.
	Limits map[string]int64
}

// ControlState is the state of a database cluster as its control file tells it.
type ControlState string

// The states.
const (
	StateShutDown           ControlState = "shut down"
	StateShutDownInRecovery ControlState = "shut down in recovery"
	StateShuttingDown       ControlState = "shutting down"
	StateInCrashRecovery    ControlState = "in crash recovery"
	StateInArchiveRecovery  ControlState = "in archive recovery"
	StateInProduction       ControlState = "in production"
)

// Clean reports whether the server was stopped in an orderly way.
func (s ControlState) Clean() bool { return s == StateShutDown || s == StateShutDownInRecovery }

// Primary reports whether a server with this state was, or came up as, a primary when it last ran.
func (s ControlState) Primary() bool {
	switch s {
	case StateShutDown, StateShuttingDown, StateInCrashRecovery, StateInProduction:
		return true
	case StateShutDownInRecovery, StateInArchiveRecovery:
	}
	return false
}

// Rewindable reports whether pg_rewind can find out which pages were changed.
func (c Control) Rewindable() bool { return c.DataChecksums || c.WALLogHints }

// limitNames maps pg_controldata's words to settings.
var limitNames = map[string]string{
	"max_connections setting":      "max_connections",
	"max_worker_processes setting": "max_worker_processes",
	"max_wal_senders setting":      "max_wal_senders",
	"max_prepared_xacts setting":   "max_prepared_transactions",
	"max_locks_per_xact setting":   "max_locks_per_transaction",
}

// parseControl reads the output of pg_controldata in the C locale. Lines it does not know are skipped;
// a missing system identifier or state is an error, since then the rest cannot be trusted either.
func parseControl(output string) (Control, error) {
	c := Control{Limits: map[string]int64{}}
	var problems []error
	lines := bufio.NewScanner(strings.NewReader(output))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), ":")
		if !ok {
			continue
		}
		if err := setControl(&c, strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			problems = append(problems, fmt.Errorf("pg_controldata: %s: %w", strings.TrimSpace(name), err))
		}
	}
	if !c.SystemID.Valid() || c.State == "" {
		problems = append(problems, errors.New("pg_controldata tells no system identifier or no state"))
	}
	return c, errors.Join(problems...)
}

func setControl(c *Control, name, value string) (err error) {
	switch name {
	case "Database system identifier":
		c.SystemID = wal.SystemID(value)
	case "Database cluster state":
		c.State = ControlState(value)
	case "Latest checkpoint location":
		c.Checkpoint, err = wal.ParseLSN(value)
	case "Latest checkpoint's TimeLineID":
		c.CheckpointTimeline, err = parseTimeline(value)
	case "Minimum recovery ending location":
		c.MinRecoveryEnd, err = wal.ParseLSN(value)
	case "Min recovery ending loc's timeline":
		c.MinRecoveryEndTimeline, err = parseTimeline(value)
	case "wal_log_hints setting":
		c.WALLogHints = value == "on"
	case "Data page checksum version":
		c.DataChecksums = value != "0"
	case "Bytes per WAL segment":
		c.SegmentSize, err = strconv.ParseUint(value, 10, 64)
	case "WAL block size":
		c.WALBlockSize, err = strconv.ParseUint(value, 10, 64)
	default:
		if setting, ok := limitNames[name]; ok {
			c.Limits[setting], err = strconv.ParseInt(value, 10, 64)
		}
	}
	return err
}

func parseTimeline(text string) (wal.Timeline, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return wal.Timeline(n), err
}

// readControl runs pg_controldata.
func readControl(ctx context.Context, b Binaries, dir string) (Control, error) {
	out, err := command{
		op:   "run pg_controldata",
		path: b.Path("pg_controldata"),
		args: []string{"-D", dir},
		env:  []string{"LC_ALL=C"},
	}.run(ctx)
	if err != nil {
		return Control{}, err
	}
	return parseControl(out)
}

// controlCache keeps what was read until the control file changes. A running server changes it at every
// checkpoint; then the identity of the file is enough, because what it says of itself is asked by SQL.
type controlCache struct {
	mu      sync.Mutex
	file    fs.FileInfo
	control Control
	// settled: the file was old enough when it was read that a later change has another time.
	settled bool
	end     wal.Point
	ended   bool
}

// settledAge is more than the resolution of file times.
const settledAge = 100 * time.Millisecond

// controlTimeout bounds one run of pg_controldata or pg_waldump; they take milliseconds.
const controlTimeout = 10 * time.Second

// controlData returns the control file's content: as it stands when fresh is wanted, else possibly as it
// stood when the server was last seen stopped.
func (s *Server) controlData(ctx context.Context, fresh bool) (Control, error) {
	s.control.mu.Lock()
	defer s.control.mu.Unlock()
	file, err := os.Stat(filepath.Join(s.dir, "global", "pg_control"))
	if err != nil {
		return Control{}, fmt.Errorf("find the control file: %w", err)
	}
	c := &s.control
	if c.file != nil && os.SameFile(c.file, file) && (!fresh || c.settled && c.file.ModTime().Equal(file.ModTime())) {
		return c.control, nil
	}
	settled := time.Since(file.ModTime()) > settledAge
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	control, err := readControl(ctx, s.binaries(), s.dir)
	if err != nil {
		return Control{}, err
	}
	c.file, c.control, c.settled, c.ended = file, control, settled, false
	return control, nil
}
