package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/logs"
)

// journal keeps the agent's log as the configuration wants it.
type journal struct {
	*logs.Log

	// verbose writes everything, whatever the configuration says.
	verbose bool
}

// openJournal begins the log. Close ends it.
func openJournal(cfg config.Log, verbose bool) (journal, error) {
	options, err := logOptions(cfg, verbose)
	if err != nil {
		return journal{}, err
	}
	l, err := logs.Open(options, os.Stderr)
	return journal{l, verbose}, err
}

// lastWordsTo is how long the end of the program waits for the last lines of its log to be written.
const lastWordsTo = 3 * time.Second

// close writes what waits.
func (j journal) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWordsTo)
	defer cancel()
	return j.Close(ctx)
}

// configure brings a configuration into force. One that cannot be used leaves the old one.
func (j journal) configure(cfg config.Log) error {
	options, err := logOptions(cfg, j.verbose)
	if err != nil {
		return err
	}
	return j.Configure(options)
}

func logOptions(cfg config.Log, verbose bool) (logs.Options, error) {
	level, err := logs.ParseLevel(cfg.Level)
	if err != nil {
		return logs.Options{}, err
	}
	if verbose {
		level = slog.LevelDebug
	}
	details, err := logs.ParseLevel(cfg.TracebackLevel)
	if err != nil {
		return logs.Options{}, err
	}
	o := logs.Options{
		JSON: cfg.JSON, Level: level, Loggers: map[string]slog.Level{}, Brief: details == slog.LevelDebug, Format: cfg.Format, Static: cfg.Static,
		DateFormat: cfg.DateFormat, Queue: cfg.Queue, Dir: cfg.Dir, Mode: cfg.Mode, FileSize: cfg.FileSize, FileNum: cfg.FileNum, Deduplicate: cfg.Deduplicate,
	}
	for _, f := range cfg.Fields {
		o.Fields = append(o.Fields, logs.Field{Name: f.Name, As: f.As})
	}
	for name, word := range cfg.Loggers {
		if o.Loggers[name], err = logs.ParseLevel(word); err != nil {
			return logs.Options{}, fmt.Errorf("log.loggers.%s: %w", name, err)
		}
	}
	asConfigured := cfg.JSON || cfg.Format != "" || cfg.DateFormat != "" || cfg.Dir != ""
	o.Human = terminal(os.Stderr) && !asConfigured
	return o, nil
}
