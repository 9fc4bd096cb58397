package sim

import (
	"slices"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// line is a timeline with its identity: two of them may have one number, as in life.
type line struct {
	number wal.Timeline
	// by is the member that began it.
	by     *member
	parent *line
	// fork is where it left its parent.
	fork wal.LSN
	// acked are the ends of the writes that clients were told are done, ascending.
	acked []wal.LSN
	// bound is the last of them that every later primary has to have, forgiven the last one of which that was taken back (S5).
	bound, forgiven wal.LSN
	// lost counts those at the end of acked that a later primary never had.
	lost int
	// past is the content of the history file.
	past wal.History
}

// next is the timeline that a server begins when it is promoted at that position.
func (l *line) next(at wal.LSN, by *member) *line {
	past := append(slices.Clip(l.past), wal.Switch{Timeline: l.number, End: at, Reason: "no recovery target specified"})
	return &line{number: l.number + 1, by: by, parent: l, fork: at, past: past}
}

// twin reports whether the timeline, or one that it comes from, has the number of another one in the other's ancestry.
func (l *line) twin(other *line) bool {
	for x := l; x != nil; x = x.parent {
		for y := other; y != nil; y = y.parent {
			if x != y && x.number == y.number {
				return true
			}
		}
	}
	return false
}

// shared is up to where WAL that ends at that position of this timeline holds the WAL of another one.
func (l *line) shared(end wal.LSN, other *line) wal.LSN {
	for x := l; x != nil; x = x.parent {
		if x == other {
			return end
		}
		end = min(end, x.fork)
	}
	return 0
}

// begins reports whether WAL that ends at that position of the timeline is a beginning of another server's WAL.
func (l *line) begins(at wal.LSN, other *line, otherEnd wal.LSN) bool {
	return at <= other.shared(otherEnd, l)
}

// ack notes that a client was told that its write, which ends there, is done.
func (l *line) ack(at wal.LSN) {
	l.acked = append(l.acked, at)
}

// beyond is the number of acknowledged writes after a position.
func (l *line) beyond(at wal.LSN) int {
	i, _ := slices.BinarySearch(l.acked, at+1)
	return len(l.acked) - i
}
