package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// compare finds out which settings need a restart. It asks only when something can have changed: the
// wanted settings, or what the server has read.
func (s *Server) compare(ctx context.Context, a answer, st *Status) error {
	q := &s.query
	if again := q.compareAgain.Swap(false); !again && a.loaded.Equal(q.loaded) {
		st.PendingRestart = q.pending
		return nil
	}
	s.mu.Lock()
	plan := s.plan
	s.mu.Unlock()
	pending, err := pendingRestart(ctx, q.conn, plan)
	if err != nil {
		q.compareAgain.Store(true)
		q.dropBroken()
		return fmt.Errorf("compare the server's settings: %w", err)
	}
	q.loaded, q.pending, st.PendingRestart = a.loaded, pending, pending
	return nil
}

// pendingRestart compares the running settings with the plan. PostgreSQL itself knows what its files
// want changed; what was given on the command line is compared here.
func pendingRestart(ctx context.Context, conn *pgx.Conn, plan guc.Plan) (map[string]Pending, error) {
	var names []string
	for _, p := range plan.Arguments {
		names = append(names, p.Name)
	}
	rows, err := conn.Query(ctx, `SELECT name, setting, COALESCE(unit, ''), vartype, current_setting(name), pending_restart
FROM pg_settings WHERE pending_restart OR name = ANY($1)`, names)
	if err != nil {
		return nil, err
	}
	pending := map[string]Pending{}
	var name, setting, unit, kind, shown string
	var changed bool
	_, err = pgx.ForEachRow(rows, []any{&name, &setting, &unit, &kind, &shown, &changed}, func() error {
		if guc.Owned(name) {
			return nil // of a former standby: PostgreSQL marks them after a promotion, a primary has no use for them
		}
		wanted, given := plan.Argument(name)
		if given {
			// PostgreSQL compares these with any file that names them, and then is wrong.
			changed = !guc.Equal(guc.Kind(kind), unit, setting, wanted)
		} else {
			wanted = wantedInFile(plan, name)
		}
		if changed {
			pending[name] = Pending{Running: shown, Wanted: wanted}
		}
		return nil
	})
	return pending, err
}

// wantedInFile is what our configuration file says; another file may be the one that wants the change.
func wantedInFile(plan guc.Plan, name string) string {
	if v, ok := plan.File[strings.ToLower(name)]; ok {
		return v
	}
	return "?"
}
