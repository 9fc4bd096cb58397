package api

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// scheduled reads when something is to happen: unambiguously, and not in the past.
func scheduled(what, text string, now time.Time) (time.Time, error) {
	at, zoned, err := cluster.ParseSchedule(text, time.UTC)
	switch {
	case err != nil:
		return at, &unprocessableError{"Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"}
	case !zoned:
		return at, &ha.RefusalError{Malformed: true, Text: "Timezone information is mandatory for the scheduled " + what}
	case at.Before(now):
		return at, &unprocessableError{"Cannot schedule " + what + " in the past"}
	}
	return at, nil
}
