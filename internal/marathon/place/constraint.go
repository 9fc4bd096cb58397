package place

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
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

// constrained checks every constraint of the app. An app that says nothing about regions stays in the local one.
func (q *query) constrained(h *host) string {
	if q.data() {
		return ""
	}
	regions := false
	for _, c := range q.App.Constraints {
		regions = regions || c.Field == fieldRegion
		if why := q.unmet(c, h); why != "" {
			if !q.explain {
				return no
			}
			return fmt.Sprintf("constraint %s: %s", spell(c), why)
		}
	}
	if local := q.fleet.Local; !regions && local != "" && h.offer.Region != "" && h.offer.Region != local {
		return fmt.Sprintf("it lies in region %s, and only constraints on @region lead out of %s", h.offer.Region, local)
	}
	return ""
}

// unmet says why the host may not take one more instance; empty when it may.
func (q *query) unmet(c app.Constraint, h *host) string {
	value, has := h.offer.value(c.Field)
	if !has {
		if c.Operator == app.OperatorUnlike {
			return ""
		}
		return "it has no attribute " + c.Field
	}
	switch c.Operator {
	case app.OperatorUnique:
		return q.tooMany(value, q.others.of(c.Field)[value], 1)
	case app.OperatorMaxPer:
		return q.maxPer(c, value, q.others.of(c.Field)[value])
	case app.OperatorCluster:
		return cluster(c, value, q.others.of(c.Field))
	case app.OperatorGroupBy:
		return groupBy(c, value, q.others.of(c.Field))
	case app.OperatorLike, app.OperatorUnlike:
		return q.fleet.patterns.like(c, value)
	case app.OperatorIs:
		return is(c, value)
	}
	return "unknown operator"
}

func (q *query) tooMany(value string, count, limit int) string {
	if count < limit {
		return ""
	}
	if !q.explain {
		return no
	}
	return fmt.Sprintf("%s has %d already", value, count)
}

func (q *query) maxPer(c app.Constraint, value string, count int) string {
	limit, err := strconv.Atoi(text(c))
	if err != nil {
		return "the limit is not a number"
	}
	return q.tooMany(value, count, limit)
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

// patterns are the regular expressions of constraints, compiled once; nil for one that is none.
type patterns map[string]*regexp.Regexp

// like matches the whole value.
func (p patterns) like(c app.Constraint, value string) string {
	pattern, known := p[text(c)]
	if !known {
		pattern, _ = regexp.Compile("^(?:" + text(c) + ")$") // nil when it is none
		p[text(c)] = pattern
	}
	if pattern == nil {
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
