package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/logs"
)

// Every option of the section log arrives where lines are made.
func TestLogOptions(t *testing.T) {
	cfg := load(t, oneFile+`
log:
  type: json
  level: warning
  traceback_level: debug
  format: [asctime, {levelname: severity}, message]
  static_fields: {app: db}
  dateformat: '%H'
  max_queue_size: 7
  dir: /var/log/x
  mode: 0640
  file_size: 1000
  file_num: 0
  loggers: {patroni.ha: DEBUG}
  deduplicate_heartbeat_logs: true
`).Log
	want := logs.Options{
		JSON: true, Level: slog.LevelWarn, Brief: true, Static: map[string]any{"app": "db"}, DateFormat: "%H", Queue: 7, Dir: "/var/log/x", Mode: 0o640, FileSize: 1000,
		Fields:  []logs.Field{{Name: "asctime", As: "asctime"}, {Name: "levelname", As: "severity"}, {Name: "message", As: "message"}},
		Loggers: map[string]slog.Level{"patroni.ha": slog.LevelDebug}, Deduplicate: true,
	}
	got, err := logOptions(cfg, false)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := logOptions(cfg, true); err != nil || got.Level != slog.LevelDebug {
		t.Errorf("--verbose: %v, %v", got.Level, err)
	}
}

// A reload changes where the log goes; one that cannot be used changes nothing.
func TestReloadOfTheLog(t *testing.T) {
	dir := t.TempDir()
	first := config.Log{Dir: dir, Format: "one %(message)s"}
	j, err := openJournal(first, false)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(j.Handler())
	log.InfoContext(t.Context(), "begins")
	if err := j.configure(config.Log{Dir: filepath.Join(dir, "nowhere")}); err == nil {
		t.Error("a directory that does not exist was taken")
	}
	if err := j.configure(config.Log{Level: "LOUD"}); err == nil {
		t.Error("a level that does not exist was taken")
	}
	log.InfoContext(t.Context(), "goes on")
	if err := j.configure(config.Log{Dir: dir, Format: "two %(message)s"}); err != nil {
		t.Fatal(err)
	}
	log.InfoContext(t.Context(), "changes")
	if err := j.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "patroni.log"))
	if want := "one begins|one goes on|two changes|"; err != nil || strings.ReplaceAll(string(text), "\n", "|") != want {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
}
