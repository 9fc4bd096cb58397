package store

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// schema is the version of the documents this program writes and the highest it reads:
//
//	1  header, definitions, instances; all plain JSON
//	2  large documents are compressed; hosts that drain; an archive of the definitions that were
const schema = 2

// Keys below the prefix.
const (
	keyHeader      = "header"
	keyDefinitions = "definitions"
	keyInstances   = "instances/"
	keyDraining    = "draining/"
)

// header is the first document.
type header struct {
	Schema    int    `json:"schema"`
	Framework string `json:"framework"`
	// Former are the ids that the driver knew this scheduler under before, the oldest first.
	Former []string `json:"former,omitempty"`
}

// draining is a host that is to become empty.
type draining struct {
	Host  string `json:"host"`
	Cause string `json:"cause"`
}

// Definitions are what is wanted, and the way there.
type Definitions struct {
	app.Definitions

	Deployments []Deployment `json:"deployments"` // oldest first
	// Wiped are the apps whose last deletion took their volumes along, as long as anything of them is left. Their instances
	// are told one by one afterwards, and again by whoever reads this after a crash.
	Wiped []app.ID `json:"wiped,omitempty"`
}

// Deployment is an open deployment with what is needed to lead back.
type Deployment struct {
	app.Deployment
	// Before are the affected apps as they were, nil for one that was not there.
	Before map[app.ID]*app.App
	// GroupsBefore are the groups it changed as they were, nil for one that had nothing of its own.
	GroupsBefore map[app.ID]*app.Group
}

// deploymentJSON keeps the two parts apart: app.Deployment has a JSON of its own.
type deploymentJSON struct {
	Deployment   app.Deployment        `json:"deployment"`
	Before       map[app.ID]*app.App   `json:"before"`
	GroupsBefore map[app.ID]*app.Group `json:"groupsBefore,omitempty"`
}

// MarshalJSON writes both parts.
func (d Deployment) MarshalJSON() ([]byte, error) {
	return json.Marshal(deploymentJSON{d.Deployment, d.Before, d.GroupsBefore})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Deployment) UnmarshalJSON(b []byte) error {
	var v deploymentJSON
	err := json.Unmarshal(b, &v)
	d.Deployment, d.Before, d.GroupsBefore = v.Deployment, v.Before, v.GroupsBefore
	return err
}

// State is everything that is stored.
type State struct {
	Framework string   // empty before the first subscription
	Former    []string // frameworks it was before, the oldest first
	Definitions
	Instances []deploy.Instance // sorted by id
	Draining  map[string]string // hosts that are to become empty, each with the cause
}

// read makes a state of what lies below the prefix.
func read(prefix string, pairs []kv.Pair) (State, *header, error) {
	state := State{Definitions: Definitions{Definitions: app.Definitions{Apps: map[app.ID]app.App{}}}, Draining: map[string]string{}}
	var head *header
	for _, pair := range pairs {
		var err error
		switch key := strings.TrimPrefix(pair.Key, prefix); {
		case key == keyHeader:
			err = decode(pair, &head)
		case key == keyDefinitions:
			err = decode(pair, &state.Definitions)
		case strings.HasPrefix(key, keyInstances):
			var i deploy.Instance
			err = decode(pair, &i)
			state.Instances = append(state.Instances, i)
		case strings.HasPrefix(key, keyDraining):
			var d draining
			err = decode(pair, &d)
			state.Draining[d.Host] = d.Cause
		}
		if err != nil {
			return State{}, nil, err
		}
	}
	return state, head, check(&state, head, len(pairs))
}

func check(state *State, head *header, documents int) error {
	switch {
	case head == nil && documents > 0:
		return fmt.Errorf("%w: there are %d documents but no header", ErrDamaged, documents)
	case head == nil:
		return nil
	case head.Schema > schema:
		return fmt.Errorf("%w: it has schema %d, this program knows %d; use the newer program", ErrSchema, head.Schema, schema)
	}
	state.Framework, state.Former = head.Framework, head.Former
	if state.Apps == nil {
		state.Apps = map[app.ID]app.App{}
	}
	return nil
}
