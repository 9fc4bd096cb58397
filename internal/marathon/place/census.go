package place

import "strings"

// census counts the placed instances of one app by the values that their hosts show to constraints.
type census struct {
	members map[*member]bool
	counts  map[string]map[string]int // field → value → instances; only fields that were asked for
}

// add counts m (by 1) or no longer (by -1).
func (c *census) add(m *member, by int) {
	if by > 0 {
		c.members[m] = true
	} else {
		delete(c.members, m)
	}
	for field, counts := range c.counts {
		tally(counts, m, field, by)
	}
}

// of is how many instances each value of the field has. Values without an instance are not in it.
func (c *census) of(field string) map[string]int {
	counts, asked := c.counts[field]
	if !asked {
		counts = map[string]int{}
		for m := range c.members {
			tally(counts, m, field, 1)
		}
		c.counts[field] = counts
	}
	return counts
}

func tally(counts map[string]int, m *member, field string, by int) {
	value, has := fieldValue(field, m.Host, m.Region, m.Zone, m.Attributes)
	if !has {
		return
	}
	if counts[value] += by; counts[value] <= 0 {
		delete(counts, value)
	}
}

// Fields that are no attributes of the administrator.
const (
	fieldHostname   = "hostname"
	fieldAtHostname = "@hostname"
	fieldRegion     = "@region"
	fieldZone       = "@zone"
)

// fieldValue is what a host shows to a constraint. Where the platform knows no fault domain the attributes of the same
// names stand in.
func fieldValue(field, host, region, zone string, attributes map[string]string) (string, bool) {
	switch {
	case field == fieldHostname || field == fieldAtHostname:
		return host, true
	case field == fieldRegion && region != "":
		return region, true
	case field == fieldZone && zone != "":
		return zone, true
	}
	value, ok := attributes[strings.TrimPrefix(field, "@")]
	return value, ok
}

// Domain is the region and the zone of a place, by the attributes that the offer of a [Choice] has.
func Domain(attributes map[string]string) (region, zone string) {
	region, _ = fieldValue(fieldRegion, "", attributes[fieldRegion], "", attributes)
	zone, _ = fieldValue(fieldZone, "", "", attributes[fieldZone], attributes)
	return region, zone
}

func (o *Offer) value(field string) (string, bool) {
	return fieldValue(field, o.Host, o.Region, o.Zone, o.Attributes)
}
