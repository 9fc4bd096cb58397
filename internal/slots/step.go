package slots

import (
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// Step is one change of the server's slots. The set is sealed: whoever carries steps out handles every one.
//
//sumtype:decl
type Step interface {
	step()
	// String is the step in words.
	String() string
}

// Create makes a slot that the server does not have. A physical one keeps WAL from the first moment on, a logical one is
// made on a primary only.
type Create struct{ Slot cluster.Slot }

// Drop removes a slot that nobody uses. Why is half a sentence: "its WAL is gone".
type Drop struct{ Name, Why string }

// Advance moves a slot forward to a position that the server has.
type Advance struct {
	// Slot names the database in which a logical slot has to be moved.
	Slot cluster.Slot
	To   wal.LSN
}

func (Create) step()  {}
func (Drop) step()    {}
func (Advance) step() {}

// String is the step in words.
func (s Create) String() string { return "create " + describe(s.Slot) }

// String is the step in words.
func (s Drop) String() string { return "drop " + s.Name + ": " + s.Why }

// String is the step in words.
func (s Advance) String() string { return "advance " + describe(s.Slot) + " to " + s.To.String() }

// describe is a slot in a few words.
func describe(s cluster.Slot) string { return kindOf(s) + " slot " + s.Name }

func kindOf(s cluster.Slot) string {
	if s.Logical() {
		return "logical (" + s.Plugin + " in " + s.Database + ")"
	}
	return s.Type
}
