package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Shutdown is where the WAL of a cleanly stopped server ends. The zero value is unknown: the server was
// not stopped cleanly.
type Shutdown struct {
	Timeline wal.Timeline
	// Checkpoint is the beginning of the shutdown checkpoint record. A standby whose position is at
	// least this has every change.
	Checkpoint wal.LSN
	// Previous is the beginning of the record before it when that is a switch to the next WAL file, as
	// archiving demands; else the same as Checkpoint. This is what is published as the leader's last
	// position: nothing beyond it carries data.
	Previous wal.LSN
	// End is where the record ends, zero when that cannot be told. A standby that received less and is promoted leaves the old primary
	// diverged by that one record.
	End wal.LSN
}

// record is one WAL record as pg_waldump shows it.
type record struct {
	manager      string // "XLOG"
	length       uint64 // total length in bytes, without alignment and page headers
	at, previous wal.LSN
	description  string
}

var recordForm = regexp.MustCompile(`^rmgr: (\S+)\s+len \(rec/tot\):\s*\d+/\s*(\d+), tx:\s*\d+, lsn: ([0-9A-F]+/[0-9A-F]+), prev ([0-9A-F]+/[0-9A-F]+), desc: (\S+)`)

func parseRecord(output string) (record, error) {
	m := recordForm.FindStringSubmatch(output)
	if m == nil {
		return record{}, fmt.Errorf("pg_waldump shows no record: %q", output)
	}
	length, err := strconv.ParseUint(m[2], 10, 64)
	if err != nil {
		return record{}, fmt.Errorf("pg_waldump: %w", err)
	}
	at, err := wal.ParseLSN(m[3])
	if err != nil {
		return record{}, fmt.Errorf("pg_waldump: %w", err)
	}
	previous, err := wal.ParseLSN(m[4])
	if err != nil {
		return record{}, fmt.Errorf("pg_waldump: %w", err)
	}
	return record{manager: m[1], length: length, at: at, previous: previous, description: m[5]}, nil
}

// Sizes of PostgreSQL's WAL page headers (access/xlog_internal.h) and the alignment of records.
const (
	shortPageHeader = 24
	longPageHeader  = 40 // at the beginning of each segment
	recordAlign     = 8
)

// recordEnd computes where a record ends: its bytes go around the header of every page it crosses. A
// record that would end exactly at a page's end ends there; the next one begins after the header.
func recordEnd(at wal.LSN, length, block, segment uint64) wal.LSN {
	pos := uint64(at)
	left := (length + recordAlign - 1) / recordAlign * recordAlign
	for {
		room := block - pos%block
		if left <= room {
			return wal.LSN(pos + left)
		}
		left -= room
		pos += room
		if pos%segment == 0 {
			pos += longPageHeader
			continue
		}
		pos += shortPageHeader
	}
}

// readRecord runs pg_waldump for the record at a position of the local WAL.
func (s *Server) readRecord(ctx context.Context, at wal.LSN, timeline wal.Timeline) (record, error) {
	out, err := command{
		op:   "run pg_waldump",
		path: s.binaries().Path("pg_waldump"),
		args: []string{"-p", s.dir + "/pg_wal", "-t", strconv.FormatUint(uint64(timeline), 10), "-s", at.String(), "-n", "1"},
		env:  []string{"LC_ALL=C"},
	}.run(ctx)
	if err != nil {
		return record{}, err
	}
	return parseRecord(out)
}

// shutdownPoint tells where the WAL of a cleanly stopped former primary ends. Where the record itself
// cannot be read, only its beginning is known.
func (s *Server) shutdownPoint(ctx context.Context, c Control) Shutdown {
	if c.State != StateShutDown {
		return Shutdown{}
	}
	down := Shutdown{Timeline: c.CheckpointTimeline, Checkpoint: c.Checkpoint, Previous: c.Checkpoint}
	last, err := s.readRecord(ctx, c.Checkpoint, c.CheckpointTimeline)
	if err != nil || last.manager != "XLOG" || last.description != "CHECKPOINT_SHUTDOWN" {
		s.log.WarnContext(ctx, "the shutdown checkpoint cannot be read", slog.String("lsn", c.Checkpoint.String()), slog.Any("err", err))
		return down
	}
	down.End = recordEnd(last.at, last.length, c.WALBlockSize, c.SegmentSize)
	before, err := s.readRecord(ctx, last.previous, c.CheckpointTimeline)
	if err == nil && before.manager == "XLOG" && before.description == "SWITCH" {
		down.Previous = before.at
	}
	return down
}

// walEnd says how far the WAL of a stopped server reaches, as package wal compares it. The position is
// zero (unknown) after a crash: only recovery finds the end.
func (s *Server) walEnd(ctx context.Context, c Control) wal.Point {
	s.control.mu.Lock()
	defer s.control.mu.Unlock()
	if s.control.ended {
		return s.control.end
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	end := wal.Point{Timeline: c.CheckpointTimeline}
	switch {
	case c.MinRecoveryEnd != 0 && c.MinRecoveryEndTimeline != 0 && (c.State == StateShutDownInRecovery || c.State == StateInArchiveRecovery):
		end = wal.Point{Timeline: c.MinRecoveryEndTimeline, LSN: c.MinRecoveryEnd}
	case c.State == StateShutDown:
		end.LSN = s.shutdownPoint(ctx, c).End
	}
	s.control.end, s.control.ended = end, true
	return end
}
