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

// slots reads the permanent slots. Of the option's three names the longest one that lists any wins. One that cannot be read
// is left out.
func (c Config) slots() map[string]Slot {
	for _, option := range slotOptions() {
		doc, _ := c.Data[option].(map[string]any)
		if len(doc) == 0 {
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

// slotOptions are the names under which permanent slots are listed, the longest first.
func slotOptions() []string {
	return []string{"permanent_replication_slots", "permanent_slots", "slots"}
}

// permanentSlot reads a slot's description. Nothing, in all its spellings (null, 0, an empty section), describes a physical
// slot; one with a database and a plugin is logical even where it does not say so.
func permanentSlot(name string, v any) (Slot, bool) {
	doc, isObject := v.(map[string]any)
	s, readable := readSlot(doc)
	if !ValidSlotName(name) || !isObject && !slices.Contains([]any{nil, false, "", 0, 0.0}, v) || !readable {
		return Slot{}, false
	}
	s.Name = name
	known := s.Database != "" && s.Plugin != ""
	if s.Type == "" {
		s.Type = PhysicalSlot
		if known {
			s.Type = LogicalSlot
		}
	}
	if !slices.Contains([]string{"", "primary", "standby"}, s.ClusterType) {
		return Slot{}, false
	}
	switch s.Type {
	case PhysicalSlot:
		s.Database, s.Plugin = "", ""
		return s, true
	case LogicalSlot:
		return s, known
	}
	return Slot{}, false
}

// ignoreSlots reads the patterns of slots that are somebody else's. One that says nothing fits every slot, as it does to
// Patroni; one that cannot be read is left out.
func (c Config) ignoreSlots() []Slot {
	list, _ := c.Data["ignore_slots"].([]any)
	var out []Slot
	for _, v := range list {
		doc, isObject := v.(map[string]any)
		if s, readable := readSlot(doc); isObject && readable {
			out = append(out, s)
		}
	}
	return out
}

// readSlot reads a slot's properties; false where one of them is no text.
func readSlot(doc map[string]any) (Slot, bool) {
	var s Slot
	for name, into := range map[string]*string{
		"name": &s.Name, "type": &s.Type, "database": &s.Database, "plugin": &s.Plugin, "cluster_type": &s.ClusterType,
	} {
		v, given := doc[name]
		if !given || v == nil {
			continue
		}
		text, isText := v.(string)
		if !isText {
			return Slot{}, false
		}
		*into = text
	}
	return s, true
}
