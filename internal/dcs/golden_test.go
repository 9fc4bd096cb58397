package dcs_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// open makes a member with a lease on the store.
func open(t *testing.T, store *memory.Store, name string, ttl time.Duration) *dcs.Store {
	t.Helper()
	s, err := dcs.New(store, dcs.Config{Namespace: "/service/", Scope: "batman", Name: name})
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	if err := s.Grant(t.Context(), ttl); err != nil {
		t.Fatalf("grant: %v", err)
	}
	return s
}

// TestEveryKeyIsWrittenAsOthersReadIt holds the layout of Patroni's etcd3 back end, byte for byte.
func TestEveryKeyIsWrittenAsOthersReadIt(t *testing.T) {
	store := closing(t, memory.New())
	s := open(t, store, "n1", time.Minute)
	ctx := t.Context()
	pending := false
	write := map[string]func() error{
		"initialize": func() error { return s.WriteInitialize(ctx, "7012345678901234567", 0) },
		"config": func() error {
			return s.WriteConfig(ctx, map[string]any{
				"ttl": 30, "loop_wait": 10, "postgresql": map[string]any{"parameters": map[string]any{"search_path": "ä<b>"}},
			}, 0)
		},
		"leader": func() error { return s.Acquire(ctx) },
		"failover": func() error {
			return s.WriteFailover(ctx, cluster.Failover{Leader: "n1", Candidate: "n2", ScheduledAt: "2026-11-22T10:00:00+00:00"}, 0)
		},
		"history": func() error {
			return s.WriteHistory(ctx, cluster.History{Present: true, Lines: []cluster.HistoryLine{{
				Switch: wal.Switch{Timeline: 1, End: 67109088, Reason: "no recovery target specified"},
				At:     "2026-11-22T10:00:00.000001+00:00", Leader: "n2",
			}}})
		},
		"members/n1": func() error {
			return s.Announce(ctx, cluster.Member{
				ConnURL: "postgres://10.0.0.1:5432/postgres", APIURL: "http://10.0.0.1:8008/patroni",
				State: cluster.StateRunning, Role: cluster.RolePrimary, AgentVersion: "4.1.0",
				CheckpointAfterPromote: &pending, Tags: cluster.Tags{"nofailover": true}, PendingRestart: true,
				Location: 67109088, Timeline: 2, Pause: true,
			})
		},
		"status": func() error {
			return s.WriteStatus(ctx, cluster.Status{
				Optime: 67109088, Slots: map[string]wal.LSN{"n2": 67109080}, RetainSlots: []string{"n2", "n3"},
			})
		},
		"sync": func() error {
			_, err := s.WriteSync(ctx, cluster.Sync{Leader: "n1", Voters: []string{"n3", "n2"}})
			return err
		},
		"failsafe": func() error {
			return s.WriteFailsafe(ctx, map[string]string{
				"n2": "http://10.0.0.2:8008/patroni", "n1": "http://10.0.0.1:8008/patroni",
			})
		},
	}
	for _, key := range slices.Sorted(maps.Keys(write)) {
		if err := write[key](); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	want := map[string]string{
		"initialize": `7012345678901234567`,
		"config":     `{"loop_wait":10,"postgresql":{"parameters":{"search_path":"\u00e4<b>"}},"ttl":30}`,
		"leader":     `n1`,
		"failover":   `{"leader":"n1","member":"n2","scheduled_at":"2026-11-22T10:00:00+00:00"}`,
		"history":    `[[1,67109088,"no recovery target specified","2026-11-22T10:00:00.000001+00:00","n2"]]`,
		"members/n1": `{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni",` +
			`"state":"running","role":"primary","version":"4.1.0","checkpoint_after_promote":false,` +
			`"tags":{"nofailover":true},"pending_restart":true,"xlog_location":67109088,"timeline":2,"pause":true}`,
		"status":   `{"optime":67109088,"slots":{"n2":67109080},"retain_slots":["n2","n3"]}`,
		"sync":     `{"leader":"n1","quorum":0,"sync_standby":"n2,n3"}`,
		"failsafe": `{"n1":"http://10.0.0.1:8008/patroni","n2":"http://10.0.0.2:8008/patroni"}`,
	}
	snapshot, err := store.List(ctx, "/service/batman/")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	bound := map[string]bool{}
	for _, pair := range snapshot.Pairs {
		key := strings.TrimPrefix(pair.Key, "/service/batman/")
		got[key] = pair.Value
		if pair.Lease != 0 {
			bound[key] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]bool{"leader": true, "members/n1": true}, bound); diff != "" {
		t.Errorf("keys with a lease (-want +got):\n%s", diff)
	}
}

func TestSlashesOfTheNamespaceDoNotMatter(t *testing.T) {
	for namespace, want := range map[string]string{
		"service": "/service/batman/leader", "/service/": "/service/batman/leader", "//a//b/": "/a/b/batman/leader",
		"": "/batman/leader", "/": "/batman/leader",
	} {
		store := memory.New()
		s, err := dcs.New(store, dcs.Config{Namespace: namespace, Scope: "batman", Name: "n1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Grant(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := s.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, ok, _ := store.Get(t.Context(), want); !ok {
			t.Errorf("namespace %q: no key %s", namespace, want)
		}
		_ = store.Close()
	}
}

func TestNamesWithSlashesAreRefused(t *testing.T) {
	for _, config := range []dcs.Config{{}, {Scope: "a/b"}, {Scope: "a", Name: "n/1"}} {
		if _, err := dcs.New(memory.New(), config); err == nil {
			t.Errorf("%+v was taken", config)
		}
	}
}
