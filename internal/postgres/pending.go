package postgres

import (
	"context"
	"fmt"
	"log/slog"
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
	if err == nil {
		err = s.warnOfRules(ctx, q.conn)
	}
	if err != nil {
		q.compareAgain.Store(true)
		q.dropBroken()
		return fmt.Errorf("compare the server's settings: %w", err)
	}
	q.loaded, q.pending, st.PendingRestart = a.loaded, pending, pending
	return nil
}

// warnOfRules says which lines of pg_hba.conf cannot be read. The running server goes on with the rules that it has, but would
// not start with these.
func (s *Server) warnOfRules(ctx context.Context, conn *pgx.Conn) error {
	said, err := brokenRules(ctx, conn)
	if sqlState(err) != "" {
		said, err = err.Error(), nil // it cannot even open the file
	}
	if err != nil || said == s.query.rules {
		return err
	}
	s.query.rules = said
	if said != "" {
		s.log.ErrorContext(ctx, "the server would not start with the rules in pg_hba.conf: repair postgresql.pg_hba", slog.String("why", said))
	}
	return nil
}

func brokenRules(ctx context.Context, conn *pgx.Conn) (string, error) {
	rows, err := conn.Query(ctx, "SELECT COALESCE(line_number, 0), error FROM pg_hba_file_rules WHERE error IS NOT NULL ORDER BY line_number")
	if err != nil {
		return "", err
	}
	var line int
	var why string
	var all []string
	_, err = pgx.ForEachRow(rows, []any{&line, &why}, func() error {
		all = append(all, fmt.Sprintf("line %d: %s", line, why))
		return nil
	})
	return strings.Join(all, "; "), err
}

// running is one setting as the server has it.
type running struct {
	name, setting, unit string
	kind                guc.Kind
	shown, initial      string
	// source says where the value that it runs with comes from.
	source  string
	pending bool
}

// pendingRestart compares the running settings with the plan. PostgreSQL itself knows what its files
// want changed; what was given on the command line is compared here.
func pendingRestart(ctx context.Context, conn *pgx.Conn, plan guc.Plan) (map[string]Pending, error) {
	var names []string
	for _, p := range plan.Arguments {
		names = append(names, p.Name)
	}
	rows, err := conn.Query(ctx, `SELECT name, setting, COALESCE(unit, ''), vartype, current_setting(name), COALESCE(boot_val, ''), source, pending_restart
FROM pg_settings WHERE pending_restart OR name = ANY($1)`, names)
	if err != nil {
		return nil, err
	}
	pending := map[string]Pending{}
	var elsewhere []running
	var r running
	_, err = pgx.ForEachRow(rows, []any{&r.name, &r.setting, &r.unit, &r.kind, &r.shown, &r.initial, &r.source, &r.pending}, func() error {
		wanted, given := plan.Argument(r.name)
		switch {
		case guc.Owned(r.name):
			// Of a former standby: PostgreSQL marks them after a promotion, a primary has no use for them.
		case given && guc.Equal(r.kind, r.unit, r.setting, wanted):
			// PostgreSQL compares these with any file that names them, and then is wrong.
		case given:
			pending[r.name] = r.to(wanted)
		case plan.File[strings.ToLower(r.name)] != "":
			pending[r.name] = r.to(plan.File[strings.ToLower(r.name)])
		default:
			elsewhere = append(elsewhere, r)
		}
		return nil
	})
	if err != nil || len(elsewhere) == 0 {
		return pending, err
	}
	return pending, askFiles(ctx, conn, elsewhere, pending)
}

// fromFile is the source of what a file says.
const fromFile = "configuration file"

func (r running) to(wanted string) Pending {
	return Pending{Running: r.shown, Wanted: guc.Show(r.kind, r.unit, wanted)}
}

// askFiles finds out what is wanted of settings that another file than ours asks for, or that no file asks for any more.
func askFiles(ctx context.Context, conn *pgx.Conn, settings []running, pending map[string]Pending) error {
	rows, err := conn.Query(ctx, "SELECT lower(name), COALESCE(setting, '') FROM pg_file_settings WHERE name IS NOT NULL ORDER BY seqno")
	if err != nil {
		return err
	}
	last := map[string]string{}
	var name, setting string
	if _, err := pgx.ForEachRow(rows, []any{&name, &setting}, func() error { last[name] = setting; return nil }); err != nil {
		return err
	}
	for _, r := range settings {
		wanted, named := last[strings.ToLower(r.name)]
		if !named {
			// PostgreSQL goes on calling pending what a file asked for in vain once, and no file asks for any more.
			if r.source != fromFile || guc.Equal(r.kind, r.unit, r.setting, r.initial) {
				continue
			}
			wanted = r.initial
		}
		pending[r.name] = r.to(wanted)
	}
	return nil
}
