package guc

import "strings"

// Kind is the type of a setting, in the words of pg_settings.vartype.
type Kind string

// The kinds.
const (
	Bool    Kind = "bool"
	Integer Kind = "integer"
	Real    Kind = "real"
	Enum    Kind = "enum"
	String  Kind = "string"
)

// Equal reports whether two texts mean the same value of a setting of that kind and base unit. Texts
// that cannot be read as that kind are compared as they stand.
func Equal(kind Kind, unit, a, b string) bool {
	if a == b {
		return true
	}
	switch kind {
	case Bool:
		return equal(ParseBool, a, b)
	case Integer:
		return equal(func(s string) (int64, bool) { return ParseInteger(s, unit) }, a, b)
	case Real:
		return equal(func(s string) (float64, bool) { return ParseReal(s, unit) }, a, b)
	case Enum:
		// Several enumerations take booleans beside their words (wal_compression: on, pglz).
		return strings.EqualFold(a, b) || equal(ParseBool, a, b)
	case String:
	}
	return false
}

func equal[T comparable](parse func(string) (T, bool), a, b string) bool {
	x, ok := parse(a)
	if !ok {
		return false
	}
	y, ok := parse(b)
	return ok && x == y
}
