package simulated

import (
	"context"
	"encoding/json"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// Store is what a scheduler has stored, as somebody sees it who looks over its shoulder.
type Store interface {
	// Instance is one instance; false when there is none.
	Instance(id app.InstanceID) (deploy.Instance, bool)
	// Wanted is how many instances of an app are wanted, 0 for one that is not defined.
	Wanted(id app.ID) int
}

// StoreIn looks at the documents below a prefix of a kv store. db is a client of its own, without faults.
func StoreIn(db kv.Store, prefix string) Store { return documents{db, prefix} }

type documents struct {
	db     kv.Store
	prefix string
}

// Instance implements Store.
func (d documents) Instance(id app.InstanceID) (deploy.Instance, bool) {
	var i deploy.Instance
	return i, d.read("instances/"+string(id), &i)
}

// Wanted implements Store.
func (d documents) Wanted(id app.ID) int {
	var defs struct {
		Apps map[app.ID]struct {
			Instances int `json:"instances"`
		} `json:"apps"`
	}
	d.read("definitions", &defs)
	return defs.Apps[id].Instances
}

func (d documents) read(key string, v any) bool {
	pair, there, err := d.db.Get(context.Background(), d.prefix+key)
	return err == nil && there && json.Unmarshal([]byte(pair.Value), v) == nil
}
