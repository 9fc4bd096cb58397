package chaos

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/peer"
)

// agents opens agents that the test destroys when it ends, whatever happens. Nothing of them may be left then.
func agents(t *testing.T, cfg AgentsConfig) *Agents {
	t.Helper()
	if testing.Short() {
		t.Skip("it starts real servers")
	}
	needPeers(t, "postgres")
	cfg.Program, cfg.Credential = program(t), servers(t)
	a, err := OpenAgents(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range append(a.Names(), a.EtcdNames()...) {
			if t.Failed() {
				t.Logf("what %s printed last:\n%s", name, a.Output(name, 40))
			}
		}
		if err := a.Destroy(t.Context()); err != nil {
			t.Errorf("destroy: %v", err)
		}
		if left, err := parts(a.Dir()); err != nil || len(left) > 0 {
			t.Errorf("left running: %v %v", left, err)
		}
	})
	return a
}

// servers is the user that servers run as; nil is ourselves.
func servers(t *testing.T) *syscall.Credential {
	t.Helper()
	account, err := peer.Servers()
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// running starts all agents and waits until they are whole.
func running(ctx context.Context, t *testing.T, a *Agents) Picture {
	t.Helper()
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	return await(ctx, t, a, a.Whole)
}

// await waits for a condition.
func await(ctx context.Context, t *testing.T, a *Agents, met func(Picture) error) Picture {
	t.Helper()
	pic, err := a.Await(ctx, met)
	if err != nil {
		t.Fatal(err)
	}
	return pic
}

// ask asks a server one question.
func ask(ctx context.Context, t *testing.T, a *Agents, member, sql string) string {
	t.Helper()
	text, err := a.SQL(ctx, member, sql)
	if err != nil {
		t.Fatalf("%s: %s: %v", member, sql, err)
	}
	return text
}

// TestAgentsLeaveAndReturn is the harness's own test: agents start, one leaves, is killed, frozen and started again,
// while a client writes.
func TestAgentsLeaveAndReturn(t *testing.T) {
	a := agents(t, AgentsConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	began := time.Now()
	pic := running(ctx, t, a)
	t.Logf("whole after %s: %s", time.Since(began).Round(time.Millisecond), pic)
	writer, err := StartWriter(ctx, a.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Stop()
	left := pic.Leader
	if err := a.Leave(ctx, left); err != nil {
		t.Fatal(err)
	}
	if pic = await(ctx, t, a, a.Whole); pic.Leader == left {
		t.Fatalf("%s left and leads", left)
	}
	if err := a.Start(left); err != nil {
		t.Fatal(err)
	}
	pic = await(ctx, t, a, a.Leads(pic.Leader))
	if err := a.Signal(left, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	server := a.Postmaster(left)
	if err := a.Start(left); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, a.Leads(pic.Leader))
	if got := a.Postmaster(left); got != server || server == 0 {
		t.Errorf("the server was process %d and is %d: it was not taken over", server, got)
	}
	if err := writer.Written(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Audit(ctx, nil); err != nil {
		t.Error(err)
	}
	if got := ask(ctx, t, a, left, "select pg_is_in_recovery()"); got != "t" {
		t.Errorf("%s is in recovery: %s", left, got)
	}
}
