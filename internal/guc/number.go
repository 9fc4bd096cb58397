package guc

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// ParseBool reads a boolean as PostgreSQL does: on/off, true/false, yes/no, 1/0 and every unambiguous
// beginning of them, in any case.
func ParseBool(text string) (value, ok bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	switch {
	case text == "" || text == "o":
		return false, false
	case text == "1", text == "on", begins("true", text), begins("yes", text):
		return true, true
	case text == "0", begins("off", text), begins("false", text), begins("no", text):
		return false, true
	}
	return false, false
}

func begins(word, text string) bool { return strings.HasPrefix(word, text) }

// ParseInteger reads an integer setting and returns it in the base unit of the setting, the one
// pg_settings shows ("8kB", "MB", "ms"; empty for a plain number). It understands decimal, octal ("0…")
// and hexadecimal ("0x…") numbers, fractions and units. The bool is false when the text is not such a
// number, has a unit of another kind, or leaves 32 bits: PostgreSQL refuses the same.
func ParseInteger(text, unit string) (int64, bool) {
	v, ok := parseWhole(text, unit)
	if !ok || v < math.MinInt32 || v > math.MaxInt32 {
		return 0, false
	}
	return int64(v), true
}

// parseWhole reads an integer setting that may be greater than PostgreSQL takes.
func parseWhole(text, unit string) (float64, bool) {
	v, suffix, ok := splitInteger(strings.TrimSpace(text))
	if !ok {
		return 0, false
	}
	v, ok = inBaseUnit(v, suffix, unit)
	return math.RoundToEven(v), ok
}

// ParseReal reads a floating-point setting and returns it in the base unit of the setting.
func ParseReal(text, unit string) (float64, bool) {
	v, suffix, ok := splitReal(strings.TrimSpace(text))
	if !ok {
		return 0, false
	}
	return inBaseUnit(v, suffix, unit)
}

var (
	integerForm = regexp.MustCompile(`^[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)`)
	realForm    = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?`)
)

// splitInteger separates a number from its unit. A number that goes on as a fraction or with an exponent
// is read as one, always decimal.
func splitInteger(text string) (v float64, unit string, ok bool) {
	digits := integerForm.FindString(text)
	rest := text[len(digits):]
	if digits == "" || strings.HasPrefix(rest, ".") || strings.HasPrefix(strings.ToLower(rest), "e") {
		return splitReal(text)
	}
	// Base 0 reads "0x1f" and "010" as C does, and refuses "08" as PostgreSQL does.
	n, err := strconv.ParseInt(digits, 0, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // beyond its range it is the greatest, which nothing takes
		return 0, "", false
	}
	return float64(n), strings.TrimSpace(rest), true
}

func splitReal(text string) (v float64, unit string, ok bool) {
	number := realForm.FindString(text)
	if number == "" {
		return 0, "", false
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, "", false
	}
	return v, strings.TrimSpace(text[len(number):]), true
}

// measure is one unit of a kind of quantity, in the smallest unit of that kind.
type measure struct {
	name string
	size float64
}

// The units PostgreSQL knows, largest first; they are case-sensitive.
var (
	memoryUnits = []measure{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}}
	timeUnits   = []measure{{"d", 86_400_000_000}, {"h", 3_600_000_000}, {"min", 60_000_000}, {"s", 1_000_000}, {"ms", 1000}, {"us", 1}}
)

// inBaseUnit converts a value with the unit it was written in. A fraction is rounded to a multiple of
// the next smaller unit first, as PostgreSQL does, so that "30.1GB" is a whole number of megabytes.
func inBaseUnit(v float64, written, base string) (float64, bool) {
	if written == "" {
		return v, true
	}
	units, size, ok := baseUnit(base)
	if !ok {
		return 0, false
	}
	for i, u := range units {
		if u.name != written {
			continue
		}
		v = v * u.size / size
		if i+1 < len(units) {
			step := units[i+1].size / size
			v = math.RoundToEven(v/step) * step
		}
		return v, true
	}
	return 0, false
}

// baseUnit reads a unit as pg_settings shows it: a unit, or a multiple of one such as "8kB".
func baseUnit(base string) (units []measure, size float64, ok bool) {
	name := strings.TrimLeft(base, "0123456789")
	times := 1.0
	if n := len(base) - len(name); n > 0 {
		count, err := strconv.ParseInt(base[:n], 10, 32)
		if err != nil || count == 0 {
			return nil, 0, false
		}
		times = float64(count)
	}
	for _, kind := range [][]measure{memoryUnits, timeUnits} {
		for _, u := range kind {
			if u.name == name {
				return kind, u.size * times, true
			}
		}
	}
	return nil, 0, false
}
