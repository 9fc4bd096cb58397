package chaos

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// TestSynchronousHeld crashes a primary while a commit waits for its only standby, which hangs. PostgreSQL shows that row
// after its recovery, though nobody was told that it is committed and a failover may take it back: in strict mode no client
// sees it before the standby has it.
func TestSynchronousHeld(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 2, Dynamic: map[string]any{
		"synchronous_mode": "quorum", "synchronous_mode_strict": true, "primary_start_timeout": 300,
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	pic := running(ctx, t, a)
	leader, replica := pic.Leader, other(a, pic.Leader)
	const voters = "select string_agg(application_name, ' ') from pg_stat_replication where sync_state = 'quorum'"
	until(ctx, t, a, func() error { return answers(ctx, a, leader, voters, replica) })
	ask(ctx, t, a, leader, "create table t (id int); insert into t values (1); create role "+clientRole+" login password '"+agentsPassword+"'; grant all on t to "+clientRole)
	// A new cluster keeps clients out, too, until the first standby has everything.
	until(ctx, t, a, func() error { return asClient(ctx, pic.Led().Address, "select count(*) from t", 1) })

	if n, err := a.SignalProcesses(replica, "walreceiver", syscall.SIGSTOP); err != nil || n != 1 {
		t.Fatalf("%d receivers of WAL: %v", n, err)
	}
	waiting := make(chan error)
	go func() { waiting <- asClient(ctx, pic.Led().Address, "insert into t values (2)", nil) }()
	until(ctx, t, a, func() error {
		return answers(ctx, a, leader, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'", "1")
	})
	if err := asClient(ctx, pic.Led().Address, "select count(*) from t", 1); err != nil {
		t.Errorf("before the crash: %v", err)
	}
	was := a.Postmaster(leader)
	if err := a.SignalServer(leader, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err == nil {
		t.Error("the commit was acknowledged")
	}
	until(ctx, t, a, func() error {
		if now := a.Postmaster(leader); now == 0 || now == was {
			return fmt.Errorf("the server of %s is process %d", leader, now)
		}
		return answers(ctx, a, leader, "select count(*) from t where not pg_is_in_recovery()", "2")
	})
	keptOut(ctx, t, pic.Led().Address, 5*time.Second)

	if _, err := a.SignalProcesses(replica, "walreceiver", syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, a, func() error { return asClient(ctx, pic.Led().Address, "select count(*) from t", 2) })
	until(ctx, t, a, func() error { return answers(ctx, a, replica, "select count(*) from t", "2") })
	await(ctx, t, a, a.Leads(leader))
}

// keptOut makes sure that no client gets in for a while.
func keptOut(ctx context.Context, t *testing.T, at string, d time.Duration) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	const refusedByRules = "28000" // invalid_authorization_specification
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for tries := 0; ; tries++ {
		err := asClient(ctx, at, "select count(*) from t", 2)
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != refusedByRules {
			t.Fatalf("after %d tries a client is not refused: %v", tries, err)
		}
		select {
		case <-ticker.C:
		case <-limited.Done():
			return
		}
	}
}

// asClient does one thing at a server as a client does. What it answers must be as wanted, unless nothing is.
func asClient(ctx context.Context, at, sql string, want any) (err error) {
	conn, err := pgx.Connect(ctx, "postgres://"+clientRole+":"+agentsPassword+"@"+at+":5432/postgres?sslmode=disable")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if want == nil {
		_, err = conn.Exec(ctx, sql)
		return err
	}
	var got any
	if err := conn.QueryRow(ctx, sql).Scan(&got); err != nil {
		return err
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("%s: got %v, want %v", sql, got, want)
	}
	return nil
}
