package wire

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Resource is an amount of something that an agent has, or that is taken from it.
type Resource struct {
	Name           string          `json:"name"`
	Type           string          `json:"type"` // SCALAR, RANGES or SET
	Scalar         *Scalar         `json:"scalar,omitempty"`
	Ranges         *Ranges         `json:"ranges,omitempty"`
	Set            *Set            `json:"set,omitempty"`
	Role           string          `json:"role,omitempty"` // of masters and frameworks without reservation refinement
	AllocationInfo *AllocationInfo `json:"allocation_info,omitempty"`
	Reservations   []Reservation   `json:"reservations,omitempty"` // the innermost last
	Disk           *Disk           `json:"disk,omitempty"`
	ProviderID     *ID             `json:"provider_id,omitempty"`
	Revocable      *struct{}       `json:"revocable,omitempty"`
	Shared         *struct{}       `json:"shared,omitempty"`
}

// Types of resources.
const (
	TypeScalar = "SCALAR"
	TypeRanges = "RANGES"
	TypeSet    = "SET"
	TypeText   = "TEXT" // of attributes only
)

// AllocationInfo is the role a resource is offered to.
type AllocationInfo struct {
	Role string `json:"role"`
}

// Reservation keeps a resource for a role.
type Reservation struct {
	Type      string  `json:"type"` // STATIC or DYNAMIC
	Role      string  `json:"role"`
	Principal string  `json:"principal,omitempty"`
	Labels    *Labels `json:"labels,omitempty"`
}

// Disk tells a disk from others: its source, and the volume on it.
type Disk struct {
	Persistence *Persistence `json:"persistence,omitempty"`
	Volume      *Volume      `json:"volume,omitempty"`
	Source      *DiskSource  `json:"source,omitempty"`
}

// Persistence names a persistent volume.
type Persistence struct {
	ID        string `json:"id"`
	Principal string `json:"principal,omitempty"`
}

// DiskSource is where a disk lies; none for the agent's own.
type DiskSource struct {
	Type    string    `json:"type"` // PATH, MOUNT, BLOCK or RAW
	Path    *DiskRoot `json:"path,omitempty"`
	Mount   *DiskRoot `json:"mount,omitempty"`
	ID      string    `json:"id,omitempty"`
	Profile string    `json:"profile,omitempty"`
	Vendor  string    `json:"vendor,omitempty"`
}

// DiskRoot is the folder of a disk.
type DiskRoot struct {
	Root string `json:"root"`
}

// Scalar is an amount in thousandths.
type Scalar struct {
	Milli int64
}

// Amount is x as a scalar, rounded as Mesos does.
func Amount(x float64) *Scalar { return &Scalar{Milli: int64(math.Round(x * 1000))} }

// Float is the amount as a number.
func (s Scalar) Float() float64 { return float64(s.Milli) / 1000 }

// MarshalJSON writes {"value":1.5}.
func (s Scalar) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Value float64 `json:"value"`
	}{s.Float()})
}

// UnmarshalJSON reads it.
func (s *Scalar) UnmarshalJSON(b []byte) error {
	var v struct {
		Value float64 `json:"value"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	if math.Abs(v.Value) > 1e15 {
		return fmt.Errorf("a resource of %g is more than any machine has", v.Value)
	}
	*s = *Amount(v.Value)
	return nil
}

// Ranges are whole numbers, both ends of each range included.
type Ranges struct {
	Range []Range `json:"range"`
}

// Range is one of them.
type Range struct {
	Begin int `json:"begin"`
	End   int `json:"end"`
}

// Set are words.
type Set struct {
	Item []string `json:"item"`
}

// Merge is the same numbers in as few ranges as possible, sorted.
func (r Ranges) Merge() Ranges {
	sorted := slices.Clone(r.Range)
	slices.SortFunc(sorted, func(a, b Range) int { return a.Begin - b.Begin })
	var merged []Range
	for _, x := range sorted {
		last := len(merged) - 1
		switch {
		case x.End < x.Begin:
		case last >= 0 && x.Begin <= merged[last].End+1:
			merged[last].End = max(merged[last].End, x.End)
		default:
			merged = append(merged, x)
		}
	}
	return Ranges{merged}
}

// Without is r without the numbers of other.
func (r Ranges) Without(other Ranges) Ranges {
	left := r.Merge().Range
	for _, cut := range other.Range {
		var rest []Range
		for _, x := range left {
			if cut.End < x.Begin || x.End < cut.Begin {
				rest = append(rest, x)
				continue
			}
			if x.Begin < cut.Begin {
				rest = append(rest, Range{x.Begin, cut.Begin - 1})
			}
			if cut.End < x.End {
				rest = append(rest, Range{cut.End + 1, x.End})
			}
		}
		left = rest
	}
	return Ranges{left}
}

// Covers reports whether r has all numbers of other.
func (r Ranges) Covers(other Ranges) bool { return len(other.Without(r).Range) == 0 }
