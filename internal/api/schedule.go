package api

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// scheduleForm is how a schedule is written into the DCS, as every other member writes it.
const scheduleForm = "2006-01-02T15:04:05.999999-07:00"

// scheduled reads when something is to happen: unambiguously, and not in the past.
func scheduled(what, text string, now time.Time) (time.Time, error) {
	at, zoned, err := moment(text)
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

var errNoMoment = errors.New("no point in time")

// moment reads a day with a time, and whether there is a zone, in the forms of ISO 8601 and in those that mail and people use:
// "Fri, 01 Jan 2100 10:00:00 GMT", "January 1, 2100 10:00 +01:00".
func moment(text string) (at time.Time, zoned bool, err error) {
	plain := plainMoment(text)
	for _, form := range []string{text, plain} {
		if at, zoned, err = cluster.ParseSchedule(form, time.UTC); err == nil {
			return at, zoned, nil
		}
	}
	for _, day := range []string{"2006-01-02 ", "2 Jan 2006 ", "2 January 2006 ", "Jan 2 2006 ", "January 2 2006 ", "20060102T"} {
		for _, clock := range []string{"15:04:05", "15:04", "150405"} {
			for _, zone := range []string{" -0700", " -07:00", " -07", "-0700", "-07:00"} {
				if at, err = time.Parse(day+clock+zone, plain); err == nil {
					return at, true, nil
				}
			}
			if at, err = time.Parse(day+clock, plain); err == nil {
				return at, false, nil
			}
		}
	}
	return time.Time{}, false, errNoMoment
}

// plainMoment is a time without what it can do without: commas, the day of the week, and the names of the one zone that has
// no other meaning.
func plainMoment(text string) string {
	words := strings.Fields(strings.ReplaceAll(text, ",", " "))
	if len(words) > 0 && slices.Contains([]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, strings.ToLower(words[0])) {
		words = words[1:]
	}
	if n := len(words) - 1; n > 0 && slices.Contains([]string{"UTC", "GMT", "Z"}, words[n]) {
		words[n] = "+00:00"
	}
	text = strings.Join(words, " ")
	if cut, ok := strings.CutSuffix(strings.ToUpper(text), "Z"); ok {
		return cut + "+00:00"
	}
	return text
}
