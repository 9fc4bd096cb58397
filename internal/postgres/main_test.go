package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/peer"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		command{op: "sleep", path: "/bin/sleep", args: []string{"60"}, dir: dir}.run(context.Background()) //nolint:errcheck // it is killed
		os.Exit(0)
	}
	code := peer.Run(m)
	if template.dir != "" {
		os.RemoveAll(template.dir) //nolint:errcheck // the folder for temporary files is cleared anyway
	}
	os.Exit(code)
}

// helperDir makes the test binary an agent that runs one program in that folder.
const helperDir = "PGBATON_TEST_HELPER"

// template is a stopped cluster as Bootstrap makes it, copied by tests of other things.
var template struct {
	once sync.Once
	dir  string
}

// patience bounds what a test waits for; nothing is expected to take long.
const patience = 20 * time.Second

// within bounds one step of a test.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("the test waited long enough"))
	t.Cleanup(cancel)
	return ctx
}

// describe is the configuration of a member with a data directory of its own.
func describe(t testing.TB, name string) Config {
	t.Helper()
	if _, _, err := FindBinaries(context.Background(), "", 0); err != nil {
		peer.Missing(t, err.Error())
	}
	return Config{
		DataDir:         filepath.Join(t.TempDir(), "data"),
		ListenAddresses: []string{"127.0.0.1"},
		Port:            freePort(t),
		ClusterName:     "demo",
		MemberName:      name,
		// Small WAL files are copied and made faster.
		Initdb: []Option{{Name: "wal-segsize", Value: "1"}},
		Settings: Settings{
			Logins: Logins{
				Superuser:   Login{Username: "postgres", Password: "it's a: secret\\"},
				Replication: Login{Username: "replicator", Password: "rep:l\\icate"},
				Rewind:      Login{Username: "rewind user", Password: "re'wind"},
			},
			Parameters: map[string]any{
				"shared_buffers": "8MB", "max_connections": 25, "wal_keep_size": "256MB",
				"log_min_messages": "warning",
			},
		},
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	return int(peer.FreePortAt(t, "127.0.0.1").Port())
}

// open opens a server and stops it when the test ends.
func open(t testing.TB, cfg Config) *Server {
	t.Helper()
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelDebug})).With(slog.String("member", cfg.MemberName))
	s, err := Open(within(t), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if isClosed(s.closed) {
			return
		}
		if _, err := s.Stop(ctx, StopOptions{Mode: Immediate, Patience: patience / 2}); err != nil {
			t.Error(err)
		}
		// A killed server leaves shared memory to the next one on its directory.
		if exists(filepath.Join(s.dir, "postmaster.pid")) {
			if err := s.RecoverCrash(ctx); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// testLog shows what the server logs only when the test fails.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", p[:len(p)-1])
	return len(p), nil
}

var _ io.Writer = testLog{}

// primary starts a new cluster, a copy of the template: all of them have one system identifier.
func primary(t testing.TB, name string) *Server {
	t.Helper()
	cfg := describe(t, name)
	place(t, cfg)
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// place puts a stopped cluster into the data directory.
func place(t testing.TB, cfg Config) {
	t.Helper()
	template.once.Do(func() {
		s := open(t, describe(t, "template"))
		if err := s.Bootstrap(within(t)); err != nil {
			t.Fatal(err)
		}
		dir, err := os.MkdirTemp("", "template-") //nolint:usetesting // it outlives the test that makes it
		if err != nil {
			t.Fatal(err)
		}
		copyTree(t, s.dir, filepath.Join(dir, "data"))
		template.dir = dir
	})
	if template.dir == "" {
		t.Fatal("there is no template: an earlier test could not make it")
	}
	if err := os.MkdirAll(filepath.Dir(cfg.DataDir), 0o700); err != nil {
		t.Fatal(err)
	}
	copyTree(t, filepath.Join(template.dir, "data"), cfg.DataDir)
}

func copyTree(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// standby clones a server and starts it.
func standby(t testing.TB, name string, of *Server) *Server {
	t.Helper()
	s := open(t, describe(t, name))
	if err := s.Clone(within(t), CloneOptions{From: address(of), SystemID: of.Status(within(t)).SystemID}); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(within(t), StartOptions{Standby: true, Upstream: address(of)}); err != nil {
		t.Fatal(err)
	}
	return s
}

func address(s *Server) Upstream {
	return Upstream{Name: s.cfg.MemberName, Host: "127.0.0.1", Port: s.cfg.Port}
}

// await looks until the status is as wanted. The server tells nobody of progress inside it, so this is
// the one place where tests look again and again.
func await(t testing.TB, s *Server, what string, wanted func(Status) bool) Status {
	t.Helper()
	ctx := within(t)
	for {
		st := s.Status(ctx)
		if wanted(st) {
			return st
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %s: %+v", s.cfg.MemberName, what, st)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func streaming(from *Server) func(Status) bool {
	return func(st Status) bool {
		return st.ReplicationState == ReplicationStreaming && st.Upstream.Port == from.cfg.Port
	}
}

// session connects as a client does: over TCP, with a password.
func session(t testing.TB, s *Server) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable", s.cfg.Port))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = s.cfg.Superuser.Password.Reveal()
	conn, err := pgx.ConnectConfig(within(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		conn.Close(ctx) //nolint:errcheck // the server may be gone
	})
	return conn
}

func run(t testing.TB, s *Server, sql string) {
	t.Helper()
	if _, err := session(t, s).Exec(within(t), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func one(t testing.TB, s *Server, sql string) string {
	t.Helper()
	var v any
	if err := session(t, s).QueryRow(within(t), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if n, ok := v.(int64); ok {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprint(v)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func itoa(n int) string { return strconv.Itoa(n) }
