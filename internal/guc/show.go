package guc

import (
	"math"
	"strconv"
)

// Show renders a value for people, as PostgreSQL's SHOW does: a number in the greatest unit in which it is whole, a boolean
// as on or off. unit is the base unit that a number without one is in. A text that is no value of the kind stays as it is.
func Show(kind Kind, unit, text string) string {
	switch kind {
	case Bool:
		if v, ok := ParseBool(text); ok {
			shown, _ := Text(v)
			return shown
		}
	case Integer:
		if v, ok := ParseInteger(text, unit); ok {
			return inGreatest(float64(v), unit)
		}
	case Real:
		if v, ok := ParseReal(text, unit); ok {
			return inGreatest(v, unit)
		}
	case Enum, String:
	}
	return text
}

// inGreatest writes a number of base units. What is not positive means something special, and has no unit.
func inGreatest(v float64, base string) string {
	units, size, ok := baseUnit(base)
	if !ok || v <= 0 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	for _, u := range units {
		whole := v * size / u.size
		if whole >= 1 && whole == math.Trunc(whole) {
			return strconv.FormatFloat(whole, 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + units[len(units)-1].name
}
