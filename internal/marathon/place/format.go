package place

import (
	"slices"
	"strconv"
	"strings"
)

// FormatScalar is a scalar attribute as constraints see it: at most three decimals.
func FormatScalar(v float64) string { return amount(v) }

// FormatRanges is an attribute that is a list of ranges, "[1-2,5-5]".
func FormatRanges(ranges Ranges) string {
	parts := make([]string, 0, len(ranges))
	for _, r := range ranges {
		parts = append(parts, strconv.Itoa(r.Begin)+"-"+strconv.Itoa(r.End))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// FormatSet is an attribute that is a set, "{a,b}", its items in order.
func FormatSet(items []string) string {
	return "{" + strings.Join(slices.Sorted(slices.Values(items)), ",") + "}"
}
