package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// Target is a server to connect to, and as whom. What is empty is taken from the environment, as libpq does.
type Target struct {
	Host     string
	Port     int
	Username string
	Password secret.Text
	Database string
}

// Database is a connection to a member's server.
type Database interface {
	// Standby reports whether the server is in recovery.
	Standby(ctx context.Context) (bool, error)
	// Run runs statements and returns the rows of the last one. What the server says against them is a *StatementError; any
	// other error means that the connection is of no use any more.
	Run(ctx context.Context, statements string) (Result, error)
	Close(ctx context.Context) error
}

// Result is what a statement returned. Tag is what the server says of one that returns no rows.
type Result struct {
	Columns []string
	// Rows hold nil, bool, int, float64 and string.
	Rows [][]any
	Tag  string
}

// StatementError is what a server says against a statement.
type StatementError struct {
	// Code is the SQLSTATE.
	Code, Message string
}

func (e *StatementError) Error() string { return e.Message + " (SQLSTATE " + e.Code + ")" }

type queryOptions struct {
	oneMember

	group, format, file, command, username, database, delimiter string

	askPassword bool
	watch       watchOptions
}

func (t *tool) queryCommand() *cobra.Command {
	o := queryOptions{format: formatTSV}
	c := &cobra.Command{
		Use:   "query [CLUSTER_NAME]",
		Short: "Run statements on a member and print what they return",
		Example: `  pgbaton query -c 'select count(*) from pg_stat_activity' --format pretty
  pgbaton -c postgres0.yml query -r replica -U postgres -d app -f report.sql`,
		Args:              between(0, 1, ""),
		ValidArgsFunction: t.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.query(cmd.Context(), strings.Join(args, ""), o)
		},
	}
	f := c.Flags()
	choiceVar(c, &o.format, "format", "", "pretty, tsv, json or yaml", formats()...)
	f.VarP((*readable)(&o.file), "file", "f", "file with the statements; - for standard input")
	f.StringVarP(&o.command, "command", "c", "", "the statements")
	f.StringVarP(&o.username, "username", "U", "", "database user")
	f.BoolVar(&o.askPassword, "password", false, "ask for the password")
	f.StringVarP(&o.database, "dbname", "d", "", "database")
	f.StringVar(&o.delimiter, "delimiter", "\t", "what stands between the columns of tsv")
	t.oneMemberFlags(c, &o.oneMember)
	groupFlag(c, &o.group)
	watchFlags(c, &o.watch)
	return c
}

func (t *tool) query(ctx context.Context, name string, o queryOptions) error {
	if err := o.settle(); err != nil {
		return err
	}
	statements, err := t.statements(o)
	if err != nil {
		return err
	}
	to := Target{Username: o.username, Database: o.database}
	if o.askPassword {
		text, err := t.password()
		if err != nil {
			return err
		}
		to.Password = secret.Text(text)
	}
	s, err := t.open(ctx, name, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	q := &querier{session: s, options: o, to: to}
	defer q.drop(ctx)
	return t.repeating(ctx, o.watch, func() error {
		result, err := q.ask(ctx, statements)
		if err != nil {
			return err
		}
		return t.printResult(result, o)
	})
}

// statements are what to run.
func (t *tool) statements(o queryOptions) (string, error) {
	switch {
	case o.file != "" && o.command != "":
		return "", errors.New("--file and --command are mutually exclusive options")
	case o.file == "" && o.command == "":
		return "", errors.New("You need to specify either --command or --file") //nolint:staticcheck // the text is part of the interface
	case o.command != "":
		return o.command, nil
	}
	var text []byte
	var err error
	if o.file == stdin {
		text, err = io.ReadAll(t.env.In)
	} else {
		text, err = os.ReadFile(filepath.Clean(o.file))
	}
	if err != nil {
		return "", fmt.Errorf("read the statements: %w", err)
	}
	return string(text), nil
}

// readable is the name of a file as an option. One that cannot be opened is a mistake in what was typed.
type readable string

// Set implements pflag.Value.
func (r *readable) Set(name string) error {
	if *r = readable(name); name == stdin {
		return nil
	}
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return err
	}
	return f.Close()
}

// String implements pflag.Value.
func (r *readable) String() string { return string(*r) }

// Type implements pflag.Value.
func (r *readable) Type() string { return "string" }

// repeating does something again and again until it is interrupted, one below the other.
func (t *tool) repeating(ctx context.Context, o watchOptions, do func() error) error {
	for {
		if err := do(); err != nil || o.every() == 0 {
			return err
		}
		next := time.NewTimer(o.every())
		select {
		case <-ctx.Done():
			next.Stop()
			return nil
		case <-next.C:
		}
	}
}

// querier asks one member, and keeps the connection for the next time.
type querier struct {
	*session

	options queryOptions
	to      Target
	db      Database
}

// connectTimeout bounds the way to a member's server.
const connectTimeout = 5 * time.Second

// ask runs the statements. Whatever keeps it from that is a row of its own, with the time, and no error: the next time may
// be better.
func (q *querier) ask(ctx context.Context, statements string) (Result, error) {
	if q.db == nil {
		if trouble, err := q.connect(ctx); err != nil || trouble != "" {
			return q.trouble(trouble), err
		}
	}
	n := q.tool.waiting("waiting for the server")
	defer n.over()
	result, err := q.db.Run(ctx, statements)
	if said, ok := errors.AsType[*StatementError](err); ok {
		return q.trouble("ERROR, SQLSTATE: " + said.Code), nil
	}
	if err != nil {
		q.drop(ctx)
		return q.trouble("ERROR, SQLSTATE: " + err.Error()), ctx.Err()
	}
	if result.Columns == nil {
		return q.trouble(result.Tag), nil
	}
	return result, nil
}

// connect opens the connection, or says why there is none.
func (q *querier) connect(ctx context.Context) (trouble string, err error) {
	c, err := q.load(ctx)
	if err != nil {
		return "", err
	}
	missing := "No connection to role " + q.options.role + " is available"
	if q.options.member != "" {
		missing = "No connection to member " + q.options.member + " is available"
	}
	host, port, ok := q.options.in(c).Endpoint()
	if !ok {
		return missing, nil
	}
	to := q.to
	to.Host, to.Port = host, port
	limited, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	db, err := q.tool.env.Connect(limited, to)
	if err != nil {
		return "ERROR, SQLSTATE: " + err.Error(), nil
	}
	if fits, err := q.fits(limited, db); err != nil || !fits {
		return missing, db.Close(ctx)
	}
	q.db = db
	return "", nil
}

// fits reports whether the server is what the role says.
func (q *querier) fits(ctx context.Context, db Database) (bool, error) {
	role := q.options.role
	if role == "any" || role == "leader" {
		return true, nil
	}
	standby, err := db.Standby(ctx)
	return standby == (role != "primary"), err
}

func (q *querier) drop(ctx context.Context) {
	if q.db != nil {
		q.db.Close(ctx) //nolint:errcheck // nothing is lost
		q.db = nil
	}
}

// trouble is one row that says why there is no other.
func (q *querier) trouble(text string) Result {
	return Result{Rows: [][]any{{q.tool.stamp(), strings.Join(strings.Fields(text), " ")}}}
}

// printResult prints rows; those without columns have no head.
func (t *tool) printResult(r Result, o queryOptions) error {
	var columns []column
	for _, name := range r.Columns {
		columns = append(columns, column{title: name})
	}
	rows := r.Rows
	if o.format != formatJSON && o.format != formatYAML && o.format != formatYML {
		rows = spelled(rows)
	}
	if r.Columns == nil && o.format == formatTSV {
		for _, row := range rows {
			t.printf("%s\n", strings.Trim(fmt.Sprint(strings.Join(texts(row), o.delimiter)), "\n"))
		}
		return nil
	}
	if r.Columns == nil {
		columns = []column{{title: "Field 1"}, {title: "Field 2"}}
	}
	text, err := render(o.format, o.delimiter, columns, rows)
	t.printf("%s", text)
	return err
}

func texts(row []any) []string {
	var all []string
	for _, v := range row {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// spelled writes values as patronictl does: None for nothing, and True and False.
func spelled(rows [][]any) [][]any {
	var all [][]any
	for _, row := range rows {
		var cells []any
		for _, v := range row {
			switch v := v.(type) {
			case nil:
				cells = append(cells, "None")
			case bool:
				cells = append(cells, title(v))
			default:
				cells = append(cells, v)
			}
		}
		all = append(all, cells)
	}
	return all
}
