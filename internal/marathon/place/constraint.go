package place

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Names of the host's name in a constraint; "@" marks what is not an attribute of the administrator.
const (
	fieldHostname   = "hostname"
	fieldAtHostname = "@hostname"
)

// limitsHost reports whether the constraint says how many instances a host may have.
func limitsHost(c app.Constraint) bool {
	if c.Field != fieldHostname && c.Field != fieldAtHostname {
		return false
	}
	switch c.Operator {
	case app.OperatorUnique, app.OperatorMaxPer, app.OperatorGroupBy, app.OperatorCluster:
		return true
	case app.OperatorLike, app.OperatorUnlike, app.OperatorIs:
		return false
	}
	return false
}

// constrained checks every constraint of the app.
func constrained(o Offer, n Need, others []Placed) string {
	for _, c := range n.App.Constraints {
		value, has := fieldValue(c.Field, o.Host, o.Attributes)
		why := ""
		switch {
		case has:
			why = unmet(c, value, fieldCounts(c.Field, n.App.ID, others))
		case c.Operator != app.OperatorUnlike:
			why = "it has no attribute " + c.Field
		}
		if why != "" {
			return fmt.Sprintf("constraint %s: %s", spell(c), why)
		}
	}
	return ""
}

// fieldValue is what a host shows to a constraint.
func fieldValue(field, host string, attributes map[string]string) (string, bool) {
	if field == fieldHostname || field == fieldAtHostname {
		return host, true
	}
	value, ok := attributes[strings.TrimPrefix(field, "@")]
	return value, ok
}

// fieldCounts is how many instances of the app each value of the field has.
func fieldCounts(field string, id app.ID, others []Placed) map[string]int {
	counts := map[string]int{}
	for _, p := range others {
		if p.App != id {
			continue
		}
		if value, ok := fieldValue(field, p.Host, p.Attributes); ok {
			counts[value]++
		}
	}
	return counts
}

// unmet says why a host with that value may not take one more instance; empty when it may.
func unmet(c app.Constraint, value string, counts map[string]int) string {
	switch c.Operator {
	case app.OperatorUnique:
		return tooMany(value, counts[value], 1)
	case app.OperatorMaxPer:
		return maxPer(c, value, counts[value])
	case app.OperatorCluster:
		return cluster(c, value, counts)
	case app.OperatorGroupBy:
		return groupBy(c, value, counts)
	case app.OperatorLike, app.OperatorUnlike:
		return like(c, value)
	case app.OperatorIs:
		return is(c, value)
	}
	return "unknown operator"
}

func tooMany(value string, count, limit int) string {
	if count < limit {
		return ""
	}
	return fmt.Sprintf("%s has %d already", value, count)
}

func maxPer(c app.Constraint, value string, count int) string {
	limit, err := strconv.Atoi(text(c))
	if err != nil {
		return "the limit is not a number"
	}
	return tooMany(value, count, limit)
}

// cluster keeps all instances on one value: the one given, else that of the first instance.
func cluster(c app.Constraint, value string, counts map[string]int) string {
	if want := text(c); want != "" {
		return different(value, want)
	}
	for other := range counts {
		if other != value {
			return different(value, other)
		}
	}
	return ""
}

// groupBy spreads evenly: a value may take one more while no known value has fewer. With a number of values in the
// constraint, those not seen yet count as empty.
func groupBy(c app.Constraint, value string, counts map[string]int) string {
	fewest := counts[value]
	for _, count := range counts {
		fewest = min(fewest, count)
	}
	if groups, err := strconv.Atoi(text(c)); err == nil && len(counts) < groups && counts[value] > 0 {
		fewest = 0
	}
	if counts[value] > fewest {
		return fmt.Sprintf("%s has %d, others have fewer", value, counts[value])
	}
	return ""
}

func like(c app.Constraint, value string) string {
	pattern, err := regexp.Compile("^(?:" + text(c) + ")$")
	if err != nil {
		return "the pattern is not a regular expression"
	}
	switch matches := pattern.MatchString(value); {
	case c.Operator == app.OperatorLike && !matches:
		return value + " does not match"
	case c.Operator == app.OperatorUnlike && matches:
		return value + " matches"
	}
	return ""
}

// is compares numbers as numbers, to three decimals, and everything else as text.
func is(c app.Constraint, value string) string {
	want := text(c)
	a, errA := strconv.ParseFloat(value, 64)
	b, errB := strconv.ParseFloat(want, 64)
	if errA == nil && errB == nil && amount(a) == amount(b) {
		return ""
	}
	return different(value, want)
}

func different(value, want string) string {
	if value == want {
		return ""
	}
	return fmt.Sprintf("%s is not %s", value, want)
}

// text is the third part of the constraint.
func text(c app.Constraint) string {
	if c.Value == nil {
		return ""
	}
	return *c.Value
}

// spell writes a constraint as people do: "zone GROUP_BY 3".
func spell(c app.Constraint) string {
	parts := []string{c.Field, string(c.Operator), text(c)}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// sentence joins the parts of an enumeration.
func sentence(parts []string) string { return strings.Join(parts, ", ") }
