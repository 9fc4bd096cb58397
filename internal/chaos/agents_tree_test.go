package chaos

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
)

// TestAgentsEndedAsATree ends the leader's agent together with its server and every process of it, as Mesos' executor of commands
// does, and systemd by default: the senders of WAL end before the last record is written. Nobody waits for a lease, no
// acknowledged row is lost although commits wait for nobody, and the servers of the others run on.
func TestAgentsEndedAsATree(t *testing.T) {
	a := agents(t, AgentsConfig{Dynamic: map[string]any{
		"postgresql": map[string]any{"use_pg_rewind": true, "parameters": map[string]any{"wal_keep_size": "2GB"}}, // who lacks the last record is followed by a rewind
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	pic := running(ctx, t, a)
	writer, err := StartWriter(ctx, a.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Stop()
	busy, idle := context.WithCancel(ctx)
	var load sync.WaitGroup
	for range 3 {
		load.Go(func() { a.load(busy) })
	}
	defer load.Wait()
	defer idle()
	var table strings.Builder
	for range 3 {
		if err := writer.Written(ctx); err != nil {
			t.Fatal(err)
		}
		began, left := time.Now(), pic.Leader
		m, err := a.member(left)
		if err != nil {
			t.Fatal(err)
		}
		m.told = true
		standbys := map[string]int{}
		for _, name := range a.Names() {
			if name != left {
				standbys[name] = a.Postmaster(name)
			}
		}
		mesostest.KillTree(m.agent.process.Pid, syscall.SIGTERM)
		if _, err := a.Ended(ctx, left); err != nil {
			t.Fatal(err)
		}
		if err := a.Start(left); err != nil {
			t.Fatal(err)
		}
		if pic = await(ctx, t, a, a.Whole); pic.Leader == left {
			t.Logf("%s leads again", left)
		}
		if err := writer.Written(ctx); err != nil {
			t.Fatal(err)
		}
		if lost, err := writer.Audit(ctx, nil); err != nil || lost > 0 {
			t.Errorf("%d rows lost: %v", lost, err)
		}
		outage := writer.Outage(began).Length()
		fmt.Fprintf(&table, "%8d ms\n", outage.Milliseconds())
		if outage > 10*time.Second {
			t.Errorf("no write for %s", outage)
		}
		for name, was := range standbys {
			if is := a.Postmaster(name); is != was {
				t.Errorf("the server of %s was started anew although it lacked nothing: process %d, then %d", name, was, is)
			}
		}
	}
	t.Logf("no write for\n%s", &table)
}

// load writes WAL as fast as one session can, whoever leads, until ctx ends.
func (a *Agents) load(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := pgx.Connect(ctx, a.URL())
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		_, err = conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS load (id int, text text)")
		for err == nil {
			_, err = conn.Exec(ctx, "INSERT INTO load SELECT n, repeat('x', 200) FROM generate_series(1, 50) n")
		}
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}
