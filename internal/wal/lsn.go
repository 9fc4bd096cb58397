package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a position in the write-ahead log, in bytes since the log began. Zero means "unknown":
// PostgreSQL itself uses 0/0 as the invalid position.
type LSN uint64

// ParseLSN reads PostgreSQL's form, two hexadecimal numbers with a slash between: "16/B374D848".
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(strings.TrimSpace(s), "/")
	if !ok {
		return 0, fmt.Errorf("%q is not a WAL position such as 16/B374D848", s)
	}
	h, err := strconv.ParseUint(hi, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a WAL position such as 16/B374D848", s)
	}
	l, err := strconv.ParseUint(lo, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a WAL position such as 16/B374D848", s)
	}
	return LSN(h<<32 | l), nil
}

// String renders the position as PostgreSQL does: upper-case hexadecimal without leading zeros.
func (l LSN) String() string {
	return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) //nolint:gosec // both halves are meant to be cut to 32 bits
}

// Behind returns how many bytes l lacks to reach the other position; zero when it is there or beyond.
func (l LSN) Behind(other LSN) uint64 {
	if l >= other {
		return 0
	}
	return uint64(other - l)
}

// Timeline numbers a line of WAL. A promotion begins a new one with a higher number. Zero is unknown.
type Timeline uint32

// SystemID is the identifier initdb gave a database cluster: decimal digits. Two servers may only ever
// replicate when theirs are equal (rule S6).
type SystemID string

// minSystemIDDigits is the least number of digits a real identifier has; a shorter value in the DCS is
// a bootstrap still going on.
const minSystemIDDigits = 10

// Valid reports whether the text can be an identifier of an initialised database cluster.
func (s SystemID) Valid() bool {
	if len(s) < minSystemIDDigits {
		return false
	}
	return strings.Trim(string(s), "0123456789") == ""
}
