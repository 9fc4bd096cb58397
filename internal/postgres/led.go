package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Two servers can begin timelines of one number, and PostgreSQL takes such twins for equal. Who began one can be told
// from the control file of a stopped primary, but no longer once it was started as a standby. So that is written down
// before: DATADIR.led holds the timeline on which these data were last a primary's. It goes when the data are replaced or
// rewound.

func ledPath(dir string) string { return dir + ".led" }

// noteLed writes down that the stopped server was a primary, before it gets the mark of a standby.
func (s *Server) noteLed(ctx context.Context, c Control) error {
	if exists(filepath.Join(s.dir, signalName)) || !c.State.Primary() {
		return nil
	}
	timeline := max(c.CheckpointTimeline, c.MinRecoveryEndTimeline, s.walEnd(ctx, c).Timeline)
	if _, err := replaceFile(ledPath(s.dir), strconv.FormatUint(uint64(timeline), 10)+"\n", 0o600); err != nil {
		return fmt.Errorf("note the own timeline: %w", err)
	}
	return nil
}

// led is the timeline on which the data were last a primary's, as far as it was written down; else zero.
func led(dir string) wal.Timeline {
	text, err := os.ReadFile(ledPath(dir))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return 0
	}
	return wal.Timeline(n)
}

// forgetLed is for data that are another member's from now on.
func (s *Server) forgetLed() error {
	if err := os.Remove(ledPath(s.dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the own timeline: %w", err)
	}
	return nil
}
