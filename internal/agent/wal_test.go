package agent_test

import (
	"github.com/pgbaton/pgbaton/internal/wal"
)

// line is one timeline as one server began it. Two servers may begin timelines of the same number: to PostgreSQL
// they look alike, the model tells them apart.
type line struct {
	number wal.Timeline
	// by is the server that began it.
	by     string
	parent *line
	// fork is where it left its parent.
	fork wal.LSN
}

// next is the timeline that a server begins when it is promoted at that position.
func (l *line) next(at wal.LSN, by string) *line {
	return &line{number: l.number + 1, by: by, parent: l, fork: at}
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

// history is the content of the timeline's history file.
func (l *line) history() wal.History {
	if l == nil || l.parent == nil {
		return nil
	}
	return append(l.parent.history(), wal.Switch{Timeline: l.parent.number, End: l.fork, Reason: "no recovery target specified"})
}

// begins reports whether WAL that ends at that position of the timeline is a beginning of another server's WAL.
func (l *line) begins(at wal.LSN, other *line, otherEnd wal.LSN) bool {
	limit := otherEnd
	for x := other; x != nil; x = x.parent {
		if x == l {
			return at <= limit
		}
		limit = min(limit, x.fork)
	}
	return false
}
