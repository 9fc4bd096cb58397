package app

import (
	"encoding/json"
	"fmt"
	"time"
)

// timestampLayout is Marathon's form of a point in time: UTC, exactly three fraction digits, Z.
const timestampLayout = "2006-01-02T15:04:05.000Z"

// Timestamp is a point in time as Marathon writes it, in milliseconds since 1970 in UTC. The zero value means "never"
// and is left out of JSON. Being an integer it can be compared with == and <, and survives JSON unchanged, which a
// time.Time with nanoseconds would not: the version of an app is such a value and is compared for equality.
type Timestamp int64

// At is the timestamp of t, cut to milliseconds.
func At(t time.Time) Timestamp {
	if t.IsZero() {
		return 0
	}
	return Timestamp(t.UnixMilli())
}

// ParseTimestamp reads an RFC 3339 time of the years 0 to 9999, with any number of fraction digits and any offset.
func ParseTimestamp(s string) (Timestamp, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time like %s", s, timestampLayout)
	}
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return 0, fmt.Errorf("%q lies outside the years 0 to 9999", s)
	}
	return Timestamp(t.UnixMilli()), nil
}

// Time is the timestamp as a UTC time; the zero time for the zero value.
func (t Timestamp) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

// String is Marathon's form, "2026-11-30T12:00:00.000Z".
func (t Timestamp) String() string { return time.UnixMilli(int64(t)).UTC().Format(timestampLayout) }

// MarshalJSON writes Marathon's form as a string.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, len(timestampLayout)+2), '"')
	return append(time.UnixMilli(int64(t)).UTC().AppendFormat(b, timestampLayout), '"'), nil
}

// UnmarshalJSON reads any RFC 3339 time; null leaves the value as it is.
func (t *Timestamp) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil {
		return err
	}
	v, err := ParseTimestamp(*s)
	if err != nil {
		return err
	}
	*t = v
	return nil
}
