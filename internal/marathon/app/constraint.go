package app

import (
	"encoding/json"
	"errors"
)

// Constraint limits the hosts an instance may run on.
type Constraint struct {
	Field    string // hostname, @hostname, @region, @zone or an attribute of the host
	Operator Operator
	Value    *string // nil when the constraint has no third part
}

// Operator is the verb of a constraint.
type Operator string

// The operators of constraints.
const (
	OperatorUnique  Operator = "UNIQUE"
	OperatorCluster Operator = "CLUSTER"
	OperatorGroupBy Operator = "GROUP_BY"
	OperatorLike    Operator = "LIKE"
	OperatorUnlike  Operator = "UNLIKE"
	OperatorMaxPer  Operator = "MAX_PER"
	OperatorIs      Operator = "IS"
)

// MarshalJSON writes the list form, ["hostname","UNIQUE"].
func (c Constraint) MarshalJSON() ([]byte, error) {
	parts := []string{c.Field, string(c.Operator)}
	if c.Value != nil {
		parts = append(parts, *c.Value)
	}
	return verbatim(parts)
}

// UnmarshalJSON reads the list form. Definitions of clients are read by [Parse], which also knows the legacy object
// form and names each mistake.
func (c *Constraint) UnmarshalJSON(b []byte) error {
	var parts []string
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	if len(parts) < 2 || len(parts) > 3 {
		return errors.New("a constraint is a list of two or three strings")
	}
	*c = Constraint{Field: parts[0], Operator: Operator(parts[1])}
	if len(parts) == 3 {
		c.Value = &parts[2]
	}
	return nil
}
