package chaos

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// TestAgentsPause keeps the agents' hands off: a server that is stopped by hand stays down, one that is promoted by hand
// takes the free key, and after the pause everything falls into place.
func TestAgentsPause(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 2})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	old := running(ctx, t, a).Leader
	next := other(a, old)
	ask(ctx, t, a, old, "create table t (id int); insert into t values (1)")
	if err := a.Configure(ctx, old, `{"pause": true}`); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, a, func() error { return says(ctx, a, next, `"pause":true`) })

	// A fast shutdown by hand. The key is given up, and nobody acts on either.
	if err := a.SignalServer(old, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, func(pic Picture) error {
		m, answers := pic.Member(old)
		if pic.Leader != "" || !answers || m.Postmaster != 0 {
			return fmt.Errorf("%q leads, the server of %s is process %d", pic.Leader, old, m.Postmaster)
		}
		return nil
	})
	ask(ctx, t, a, next, "select pg_promote(true)")
	await(ctx, t, a, func(pic Picture) error {
		if pic.Leader != next {
			return fmt.Errorf("%q leads and not %s", pic.Leader, next)
		}
		return nil
	})
	ask(ctx, t, a, next, "insert into t values (2)")
	if a.Postmaster(old) != 0 {
		t.Errorf("%s was started in pause", old)
	}

	if err := a.Configure(ctx, next, `{"pause": false}`); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, a.Leads(next))
	// Whoever streams has not replayed yet.
	until(ctx, t, a, func() error { return answers(ctx, a, old, "select count(*) from t", "2") })
}

// TestAgentsPausedAgentLeaves ends both agents in pause: the servers stay up, and the next life finds them.
func TestAgentsPausedAgentLeaves(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 2})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	leader := running(ctx, t, a).Leader
	if err := a.Configure(ctx, leader, `{"pause": true}`); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, a, func() error { return says(ctx, a, leader, `"pause":true`) })
	server := a.Postmaster(leader)
	if err := a.Leave(ctx, a.Names()...); err != nil {
		t.Fatal(err)
	}
	ask(ctx, t, a, leader, "create table t (id int)")
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, a.Leads(leader))
	if got := a.Postmaster(leader); got != server {
		t.Errorf("the server was process %d and is %d", server, got)
	}
}

// TestAgentsScheduledSwitchover asks for a switchover in a few seconds, and sees it happen then and not before.
func TestAgentsScheduledSwitchover(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 2})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	leader := running(ctx, t, a).Leader
	next := other(a, leader)
	at := time.Now().Add(4 * time.Second)
	body := fmt.Sprintf(`{"leader":%q,"candidate":%q,"scheduled_at":%q}`, leader, next, at.Format(time.RFC3339Nano))
	if code, text, err := a.Send(ctx, leader, http.MethodPost, "/switchover", body); err != nil || code != http.StatusAccepted {
		t.Fatalf("POST /switchover: %d %s %v", code, text, err)
	}
	pic := await(ctx, t, a, func(pic Picture) error {
		if pic.Leader == leader {
			return fmt.Errorf("%s leads still", leader)
		}
		return nil
	})
	if early := time.Until(at); early > 0 {
		t.Errorf("the lead moved %s early (%s)", early, pic)
	}
	await(ctx, t, a, a.Leads(next))
	if late := time.Since(at); late > 10*time.Second {
		t.Errorf("it took %s", late)
	}
}

// TestAgentsTags has a member that must not lead, and one that streams from it.
func TestAgentsTags(t *testing.T) {
	a := agents(t, AgentsConfig{Local: func(member string, file map[string]any) {
		switch member {
		case "n2":
			Set(file, true, "tags", "nofailover")
		case "n3":
			Set(file, "n2", "tags", "replicatefrom")
		}
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := a.Start("n1"); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, Role("n1", cluster.RolePrimary))
	if err := a.Start("n2", "n3"); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, a, func() error {
		names, err := a.SQL(ctx, "n2", "select string_agg(application_name, ' ') from pg_stat_replication where state = 'streaming'")
		if err == nil && names != "n3" {
			err = fmt.Errorf("n2 feeds %q", names)
		}
		return err
	})
	if code, text, err := a.Send(ctx, "n1", http.MethodPost, "/failover", `{"candidate":"n2"}`); err != nil || code != http.StatusPreconditionFailed {
		t.Errorf("a failover to n2: %d %s %v", code, text, err)
	}
	if err := a.Leave(ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, Role("n3", cluster.RolePrimary))
	until(ctx, t, a, func() error {
		names, err := a.SQL(ctx, "n3", "select string_agg(application_name, ' ') from pg_stat_replication where state = 'streaming'")
		if err == nil && names != "n2" {
			err = fmt.Errorf("n3 feeds %q", names)
		}
		return err
	})
}

// says is nil once GET /patroni of a member has the text.
func says(ctx context.Context, a *Agents, member, text string) error {
	_, body, err := a.Send(ctx, member, http.MethodGet, "/patroni", "")
	if err == nil && !strings.Contains(strings.ReplaceAll(body, " ", ""), text) {
		err = fmt.Errorf("GET /patroni of %s has no %s: %s", member, text, body)
	}
	return err
}
