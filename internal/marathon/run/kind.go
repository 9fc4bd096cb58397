package run

import (
	"fmt"
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// staysDatabase refuses definitions that would make a database an ordinary app by what they leave out, or an ordinary app the
// heir of one that was deleted: its members would be stopped as tasks are, the leader among them, and its volumes would go
// with the app. A definition that says PGBATON_PLAIN means it.
func (l *loop) staysDatabase(next app.Definitions, changed []app.ID) error {
	for _, id := range changed {
		a, there := next.Apps[id]
		if !there || a.IsPostgres() || a.SaysPlain() || !l.keepsDatabase(id) {
			continue
		}
		text := fmt.Sprintf("%s is a PostgreSQL cluster, or its volumes are kept from one, and the definition would make it an ordinary app, "+
			"whose tasks are stopped without a switchover and whose volumes are deleted with it. Keep the container ports %d and %d or say "+
			"that it is one with the label PGBATON_POSTGRES=true; delete it with wipe=true before something else takes its place; the label "+
			"PGBATON_PLAIN=true says that all this is meant", id, app.PostgresPort, app.AgentPort)
		return &app.InvalidError{Details: []app.Detail{{Path: "/", Errors: []string{text}}}}
	}
	return nil
}

// keepsDatabase reports whether members of a database, or volumes of some, go by the id of an app.
func (l *loop) keepsDatabase(id app.ID) bool {
	return slices.ContainsFunc(l.of(id), func(i deploy.Instance) bool { return i.Postgres && i.Volume != "" && i.Goal != deploy.GoalWiped })
}
