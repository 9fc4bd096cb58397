package etcd3_test

import (
	"context"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/embedded/embeddedtest"
	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
	"github.com/pgbaton/pgbaton/internal/kv/kvtest"
)

func TestContract(t *testing.T) {
	url := embeddedtest.Start(t)
	kvtest.Run(t, func(t *testing.T) kv.Store { return open(t, etcd3.Config{Endpoints: []string{url}}) })
}

// open connects and closes when the test ends.
func open(t *testing.T, config etcd3.Config) *etcd3.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	store, err := etcd3.Open(ctx, config)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}
