package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

// What the configuration says of roles and logins reaches the server.
func TestServerSettings(t *testing.T) {
	cfg := config.Config{Postgres: config.Postgres{
		Superuser:    config.Login{Username: "postgres", Password: "a"},
		Replication:  config.Login{Username: "copier", Password: "b", Options: map[string]string{"sslmode": "verify-full"}},
		Rewind:       config.Login{Username: "winder", Password: "c"},
		RoleSettings: config.RoleSettings{Parameters: map[string]any{"work_mem": "1MB"}, Ident: []string{"a b c"}},
		ByRole:       map[cluster.Role]config.RoleSettings{cluster.RoleReplica: {HBA: []string{"local all all peer"}}}, //nolint:dupword // a rule for all users
	}, Bootstrap: config.Bootstrap{HBA: []string{"host all clients all md5"}}}
	want := postgres.Settings{
		Logins: postgres.Logins{
			Superuser:   postgres.Login{Username: "postgres", Password: "a"},
			Replication: postgres.Login{Username: "copier", Password: "b", Options: map[string]string{"sslmode": "verify-full"}},
			Rewind:      postgres.Login{Username: "winder", Password: "c"},
		},
		Parameters: map[string]any{"work_mem": "1MB"}, HBA: []string{"host all clients all md5"}, Ident: []string{"a b c"},
		ByRole: map[cluster.Role]postgres.Variant{cluster.RoleReplica: {HBA: []string{"local all all peer"}}}, //nolint:dupword // a rule for all users
	}
	if diff := cmp.Diff(want, settings(cfg)); diff != "" {
		t.Error(diff)
	}
}

func TestAddressesOfAMember(t *testing.T) {
	for _, c := range []struct{ address, database, want string }{
		{"10.0.0.1:5432", "postgres", "postgres://10.0.0.1:5432/postgres"},
		{"[::1]:5432", "a b", "postgres://[::1]:5432/a%20b"},
		{"", "postgres", ""},
	} {
		if got := connURL(c.address, c.database); got != c.want {
			t.Errorf("%s and %s: %s, want %s", c.address, c.database, got, c.want)
		}
	}
}
