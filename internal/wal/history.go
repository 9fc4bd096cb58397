package wal

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
)

// Switch is one line of a timeline history: the timeline that ended, where it ended, and why.
type Switch struct {
	Timeline Timeline
	// End is the position at which the next timeline branched off. WAL of Timeline beyond it belongs
	// to a server that was left behind.
	End    LSN
	Reason string
}

// History is the ancestry of one timeline, oldest first, as in its NNNNNNNN.history file.
type History []Switch

// ParseHistory reads the text of a history file. Comments and blank lines are skipped, as PostgreSQL
// skips them.
func ParseHistory(text string) (History, error) {
	var h History
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := parseSwitch(line)
		if err != nil {
			return nil, err
		}
		h = append(h, s)
	}
	return h, lines.Err()
}

func parseSwitch(line string) (Switch, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return Switch{}, fmt.Errorf("timeline history line %q has no position", line)
	}
	tl, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil {
		return Switch{}, fmt.Errorf("timeline history line %q begins with no timeline number", line)
	}
	end, err := ParseLSN(fields[1])
	if err != nil {
		return Switch{}, fmt.Errorf("timeline history line %q: %w", line, err)
	}
	return Switch{Timeline: Timeline(tl), End: end, Reason: strings.Join(fields[2:], " ")}, nil
}

// Relation says how a member's WAL stands to its leader's.
type Relation int

// The three relations.
const (
	// Unknown: the facts do not suffice; ask again, decide nothing (rule S7).
	Unknown Relation = iota
	// Ancestor: the member's WAL is a beginning of the leader's; it can simply follow.
	Ancestor
	// Diverged: the member holds WAL that the leader never had; it must be rewound or cloned anew.
	Diverged
)

// String names the relation for logs and explanations.
func (r Relation) String() string {
	switch r {
	case Ancestor:
		return "ancestor"
	case Diverged:
		return "diverged"
	case Unknown:
	}
	return "unknown"
}

// Point is how far a member's WAL reaches.
type Point struct {
	Timeline Timeline
	// LSN is the end of the member's WAL: the replay or receive position of a standby, the end of the
	// shutdown checkpoint record of a former primary, the last known flush position after a crash.
	LSN LSN
}

// Relate compares a member with a leader that is on timeline leader with the given history. The rule is
// that of the PostgreSQL documentation on timelines: WAL up to the switch point is shared, WAL of the
// old timeline beyond it is not.
func Relate(member Point, leader Timeline, history History) Relation {
	if member.Timeline == 0 || leader == 0 {
		return Unknown
	}
	if member.Timeline == leader {
		return Ancestor
	}
	if member.Timeline > leader {
		return Diverged
	}
	for _, s := range history {
		if s.Timeline == member.Timeline {
			return relateAt(member, s.End)
		}
	}
	if len(history) == 0 {
		return Unknown
	}
	// The leader's history does not pass through the member's timeline at all.
	return Diverged
}

func relateAt(member Point, end LSN) Relation {
	if member.LSN == 0 {
		return Unknown
	}
	if member.LSN > end {
		return Diverged
	}
	return Ancestor
}
