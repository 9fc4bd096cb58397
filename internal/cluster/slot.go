package cluster

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Slot is a replication slot of the dynamic configuration: one to keep (slots), or a pattern of those that are somebody
// else's (ignore_slots), in which an empty field fits every slot.
type Slot struct {
	Name string
	// Type is "physical" or "logical".
	Type string
	// Database and Plugin are those of a logical slot.
	Database, Plugin string
	// ClusterType limits the slot to a cluster of its own ("primary") or to a standby cluster ("standby"); empty: both.
	ClusterType string
}

// The types of slots.
const (
	PhysicalSlot = "physical"
	LogicalSlot  = "logical"
)

// Logical reports whether the slot is for logical decoding.
func (s Slot) Logical() bool { return s.Type == LogicalSlot }

// Fits reports whether a slot is one of those that the pattern means.
func (s Slot) Fits(pattern Slot) bool {
	fits := func(want, have string) bool { return want == "" || want == have }
	return fits(pattern.Name, s.Name) && fits(pattern.Type, s.Type) && fits(pattern.Database, s.Database) && fits(pattern.Plugin, s.Plugin)
}

var slotName = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

// ValidSlotName reports whether PostgreSQL takes the text for the name of a slot ("Replication Slots").
func ValidSlotName(name string) bool { return slotName.MatchString(name) }

// SlotName is the name of a member's slot on its upstream, as Patroni names it: lower case, "-" and "." as "_", any other
// character that a slot's name cannot have as its code point.
func SlotName(member string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(member) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		case r == '-', r == '.':
			b.WriteByte('_')
		default:
			fmt.Fprintf(&b, "u%04d", r)
		}
	}
	name := b.String()
	return name[:min(len(name), 63)]
}

// slots reads the permanent slots. Of the option's three names the longest one wins. A slot without a description is a
// physical one; one that cannot be read is left out.
func (c Config) slots() map[string]Slot {
	for _, option := range []string{"permanent_replication_slots", "permanent_slots", "slots"} {
		doc, given := c.Data[option].(map[string]any)
		if !given {
			continue
		}
		out := map[string]Slot{}
		for name, v := range doc {
			if s, ok := permanentSlot(name, v); ok {
				out[name] = s
			}
		}
		return out
	}
	return nil
}

func permanentSlot(name string, v any) (Slot, bool) {
	doc, isObject := v.(map[string]any)
	if !ValidSlotName(name) || v != nil && !isObject {
		return Slot{}, false
	}
	s := readSlot(doc)
	s.Name = name
	if len(doc) == 0 {
		s.Type = PhysicalSlot
	}
	switch s.Type {
	case PhysicalSlot:
		s.Database, s.Plugin = "", ""
	case LogicalSlot:
		return s, s.Database != "" && s.Plugin != ""
	default:
		return s, false
	}
	return s, slices.Contains([]string{"", "primary", "standby"}, s.ClusterType)
}

func (c Config) ignoreSlots() []Slot {
	list, _ := c.Data["ignore_slots"].([]any)
	var out []Slot
	for _, v := range list {
		if doc, isObject := v.(map[string]any); isObject && len(doc) > 0 {
			out = append(out, readSlot(doc))
		}
	}
	return out
}

func readSlot(doc map[string]any) Slot {
	text := func(name string) string {
		s, _ := doc[name].(string)
		return s
	}
	return Slot{Name: text("name"), Type: text("type"), Database: text("database"), Plugin: text("plugin"), ClusterType: text("cluster_type")}
}
