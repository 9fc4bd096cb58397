package dcs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
)

// removing is a scope with documents, those of a Citus group and of strangers among them, beside another scope.
func removing(t *testing.T) *memory.Store {
	t.Helper()
	m := memory.New()
	t.Cleanup(func() { m.Close() }) //nolint:errcheck // it is memory
	for _, key := range []string{"/service/a/leader", "/service/a/members/n1", "/service/a/1/leader", "/service/a/strange", "/service/ab/leader", "/service/b/config"} {
		if _, err := m.Put(t.Context(), key, "n1", kv.IfAbsent(), 0); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func left(t *testing.T, store kv.Store) string {
	t.Helper()
	s, err := store.List(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, p := range s.Pairs {
		keys = append(keys, p.Key)
	}
	slices.Sort(keys)
	return strings.Join(keys, " ")
}

func TestRemoveLeavesOtherScopes(t *testing.T) {
	m := removing(t)
	s, err := New(m, Config{Namespace: "service", Scope: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := left(t, m), "/service/ab/leader /service/b/config"; got != want {
		t.Errorf("left %s", got)
	}
}

// busy is a store in which a member speaks up before each delete, a few times; after that it fails if told so.
type busy struct {
	kv.Store

	times   int
	broken  error
	deleted []string
}

func (b *busy) Delete(ctx context.Context, key string, cond kv.Condition) error {
	if b.broken != nil {
		return b.broken
	}
	if b.times > 0 {
		b.times--
		if _, err := b.Put(ctx, "/service/a/members/n1", "again", kv.Always(), 0); err != nil {
			return err
		}
	}
	b.deleted = append(b.deleted, key)
	return b.Store.Delete(ctx, key, cond)
}

func TestRemoveWhileMembersSpeak(t *testing.T) {
	b := &busy{Store: removing(t), times: 9}
	s, err := New(b, Config{Namespace: "service", Scope: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := left(t, b.Store); strings.Contains(got, "/service/a/") || b.deleted[0] != "/service/a/leader" {
		t.Errorf("left %s, deleted %v", got, b.deleted)
	}
	b = &busy{Store: removing(t), broken: kv.ErrUnavailable}
	if s, err = New(b, Config{Namespace: "service", Scope: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context()); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
