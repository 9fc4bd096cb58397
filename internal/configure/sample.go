package configure

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgbaton/pgbaton/internal/postgres"
)

// The names that are used where nothing says another.
const (
	sampleScope       = "pgcluster"
	sampleSuperuser   = "postgres"
	sampleReplication = "replicator"
	sampleRewind      = "rewind_user"
	// sampleMajor is for a machine without any PostgreSQL.
	sampleMajor = 17
)

// Sample makes a configuration to begin with, for this machine and the newest PostgreSQL on it. What the variables
// PATRONI_* of env say is in it.
func Sample(ctx context.Context, env map[string]string) ([]byte, error) {
	m := thisMachine()
	major, bin := sampleMajor, any(nil)
	if found, _, err := postgres.FindBinaries(ctx, env["PATRONI_POSTGRESQL_BIN_DIR"], 0); err == nil {
		major, bin = found.Major, found.Dir
	}
	login := func(name string) any { return section("username", name, "password", blank) }
	pg := section(
		"listen", m.at(5432), "connect_address", m.at(5432),
		"data_dir", fmt.Sprintf("/var/lib/postgresql/%d/%s", major, sampleScope), "bin_dir", bin,
		"authentication", section("superuser", login(sampleSuperuser), "replication", login(sampleReplication), "rewind", login(sampleRewind)),
		"parameters", section("password_encryption", "scram-sha-256"),
		"pg_hba", rules("scram-sha-256"),
	)
	keep, kept := "wal_keep_size", any("128MB")
	if major < 13 {
		keep, kept = "wal_keep_segments", 8
	}
	dynamic := times("postgresql", section("use_pg_rewind", true, "use_slots", true, "parameters", section(
		"max_connections", 100, "max_wal_senders", 10, "max_replication_slots", 10, "max_worker_processes", 8,
		"max_prepared_transactions", 0, "max_locks_per_transaction", 64, "wal_level", "replica", "wal_log_hints", "on",
		"track_commit_timestamp", "off", keep, kept, "hot_standby", "on",
	)))
	return render(whole(m, parts{scope: sampleScope, dynamic: dynamic, postgresql: pg, initdb: true}), env)
}

// rules let everybody in who knows a password.
func rules(method string) []string {
	const everything = "all"
	return []string{
		strings.Join([]string{"local", everything, everything, method}, " "),
		strings.Join([]string{"host", everything, everything, everything, method}, " "),
		strings.Join([]string{"host", "replication", sampleReplication, everything, method}, " "),
	}
}
