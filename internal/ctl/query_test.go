package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// scripted is a server that answers statements by a table; what is not in it ends the connection.
type scripted struct {
	standby bool
	answers map[string]Result
	closed  *int
}

func (s scripted) Standby(context.Context) (bool, error) { return s.standby, nil }

func (s scripted) Close(context.Context) error {
	*s.closed++
	return nil
}

func (s scripted) Run(_ context.Context, statements string) (Result, error) {
	if statements == "wrong" {
		return Result{}, &StatementError{Code: "42601", Message: "syntax error"}
	}
	r, ok := s.answers[statements]
	if !ok {
		return Result{}, errors.New("the connection\n is gone")
	}
	return r, nil
}

// queried runs a query and returns what is printed and whom it was sent to.
func queried(t *testing.T, standby bool, input string, args ...string) (printed, to string) {
	t.Helper()
	var out bytes.Buffer
	closed, opened := 0, 0
	env := testEnv(&out, fixed{c: picture("")}, input)
	env.Connect = func(_ context.Context, target Target) (Database, error) {
		opened++
		to = fmt.Sprintf("%s@%s:%d/%s %s", target.Username, target.Host, target.Port, target.Database, target.Password.Reveal())
		if target.Username == "nobody" {
			opened--
			return nil, errors.New("no such\nuser")
		}
		return scripted{standby, map[string]Result{
			"rows":  {Columns: []string{"i", "text", "b", "n"}, Rows: [][]any{{1, "a\tb", true, nil}, {22, "ü", false, 2.5}}},
			"none":  {Columns: []string{"i"}},
			"deed":  {Tag: "CREATE TABLE"},
			"a; b;": {Columns: []string{"i"}, Rows: [][]any{{1}}},
		}, &closed}, nil
	}
	if err := runIn(t, env, append([]string{"query"}, args...)...); err != nil {
		out.WriteString("Error: " + err.Error() + "\n")
	}
	if opened != closed {
		t.Errorf("%v: %d connections were opened and %d closed", args, opened, closed)
	}
	return out.String(), to
}

func TestQuery(t *testing.T) {
	const now = "2026-01-02 03:04:05\t"
	cases := []struct {
		name, args, printed, to string
	}{
		{"the leader", "-c rows", "i\ttext\tb\tn\n1\ta\tb\tTrue\tNone\n22\tü\tFalse\t2.5\n", "@127.0.0.11:5432/ "},
		{"somebody else", "-c none -m patroni-node2 -U me -d app", "i\n", "me@127.0.0.12:5432/app "},
		{"with another delimiter", "-c rows --delimiter |", "i|text|b|n\n1|a\tb|True|None\n22|ü|False|2.5\n", "@127.0.0.11:5432/ "},
		{"pretty", "-c none --format pretty", "+---+\n| i |\n+---+\n+---+\n", "@127.0.0.11:5432/ "},
		{
			"json", "-c rows --format json",
			`[{"i": 1, "text": "a\tb", "b": true, "n": null}, {"i": 22, "text": "\u00fc", "b": false, "n": 2.5}]` + "\n", "@127.0.0.11:5432/ ",
		},
		{"yaml", "-c none --format yaml", "[]\n\n", "@127.0.0.11:5432/ "},
		{"no rows at all", "-c deed", now + "CREATE TABLE\n", "@127.0.0.11:5432/ "},
		{"a wrong statement", "-c wrong", now + "ERROR, SQLSTATE: 42601\n", "@127.0.0.11:5432/ "},
		{"a connection that ends", "-c end", now + "ERROR, SQLSTATE: the connection is gone\n", "@127.0.0.11:5432/ "},
		{"no connection", "-c rows -U nobody", now + "ERROR, SQLSTATE: no such user\n", "nobody@127.0.0.11:5432/ "},
		{"from a file", "-f -", "i\n1\n", "@127.0.0.11:5432/ "},
		{"a primary", "-c none -r primary", "i\n", "@127.0.0.11:5432/ "},
		{"a replica that is none", "-c none -r replica", now + "No connection to role replica is available\n", "@127.0.0.12:5432/ "},
	}
	for _, c := range cases {
		printed, to := queried(t, false, "a; b;", strings.Fields(c.args)...)
		if printed != c.printed || to != c.to {
			t.Errorf("%s: to %q\n%s", c.name, to, printed)
		}
	}
	if printed, to := queried(t, true, "", "-c", "none", "-r", "standby"); printed != "i\n" || to != "@127.0.0.12:5432/ " {
		t.Errorf("a standby: to %q %q", to, printed)
	}
	if printed, to := queried(t, false, "secret\n", "-c", "none", "--password"); printed != "Password: i\n" || to != "@127.0.0.11:5432/ secret" {
		t.Errorf("with a password: to %q %q", to, printed)
	}
}
