package postgres

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// slotFolder is where a data directory has its slots, a folder with a file "state" for each. PostgreSQL reads them when it
// starts, and removes folders whose names end in .tmp first (StartupReplicationSlots in slot.c).
const (
	slotFolder = "pg_replslot"
	slotFile   = "state"
	slotTmp    = ".tmp"
)

// copyPatience bounds the stop before slots are copied.
const copyPatience = time.Minute

// SlotsOf lists the slots of another server, which has to be a primary. Errors: ErrSourceUnreachable.
func (s *Server) SlotsOf(ctx context.Context, up Upstream) ([]Slot, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout+answerTimeout, errNoAnswer)
	defer cancel()
	var all []Slot
	err := s.onPrimary(ctx, up, func(conn *pgconn.PgConn) (err error) {
		all, err = listSlots(ctx, conn, s.binaries().Major, "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the replication slots of %s: %w", up.Name, err)
	}
	return all, nil
}

// onPrimary asks another server something, if that is a primary.
func (s *Server) onPrimary(ctx context.Context, up Upstream, do func(conn *pgconn.PgConn) error) error {
	conn, err := s.dial(ctx, up, s.logins().Rewind, nil)
	if err != nil {
		return err
	}
	defer closeSource(ctx, conn)
	row, err := oneRow(ctx, conn, "SELECT pg_catalog.pg_is_in_recovery()")
	if err == nil && row[0] == "t" {
		err = errors.New("it is no primary")
	}
	if err == nil {
		err = do(conn)
	}
	if err != nil {
		return fmt.Errorf("%w: ask %s: %w", ErrSourceUnreachable, up.Name, err)
	}
	return nil
}

// CopySlots gives a standby the logical slots of its primary, as they are on its disk, with what their decoders know:
// PostgreSQL before 17 has no other way, and a slot made later would miss what was written before. The server is stopped, and started as it was; slots of
// these names that it has are replaced. It may be interrupted at any point: the server can be started then, and the next
// call does it all again.
//
// Errors: ErrBusy, ErrNoCluster, ErrForeign, ErrSourceUnreachable, ErrNoSlot when the primary has none of them,
// ErrTooManySlots. With these nothing was changed. Any other error may leave the server stopped.
func (s *Server) CopySlots(ctx context.Context, up Upstream, names []string) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	states, err := s.fetchSlots(ctx, up, names)
	if err != nil {
		return fmt.Errorf("copy replication slots: %w", err)
	}
	runs := s.postmaster() != nil
	if _, err := s.stop(ctx, StopOptions{Patience: copyPatience}); err != nil {
		return fmt.Errorf("copy replication slots: %w", err)
	}
	err = s.putSlots(ctx, up, states)
	if runs {
		err = errors.Join(err, s.start(ctx, s.current(), ""))
	}
	return err
}

// slotState is the content of a slot's file.
type slotState struct {
	name    string
	content []byte
	// begin is where decoding begins, and snapshot what the primary's decoder knew there of the transactions that ran; nil
	// for a slot that has not moved since it was made, whose decoder finds that out by itself. Without it a decoder leaves
	// out what commits before it is sure, which nobody would notice.
	begin    wal.LSN
	snapshot []byte
}

// snapshotFolder is where decoders keep what they knew at a position, and snapshotForm the names of its files (snapbuild.c).
const (
	snapshotFolder = "pg_logical/snapshots"
	snapshotForm   = "%X-%X.snap"
)

// snapshotName is the file of that position.
func (st slotState) snapshotName() string {
	return snapshotFolder + "/" + fmt.Sprintf(snapshotForm, uint32(st.begin>>32), uint32(st.begin)) //nolint:gosec // both halves are meant to be cut to 32 bits
}

// beginOffset is where a slot's file has restart_lsn, in the byte order of the machine: behind a header of four numbers
// the name of 64 bytes and four more numbers (ReplicationSlotOnDisk in slot.c, the same from PostgreSQL 12 to 18).
const beginOffset = 4*4 + 64 + 4*4

// newState reads a slot's file.
func newState(name string, content []byte) (slotState, error) {
	if len(content) < beginOffset+8 {
		return slotState{}, fmt.Errorf("the file of the slot %s is cut off", name)
	}
	return slotState{name: name, content: content, begin: wal.LSN(binary.NativeEndian.Uint64(content[beginOffset:]))}, nil
}

// fetchSlots reads the files of the primary's slots, and makes sure that the server could start with them.
func (s *Server) fetchSlots(ctx context.Context, up Upstream, names []string) ([]slotState, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if !exists(filepath.Join(s.dir, signalName)) {
		return nil, errors.New("the server is no standby")
	}
	control, err := s.controlData(ctx, false)
	if err != nil {
		return nil, err
	}
	if _, err := s.sameCluster(ctx, up, control.SystemID); err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeoutCause(ctx, connectTimeout+answerTimeout, errNoAnswer)
	defer cancel()
	var states []slotState
	err = s.onPrimary(asking, up, func(conn *pgconn.PgConn) (err error) {
		if states, err = readStates(asking, conn, names); err == nil {
			err = readSnapshots(asking, conn, states)
		}
		return err
	})
	if err == nil && len(states) == 0 {
		err = fmt.Errorf("%w on %s: %s", ErrNoSlot, up.Name, strings.Join(names, ", "))
	}
	if err == nil {
		err = s.roomFor(states)
	}
	return states, err
}

// readStates reads files of slots through a connection. What vanishes meanwhile is left out.
func readStates(ctx context.Context, conn *pgconn.PgConn, names []string) ([]slotState, error) {
	var quoted []string
	for _, name := range names {
		quoted = append(quoted, quote(name))
	}
	sql := `SELECT slot_name, pg_catalog.encode(pg_catalog.pg_read_binary_file('` + slotFolder + `/' || slot_name || '/` + slotFile + `', 0, 1048576, true), 'hex')
FROM pg_catalog.pg_replication_slots WHERE slot_type = 'logical' AND NOT temporary AND slot_name IN (` + strings.Join(quoted, ", ") + `)`
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var states []slotState
	for _, row := range results[0].Rows {
		content, err := hex.DecodeString(string(row[1]))
		if err != nil {
			return nil, fmt.Errorf("the file of the slot %s: %w", row[0], err)
		}
		if len(content) == 0 {
			continue
		}
		state, err := newState(string(row[0]), content)
		if err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	return states, nil
}

// readSnapshots reads what the decoders know where the slots begin. A slot that moves on meanwhile leaves its file until
// the next checkpoint.
func readSnapshots(ctx context.Context, conn *pgconn.PgConn, states []slotState) error {
	for i, st := range states {
		row, err := oneRow(ctx, conn, "SELECT pg_catalog.encode(pg_catalog.pg_read_binary_file('"+st.snapshotName()+"', 0, 67108864, true), 'hex')")
		if err != nil {
			return err
		}
		if states[i].snapshot, err = hex.DecodeString(row[0]); err != nil {
			return fmt.Errorf("the snapshot of the slot %s: %w", st.name, err)
		}
	}
	return nil
}

// roomFor makes sure that there are not more slots in the end than the server would start with.
func (s *Server) roomFor(states []slotState) error {
	have := map[string]bool{}
	entries, err := os.ReadDir(filepath.Join(s.dir, slotFolder))
	if err != nil {
		return fmt.Errorf("look at the replication slots: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasSuffix(e.Name(), slotTmp) {
			have[e.Name()] = true
		}
	}
	for _, st := range states {
		have[st.name] = true
	}
	s.mu.Lock()
	limit, _ := s.plan.Argument("max_replication_slots")
	s.mu.Unlock()
	if n, err := strconv.Atoi(limit); err == nil && len(have) > n {
		return fmt.Errorf("%w above %d", ErrTooManySlots, n)
	}
	return nil
}

// putSlots writes slots into the data directory of a stopped server.
func (s *Server) putSlots(ctx context.Context, up Upstream, states []slotState) error {
	for _, st := range states {
		if err := putSlot(s.dir, st); err != nil {
			return fmt.Errorf("copy the replication slot %s: %w", st.name, err)
		}
		s.log.InfoContext(ctx, "copied a replication slot", slog.String("slot", st.name), slog.String("member", up.Name))
	}
	return nil
}

// putSlot makes or replaces one slot: it is there as a whole or not at all, and what is left by an interruption is
// removed by PostgreSQL when it starts.
func putSlot(dir string, st slotState) error {
	folder := filepath.Join(dir, slotFolder)
	final, fresh, old := filepath.Join(folder, st.name), filepath.Join(folder, st.name+slotTmp), filepath.Join(folder, st.name+".old"+slotTmp)
	for _, left := range []string{fresh, old} {
		if err := os.RemoveAll(left); err != nil {
			return err
		}
	}
	mode := fileMode(dir)
	// Whoever may read the files may enter the folder.
	if err := os.Mkdir(fresh, mode|(mode&0o440)>>2); err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(fresh, slotFile), st.content, mode, renameio.WithStaticPermissions(mode), renameio.WithTempDir(fresh)); err != nil {
		return err
	}
	if err := putSnapshot(dir, fresh, st); err != nil {
		return err
	}
	if err := syncDir(fresh); err != nil {
		return err
	}
	if err := os.Rename(final, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, final); err != nil {
		return err
	}
	if err := syncDir(folder); err != nil {
		return err
	}
	return os.RemoveAll(old)
}

// putSnapshot makes the decoder's file, before the slot: without the slot PostgreSQL removes it at a checkpoint.
func putSnapshot(dir, tmp string, st slotState) error {
	if len(st.snapshot) == 0 {
		return nil
	}
	mode, path := fileMode(dir), filepath.Join(dir, st.snapshotName())
	if err := renameio.WriteFile(path, st.snapshot, mode, renameio.WithStaticPermissions(mode), renameio.WithTempDir(tmp)); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// segmentName is the name of a finished or current WAL file: timeline and number.
var segmentName = regexp.MustCompile(`^[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})$`)

// OldestWAL is where the WAL begins that the data directory still has, on whichever timeline.
func (s *Server) OldestWAL(ctx context.Context) (wal.LSN, error) {
	control, err := s.controlData(ctx, false)
	if err != nil {
		return 0, fmt.Errorf("look for the oldest WAL: %w", err)
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, "pg_wal"))
	if err != nil {
		return 0, fmt.Errorf("look for the oldest WAL: %w", err)
	}
	var oldest wal.LSN
	for _, e := range entries {
		m := segmentName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		begin, err := wal.ParseLSN(m[1] + "/" + m[2])
		if err != nil {
			return 0, fmt.Errorf("look for the oldest WAL: %w", err)
		}
		// The number counts segments within each 4 GB, not bytes.
		at := begin&^0xffffffff | (begin&0xffffffff)*wal.LSN(control.SegmentSize)
		if oldest == 0 || at < oldest {
			oldest = at
		}
	}
	return oldest, nil
}
