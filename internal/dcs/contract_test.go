package dcs_test

import (
	"context"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/dcs/dcstest"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/embedded/embeddedtest"
	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
)

func TestContractOnMemory(t *testing.T) {
	store := memory.New()
	dcstest.Run(t, func(t *testing.T) kv.Store { return closing(t, store.Client()) })
}

// closing closes the client when the test ends.
func closing(t *testing.T, store *memory.Store) *memory.Store {
	t.Helper()
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestContractOnEtcd(t *testing.T) {
	url := embeddedtest.Start(t)
	dcstest.Run(t, func(t *testing.T) kv.Store {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		store, err := etcd3.Open(ctx, etcd3.Config{Endpoints: []string{url}})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return store
	})
}
