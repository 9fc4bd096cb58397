package psql

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/peer"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

func TestMain(m *testing.M) { os.Exit(peer.Run(m)) }

// server starts a PostgreSQL that asks a password of everybody and returns how to reach it as its superuser.
func server(t *testing.T) Target {
	t.Helper()
	found, _, err := postgres.FindBinaries(t.Context(), "", 0)
	if err != nil {
		peer.Missing(t, err.Error())
	}
	dir := filepath.Join(t.TempDir(), "data")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("it's \\ correct\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	initdb := exec.CommandContext(t.Context(), found.Path("initdb"), "-D", dir, "-U", "post gres", "-A", "scram-sha-256", "--pwfile", password, "-N") //nolint:gosec // it was found
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	var log bytes.Buffer
	at := peer.Address()
	s := exec.Command(found.Path("postgres"), "-D", dir, "-k", dir, "-h", at, "-p", "5432") //nolint:gosec // it was found, and is ended below
	s.Stdout, s.Stderr = &log, &log
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Process.Signal(syscall.SIGINT) //nolint:errcheck // it may be gone
		s.Wait()                         //nolint:errcheck // its code says nothing here
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return Target{Host: at, Port: 5432, Username: "post gres", Password: "it's \\ correct", Database: "postgres"}
}

// reach connects as soon as the server takes connections.
func reach(t *testing.T, to Target) *Conn {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		c, err := Open(t.Context(), to)
		if err == nil {
			t.Cleanup(func() { c.Close(t.Context()) }) //nolint:errcheck // the server is ended
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestStatements(t *testing.T) {
	for _, name := range []string{"PGPASSWORD", "PGUSER", "PGDATABASE", "PGAPPNAME"} {
		t.Setenv(name, "")
	}
	to := server(t)
	c := reach(t, to)
	got, err := c.Run(t.Context(), `SELECT 1; SELECT 7 AS i, true AS b, NULL AS n, 1.5::float8 AS f, 'NaN'::float8 AS x, 2.50::numeric AS d, 'text' AS t`)
	want := Result{
		Columns: []string{"i", "b", "n", "f", "x", "d", "t"}, Rows: [][]any{{7, true, nil, 1.5, "NaN", "2.50", "text"}}, Tag: "SELECT 1",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := c.Run(t.Context(), "CREATE TABLE x (i int)"); err != nil || got.Columns != nil || got.Tag != "CREATE TABLE" {
		t.Errorf("%v %v", got, err)
	}
	if got, err := c.Run(t.Context(), "SELECT * FROM x"); err != nil || len(got.Columns) != 1 || got.Rows != nil {
		t.Errorf("%v %v", got, err)
	}
	if standby, err := c.Standby(t.Context()); err != nil || standby {
		t.Errorf("%v %v", standby, err)
	}
	if got, err := c.Run(t.Context(), "SHOW application_name"); err != nil || got.Rows[0][0] != applicationName {
		t.Errorf("%v %v", got, err)
	}
}

// What the server says against a statement ends nothing; the end of the connection does.
func TestErrorsOfTheServer(t *testing.T) {
	to := server(t)
	c := reach(t, to)
	_, err := c.Run(t.Context(), "SELEC")
	if said, ok := errors.AsType[*ServerError](err); !ok || said.Code != "42601" {
		t.Errorf("%v", err)
	}
	if _, err := c.Run(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("after that: %v", err)
	}
	_, err = c.Run(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())")
	if _, ok := errors.AsType[*ServerError](err); err == nil || ok {
		t.Errorf("a connection that is gone: %v", err)
	}
	to.Password = "wrong horse"
	if _, err := Open(t.Context(), to); err == nil || strings.Contains(err.Error(), "wrong horse") {
		t.Errorf("another password: %v", err)
	}
}
