package guc

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Validate returns the settings that a server of the given version (as server_version_num: 150004) takes in its file. A
// number out of bounds becomes the bound; a value that cannot be read and a parameter that the version does not have are
// left out. Each such case is one sentence of problems, in the order of the names: a mistake in the cluster's configuration
// must not keep every member from starting.
//
// Names that are not known here are kept where listed says that the server has them, or where listed is nil; extensions'
// names, which have a dot, always are. Names are expected in lower case.
func Validate(version int, given Settings, listed func(name string) bool) (effective Settings, problems []string) {
	effective = Settings{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		text := given[name]
		d, known := domainOf(version, name)
		switch {
		case known:
			value, problem := d.fit(name, text)
			if problem != "" {
				problems = append(problems, problem)
			}
			if value == nil {
				continue
			}
			text = *value
		case strings.Contains(name, "."), listed == nil, listed(name):
		default:
			problems = append(problems, fmt.Sprintf("parameter %s is left out: PostgreSQL %d has no such parameter", name, version/10000))
			continue
		}
		effective[name] = text
	}
	return effective, problems
}

// domain is what the values of a parameter are.
type domain struct {
	kind Kind
	// words are the values of an enumeration, or those that a boolean has besides.
	words []string
	// least and most bound numbers, in unit.
	least, most float64
	unit        string
}

// domainOf looks a parameter of a version up in the table.
func domainOf(version int, name string) (domain, bool) {
	at := strings.Index(table, "\n"+name+" ")
	if at < 0 {
		return domain{}, false
	}
	for line := range strings.Lines(table[at+1:]) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != name {
			break
		}
		if within(version, fields[1]) {
			return readDomain(fields[2:]), true
		}
	}
	return domain{}, false
}

// within reports whether a version is one of those that the table names, such as "14.5-14".
func within(version int, versions string) bool {
	first, last, _ := strings.Cut(versions, "-")
	major, minor, _ := strings.Cut(first, ".")
	return version >= atoi(major)*10000+atoi(minor) && (last == "" || version < (atoi(last)+1)*10000)
}

// atoi reads a number of the table; an empty one is zero.
func atoi(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// readDomain reads the rest of a line of the table. The words of an enumeration may have blanks in them.
func readDomain(fields []string) domain {
	d := domain{kind: String, least: math.Inf(-1), most: math.Inf(1)}
	rest := strings.Join(fields[1:], " ")
	switch fields[0] {
	case "bool":
		d.kind = Bool
		if words, more := strings.CutPrefix(rest, "or "); more {
			d.words = strings.Split(words, ",")
		}
	case "enum":
		d.kind, d.words = Enum, strings.Split(rest, ",")
	case "int", "real":
		d.kind = Real
		if fields[0] == "int" {
			d.kind, d.least, d.most = Integer, math.MinInt32, math.MaxInt32
		}
		bounds, unit, _ := strings.Cut(rest, " ")
		least, most, _ := strings.Cut(bounds, "..")
		d.least, d.most, d.unit = bound(least, d.least), bound(most, d.most), unit
	}
	return d
}

func bound(digits string, otherwise float64) float64 {
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return otherwise
	}
	return v
}

// fit returns the value that is used, nil for none, and what is wrong with the one that is given.
func (d domain) fit(name, text string) (value *string, problem string) {
	leftOut := func(why string) (*string, string) {
		return nil, fmt.Sprintf("parameter %s = %.80q is left out: %s", name, text, why)
	}
	switch d.kind {
	case Bool:
		if _, ok := ParseBool(text); ok || d.has(text) {
			return &text, ""
		}
		return leftOut("it is " + strings.Join(append([]string{"on", "off"}, d.words...), " or "))
	case Enum:
		if d.has(text) {
			return &text, ""
		}
		return leftOut("it is one of " + strings.Join(d.words, ", "))
	case Integer, Real:
		v, ok := d.number(text)
		if !ok {
			return leftOut("it is " + d.describe())
		}
		if v >= d.least && v <= d.most {
			return &text, ""
		}
		nearest := strconv.FormatFloat(min(max(v, d.least), d.most), 'f', -1, 64)
		return &nearest, fmt.Sprintf("parameter %s = %.80q is out of bounds, %s is used instead", name, text, Show(d.kind, d.unit, nearest))
	case String:
	}
	return &text, ""
}

// has reports whether a text is one of the words; PostgreSQL compares them without case.
func (d domain) has(text string) bool {
	return slices.ContainsFunc(d.words, func(w string) bool { return strings.EqualFold(w, text) })
}

// number reads a number of the domain, however great it is.
func (d domain) number(text string) (float64, bool) {
	if d.kind == Integer {
		return parseWhole(text, d.unit)
	}
	return ParseReal(text, d.unit)
}

// describe says what numbers the domain has.
func (d domain) describe() string {
	what := "a number"
	if d.kind == Integer {
		what = "a whole number"
	}
	if units, _, ok := baseUnit(d.unit); ok {
		var names []string
		for _, u := range units {
			names = append(names, u.name)
		}
		what += ", which may have a unit: " + strings.Join(names, ", ")
	}
	return what
}
