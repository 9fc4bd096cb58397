package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// kept is the dynamic configuration as it was last in force, in a file beside the data directory: an agent that begins
// while the DCS is silent must know of a pause, and what its server is to be like.
type kept struct {
	dataDir string
	log     *slog.Logger
}

func (k kept) path() string { return k.dataDir + ".dynamic.json" }

// load returns what was kept; nil when there is nothing, or no data that it would be about.
func (k kept) load(ctx context.Context) map[string]any {
	if _, err := os.Stat(filepath.Join(k.dataDir, "PG_VERSION")); err != nil {
		return nil
	}
	text, err := os.ReadFile(k.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var data map[string]any
	if err == nil {
		err = json.Unmarshal(text, &data)
	}
	if err != nil {
		k.log.WarnContext(ctx, "the dynamic configuration that was kept cannot be read", slog.String("file", k.path()), slog.Any("err", err))
		return nil
	}
	return data
}

// save keeps the configuration that came into force.
func (k kept) save(data map[string]any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("keep the dynamic configuration: %w", err)
	}
	if err := renameio.WriteFile(k.path(), text, 0o600); err != nil {
		return fmt.Errorf("keep the dynamic configuration: %w", err)
	}
	return nil
}
