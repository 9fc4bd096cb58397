package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheDynamicConfigurationIsKeptWithItsData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	k := kept{dataDir: dir, log: slog.New(slog.DiscardHandler)}
	want := map[string]any{"pause": true, "postgresql": map[string]any{"parameters": map[string]any{"max_connections": 7.0}}}
	if err := k.save(want); err != nil {
		t.Fatal(err)
	}
	if got := k.load(t.Context()); got != nil {
		t.Errorf("without data it is about nothing, and is %v", got)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, k.load(t.Context())); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(k.path(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := k.load(t.Context()); got != nil {
		t.Errorf("a broken file is %v", got)
	}
}
