package chaos

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// TestAgentsCascade has a member that streams from another replica, and one that restores from an archive alone. The first
// goes to the leader when its upstream is gone and back when that is there again; both have what was written. Slots are
// where they belong: the cascaded member's with its upstream, none for the one that never streams.
func TestAgentsCascade(t *testing.T) {
	archive, err := os.MkdirTemp("", "archive") //nolint:usetesting // the servers run as another user, who cannot enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(archive) })
	if err := os.Chmod(archive, 0o777); err != nil { //nolint:gosec // the same
		t.Fatal(err)
	}
	a := agents(t, AgentsConfig{
		Members: 4,
		Dynamic: map[string]any{"postgresql": map[string]any{"parameters": map[string]any{
			"archive_mode": "on", "archive_command": "test -f " + archive + "/%f || cp %p " + archive + "/.%f && mv " + archive + "/.%f " + archive + "/%f",
		}}},
		Local: func(member string, file map[string]any) {
			switch member {
			case "n3":
				Set(file, "n2", "tags", "replicatefrom")
			case "n4":
				Set(file, true, "tags", "nostream")
				Set(file, "cp "+archive+"/%f %p", "postgresql", "recovery_conf", "restore_command")
			}
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	if err := a.Start("n1"); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, Role("n1", cluster.RolePrimary))
	if err := a.Start("n2", "n3", "n4"); err != nil {
		t.Fatal(err)
	}
	feeds := func(member, want string) {
		t.Helper()
		until(ctx, t, a, func() error {
			return answers(ctx, a, member, "select coalesce(string_agg(application_name, ' ' order by application_name), '') from pg_stat_replication where state = 'streaming'", want)
		})
	}
	feeds("n1", "n2")
	feeds("n2", "n3")
	until(ctx, t, a, func() error {
		return answers(ctx, a, "n2", "select active from pg_replication_slots where slot_name = 'n3'", "t")
	})
	ask(ctx, t, a, "n1", "create table t (id int primary key); insert into t select generate_series(1, 1000)")
	ask(ctx, t, a, "n1", "select pg_switch_wal()") // what is not archived yet, the archive cannot bring
	for _, member := range []string{"n3", "n4"} {
		until(ctx, t, a, func() error { return answers(ctx, a, member, "select count(*) from t", "1000") })
	}
	if state := ask(ctx, t, a, "n4", "select count(*) from pg_stat_wal_receiver"); state != "0" {
		t.Errorf("n4 streams although its tag says nostream")
	}
	until(ctx, t, a, func() error {
		return answers(ctx, a, "n1", "select string_agg(slot_name, ' ' order by slot_name) from pg_replication_slots", "n2 n3")
	})
	if err := a.Leave(ctx, "n2"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	feeds("n1", "n3")
	t.Logf("n3 streams from the leader %s after its upstream was lost", time.Since(began).Round(time.Millisecond))
	if err := a.Start("n2"); err != nil {
		t.Fatal(err)
	}
	feeds("n2", "n3")
	feeds("n1", "n2")
	ask(ctx, t, a, "n1", "insert into t select generate_series(1001, 2000)")
	ask(ctx, t, a, "n1", "select pg_switch_wal()")
	for _, member := range []string{"n2", "n3", "n4"} {
		until(ctx, t, a, func() error { return answers(ctx, a, member, "select count(*) from t", "2000") })
	}
}
