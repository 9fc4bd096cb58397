package cluster

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ScheduledRestart is a restart that a member announces.
type ScheduledRestart struct {
	// Schedule is when, ISO 8601 with its zone.
	Schedule string `json:"schedule"`
	// Started is when the postmaster had started that the restart is meant for; not part of REST answers.
	Started string `json:"postmaster_start_time,omitempty"`
	// The conditions, where there are any.
	Role           Role   `json:"role,omitempty"`
	Version        string `json:"postgres_version,omitempty"`
	Timeout        int    `json:"timeout,omitempty"`
	RestartPending bool   `json:"restart_pending,omitempty"`
}

// String is when, and below which version, as a list of members shows it.
func (s ScheduledRestart) String() string {
	if s.Version == "" {
		return s.Schedule
	}
	return s.Schedule + " if version < " + s.Version
}

// TimeForm is how points in time are written in member documents and REST answers, unless they were given as text.
const TimeForm = "2006-01-02 15:04:05.000000-07:00"

// ParseServerVersion reads a PostgreSQL version, as 15.12 or 9.6.24, into its number, as 150012 or 90624. The texts of
// the errors are part of the REST API.
func ParseServerVersion(text string) (int, error) {
	var parts []int
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("Invalid PostgreSQL version: %s", text) //nolint:staticcheck // the text is part of the interface
		}
		parts = append(parts, n)
	}
	switch {
	case len(parts) == 2 && parts[0] >= 10:
		return parts[0]*10000 + parts[1], nil
	case len(parts) == 3:
		return parts[0]*10000 + parts[1]*100 + parts[2], nil
	}
	//nolint:staticcheck // the text is part of the interface
	return 0, fmt.Errorf("Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: %s", text)
}

// ServerVersionText writes the number of a PostgreSQL version as people do.
func ServerVersionText(version int) string {
	if version >= 100000 {
		return fmt.Sprintf("%d.%d", version/10000, version%10000)
	}
	return fmt.Sprintf("%d.%d.%d", version/10000, version/100%100, version%100)
}

// ParseSchedule reads a point in time that an operator gave, in one of the forms of ISO 8601. The bool is false when it
// has no time zone; it is then in the given one.
func ParseSchedule(text string, in *time.Location) (at time.Time, zoned bool, err error) {
	text = strings.Replace(strings.TrimSpace(text), " ", "T", 1)
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		for _, zone := range []string{"Z07:00", "Z0700", "Z07", " Z07:00"} {
			if at, err = time.Parse(form+zone, text); err == nil {
				return at, true, nil
			}
		}
		if at, err = time.ParseInLocation(form, text, in); err == nil {
			return at, false, nil
		}
	}
	return time.Time{}, false, fmt.Errorf("%q is no point in time", text)
}
